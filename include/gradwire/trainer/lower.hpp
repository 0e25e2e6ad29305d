// SPDX-License-Identifier: Apache-2.0
// One request instead of two, where a loss is provably one that the server has itself:
//
//   trainer.forward_backward_custom(data, lower(tinker::ppo{}))     // or one's own struct with the same formula
//
// The result is that of the loss alone: its value and metrics, computed here from the logprobs that come back, and its
// gradient. Recognised are plain sums over tokens, whatever their factor, with thresholds that are numbers:
//
//   cross_entropy         Σ −logprobs
//   importance_sampling   Σ −r·A,                        r = exp(logprobs − old)
//   ppo                   Σ −min(r·A, clamp(r, low, high)·A)
//   cispo                 Σ −stop_gradient(clamp(r, low, high))·A·logprobs
//
// `old` and A may be any fields of the data. What the formula cannot be proved to be throws error{config} here; a
// server that averages, or whose losses differ, refuses at the call by the same kind of error. A server that is not
// known by name shows with the first call, which takes the two requests, that it sums.
#pragma once

#include <type_traits>
#include <utility>

#include <gradwire/trainer/custom_loss.hpp>
#include <gradwire/trainer/lowered_form.hpp>

namespace gradwire::inline v0 {
namespace detail {

// Throws error{config} that says what the formula is not.
GRADWIRE_DECL lowered_form match_server_loss(const formula::tree& formula);

}  // namespace detail

template <class Loss>
auto lower(Loss&& loss) {
  using loss_type = std::remove_cvref_t<Loss>;
  static_assert(
      objective_like<loss_type> || expression<loss_type> || requires(const loss_type& given) { given(); },
      "lower() takes a formula or a loss that returns one: what a plain function computes cannot be proved");
  return lowered<loss_type>{loss, detail::match_server_loss(reflect(as_objective(loss)))};
}

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/lower.hpp>
#endif
