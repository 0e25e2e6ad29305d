// error: the loss reads fields that the data does not carry
// A pull to the reference needs its logprobs, and nobody has put them into the data.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct pull_to_reference {
  constexpr auto operator()() const { return mean_over_sequences(mean_over_tokens(k3(logprobs, ref_logprobs))); }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& reference) {
#ifdef FIXED
  batch data{group(datum{prompt(question) + response(answer), logprobs = current, ref_logprobs = reference})};
#else
  batch data{group(datum{prompt(question) + response(answer), logprobs = current, old_logprobs = reference})};
#endif
  return value_and_gradient(pull_to_reference{}, wrt(logprobs), at(data)).loss;
}
