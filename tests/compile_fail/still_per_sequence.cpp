// error: the loss is still per sequence
// One value a sequence is left; a loss is one number.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct sequence_nll {
  constexpr auto operator()() const {
    auto nll = mean_over_tokens(-logprobs);
#ifdef FIXED
    return mean_over_sequences(nll);
#else
    return nll;
#endif
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& sampled, const std::vector<float>& reference) {
  batch data{group(datum{prompt(question) + response(answer), logprobs = current, old_logprobs = sampled,
                         ref_logprobs = reference})};
  return value_and_gradient(sequence_nll{}, wrt(logprobs), at(data)).loss;
}
