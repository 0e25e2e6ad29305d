// error: where\(condition, a, b\) takes a condition, not a number
// A reward is no truth value.
#include <gradwire/loss.hpp>

#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

auto data() { return batch{datum{prompt({1, 2}), logprobs = {-1.0}, old_logprobs = {-1.0}, reward = 1.0}}; }

double value() {
#ifdef FIXED
  const auto loss = mean_over_all_tokens(where(reward > 0, -logprobs, 0.0));
#else
  const auto loss = mean_over_all_tokens(where(reward, -logprobs, 0.0));
#endif
  return value_and_gradient(loss, wrt(logprobs), at(data())).loss;
}
