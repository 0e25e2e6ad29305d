// SPDX-License-Identifier: Apache-2.0
// What servers tell of runs and checkpoints, as the records that users get.
#pragma once

#include <string>

#include <gradwire/trainer/records.hpp>
#include <gradwire/wire/messages_checkpoint.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline checkpoint_description describe(const wire::checkpoint_info& from, const std::string& run = {}) {
  checkpoint_description made{from.tinker_path, from.checkpoint_id, from.checkpoint_type, from.time,
                              from.size_bytes,  from.is_public,     from.expires_at,      {}};
  made.user_metadata = from.user_metadata.value_or(metadata{});
  if (made.path.empty() && !run.empty() && !from.checkpoint_id.empty()) {  // a server that gives bare names only
    const bool bare = from.checkpoint_id.find('/') == std::string::npos;
    made.path = "tinker://" + run + "/" +
                (bare ? (from.checkpoint_type == "sampler" ? "sampler_weights/" : "weights/") : "") +
                from.checkpoint_id;
  }
  return made;
}

inline training_run_description describe(const wire::training_run& from) {
  training_run_description made;
  made.id = from.training_run_id;
  made.base_model = from.base_model;
  made.owner = from.model_owner;
  made.is_lora = from.is_lora;
  made.lora_rank = from.lora_rank;
  made.corrupted = from.corrupted;
  made.last_request_time = from.last_request_time;
  if (from.last_checkpoint) made.last_checkpoint = describe(*from.last_checkpoint, made.id);
  if (from.last_sampler_checkpoint) made.last_sampler_checkpoint = describe(*from.last_sampler_checkpoint, made.id);
  made.user_metadata = from.user_metadata.value_or(metadata{});
  return made;
}

inline page<checkpoint_description> describe(const wire::checkpoints_reply& from, const std::string& run) {
  page<checkpoint_description> made;
  for (const auto& each : from.checkpoints) made.items.push_back(describe(each, run));
  if (from.cursor) made.total = from.cursor->total_count;
  return made;
}

}  // namespace detail
}  // namespace gradwire::inline v0
