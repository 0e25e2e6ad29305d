// SPDX-License-Identifier: Apache-2.0
// Checkpoints that leave the server or change hands, what newer servers say about themselves, and many futures at once,
// as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/wire/messages_session.hpp>

namespace gradwire::inline v0 {
namespace wire {

struct checkpoint_ttl_request {               // PUT training_runs/{id}/checkpoints/{id}/ttl
  std::optional<std::int64_t> ttl_seconds{};  // written as null when empty: kept for ever
};

struct archive_url_reply {  // GET training_runs/{id}/checkpoints/{id}/archive, where it is no redirect
  std::string url{};
  std::string expires{};  // ISO 8601
};

struct save_weights_external_request {  // a Hugging Face directory, to be downloaded
  std::string model_id{};
  std::string path{};  // a bare name
  std::optional<std::int64_t> seq_id{};
  std::optional<std::int64_t> ttl_seconds{};
  std::vector<std::string> age_encryption_recipients{};
};

struct save_weights_external_reply {
  std::string path{};  // tinker://<run>/external_weights/<name>
  std::optional<std::int64_t> size_bytes{};
};

struct external_weights_urls_reply {  // GET …/checkpoints/external_weights/{name}/external_weights_urls
  std::vector<std::pair<std::string, std::string>> urls{};  // of each file
  std::string expires{};
};

// With destination_project_id, or with session_id and model_seq_id. The server tells a re-send by its idempotency key.
struct copy_weights_request {
  std::string source_path{};
  std::optional<std::string> destination_project_id{};
  std::optional<std::string> session_id{};
  std::optional<std::int64_t> model_seq_id{};
  std::optional<std::int64_t> ttl_seconds{};
};

struct copy_weights_reply {
  std::string tinker_path{};
};

struct custom_loss_input {
  std::string name{};     // the first is "logprobs"
  std::int64_t rank = 1;  // 0, 1 or 2
};

struct create_custom_loss_request {  // → future
  std::string session_id{};
  std::int64_t custom_loss_seq_id = 0;
  std::string name{};
  std::vector<custom_loss_input> inputs{};
  std::string graph{};  // JSON text {"format": 1, "nodes": […]}, written as it is
};

struct create_custom_loss_reply {
  std::string loss_id{};  // for forward_backward: loss "custom", setting loss_id
};

struct join_sampling_session_request {
  std::string sampling_session_id{};
};

struct join_sampling_session_reply {
  std::int64_t client_counter = 0;  // this client's seq_ids begin at 1e9 times it
};

// Which requests of a sampling session have finished since the last call; their results are then retrieved one by one.
struct retrieve_futures_request {
  std::string sampling_session_id{};
  std::int64_t cloned_sampler_id = 0;
  std::int64_t prev_cursor = 0;
  std::optional<double> timeout{};  // seconds that the server may hold the call
  std::vector<std::string> retrieved_request_ids{};
};

struct future_completion {
  std::string state{};  // "finished", "failed"
  std::string request_id{};
  std::optional<std::int64_t> response_payload_uncompressed_size{};
};

struct retrieve_futures_reply {
  std::vector<future_completion> completions{};
  std::int64_t cursor = 0;
};

struct cancel_future_request {
  std::string request_id{};
};

struct dynamic_config_reply {  // POST client/dynamic_config, where the server has it
  std::int64_t refresh_interval_sec = 300;
  bool sample_cancel_enabled = false;
  std::int64_t sample_cancel_max_batch_size = 64;
};

}  // namespace wire
}  // namespace gradwire::inline v0
