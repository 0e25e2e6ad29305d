// error: a mean where a condition on logprobs holds is for
// How many tokens hold the condition depends on the policy, and a loss divides by data only.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct masked_nll {
  constexpr auto operator()() const {
    auto likely = logprobs > -5.0;
#ifdef FIXED
    return mean_over_all_tokens(where(likely, -logprobs, 0.0));
#else
    return mean_over_all_tokens_where(-logprobs, likely);
#endif
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& sampled, const std::vector<float>& reference) {
  batch data{group(datum{prompt(question) + response(answer), logprobs = current, old_logprobs = sampled,
                         ref_logprobs = reference})};
  return value_and_gradient(masked_nll{}, wrt(logprobs), at(data)).loss;
}
