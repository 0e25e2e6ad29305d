// error: one let name for two expressions
// Both are called "ratio"; a token dump could show only one, and sharing by name would compute only one.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct two_ratios {
  constexpr auto operator()() const {
    auto policy = let<"ratio">(exp(logprobs - old_logprobs));
#ifdef FIXED
    auto reference = let<"reference_ratio">(exp(logprobs - ref_logprobs));
#else
    auto reference = let<"ratio">(exp(logprobs - ref_logprobs));
#endif
    return mean_over_sequences(mean_over_tokens(policy * reference));
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& sampled) {
  batch data{group(
      datum{prompt(question) + response(answer), logprobs = current, old_logprobs = sampled, ref_logprobs = sampled})};
  return value_and_gradient(two_ratios{}, wrt(logprobs), at(data)).loss;
}
