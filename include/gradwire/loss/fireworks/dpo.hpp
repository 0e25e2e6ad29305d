// SPDX-License-Identifier: Apache-2.0
// Direct preference optimisation as the cookbook's client computes it.  source: fw-ai/cookbook,
// training/utils/losses.py
//
//   L = mean over pairs −log σ(β·d),      d = u_c − u_j,  u = Σ_t w·(logprob − ref_logprob)
//
// The source has no mask: it sums over every position after the tokens that both sequences begin with. Give those
// positions the weight 1. Divisor: pairs (…_in_microbatches: the sum of the means of the parts that micro_batch names).
// Reads per token: logprobs, ref_logprobs (nats), weights. Data: group(chosen(c), rejected(r)). The metric margin is d,
// nats.
#pragma once

#include <gradwire/expression/order.hpp>
#include <gradwire/loss/parts/preference.hpp>

namespace gradwire::inline v0 {
namespace fireworks {

inline constexpr auto mean_of_pairs = [](const auto& loss) { return mean_over_pairs(loss); };
inline constexpr auto sum_of_microbatch_means = [](const auto& loss) {
  const auto one = 0.0 * terminals::sequence_length + 1.0;
  return sum_over_groups(loss / chosen(0.5 * sum_within(fields::micro_batch, one)));  // two sequences a pair
};

template <auto Reduce = mean_of_pairs>
struct dpo {
  double beta =
      0.1;  // β, inverse temperature of the reward, per nat of the summed log ratio; the recipe wants (0, 0.5)

  constexpr auto operator()() const {
    const auto u = of_pair(log_ratio());
    const auto mean = [](const auto& x) { return mean_over_pairs(x); };
    return objective(Reduce(logistic(beta * u.margin())), metric<"margin">(mean(u.margin())),
                     metric<"accuracy">(mean(u.margin() > 0)), metric<"chosen_reward">(mean(beta * u.chosen)),
                     metric<"rejected_reward">(mean(beta * u.rejected)));
  }
};

// With microbatch_sizes: k microbatches make a k times larger gradient.
using dpo_in_microbatches = dpo<sum_of_microbatch_means>;

}  // namespace fireworks
}  // namespace gradwire::inline v0
