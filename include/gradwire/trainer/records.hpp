// SPDX-License-Identifier: Apache-2.0
// What a server knows beyond the clients at hand: runs, checkpoints, sessions, samplers. Results of rest_client.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gradwire::inline v0 {

using metadata = std::vector<std::pair<std::string, std::string>>;

struct page_options {
  std::int64_t limit = 20;
  std::int64_t offset = 0;
};

enum class access_scope : unsigned char {
  owned,       // the account's own
  accessible,  // also what others let it see
};

template <class T>
struct page {
  std::vector<T> items{};
  std::optional<std::int64_t> total{};  // on all pages, where the server says it
};

struct checkpoint_description {
  std::string path{};  // tinker://…, for load_state and the like
  std::string id{};    // as the server calls it
  std::string type{};  // "training", "sampler", "external"
  std::string time{};  // ISO 8601
  std::optional<std::int64_t> size_bytes{};
  bool is_public = false;
  std::optional<std::string> expires_at{};  // ISO 8601; none: never, or not said
  metadata user_metadata{};
};

struct training_run_description {
  std::string id{};
  std::string base_model{};
  std::string owner{};
  bool is_lora = true;
  std::optional<std::int64_t> lora_rank{};
  bool corrupted = false;
  std::string last_request_time{};
  std::optional<checkpoint_description> last_checkpoint{};
  std::optional<checkpoint_description> last_sampler_checkpoint{};
  metadata user_metadata{};
};

struct weights_description {
  std::string base_model{};
  std::optional<bool> is_lora{};
  std::optional<std::int64_t> lora_rank{};
  std::optional<bool> train_unembed{}, train_mlp{}, train_attn{};
  std::string optimizer{};  // "adamw", …; "": not said
};

struct session_description {
  std::vector<std::string> training_run_ids{};
  std::vector<std::string> sampler_ids{};
  metadata user_metadata{};
  std::string display_name{};
};

// Which sessions are looked for; what is empty does not count. One that matches the id or the name matches both.
struct session_search {
  std::string id{};
  std::string display_name{};  // each word of it somewhere in the name, in whatever case
  metadata user_metadata{};    // every pair must hold
  std::vector<std::string> project_ids{};
  std::vector<std::string> owner_urns{};  // empty: the caller's own, or …
  bool of_everybody = false;              // … everybody's that the caller may see
  std::vector<std::string> statuses{};    // "active", "cancelled", "failed", "client_finished"
  std::int64_t limit = 50;                // of a page, 1 to 200
};

struct found_session {
  std::string id{};
  std::string created_at{};  // ISO 8601
  std::string owner{};
  std::string project_id{};
  std::string status{};         // as in session_search; "": neither finished nor known to be running
  std::string finish_reason{};  // "success", "errored", "interrupted"
  std::int64_t checkpoints = 0;
  std::string display_name{};
  metadata user_metadata{};
};

struct sampler_description {
  std::string id{};
  std::string base_model{};
  std::string model_path{};  // "": it samples the base model
};

// Where an archive of a checkpoint can be had: an address that needs no key, or one of the trainer itself.
struct checkpoint_archive {
  std::string url{};
  std::string expires{};  // as the server says it
};

struct downloaded_archive {
  std::string file{};
  std::size_t bytes = 0;
  std::string content_type{};
};

struct external_weights {
  std::vector<std::pair<std::string, std::string>> urls{};  // of each file, signed
  std::string expires{};                                    // ISO 8601
};

struct copy_weights_options {
  std::string path{};                    // of the checkpoint
  std::string destination_project_id{};  // "": a run of this session
  std::string weights_access_token{};    // for a checkpoint of another account
  std::optional<std::int64_t> ttl_seconds{};
};

enum class session_end : unsigned char { success, errored, interrupted };

struct server_health {
  std::string status{};  // "ok"
  double elapsed_seconds = 0;
};

// A call that only succeeds or fails.
struct completed {
  double elapsed_seconds = 0;
};

}  // namespace gradwire::inline v0
