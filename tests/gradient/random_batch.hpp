// SPDX-License-Identifier: Apache-2.0
// A random batch with every column a formula may read: ragged, weighted, with masked tokens and holes, and one sequence
// without any weight.
#pragma once

#include <gradwire/loss.hpp>

#include <random>

namespace random_batch {

using namespace gradwire;
using namespace gradwire::fields;
using doubles = std::vector<double>;

inline constexpr std::size_t width = 3;  // candidates a token

class maker {
 public:
  explicit maker(unsigned seed) : random_(seed) {}

  double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random_); }

  auto datum_of(std::size_t index, bool masked) {
    const std::size_t length = 3 + random_() % 20;
    doubles now, old, sampler, ref, teacher, weight, a, v, old_v, target, gain, squares;
    std::vector<std::vector<double>> student(length), expert(length), other(length);
    for (std::size_t t = 0; t < length; ++t) {
      now.push_back(uniform(-2.5, -0.05));
      old.push_back(now.back() + uniform(-0.4, 0.4));
      sampler.push_back(old.back() + uniform(-0.2, 0.2));
      ref.push_back(now.back() + uniform(-0.5, 0.5));
      teacher.push_back(now.back() + uniform(-0.5, 0.5));
      a.push_back(uniform(-1, 1));
      v.push_back(uniform(-1, 1));
      old_v.push_back(v.back() + uniform(-0.5, 0.5));
      target.push_back(uniform(-1, 1));
      gain.push_back(uniform(0, 1));
      squares.push_back(uniform(0.1, 0.9));
      weight.push_back(masked || t < length / 4 || t % 7 == 3 ? 0 : uniform(0.5, 1.5));
      for (std::size_t k = 0; k < width; ++k) {
        student[t].push_back(uniform(-3, -0.5));
        expert[t].push_back(uniform(-3, -0.5));
        other[t].push_back(uniform(-3, -0.5));
      }
    }
    std::vector<std::vector<int>> ids(length, std::vector<int>{3, 4, 5});
    return datum{prompt(std::vector<int>(length + 1, 5)),
                 candidates = ids,
                 weights = weight,
                 logprobs = now,
                 old_logprobs = old,
                 sampler_logprobs = sampler,
                 ref_logprobs = ref,
                 teacher_logprobs = teacher,
                 token_advantage = a,
                 values = v,
                 old_values = old_v,
                 returns = target,
                 token_reward = gain,
                 sum_pi_squared = squares,
                 information_gain = gain,
                 advantage = uniform(-1, 1),
                 reward = uniform(-1, 1),
                 score = uniform(-1, 1),
                 reward_baseline = uniform(-1, 1),
                 datum_id = static_cast<double>(100 + index),
                 desirable = static_cast<double>(random_() % 2),
                 micro_batch = static_cast<double>(random_() % 2),
                 prompt_id = static_cast<double>(index / 4),
                 candidate_logprobs = student,
                 candidate_teacher_logprobs = expert,
                 candidate_ref_logprobs = other};
  }

 private:
  std::mt19937_64 random_;
};

// `groups` pairs; sequence `masked` has no weight (none if it is past the end).
inline auto make(unsigned seed, std::size_t masked, std::size_t groups = 4) {
  maker make_one(seed);
  using datum_type = decltype(make_one.datum_of(0, false));
  using group_type = decltype(group(chosen(std::declval<datum_type&>()), rejected(std::declval<datum_type&>())));
  std::vector<group_type> all;
  for (std::size_t g = 0; g < groups; ++g) {
    auto c = make_one.datum_of(2 * g, 2 * g == masked), r = make_one.datum_of(2 * g + 1, 2 * g + 1 == masked);
    all.push_back(group(chosen(c), rejected(r)));
  }
  return batch_of<double>(all);
}

}  // namespace random_batch
