// error: a difference of logprobs whose roles do not belong together
// The policy comes first: k3(policy, reference).
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct pull_to_reference {
  constexpr auto operator()() const {
#ifdef FIXED
    auto kl = k3(logprobs, ref_logprobs);
#else
    auto kl = k3(ref_logprobs, logprobs);
#endif
    return mean_over_all_tokens(kl);
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& sampled, const std::vector<float>& reference) {
  batch data{group(datum{prompt(question) + response(answer), logprobs = current, old_logprobs = sampled,
                         ref_logprobs = reference})};
  return value_and_gradient(pull_to_reference{}, wrt(logprobs), at(data)).loss;
}
