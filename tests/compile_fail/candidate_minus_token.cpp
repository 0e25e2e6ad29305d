// error: two extents that do not join
// K candidates a token minus the one token that was sampled; the teacher's logprobs are meant per candidate too.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct distillation {
  constexpr auto operator()() const {
#ifdef FIXED
    auto gap = candidate_logprobs - candidate_teacher_logprobs;
#else
    auto gap = candidate_logprobs - teacher_logprobs;
#endif
    return mean_over_all_tokens(sum_over_candidates(square(gap)));
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::vector<std::int32_t>>& ids,
            const std::vector<std::vector<float>>& student, const std::vector<std::vector<float>>& teacher,
            const std::vector<float>& sampled) {
  batch data{group(datum{prompt(question), candidates = ids, candidate_logprobs = student,
                         candidate_teacher_logprobs = teacher, teacher_logprobs = sampled})};
  return value_and_gradient(distillation{}, wrt(candidate_logprobs), at(data)).loss;
}
