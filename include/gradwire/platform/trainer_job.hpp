// SPDX-License-Identifier: Apache-2.0
// A trainer job as the control plane tells of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gradwire::inline v0 {
namespace platform {

enum class job_state : unsigned char {
  unspecified,
  creating,
  running,
  completed,
  failed,
  cancelled,
  deleting,
  writing_results,
  validating,
  deleting_cleaning_up,
  pending,
  expired,
  re_queueing,
  creating_input_dataset,
  idle,
  cancelling,
  early_stopped,
  paused,
  deleted,
  archived,
  unknown,  // the text says which
};

// "JOB_STATE_RUNNING" → running; what is not known → unknown.
constexpr job_state parse_job_state(std::string_view text) noexcept {
  constexpr std::string_view names[] = {"UNSPECIFIED",   "CREATING",
                                        "RUNNING",       "COMPLETED",
                                        "FAILED",        "CANCELLED",
                                        "DELETING",      "WRITING_RESULTS",
                                        "VALIDATING",    "DELETING_CLEANING_UP",
                                        "PENDING",       "EXPIRED",
                                        "RE_QUEUEING",   "CREATING_INPUT_DATASET",
                                        "IDLE",          "CANCELLING",
                                        "EARLY_STOPPED", "PAUSED",
                                        "DELETED",       "ARCHIVED"};
  constexpr std::string_view prefix = "JOB_STATE_";
  if (text.empty()) return job_state::unspecified;
  if (text.substr(0, prefix.size()) == prefix) text.remove_prefix(prefix.size());
  for (unsigned i = 0; i < sizeof names / sizeof *names; ++i)
    if (names[i] == text) return static_cast<job_state>(i);
  return job_state::unknown;
}

// It will not run again by itself.
constexpr bool is_terminal(job_state state) noexcept {
  switch (state) {
    case job_state::completed:
    case job_state::failed:
    case job_state::cancelled:
    case job_state::cancelling:
    case job_state::deleting:
    case job_state::deleting_cleaning_up:
    case job_state::expired:
    case job_state::early_stopped:
    case job_state::paused:
    case job_state::deleted:
    case job_state::archived:
      return true;
    default:
      return false;
  }
}

// Its id is taken and nothing is behind it any more.
constexpr bool is_tombstone(job_state state) noexcept {
  return state == job_state::deleted || state == job_state::archived;
}

struct trainer_job {
  std::string id{};
  std::string name{};  // accounts/<a>/rlorTrainerJobs/<id>
  job_state state = job_state::unspecified;
  std::string state_text{};  // as the platform spells it
  std::string why{};         // what it says of the state
  std::string display_name{};
  std::string base_model{};
  int lora_rank = 0;
  bool forward_only = false;
  std::int64_t max_context_length = 0;  // 0: not said
  std::string training_shape{};         // "" where the platform does not say it
  std::string hot_load_deployment_id{};
  std::string direct_route_handle{};
  std::string create_time{};
};

}  // namespace platform
}  // namespace gradwire::inline v0
