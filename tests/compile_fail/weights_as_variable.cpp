// error: takes a field that is per candidate, per token or per sequence
// Weights select and divide; they are no variable.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct nll {
  constexpr auto operator()() const { return mean_over_all_tokens(-logprobs); }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current) {
  batch data{group(datum{prompt(question) + response(answer), logprobs = current})};
#ifdef FIXED
  return value_and_gradient(nll{}, wrt(logprobs), at(data)).loss;
#else
  return value_and_gradient(nll{}, wrt(weights), at(data)).loss;
#endif
}
