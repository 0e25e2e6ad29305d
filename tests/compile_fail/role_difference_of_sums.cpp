// error: a difference of logprobs whose roles do not belong together
// What the policy was when it sampled, minus a reference, is no ratio of the trainer's policy; roles survive lets and
// sums.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct sequence_margin {
  constexpr auto operator()() const {
    auto now = let<"now">(sum_over_tokens(logprobs));
    auto was = let<"was">(sum_over_tokens(old_logprobs));
    auto reference = sum_over_tokens(ref_logprobs);
#ifdef FIXED
    auto margin = (now - reference) * (now - was);
#else
    auto margin = (now - reference) * (was - reference);
#endif
    return mean_over_sequences(-log_sigmoid(margin));
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& sampled, const std::vector<float>& reference) {
  batch data{group(datum{prompt(question) + response(answer), logprobs = current, old_logprobs = sampled,
                         ref_logprobs = reference})};
  return value_and_gradient(sequence_margin{}, wrt(logprobs), at(data)).loss;
}
