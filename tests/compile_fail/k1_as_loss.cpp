// error: k1 in the loss: its gradient ignores the reference
// d/dlogprob (logprob - ref) = 1 at every token, wherever the reference is.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct pull_to_reference {
  constexpr auto operator()() const {
#ifdef FIXED
    auto kl = k2(logprobs, ref_logprobs);
#else
    auto kl = k1(logprobs, ref_logprobs);
#endif
    return mean_over_sequences(mean_over_tokens(-advantage * exp(logprobs - old_logprobs) + 0.04 * clamp(kl, -10, 10)));
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& sampled, const std::vector<float>& reference) {
  batch data{group(datum{prompt(question) + response(answer), logprobs = current, old_logprobs = sampled,
                         ref_logprobs = reference, advantage = 0.7})};
  return value_and_gradient(pull_to_reference{}, wrt(logprobs), at(data)).loss;
}
