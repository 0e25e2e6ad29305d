// error: the loss is still per token
// A formula without its reductions has a value for each token, and a trainer wants one for the batch.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct plain_nll {
#ifdef FIXED
  constexpr auto operator()() const { return mean_over_all_tokens(-logprobs); }
#else
  constexpr auto operator()() const { return -logprobs; }
#endif
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current) {
  batch data{group(datum{prompt(question) + response(answer), logprobs = current})};
  return value_and_gradient(plain_nll{}, wrt(logprobs), at(data)).loss;
}
