// error: after at\(batch\) come into\(buffer\), on\(executor\) and with_scratch\(workspace\), nothing else
// A number of threads is no executor.
#include <gradwire/loss.hpp>

#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

auto data() { return batch{datum{prompt({1, 2}), logprobs = {-1.0}, old_logprobs = {-1.0}, reward = 1.0}}; }

double value() {
  workspace memory;
#ifdef FIXED
  return value_and_gradient(mean_over_all_tokens(-logprobs), wrt(logprobs), at(data()), with_scratch(memory)).loss;
#else
  return value_and_gradient(mean_over_all_tokens(-logprobs), wrt(logprobs), at(data()), with_scratch(memory), 3).loss;
#endif
}
