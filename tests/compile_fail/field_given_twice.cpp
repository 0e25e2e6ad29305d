// error: is given twice
// Two values for one column: which one counts?
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

auto user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
          const std::vector<float>& sampled) {
#ifdef FIXED
  return datum{prompt(question) + response(answer), old_logprobs = sampled, advantage = 0.7};
#else
  return datum{prompt(question) + response(answer), advantage = 1.0, old_logprobs = sampled, advantage = 0.7};
#endif
}
