// error: a term of the loss reads data but carries no gradient
// The pull to the reference is meant to train something; behind stop_gradient it moves the reported loss only.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct policy_with_a_pull {
  constexpr auto operator()() const {
    auto policy = -advantage * exp(logprobs - old_logprobs);
#ifdef FIXED
    auto pull = k3(logprobs, ref_logprobs);
#else
    auto pull = stop_gradient(logprobs) - ref_logprobs;
#endif
    return mean_over_sequences(mean_over_tokens(policy + 0.04 * let<"pull">(pull)));
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& sampled, const std::vector<float>& reference) {
  batch data{group(datum{prompt(question) + response(answer), logprobs = current, old_logprobs = sampled,
                         ref_logprobs = reference, advantage = 0.7})};
  return value_and_gradient(policy_with_a_pull{}, wrt(logprobs), at(data)).loss;
}
