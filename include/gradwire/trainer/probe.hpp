// SPDX-License-Identifier: Apache-2.0
// Finds out by experiment how a trainer computes: what it divides its cross_entropy by, its clip defaults, whether
// gradients add up, whether a request that comes twice is executed twice. It makes a small model, trains it with a
// learning rate of next to nothing, and unloads it.
//
//   const auto traits = probe(service, {.base_model = "Qwen/Qwen3-8B"});
//   if (traits.custom_loss() == wire::lowering::importance_sampling) …
//   std::cout << to_table(traits);
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/service_client.hpp>
#include <gradwire/wire/dialect.hpp>

namespace gradwire::inline v0 {

struct probe_options {
  std::string base_model{};       // "": the first that the server offers
  int lora_rank = 4;              // of the model that is made and unloaded again
  double seconds_per_call = 300;  // some servers compile before they compute
  double seconds_for_a_gap = 10;  // how long a server may sit on a number that it waits for
};

// What a server's cross_entropy makes of Σ −weight·logprob.
enum class reduction : unsigned char {
  unknown,             // not observable, or none of these
  sum,                 // nothing: custom losses are exact
  sequence_mean_sum,   // divided by the weights of each sequence
  sequence_mean_mean,  // … and then by the number of sequences, or by all weights of the batch
  token_count,         // divided by a number of tokens, masked ones included
  sequence_count       // divided by the number of sequences only
};

enum class answer : unsigned char { unknown, no, yes };

// What becomes of a request whose seq_id and bytes have been seen.
enum class repetition : unsigned char { unknown, recognised, refused, executed_again };

// … and of one whose number is too high.
enum class gap : unsigned char { unknown, accepted, refused, waited_for };

struct clip_defaults {
  std::optional<double> low{}, high{};  // bounds on the ratio; none: not observable
  answer settable = answer::unknown;    // clip_low_threshold and clip_high_threshold are honoured
};

struct server_traits {
  std::string dialect{};    // the row of the table of servers that it is driven by
  bool recognised = false;  // else the row is a guess
  std::string model{};
  answer protobuf = answer::unknown, json = answer::unknown;  // bodies of forward_backward
  answer forward_flag = answer::unknown;                      // forward by a flag of forward_backward
  answer forward_endpoint = answer::unknown;                  // forward at /api/v1/forward
  std::string output_type{};                                  // loss_fn_output_type of cross_entropy
  std::vector<std::string> outputs{};                         // what it gives per token: "logprobs", …
  std::vector<std::string> metrics{};                         // names, of forward_backward and of optim_step
  std::string gradient_seen_by{};                             // a metric's name, or "the effect of a step"; "": nothing
  gradwire::reduction cross_entropy = reduction::unknown;
  // The gradient's size, as a multiple of that of one sequence with weights 1:
  std::optional<double> of_double_weights{}, of_negative_weights{}, of_the_sequence_twice{}, of_a_padded_sequence{};
  clip_defaults ppo{}, cispo{};
  answer accumulates = answer::unknown;      // forward_backward adds to what is there until optim_step
  answer clips_gradients = answer::unknown;  // optim_step honours grad_clip_norm
  repetition repeated = repetition::unknown;
  gap skipped = gap::unknown;
  std::vector<std::string> notes{};  // what could not be found out, and what would show it

  // How a custom loss's gradient gets there unchanged; none: not known to.
  std::optional<wire::lowering> custom_loss() const noexcept {
    if (cross_entropy == reduction::sum) return wire::lowering::cross_entropy;
    if (cross_entropy == reduction::sequence_mean_mean) return wire::lowering::importance_sampling;
    return {};
  }
  // For connect_options::order: what may be sent again when its answer was lost.
  wire::sequencing order() const noexcept {
    return repeated == repetition::recognised ? wire::sequencing::dedupes
           : repeated == repetition::refused  ? wire::sequencing::strict
                                              : wire::sequencing::unknown;
  }
};

// Blocks until it is done. Throws what the first steps throw: connecting, making a model, one forward pass. The model
// is unloaded in any case.
GRADWIRE_DECL server_traits probe(const service_client& service, const probe_options& options = {});

GRADWIRE_DECL std::string to_table(const server_traits& traits);  // for people, a line a finding
GRADWIRE_DECL std::string to_json(const server_traits& traits);

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/probe.hpp>
#endif
