// SPDX-License-Identifier: Apache-2.0
// What differs between the servers that speak this protocol, in one table. A client asks the table, not the server's
// name; which row is the server's is recognised from its first answers, or named by the user. A server that is not
// recognised is driven as `tinker`. docs/servers.md says which rows were driven against the real thing.
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
  importance_sampling,
  // one of the two, by the backend that the server runs; the answer to the forward shows which
  observed
};

// Whether datums may say which sampled sequences their tokens come from.
enum class provenance : unsigned char {
  refused,   // the server does not know the members
  protobuf,  // what it takes in JSON is not known: its own client has no such form
  both
};

// What the server does with a seq_id that it has seen.
enum class sequencing : unsigned char {
  dedupes,  // same body: the same future again; other body: 409
  strict,   // must be the next one; a re-send is 409 "expected N, got M", and a failed operation does not advance it
  unknown   // nothing is known: what may have been executed is not sent again
};

struct dialect {
  std::string_view name = "tinker";
  encoding body = encoding::protobuf;  // of forward_backward; in JSON forward has an endpoint of its own
  bool other_encoding = true;          // after a 415 the other encoding may be tried
  bool lora_alpha = false;             // create_model takes lora_config.alpha, and …
  double default_alpha = 0;            // … must be sent with this value when the user gives none; 0: leave it out
  bool full_parameter = false;         // lora_config.rank 0 trains every parameter
  bool base_only = false;              // create_model takes base_only: a frozen reference
  bool checkpoint_type = false;        // save_weights_for_sampler takes checkpoint_type base/delta
  bool overwrite = true;               // save_weights honours overwrite
  bool shared_names = false;           // states and sampler weights of one name share a folder, and a second save
                                       // replaces what is there, unasked
  bool text_config = false;            // loss_fn_config values may be text; where not, text is refused or lost
  bool config_v2 = false;              // … and protobuf has numbers in field 7 beside field 5
  bool newer_members = false;          // user_metadata of checkpoints, display_name, inflight sampler weights and the
                                       // sampling options of 2026: a server without them drops them, or refuses
  bool load_on_live_model = true;      // load_weights any time; else only as a model's first operation
  bool load_clears_gradients = true;   // load_weights forgets the gradients that were accumulated
  bool create_via_load = false;        // load_weights with session_id makes the model
  bool bare_archive_names = false;     // GET …/archive takes the name without weights/ or sampler_weights/
  bool asample = true;                 // sampling through this protocol; else another service samples
  bool session_finish = false;         // POST sessions/{id}/finish
  bool grad_clip_norm = true;          // optim_step honours adam_params.grad_clip_norm
  bool optimizers = false;             // create_model takes optimizer_config, optim_step optimizer_params
  bool grad_normalization = false;     // optim_step takes grad_accumulation_normalization
  bool matrix_targets = false;         // target_tokens may be [T, K]
  provenance spans = provenance::refused;
  bool comms = false;  // create_model's result may offer "comms": "v2", which JSON batches then name
  // Known only where a server was seen to do it: the hosted services' own clients send again, which shows nothing.
  sequencing order = sequencing::unknown;
  bool policy_losses_as_written = true;  // importance_sampling, ppo and cispo are the documented formulas
  bool dedupes_all = false;              // where it dedupes: create_model, saves and loads too
  lowering custom_loss = lowering::cross_entropy;
};

inline constexpr dialect dialects[] = {
    {.name = "tinker",
     .text_config = true,
     .config_v2 = true,
     .newer_members = true,
     .create_via_load = true,
     .session_finish = true,
     .optimizers = true,
     .matrix_targets = true,
     .spans = provenance::protobuf},
    {.name = "skyrl",  // 0.4.0 and later
     .overwrite = false,
     .load_on_live_model = false,
     .load_clears_gradients = false,
     .bare_archive_names = true,
     .grad_clip_norm = false,
     .order = sequencing::dedupes,
     .custom_loss = lowering::observed},
    {.name = "skyrl-json",  // up to 0.3.0, which executes a repeated seq_id again
     .body = encoding::json,
     .overwrite = false,
     .load_clears_gradients = false,
     .bare_archive_names = true,
     .grad_clip_norm = false,
     .custom_loss = lowering::observed},
    {.name = "tuft", .other_encoding = false, .shared_names = true, .order = sequencing::strict},
    {.name = "fireworks",
     .body = encoding::json,
     .other_encoding = false,
     .lora_alpha = true,
     .default_alpha = 32,
     .full_parameter = true,
     .base_only = true,
     .checkpoint_type = true,
     .overwrite = false,
     .text_config = true,
     .asample = false,
     .grad_normalization = true,
     .comms = true,
     .policy_losses_as_written = false},
    {.name = "gradwire",  // the embedded trainer
     .lora_alpha = true,
     .full_parameter = true,
     .base_only = true,
     .checkpoint_type = true,
     .text_config = true,
     .config_v2 = true,
     .newer_members = true,
     .create_via_load = true,
     .session_finish = true,
     .optimizers = true,
     .grad_normalization = true,
     .matrix_targets = true,
     .spans = provenance::both,
     .comms = true,
     .order = sequencing::dedupes,
     .dedupes_all = true},
};

// nullptr when the name is not in the table.
constexpr const dialect* find_dialect(std::string_view name) noexcept {
  for (const auto& row : dialects)
    if (row.name == name) return &row;
  return nullptr;
}

// What a server has shown of itself so far.
struct server_evidence {
  std::string_view base_url{};
  const client_config_reply* config = nullptr;
  std::string_view session_id{};
  const server_capabilities_reply* capabilities = nullptr;
};

namespace detail {

constexpr bool is_hex(std::string_view text) noexcept {
  for (const char c : text)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  return !text.empty();
}

constexpr bool is_uuid(std::string_view text) noexcept {
  if (text.size() != 36) return false;
  for (const std::size_t dash : {8u, 13u, 18u, 23u})
    if (text[dash] != '-') return false;
  return is_hex(text.substr(0, 8)) && is_hex(text.substr(24));
}

constexpr bool has_id(std::string_view id, std::string_view prefix, std::size_t digits) noexcept {
  return id.substr(0, prefix.size()) == prefix && is_hex(id.substr(prefix.size())) &&
         (digits == 0 || id.size() == prefix.size() + digits);
}

}  // namespace detail

// Which row it is: the embedded trainer names itself; Fireworks is known by its path and its sessions "ts-<hex>", SkyRL
// by its sessions "session_<8 hex>", TuFT by uuids as sessions and by models that list what they are for. nullptr: not
// recognised (yet).
inline const dialect* recognise(const server_evidence& seen) noexcept {
  if (seen.config != nullptr && seen.config->server)
    if (const auto* row = find_dialect(*seen.config->server)) return row;
  if (seen.base_url.find("/training/v1/") != std::string_view::npos || detail::has_id(seen.session_id, "ts-", 0))
    return find_dialect("fireworks");
  if (detail::has_id(seen.session_id, "session_", 8)) return find_dialect("skyrl");
  if (seen.capabilities != nullptr && detail::is_uuid(seen.session_id))
    for (const auto& model : seen.capabilities->supported_models)
      if (!model.capabilities.empty()) return find_dialect("tuft");
  return nullptr;
}

}  // namespace wire
}  // namespace gradwire::inline v0
