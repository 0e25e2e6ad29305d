// SPDX-License-Identifier: Apache-2.0
// Saving, loading and listing weights, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <gradwire/wire/messages_session.hpp>

namespace gradwire::inline v0 {
namespace wire {

struct save_weights_request {  // weights and optimizer state, to go on training
  std::string model_id{};
  std::optional<std::string> path{};  // a bare name; the reply has the full path
  std::optional<std::int64_t> seq_id{};
  std::optional<std::int64_t> ttl_seconds{};
  std::optional<bool> overwrite{};
  std::optional<metadata> user_metadata{};
};

struct save_weights_reply {
  std::string path{};  // tinker://<run>/weights/<name>
};

struct save_weights_for_sampler_request {
  std::string model_id{};
  std::optional<std::string> path{};  // a name, or …
  std::optional<std::int64_t> seq_id{};
  std::optional<std::int64_t> sampling_session_seq_id{};  // … a sampling session over weights without a name
  std::optional<std::int64_t> ttl_seconds{};
  std::optional<std::string> kind{};             // "snapshot" or "inflight"; only where the dialect knows it
  std::optional<std::string> checkpoint_type{};  // "base", "delta", "merged_base"; only where the dialect knows it
  std::optional<metadata> user_metadata{};
};

struct save_weights_for_sampler_reply {
  std::optional<std::string> path{};                 // tinker://<run>/sampler_weights/<name>
  std::optional<std::string> sampling_session_id{};  // when no name was given
};

// With model_id: into a live model. With session_id and model_seq_id: a new model from a checkpoint.
struct load_weights_request {
  std::optional<std::string> model_id{};
  std::optional<std::int64_t> seq_id{};
  std::string path{};
  bool optimizer = false;  // also restore the optimizer's state
  std::optional<std::string> weights_access_token{};
  std::optional<std::string> session_id{};
  std::optional<std::int64_t> model_seq_id{};
  std::optional<std::string> base_model{};
  std::optional<metadata> user_metadata{};
  std::optional<wire::optimizer_config> optimizer_config{};
};

struct load_weights_reply {
  std::optional<std::string> path{};
  std::optional<std::string> model_id{};
};

struct weights_info_request {
  std::string tinker_path{};
};

struct weights_info_reply {
  std::string base_model{};
  std::optional<bool> is_lora{};
  std::optional<std::int64_t> lora_rank{};
  std::optional<bool> train_unembed{};
  std::optional<bool> train_mlp{};
  std::optional<bool> train_attn{};
  std::optional<wire::optimizer_config> optimizer_config{};
};

struct checkpoint_info {
  std::string checkpoint_id{};    // "weights/<name>", on some servers the bare name
  std::string checkpoint_type{};  // "training", "sampler", "external"
  std::string time{};             // ISO 8601
  std::string tinker_path{};
  std::optional<std::int64_t> size_bytes{};
  bool is_public = false;
  std::optional<std::string> expires_at{};
  std::optional<metadata> user_metadata{};
};

struct page_cursor {
  std::int64_t offset = 0;
  std::int64_t limit = 0;
  std::int64_t total_count = 0;
};

struct checkpoints_reply {  // GET training_runs/{id}/checkpoints, GET checkpoints
  std::vector<checkpoint_info> checkpoints{};
  std::optional<page_cursor> cursor{};
};

struct training_run {
  std::string training_run_id{};
  std::string base_model{};
  std::string model_owner{};
  bool is_lora = true;
  bool corrupted = false;
  std::optional<std::int64_t> lora_rank{};
  std::string last_request_time{};
  std::optional<checkpoint_info> last_checkpoint{};
  std::optional<checkpoint_info> last_sampler_checkpoint{};
  std::optional<metadata> user_metadata{};
};

struct training_runs_reply {
  std::vector<training_run> training_runs{};
  std::optional<page_cursor> cursor{};
};

}  // namespace wire
}  // namespace gradwire::inline v0
