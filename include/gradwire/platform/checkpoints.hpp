// SPDX-License-Identifier: Apache-2.0
// The checkpoints of a trainer job, their promotion to models, and the platform's long-running operations.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/platform/wait_options.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/future.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

class client_handle;
using client_owner = std::shared_ptr<client_handle>;

}  // namespace detail

struct job_checkpoint {
  std::string name{};           // the last segment of …
  std::string resource_name{};  // … accounts/<a>/rlorTrainerJobs/<j>/checkpoints/<c>
  std::string type{};  // CHECKPOINT_TYPE_INFERENCE_BASE, …_INFERENCE_LORA, …_INFERENCE_ARC_V2, …_TRAINING, …
  bool promotable = false;  // as the platform says
  std::string create_time{};
  std::int64_t created_nanoseconds = 0;  // since 1970: what the list is sorted by; 0: not said

  bool is_delta() const noexcept { return type.ends_with("ARC_V2"); }
  bool is_resumable() const noexcept { return type.ends_with("TRAINING") || type.ends_with("TRAINING_LORA"); }
};

struct promote_options {
  std::string checkpoint{};    // the resource name of a job_checkpoint, or with job_id its last segment
  std::string output_model{};  // the id of the model to make: [a-z0-9-], at most 63; or accounts/<a>/models/<id>
  std::string base_model{};    // accounts/<a>/models/<m>
  std::string job_id{};
};

struct model_record {
  std::string name{};   // accounts/<a>/models/<m>
  std::string state{};  // "READY"
  std::string kind{};
  std::string model_type{};
  std::int64_t parameter_count = 0;
  std::string peft_base_model{};
  std::int64_t peft_rank = 0;
};

struct promote_wait_options {
  double poll_seconds = 10;
  double ready_seconds = 7200;
};

// Of a promotion that has begun, or is over already.
struct promotion {
  std::string operation{};  // accounts/<a>/operations/<o>; "": it was done at once
  bool done = false;
  model_record model{};  // where it is done
};

class checkpoints_client {
 public:
  explicit checkpoints_client(detail::client_owner owner) noexcept : owner_(std::move(owner)) {}

  // Oldest first; also of jobs that were deleted within the last 30 days.
  GRADWIRE_DECL future<std::vector<job_checkpoint>> list(const std::string& job_id) const;

  // Makes a model of a checkpoint. A model of that name that exists, a checkpoint that is not promotable and a delta
  // are errors before anything is sent. It is sent once: when its answer is lost, the model is looked for, and where it
  // is not found the call ends as error{outcome_unknown}.
  GRADWIRE_DECL future<promotion> begin_promote(const promote_options& options) const;
  // … and waits until the model is there.
  GRADWIRE_DECL future<model_record> promote(const promote_options& options, promote_wait_options how = {},
                                             progress_handler told = {}) const;

  GRADWIRE_DECL future<promotion> operation(const std::string& name) const;
  GRADWIRE_DECL future<model_record> wait_operation(const std::string& name, promote_wait_options how = {},
                                                    progress_handler told = {}) const;
  GRADWIRE_DECL future<std::optional<model_record>> find_model(const std::string& name) const;

 private:
  detail::client_owner owner_;
};

}  // namespace platform
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform/impl/checkpoints.hpp>
#endif
