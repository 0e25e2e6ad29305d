// error: a denominator may read data, never logprobs
// A mean weighted by the policy's own probability: its denominator would move with every step and carry a gradient.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct weighted_nll {
#ifdef FIXED
  constexpr auto operator()() const { return mean_over_sequences(mean_over_tokens(-logprobs, exp(old_logprobs))); }
#else
  constexpr auto operator()() const { return mean_over_sequences(mean_over_tokens(-logprobs, exp(logprobs))); }
#endif
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& sampled) {
  batch data{group(datum{prompt(question) + response(answer), logprobs = current, old_logprobs = sampled})};
  return value_and_gradient(weighted_nll{}, wrt(logprobs), at(data)).loss;
}
