// error: is already reduced
// The second mean is meant to go over the sequences.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct plain_nll {
#ifdef FIXED
  constexpr auto operator()() const { return mean_over_sequences(mean_over_tokens(-logprobs)); }
#else
  constexpr auto operator()() const { return mean_over_tokens(mean_over_tokens(-logprobs)); }
#endif
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current) {
  batch data{group(datum{prompt(question) + response(answer), logprobs = current})};
  return value_and_gradient(plain_nll{}, wrt(logprobs), at(data)).loss;
}
