// error: an offset .the distance from 1. is given where a bound
// This loss takes the ratio itself; 0.28 as a ratio would clip everything.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct clipped_policy {
  bound clip = bound{1.2};  // upper threshold of the ratio

  constexpr auto operator()() const {
    auto ratio = exp(logprobs - old_logprobs);
    return mean_over_all_tokens(-min(ratio * advantage, min(ratio, high(clip)) * advantage));
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& sampled) {
  batch data{
      group(datum{prompt(question) + response(answer), logprobs = current, old_logprobs = sampled, advantage = 0.7})};
#ifdef FIXED
  const clipped_policy loss{.clip = bound{1.28}};
#else
  const clipped_policy loss{.clip = offset{0.28}};
#endif
  return value_and_gradient(loss, wrt(logprobs), at(data)).loss;
}
