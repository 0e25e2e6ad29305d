// SPDX-License-Identifier: Apache-2.0
// Information gain policy optimisation: an advantage a turn.    source: fw-ai/cookbook, training/utils/rl/igpo.py,
// arXiv:2510.14967
//
//   c_k = z(IG_k) + z(outcome_k),  A_k = c_k + γ·A_{k+1} within a sequence;  z over all turns of the group:
//   (x − μ)/(σ + ε), σ with n; 0 where there is one turn or σ < ε
//
// A turn is a run of unmasked tokens; its IG is the sum of information_gain (nats) over its tokens, its outcome the sum
// of R: token_reward, plus reward on the sequence's last unmasked token. All tokens of a turn get A_k, masked ones 0.
#pragma once

#include <gradwire/advantage/parts/turns.hpp>

namespace gradwire::inline v0 {
namespace advantages::fireworks {

struct igpo {
  using reads = columns<fields::reward, fields::information_gain>;
  double gamma = 0.95;  // γ, discount per turn (the recipe: 0.99)
  double eps = 1e-6;    // ε, of the σ's units

  template <class Batch>
  auto operator()(const Batch& data) const {
    const turn_table turns(data);
    auto credit = turns.sums(numbers_of(data, fields::information_gain));
    const auto outcome = turns.standardised(turns.sums(token_rewards(data)), eps);
    credit = plus(turns.standardised(credit, eps), outcome);
    return as_column(data, turns.spread(turns.discounted(credit, gamma)));
  }
};

}  // namespace advantages::fireworks
}  // namespace gradwire::inline v0
