// SPDX-License-Identifier: Apache-2.0
// Configuration, sessions, models: the requests and replies that open and close a training run, as plain values.
// An optional member that is empty is left out of the body; servers that forbid unknown members depend on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gradwire::inline v0 {
namespace wire {

using metadata = std::vector<std::pair<std::string, std::string>>;

struct client_config_request {  // POST client/config
  std::string sdk_version{};
};

// Every member may be missing in the reply; the values here are what a missing one means.
struct client_config_reply {
  bool pjwt_auth_enabled = false;
  bool parallel_fwdbwd_chunks = true;
  bool proto_compress_fwdbwd = false;
  std::int64_t fwdbwd_max_chunk_len = 1024;               // datums in one request
  std::int64_t fwdbwd_max_chunk_bytes_count = 5'000'000;  // estimated bytes in one request
  std::int64_t sample_max_concurrent_requests = 2000;
  bool create_model_via_load_weights = false;
  bool sample_use_retrieve_futures = false;
  bool sample_join_sampling_session = false;
  bool custom_loss_server_side = false;
  std::optional<std::string> server{};    // the embedded trainer's own members: its name in dialect.hpp, and what
  std::optional<std::string> sequence{};  // it does with a seq_id that it has seen: "dedupe", "strict", "none"
};

struct create_session_request {
  std::vector<std::string> tags{};
  metadata user_metadata{};  // always written, also when empty: TuFT requires the member
  std::string sdk_version{};
  std::optional<std::string> project_id{};
  std::optional<std::string> display_name{};
};

struct create_session_reply {
  std::string session_id{};
  std::string info_message{};
  std::string warning_message{};
  std::string error_message{};
};

struct session_heartbeat_request {
  std::string session_id{};
};

struct session_heartbeat_reply {};

struct session_finish_request {    // POST sessions/{id}/finish
  std::string reason = "success";  // or "errored", "interrupted"
  std::optional<std::string> detail{};
};

struct lora_config {
  std::int64_t rank = 32;  // 0: train every parameter, where the server can
  std::optional<std::int64_t> seed{};
  bool train_unembed = true;
  bool train_mlp = true;
  bool train_attn = true;
  std::optional<double> alpha{};  // only for servers whose dialect knows it
};

struct optimizer_config {
  std::string type = "adamw";
  std::optional<std::int64_t> version{};
};

struct create_model_request {
  std::string session_id{};
  std::int64_t model_seq_id = 0;
  std::string base_model{};
  std::optional<metadata> user_metadata{};
  std::optional<wire::lora_config> lora_config{};
  std::optional<bool> base_only{};                           // a frozen reference; only where the dialect knows it
  std::optional<wire::optimizer_config> optimizer_config{};  // only where the dialect knows it
};

struct create_model_reply {
  std::string model_id{};
  std::optional<std::string> comms{};  // how JSON batches may be exchanged with this model: "v1", "v2"
};

struct unload_model_request {
  std::string model_id{};
};

struct unload_model_reply {
  std::string model_id{};
};

struct get_info_request {
  std::string model_id{};
};

struct get_info_reply {
  std::string model_id{};
  std::string arch{};
  std::string model_name{};    // the base model
  std::string tokenizer_id{};  // "" when the server does not say
  std::optional<bool> is_lora{};
  std::optional<std::int64_t> lora_rank{};
  std::optional<wire::optimizer_config> optimizer_config{};
};

struct supported_model {
  std::string model_name{};
  std::optional<std::int64_t> max_context_length{};  // tokens
  std::optional<bool> trainable{};
  std::optional<bool> sampleable{};
  std::vector<std::string> capabilities{};  // "training", "sampling": TuFT says it so
};

struct server_capabilities_reply {  // GET get_server_capabilities
  std::vector<supported_model> supported_models{};
};

struct health_reply {  // GET healthz
  std::string status = "ok";
};

struct session_info_reply {  // GET sessions/{id}
  std::vector<std::string> training_run_ids{};
  std::vector<std::string> sampler_ids{};
  std::optional<metadata> user_metadata{};
  std::optional<std::string> display_name{};
};

struct sessions_reply {  // GET sessions
  std::vector<std::string> sessions{};
};

}  // namespace wire
}  // namespace gradwire::inline v0
