// error: a metric is one number
// A metric is reduced as a loss is; per-token values go into the dump by let<"name">.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct monitored_nll {
  constexpr auto operator()() const {
#ifdef FIXED
    return objective(mean_over_all_tokens(-logprobs), metric<"kl">(mean_over_all_tokens(k3(logprobs, ref_logprobs))));
#else
    return objective(mean_over_all_tokens(-logprobs), metric<"kl">(k3(logprobs, ref_logprobs)));
#endif
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& sampled, const std::vector<float>& reference) {
  batch data{group(datum{prompt(question) + response(answer), logprobs = current, old_logprobs = sampled,
                         ref_logprobs = reference})};
  return value_and_gradient(monitored_nll{}, wrt(logprobs), at(data)).loss;
}
