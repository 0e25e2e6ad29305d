// error: the expression is still per sequence; reduce it with sum_over_group
// Sequences are averaged over their group first.
#include <gradwire/loss.hpp>

#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

auto data() { return batch{datum{prompt({1, 2}), logprobs = {-1.0}, old_logprobs = {-1.0}, reward = 1.0}}; }

double value() {
#ifdef FIXED
  const auto loss = mean_over_groups(mean_over_group(sum_over_tokens(logprobs)));
#else
  const auto loss = mean_over_groups(sum_over_tokens(logprobs));
#endif
  return value_and_gradient(loss, wrt(logprobs), at(data())).loss;
}
