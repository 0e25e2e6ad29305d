// error: the loss does not depend on the field in wrt
// The logprobs stand behind stop_gradient only: the gradient would be zero everywhere.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct weighted_advantage {
  constexpr auto operator()() const {
    auto ratio = exp(logprobs - old_logprobs);
#ifdef FIXED
    return mean_over_all_tokens(-advantage * ratio);
#else
    return mean_over_all_tokens(-advantage * stop_gradient(ratio));
#endif
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& sampled) {
  batch data{
      group(datum{prompt(question) + response(answer), logprobs = current, old_logprobs = sampled, advantage = 0.7})};
  return value_and_gradient(weighted_advantage{}, wrt(logprobs), at(data)).loss;
}
