// SPDX-License-Identifier: Apache-2.0
// Preference losses of a pair against a reference.                             source: TRL, trainer/dpo_trainer.py
//
//   L = mean over pairs Loss(s, u, β),      u = Σ_t w·(logprob − ref_logprob) per sequence, s = u
//   dpo: −log σ(β(u_c − u_j))               the others: loss/parts/pair_loss.hpp
//
// Divisor: pairs with any w ≠ 0. Reads per token: logprobs, ref_logprobs (nats), weights. Data: group(chosen(c),
// rejected(r)). Several at once: add them, dpo{}() + 0.5 * dpo_sppo_hard{}(). ld_alpha: give the tokens of the longer
// response beyond the shorter one's length that weight.
#pragma once

#include <gradwire/loss/parts/pair_loss.hpp>

namespace gradwire::inline v0 {
namespace trl {

// loss_type sigmoid.                                                            arXiv:2305.18290
template <auto Loss = pair_loss::logistic_margin>
struct dpo {
  double beta =
      0.1;  // β, inverse temperature of the reward, per nat of the summed log ratio (ipo, sigmoid_norm: averaged)

  constexpr auto operator()() const {
    const auto u = of_pair(log_ratio());
    return with_rewards(mean_over_pairs(Loss(u, u, beta)), beta * u);
  }
};

// loss_type hinge: SLiC.                                                        arXiv:2305.10425
using dpo_hinge = dpo<pair_loss::hinge>;
// loss_type ipo, normalised by length.                                          arXiv:2310.12036, eq. 17
using dpo_ipo = dpo<pair_loss::ipo>;
// loss_type nca_pair.                                                           arXiv:2402.05369
using dpo_nca_pair = dpo<pair_loss::nca>;
// loss_type bco_pair, with δ = 0.                                               arXiv:2404.04656
using dpo_bco_pair = dpo<pair_loss::bco>;
// loss_type sppo_hard.                                                          arXiv:2405.00675
using dpo_sppo_hard = dpo<pair_loss::sppo_hard>;
// loss_type apo_zero.                                                           arXiv:2408.06266, eq. 7
using dpo_apo_zero = dpo<pair_loss::apo_zero>;
// loss_type apo_down.                                                           arXiv:2408.06266, eq. 8
using dpo_apo_down = dpo<pair_loss::apo_down>;
// loss_type sigmoid_norm: the log ratios averaged over tokens.                  arXiv:2411.15124
using dpo_sigmoid_norm = dpo<pair_loss::logistic_average>;

}  // namespace trl
}  // namespace gradwire::inline v0
