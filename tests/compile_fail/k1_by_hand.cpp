// error: k1 in the loss: its gradient ignores the reference .k1 is logprobs - ref_logprobs.
// The same mistake as k1_as_loss without the name: a mean of logprobs - ref_logprobs as KL penalty. The twin says that
// it is meant, and what looks like it and is none: k3 by hand, a hinge on a margin, a weight without a gradient.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct pull_to_reference {
  constexpr auto operator()() const {
    const auto surrogate = mean_over_tokens(-advantage * exp(logprobs - old_logprobs));
    const auto d = logprobs - ref_logprobs;
#ifdef FIXED
    const auto kl = mean_over_tokens(exp(-d) + d - 1) + allow<lint::k1_as_loss>(mean_over_tokens(d)) +
                    max(0, 1 - sum_over_tokens(d)) + mean_over_tokens(stop_gradient(d) * logprobs);
#else
    const auto kl = mean_over_tokens(d);
#endif
    return mean_over_sequences(surrogate + 0.04 * kl);
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& sampled, const std::vector<float>& reference) {
  batch data{group(datum{prompt(question) + response(answer), logprobs = current, old_logprobs = sampled,
                         ref_logprobs = reference, advantage = 0.7})};
  return value_and_gradient(pull_to_reference{}, wrt(logprobs), at(data)).loss;
}
