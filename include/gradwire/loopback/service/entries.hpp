// SPDX-License-Identifier: Apache-2.0
// The things that the server knows by an id: sessions, models, samplers; and what it remembers of their requests.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gradwire/loopback/loaded_snapshot.hpp>
#include <gradwire/loopback/service/futures.hpp>
#include <gradwire/loopback/training.hpp>
#include <gradwire/wire/messages_sampling.hpp>
#include <gradwire/wire/messages_session.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// A request that was seen, so that a re-send gets its future again.
struct seen_request {
  std::size_t bytes = 0;
  std::size_t hash = 0;
  std::string request_id{};

  bool same_as(const seen_request& other) const noexcept { return bytes == other.bytes && hash == other.hash; }
};

using sequence_record = std::map<std::int64_t, seen_request>;

// An operation of a model that was executed, with its outcome.
struct executed_operation {
  std::int64_t seq_id = -1;  // -1: it had none
  seen_request request{};
  finished outcome{};
};

struct sampler_entry;

struct model_entry {
  std::string id{};
  std::string session_id{};
  lora_options lora{};
  bool base_only = false;
  std::optional<wire::metadata> user_metadata{};
  std::string created{};
  std::string last_request{};
  sequence_record sequence{};
  std::atomic<std::int64_t> saves{0};  // checkpoints that were given no name
  std::int64_t creation_number = 0;    // its model_seq_id
  seen_request creation{};
  std::string creation_result{};
  std::uint64_t models_made = 0;                 // by the server, this one included
  std::optional<std::int64_t> restored_after{};  // the last number before a restart, until the model goes on from there

  // compute thread
  std::optional<training_model> trained{};
  std::optional<frozen_model> frozen{};       // instead of trained, when base_only
  std::shared_ptr<sampler_entry> inflight{};  // the weights that inflight saves replace
  std::int64_t next_seq_id = 1;               // with sequence_policy::strict
  std::int64_t no_op_steps = 0;               // optim_steps that were not computed, with no_op
  std::int64_t loss_tokens = 0;               // since the last step, with a slope that is not 0 …
  std::int64_t loss_sequences = 0;            // … and those that have such tokens
  std::filesystem::path frozen_from{};        // the checkpoint that `frozen` was loaded from
  saved_snapshots snapshots{};                // what a delta is the difference to, or …
  std::string last_snapshot{};                // … its name, after a restart
  std::deque<executed_operation> executed{};  // the last ones, with start_options.state
  std::int64_t last_seq_id = 0;               // of those executed
  std::int64_t uncommitted = 0;               // operations since the state was written

  // Throws when the model could not be made.
  void check_ready() const {
    if (!trained && !frozen) throw refusal{404, "Model " + id + " was not created; see the failure of its creation"};
  }
  frozen_model weights() const {
    check_ready();
    return trained ? trained->snapshot() : *frozen;
  }
};

struct sampler_entry {
  std::string id{};
  std::string session_id{};
  std::optional<std::string> model_path{};
  std::string created_by{};  // the request's members, to tell a re-send from another request
  sequence_record sequence{};
  std::int64_t samples = 0;  // given ids so far
  std::int64_t joined = 0;   // further clients of this session

  // compute thread
  std::optional<frozen_model> weights{};
  std::filesystem::path folder{};            // to load the weights from
  std::string problem{};                     // why there are no weights
  std::shared_ptr<sampler_entry> follows{};  // whose weights it has, as they are at each sample
};

struct sample_job {
  std::string request_id{};
  std::shared_ptr<sampler_entry> sampler{};
  wire::array<std::int32_t> prompt{};
  sample_options options{};
  std::optional<std::size_t> prompt_logprobs_last_n{};
  std::optional<wire::tensor> targets{};  // int64 [prompt - 1, K], -1: nothing
  std::size_t prompt_alternatives = 0;    // draws at each prompt position after the first

  bool same_weights(const sample_job& other) const noexcept { return sampler == other.sampler; }
  bool has_fixed_weights() const noexcept { return !sampler->follows; }
};

struct session_entry {
  std::string id{};
  bool finished = false;
  wire::metadata user_metadata{};
  std::string display_name{};
  std::string project_id{};
  std::string created_at{};  // ISO 8601 with microseconds; no two are the same
  std::string finish_reason{};
  std::map<std::int64_t, seen_request> model_requests{};
};

enum class counter : unsigned char {
  create_model,
  forward,
  forward_backward,
  optim_step,
  save_weights,
  save_weights_for_sampler,
  load_weights,
  sample
};
inline constexpr const char* counter_names[] = {"create_model", "forward",      "forward_backward",
                                                "optim_step",   "save_weights", "save_weights_for_sampler",
                                                "load_weights", "sample"};

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
