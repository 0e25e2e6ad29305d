// error: a difference of logprobs whose roles do not belong together
// The sign of the log-ratio is the wrong way round: the policy would be pushed where it should be held.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct clipped_policy {
  constexpr auto operator()() const {
#ifdef FIXED
    auto ratio = exp(logprobs - old_logprobs);
#else
    auto ratio = exp(old_logprobs - logprobs);
#endif
    return mean_over_all_tokens(-min(ratio * advantage, clamp(ratio, 0.8, 1.2) * advantage));
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& sampled) {
  batch data{
      group(datum{prompt(question) + response(answer), logprobs = current, old_logprobs = sampled, advantage = 0.7})};
  return value_and_gradient(clipped_policy{}, wrt(logprobs), at(data)).loss;
}
