// error: objective\(loss, metrics...\) takes metrics after the loss
// The second formula has no name to be reported by.
#include <gradwire/loss.hpp>

#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

auto data() { return batch{datum{prompt({1, 2}), logprobs = {-1.0}, old_logprobs = {-1.0}, reward = 1.0}}; }

double value() {
  const auto loss = mean_over_all_tokens(-logprobs);
#ifdef FIXED
  return evaluate(objective(loss, metric<"entropy">(loss)), wrt(logprobs), at(data())).loss;
#else
  return evaluate(objective(loss, loss), wrt(logprobs), at(data())).loss;
#endif
}
