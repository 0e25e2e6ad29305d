// error: wrt\(...\) takes a field that is per candidate, per token or per sequence
// A value of a group has no gradient here.
#include <gradwire/loss.hpp>

#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

auto data() { return batch{datum{prompt({1, 2}), logprobs = {-1.0}, old_logprobs = {-1.0}, reward = 1.0}}; }

inline constexpr field<"temperature", per_group> temperature{};

double value() {
#ifdef FIXED
  return value_and_gradient(mean_over_sequences(square(reward)), wrt(reward), at(data())).loss;
#else
  return value_and_gradient(mean_over_groups(temperature * mean_over_group(reward)), wrt(temperature), at(data())).loss;
#endif
}
