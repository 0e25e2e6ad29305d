// error: the expression is per candidate; reduce it with sum_over_candidates
// A token's K candidates are reduced before the tokens are.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct distillation {
  constexpr auto operator()() const {
    auto expected = exp(candidate_teacher_logprobs) * candidate_logprobs;
#ifdef FIXED
    return mean_over_all_tokens(-sum_over_candidates(expected));
#else
    return mean_over_all_tokens(-expected);
#endif
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::vector<std::int32_t>>& ids,
            const std::vector<std::vector<float>>& student, const std::vector<std::vector<float>>& teacher) {
  batch data{group(
      datum{prompt(question), candidates = ids, candidate_logprobs = student, candidate_teacher_logprobs = teacher})};
  return value_and_gradient(distillation{}, wrt(candidate_logprobs), at(data)).loss;
}
