// error: a metric is a formula over the batch
// 3 says nothing about the batch.
#include <gradwire/loss.hpp>

#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

auto data() { return batch{datum{prompt({1, 2}), logprobs = {-1.0}, old_logprobs = {-1.0}, reward = 1.0}}; }

double value() {
  const auto loss = mean_over_all_tokens(-logprobs);
#ifdef FIXED
  return evaluate(objective(loss, metric<"n">(3.0 * loss)), wrt(logprobs), at(data())).loss;
#else
  return evaluate(objective(loss, metric<"n">(3.0)), wrt(logprobs), at(data())).loss;
#endif
}
