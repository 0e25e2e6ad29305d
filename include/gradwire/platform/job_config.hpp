// SPDX-License-Identifier: Apache-2.0
// What can be chosen for a trainer job. With a shape: the first two. Without one: manual_trainer_job_config.
//
//   jobs.create({.base_model = model, .training_shape_ref = profile.training_shape_version, .lora_rank = 32})
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <gradwire/platform/locked.hpp>
#include <gradwire/platform/shape_ref.hpp>

namespace gradwire::inline v0 {
namespace platform {

// A policy trainer: its weights are trained.
struct trainer_job_config {
  std::string base_model{};                           // accounts/<a>/models/<m>
  platform::training_shape_ref training_shape_ref{};  // of a profile; must be there
  int lora_rank = 0;                                  // 0: every parameter
  double learning_rate = 1e-5;                        // what counts is each optim_step's own
  int gradient_accumulation_steps = 1;                // forward_backward calls an optim_step, for the training loop
  std::string display_name{};                         // at most 63 characters
  std::string hot_load_deployment_id{};               // a deployment that was made first; else it names this job
  std::string job_id{};                               // [a-z0-9-], at most 63; "": made here, see policy_job::id()
  std::string region{};
  std::vector<std::string> extra_args{};
  std::optional<int> trainer_replica_count{};          // more than one: replicated
  std::optional<double> inactivity_timeout_seconds{};  // at most 3 h; empty: the server's 60 minutes
  bool disable_inactivity_cleanup = false;
  bool use_reservation = true;
  std::string reservation_target{};

  // The shape's.
  locked accelerator_type{};
  locked accelerator_count{};
  locked node_count{};
  locked custom_image_tag{};
  locked max_context_length{};
  locked deployment_shape{};
};

// A forward-only trainer: a reference in RL. There is nothing to train, so there is no learning rate.
struct reference_job_config {
  std::string base_model{};
  platform::training_shape_ref training_shape_ref{};
  int lora_rank = 0;
  std::string display_name{};
  std::string job_id{};
  std::string region{};
  std::vector<std::string> extra_args{};
  std::optional<double> inactivity_timeout_seconds{};
  bool disable_inactivity_cleanup = false;
  bool use_reservation = true;
  std::string reservation_target{};

  locked accelerator_type{};
  locked accelerator_count{};
  locked node_count{};
  locked custom_image_tag{};
  locked max_context_length{};
  locked deployment_shape{};
};

// Without a shape: everything is said here and nothing is validated by the platform, which takes it only from keys that
// may skip validations.
struct manual_trainer_job_config {
  std::string base_model{};
  int lora_rank = 0;
  double learning_rate = 1e-5;
  int gradient_accumulation_steps = 1;
  std::string display_name{};
  std::string hot_load_deployment_id{};
  std::string job_id{};
  std::string region{};
  std::vector<std::string> extra_args{};
  std::optional<int> trainer_replica_count{};
  std::optional<double> inactivity_timeout_seconds{};
  bool disable_inactivity_cleanup = false;
  bool use_reservation = true;
  std::string reservation_target{};

  std::string accelerator_type{};
  int accelerator_count = 0;
  int node_count = 1;
  std::string custom_image_tag{};
  std::optional<std::int64_t> max_context_length{};
};

}  // namespace platform
}  // namespace gradwire::inline v0
