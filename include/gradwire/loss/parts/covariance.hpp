// SPDX-License-Identifier: Apache-2.0
// Policy losses that treat the tokens with a high covariance of advantage and logprob apart.    source:
// arXiv:2505.22617
//
//   cov        (A − mean A)·(logprob − mean logprob), means over the tokens of the batch, without a gradient
//   clip_cov   −min(r·A, clip(r, 1−ε_low, 1+ε_high)·A), and 0 at max(1, ⌊share·N⌋) tokens chosen among those with
//              lb < cov < ub that are not clipped: those with the smallest hash of (seed, datum, position)
//   kl_cov     −r·A + c·|logprob − old| on the max(1, ⌊share·N⌋) tokens with the highest cov
//
// r = exp(logprob − old). `scaled` is the advantage that the covariance is taken of: some sources have it divided
// already.
#pragma once

#include <gradwire/loss/parts/surrogate.hpp>

namespace gradwire::inline v0 {

template <auto Mean = token_mean, expression A, expression P>
constexpr auto covariance(const A& advantage, const P& logprob) {
  const auto now = stop_gradient(logprob);
  return (advantage - Mean(advantage)) * (now - Mean(now));
}

struct covariance_band {
  double share;   // of the tokens that are dropped
  double lb, ub;  // covariances between which a token can be dropped, reward units · nats
  int seed;       // of the choice
};

template <auto Mean = token_mean, expression A>
constexpr auto clip_cov_term(const A& scaled, offset below, offset above, covariance_band band) {
  using namespace fields;
  const auto r = let<"ratio">(ratio(logprobs, old_logprobs));
  const auto cov = covariance<Mean>(scaled, logprobs);
  const auto eligible = cov > band.lb && cov < band.ub && !clip_won(r, advantage, low(below), high(above));
  const auto keep = !smallest_hash_over_batch(eligible, token_share(band.share), band.seed);
  return surrogate(-kept(keep, ppo_clip(r, advantage, low(below), high(above))), dropped_frac<Mean>(keep),
                   clip_metrics<Mean>(r, advantage, low(below), high(above)),
                   drift_metrics<Mean>(logprobs, old_logprobs));
}

template <auto Mean = token_mean, expression A>
constexpr auto kl_cov_term(const A& scaled, double share, double coef) {
  using namespace fields;
  const auto r = let<"ratio">(ratio(logprobs, old_logprobs));
  const auto top = top_count_over_batch(covariance(scaled, logprobs), token_share(share));
  return surrogate(coef * kept(top, abs(logprobs - old_logprobs)) - ratio_gain(r, scaled),
                   drift_metrics<Mean>(logprobs, old_logprobs));
}

}  // namespace gradwire::inline v0
