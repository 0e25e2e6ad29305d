// error: the second argument says what the loss is differentiated by: wrt\(logprobs\)
// logprobs alone could be any argument.
#include <gradwire/loss.hpp>

#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

auto data() { return batch{datum{prompt({1, 2}), logprobs = {-1.0}, old_logprobs = {-1.0}, reward = 1.0}}; }

double value() {
#ifdef FIXED
  return value_and_gradient(mean_over_all_tokens(-logprobs), wrt(logprobs), at(data())).loss;
#else
  return value_and_gradient(mean_over_all_tokens(-logprobs), logprobs, at(data())).loss;
#endif
}
