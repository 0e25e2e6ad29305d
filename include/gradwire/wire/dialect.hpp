// SPDX-License-Identifier: Apache-2.0
// What differs between the servers that speak this protocol, in one table. A client asks the table, not the server's
// name; a server that is in none of the rows is driven as `tinker` and its encoding is found out by trying.
#pragma once

#include <optional>
#include <string_view>

#include <gradwire/wire/messages_session.hpp>

namespace gradwire::inline v0 {
namespace wire {

enum class encoding : unsigned char { json, protobuf };

// How dL/dlogprob is sent as the inputs of a built-in loss.
enum class lowering : unsigned char {
  // cross_entropy with weights -g: the server's loss is the plain sum of -logprob * weight
  cross_entropy,
  // importance_sampling with the logprobs of the forward and advantages -g * T * N: for a server that divides
  // cross_entropy by the sum of weights and by the number of sequences
  importance_sampling
};

// What the server does with a seq_id that it has seen.
enum class sequencing : unsigned char {
  dedupes,  // same body: the same future again; other body: 409
  strict    // must be the next one; a re-send is 409 "expected N, got M", and a failed operation does not advance it
};

struct dialect {
  std::string_view name = "tinker";
  encoding body = encoding::protobuf;     // of forward_backward requests
  bool other_encoding = false;            // after a 415 the other encoding may be tried
  bool forward_endpoint = false;          // forward is POST /api/v1/forward in JSON, not a flag of forward_backward
  bool lora_alpha = false;                // create_model takes lora_config.alpha, and …
  double default_alpha = 0;               // … must be sent with this value when the user gives none; 0: leave it out
  bool full_parameter = false;            // lora_config.rank 0 trains every parameter
  bool base_only = false;                 // create_model takes base_only: a frozen reference
  bool optimizer_config = false;          // create_model takes optimizer_config
  bool sampler_kind = false;              // save_weights_for_sampler takes kind
  bool checkpoint_type = false;           // save_weights_for_sampler takes checkpoint_type base/delta
  bool overwrite = true;                  // save_weights honours overwrite
  bool text_config = false;               // loss_fn_config values may be text
  bool strict_members = false;            // an unknown JSON member is 422
  bool sequence_numbers_on_saves = true;  // saves and loads take seq_id
  bool load_on_live_model = true;         // load_weights any time; else only as a model's first operation
  bool create_via_load = false;           // load_weights with session_id makes the model
  bool asample = true;                    // sampling through this protocol; else another service samples
  bool session_finish = false;            // POST sessions/{id}/finish
  bool heartbeat = true;                  // sessions end without one
  bool grad_clip_norm = true;             // optim_step honours adam_params.grad_clip_norm
  bool grad_normalization = false;        // optim_step takes grad_accumulation_normalization
  bool matrix_targets = false;            // target_tokens may be [T, K]
  sequencing order = sequencing::dedupes;
  lowering custom_loss = lowering::cross_entropy;
};

inline constexpr dialect dialects[] = {
    {.name = "tinker", .other_encoding = true, .create_via_load = true, .session_finish = true, .matrix_targets = true},
    {.name = "skyrl",  // 0.4.0 and later
     .overwrite = false,
     .load_on_live_model = false,
     .grad_clip_norm = false,
     .custom_loss = lowering::importance_sampling},
    {.name = "skyrl-json",  // up to 0.3.0
     .body = encoding::json,
     .forward_endpoint = true,
     .overwrite = false,
     .grad_clip_norm = false,
     .custom_loss = lowering::importance_sampling},
    {.name = "tuft", .strict_members = true, .heartbeat = false, .order = sequencing::strict},
    {.name = "fireworks",
     .body = encoding::json,
     .forward_endpoint = true,
     .lora_alpha = true,
     .default_alpha = 32,
     .full_parameter = true,
     .base_only = true,
     .checkpoint_type = true,
     .overwrite = false,
     .text_config = true,
     .asample = false,
     .grad_normalization = true},
    {.name = "gradwire",  // the embedded trainer
     .other_encoding = true,
     .lora_alpha = true,
     .full_parameter = true,
     .base_only = true,
     .optimizer_config = true,
     .sampler_kind = true,
     .text_config = true,
     .create_via_load = true,
     .session_finish = true,
     .heartbeat = false,
     .matrix_targets = true},
};

// nullptr when the name is not in the table.
constexpr const dialect* find_dialect(std::string_view name) noexcept {
  for (const auto& row : dialects)
    if (row.name == name) return &row;
  return nullptr;
}

// What the base URL and the reply to client/config tell. The embedded trainer names itself; Fireworks is known by its
// path; the rest is `tinker`, because no reply of the others tells them apart for sure.
inline const dialect& detect_dialect(std::string_view base_url, const client_config_reply* config = nullptr) {
  if (config != nullptr && config->server)
    if (const auto* row = find_dialect(*config->server)) return *row;
  if (base_url.find("/training/v1/") != std::string_view::npos) return *find_dialect("fireworks");
  return dialects[0];
}

}  // namespace wire
}  // namespace gradwire::inline v0
