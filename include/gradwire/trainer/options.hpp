// SPDX-License-Identifier: Apache-2.0
// What can be chosen when connecting, making clients, stepping, saving and sampling. Every member has a default.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/client_event.hpp>
#include <gradwire/transport/http_message.hpp>
#include <gradwire/transport/policy.hpp>
#include <gradwire/wire/dialect.hpp>

namespace gradwire::inline v0 {

enum class wire_format : unsigned char {
  automatic,  // what the server takes, found out with the first batch
  protobuf,
  json,
};

struct connect_options {
  std::string token{};                 // the API key; "": none
  std::string ca_file{};               // PEM file of the certificates to trust; "": the system's
  std::string proxy{};                 // http://host:port; "": what HTTPS_PROXY and NO_PROXY say; "none"
  bool allow_key_over_http = false;    // also to another machine, readable by everybody on the way
  std::vector<http_header> headers{};  // beside ours, in every request; no secrets
  std::string dialect{};               // tinker, skyrl, skyrl-json, tuft, fireworks, gradwire; "": find out
  wire_format wire = wire_format::automatic;
  std::optional<wire::sequencing> order{};  // what the server does with a seq_id that it has seen; empty: find out
  double operation_timeout_seconds = 1800;  // from a call to its outcome, whatever the server does
  double heartbeat_seconds = 10;            // 0: none
  double session_risk_seconds = 30;         // on_event is told when no heartbeat has come through for so long, and …
  double session_limit_seconds = 300;       // … the session counts as lost where the server ends it; 0: never
  double first_contact_seconds = 5;         // how long a server may be unreachable when the session is made
  retry_policy retry{};                     // pauses and limits of every operation
  runtime_options connections{};            // how many
  std::vector<std::string> tags{};          // shown by the server beside the session, as the next three
  std::vector<std::pair<std::string, std::string>> user_metadata{};
  std::string display_name{};  // only where the server takes it
  std::string project_id{};
  std::string sdk_version = "0.25.0";  // the protocol's version that this client speaks
  client_event_handler on_event{};     // told of each request and what becomes of it; see client_event.hpp
};

struct training_client_options {
  std::string base_model{};            // as the server calls it
  int lora_rank = 32;                  // 0: every parameter, where the server can
  std::optional<double> lora_alpha{};  // only where the server takes it
  std::optional<std::int64_t> seed{};  // of the adapter's random start
  bool train_unembed = true;
  bool train_mlp = true;
  bool train_attn = true;
  std::vector<std::pair<std::string, std::string>> user_metadata{};  // shown beside the model
  std::string optimizer = "adamw";  // or "dimuon", where the server has it; fixed for the model's life
};

struct from_state_options {
  std::string path{};                  // what save_state() gave
  bool with_optimizer = true;          // go on with the optimizer's state too
  std::string weights_access_token{};  // for a state of another account
  std::string optimizer = "adamw";     // what the state's model was made with, and …
  std::optional<double> lora_alpha{};  // … its alpha, where the server takes it: a state does not tell it
  std::vector<std::pair<std::string, std::string>> user_metadata{};  // shown beside the new model
};

struct reference_options {
  std::string base_model{};  // the untrained model
};

struct sampling_client_options {
  std::string model_path{};  // what save_weights_for_sampler() gave, or …
  std::string base_model{};  // … a model as the server calls it
};

// What the trainer divides the accumulated gradient by before it steps, where it can (Fireworks). Not together with a
// loss that ends in a mean: it would be divided twice, and the call ends as an error.
enum class grad_normalization : unsigned char {
  none,
  num_loss_tokens,  // tokens whose gradient is not 0
  num_sequences,    // sequences with a gradient that is not 0
};

// AdamW with decoupled weight decay. Of a model made with "dimuon" only learning_rate, beta1 (of the momentum) and
// grad_clip_norm may differ from their defaults.
struct optim_step_options {
  double learning_rate = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-12;
  double weight_decay = 0;
  double grad_clip_norm = 0;  // largest norm of the whole gradient; 0: no clipping
  grad_normalization grad_accumulation_normalization = grad_normalization::none;
  // Sent without waiting for the results of the forward_backward calls before it; what fails after that is not in it.
  bool pipelined = false;
};

struct save_state_options {
  std::string name{};                         // letters, digits, '_', '-', '.'
  bool overwrite = false;                     // replace a state of that name, where the server can
  std::optional<std::int64_t> ttl_seconds{};  // after which the server deletes it; none: never
  std::vector<std::pair<std::string, std::string>> user_metadata{};  // only where the server takes it
};

enum class checkpoint : unsigned char {
  base,         // all of the weights
  delta,        // the difference to what was loaded last, where the server knows it
  merged_base,  // base model and adapter in one, where the server knows it
};

struct save_weights_options {
  std::string name{};  // letters, digits, '_', '-', '.'
  checkpoint type = checkpoint::base;
  std::optional<std::int64_t> ttl_seconds{};                         // after which the server deletes it; none: never
  std::vector<std::pair<std::string, std::string>> user_metadata{};  // only where the server takes it
};

// An export in Hugging Face's format, to be downloaded; only where the server has it.
struct save_external_options {
  std::string name{};
  std::optional<std::int64_t> ttl_seconds{};
  std::vector<std::string> age_encryption_recipients{};  // every file is encrypted to these (filippo.io/age)
};

struct load_state_options {
  std::string path{};          // what save_state() gave
  bool with_optimizer = true;  // also the optimizer's state
};

struct sample_options {
  int num_samples = 1;
  int max_tokens = 128;
  double temperature = 1;  // 0: the most probable token
  int top_k = -1;          // -1: all
  double top_p = 1;
  std::optional<std::int64_t> seed{};
  std::vector<std::string> stop{};       // texts to stop at, or …
  std::vector<std::int64_t> stop_ids{};  // … token ids; both empty: the model's own end of text
  bool never_stop = false;               // not at the model's end of text either, where the server knows it
  bool prompt_logprobs = false;          // also the logprobs of the prompt's tokens
  int topk_prompt_logprobs = 0;          // also the k most probable tokens at each prompt position

  // The next five only where the server knows them: one that does not is told of here and not in silence.
  int topk_sample_logprobs = 0;            // the k most probable tokens at each sampled position
  int prompt_logprobs_last_n = 0;          // of the prompt's tokens only the last n; 0: all
  int prompt_alternatives = 0;             // that many draws at each prompt position after the first
  std::vector<std::int64_t> target_ids{};  // row-major [prompt - 1, K]: whose logprobs at each prompt position after
                                           // the first are wanted; -1: none
  bool record_stability_info = false;      // kept by the server under the samples' sequence ids, for stable_reinforce
};

}  // namespace gradwire::inline v0
