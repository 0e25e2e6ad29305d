// error: one metric name for two expressions
// The sum of two objectives would report two numbers by one name.
#include <gradwire/loss.hpp>

#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

auto data() { return batch{datum{prompt({1, 2}), logprobs = {-1.0}, old_logprobs = {-1.0}, reward = 1.0}}; }

double value() {
  const auto policy = mean_over_all_tokens(-logprobs);
  const auto ratio = mean_over_all_tokens(exp(logprobs - old_logprobs));
  const auto first = objective(policy, metric<"ratio">(ratio));
#ifdef FIXED
  const auto second = objective(ratio, metric<"ratio">(ratio), metric<"policy">(policy));
#else
  const auto second = objective(ratio, metric<"ratio">(policy));
#endif
  return evaluate(first + 0.1 * second, wrt(logprobs), at(data())).loss;
}
