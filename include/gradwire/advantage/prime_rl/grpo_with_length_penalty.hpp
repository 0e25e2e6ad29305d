// SPDX-License-Identifier: Apache-2.0
// Group-relative advantages of rewards that length has lowered. source: prime-rl,
// src/prime_rl/orchestrator/algo/grpo.py
//
//   A = s' − mean(s'),  s' = s − mean(s)·(a·L/max L + b·I/max I + c·K/max K)
//
// Of a sequence: L unmasked tokens, I its other tokens (prompt, observations), K turns: runs of unmasked tokens; max:
// the group's largest, at least 1. The mean reward is the pass rate. A group of one: 0. Reads per sequence: reward
// (reward units).
#pragma once

#include <gradwire/advantage/parts/turns.hpp>
#include <gradwire/expression/objective.hpp>

namespace gradwire::inline v0 {
namespace advantages::prime_rl {

struct grpo_with_length_penalty {
  using reads = columns<fields::reward>;
  using breaks_contract = broken<breaks<rule::padding_invariance, "the penalty counts masked tokens as input">>;
  double num_output_tokens_weight = 0.25;  // a, of the pass rate
  double num_input_tokens_weight = 0.1;    // b, of the pass rate
  double num_turns_weight = 0.1;           // c, of the pass rate

  template <class Batch>
  auto operator()(const Batch& data) const {
    const auto output = share_of_group_max(data, output_tokens(data)),
               input = share_of_group_max(data, input_tokens(data));
    const auto turns = share_of_group_max(data, turns_of(data));
    const auto penalty = [&](std::size_t s) {
      return num_output_tokens_weight * output[s] + num_input_tokens_weight * input[s] + num_turns_weight * turns[s];
    };
    return sequence_column(data, centred_in_group(data, less_share_of_mean(data, penalty)));
  }
};

}  // namespace advantages::prime_rl
}  // namespace gradwire::inline v0
