// SPDX-License-Identifier: Apache-2.0
// A run on a training platform as one object: from the id of a training shape to a deployment that samples from the
// weights of the last step, and back to nothing.
//
//   platform::lifecycle run(fireworks, {.training_shape = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200",
//                                       .reference_shape = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200-forward-only",
//                                       .base_model = "accounts/fireworks/models/qwen3-8b"},
//                           {.journal = "runs/first/lifecycle.jsonl"});
//   auto made = run.open().result();       // profile, jobs, deployment, training client, reference client, sampler
//   …                                      // made.trainer.forward_backward_custom(…), made.sampler.sample(…)
//   run.publish(step).result();            // base or delta, saved and loaded into the deployment
//   run.save_state(step).result();         // to go on from
//   run.close().result();                  // what was made is deleted, in order
//
// The journal has a line before everything that cannot be taken back. A program that was killed at any moment goes on by
// the same calls: open() finds what the journal names and loads the last state. Every call returns a future at once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gradwire/platform/client.hpp>
#include <gradwire/platform/lifecycle_state.hpp>
#include <gradwire/trainer/service_client.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/future.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {
class lifecycle_core;
}

enum class hot_load_bucket : unsigned char {
  of_trainer,     // the deployment loads what its trainer saves
  of_deployment,  // made first, with a bucket of its own that the trainer saves to (hot_load_deployment_id)
};

struct lifecycle_plan {
  std::string training_shape{};   // accounts/<a>/trainingShapes/<s>[/versions/<v>] of the policy trainer
  std::string reference_shape{};  // … of a forward-only one; "": no reference trainer
  std::string base_model{};       // accounts/<a>/models/<m>
  int lora_rank = 0;              // 0: every parameter
  double learning_rate = 1e-5;    // of the job; what counts is each optim_step's own
  int gradient_accumulation_steps = 1;
  std::string display_name{};
  bool deployment = true;  // one to sample from
  int min_replica_count = 1;
  int max_replica_count = 1;
  hot_load_bucket bucket = hot_load_bucket::of_trainer;
  hot_load_transition transition = hot_load_transition::server_default;
  training_client_options model{};  // seed, lora_alpha …; base_model and lora_rank are the two above

  // Parts that are there already, or are to be made under this id. What was there, or was made by another run that was
  // faster, is used and never deleted. What is made carries the run's tag, at the end of the display name or in the
  // annotation gradwire-run.
  std::string trainer_job_id{};
  std::string reference_job_id{};
  std::string deployment_id{};
};

enum class end_of_deployment : unsigned char { removed, scaled_to_zero };

struct lifecycle_options {
  std::string journal{};      // a file; one a run
  connect_options trainer{};  // of the training and reference clients
  job_wait_options job_wait{};
  deployment_wait_options deployment_wait{};
  hot_load_wait_options hot_load_wait{};
  warm_up_options warm_up{};
  promote_wait_options promote_wait{};
  double settle_seconds = 30;    // a part whose create was not answered and is to go: how long it is looked for
  bool keep_on_failure = false;  // when a part fails: leave the others, and name them
  end_of_deployment end = end_of_deployment::removed;
  progress_handler on_progress{};  // on the client's network thread
};

// What open() gives. Handles: copies share.
struct lifecycle_parts {
  std::shared_ptr<const training_profile> profile{};
  std::shared_ptr<const training_profile> reference_profile{};  // none without a reference_shape
  platform::policy_job policy{};
  platform::reference_job reference{};  // empty without one
  std::string deployment{};             // its id; "": none
  training_client trainer{};
  reference_client frozen{};  // of the reference job
  deployment_sampler sampler{};
  bool resumed = false;      // the journal named something
  std::int64_t step = 0;     // steps done in the state that the trainer has, 0: from the base model
  std::int64_t serves = -1;  // the step whose weights the deployment has; -1: not the run's
};

struct published_snapshot {
  std::string identity{};
  checkpoint type = checkpoint::base;
  std::int64_t step = 0;
  bool fell_back = false;  // a base was saved and loaded after the first snapshot could not be
  double elapsed_seconds = 0;
};

struct promote_plan {
  std::string checkpoint{};    // as checkpoints().list() names it
  std::string output_model{};  // the id of the model to make
  bool again = false;  // also where it was asked for before, its answer is not known, and the model is not there
};

class lifecycle {
 public:
  // Reads the journal. errc::config for an option or a plan that cannot be right, or that is another run's.
  GRADWIRE_DECL lifecycle(client platform, lifecycle_plan plan, lifecycle_options options);

  // Makes what the journal does not name and waits for all of it. When a part fails, what was made is deleted, or named
  // in the error; what was there before the call, of a run with a saved state, is kept and named.
  GRADWIRE_DECL future<lifecycle_parts> open() const;

  // Saves the trainer's weights as they are after the calls made so far, as a base or a delta as the chain of snapshots
  // allows, loads them into the deployment and warms it up. `step`: of the optimizer, so far.
  GRADWIRE_DECL future<published_snapshot> publish(std::int64_t step, std::optional<checkpoint> wanted = {}) const;

  // Weights and optimizer, from which open() goes on after a kill.
  GRADWIRE_DECL future<saved_weights> save_state(std::int64_t step) const;

  // Makes a model of a checkpoint. A promotion whose answer is not known is looked for and never repeated by itself.
  GRADWIRE_DECL future<model_record> promote(const promote_plan& plan) const;

  // Reference, deployment, policy job, and only what the run made. Also of a run that another process has left; its
  // clients need not be open. What could not be deleted is named in the error and stays in the journal.
  GRADWIRE_DECL future<completed> close() const;

  GRADWIRE_DECL lifecycle_state state() const;  // what the journal says
  GRADWIRE_DECL const std::string& journal() const noexcept;

 private:
  std::shared_ptr<detail::lifecycle_core> core_;
};

}  // namespace platform
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform/impl/lifecycle.hpp>
#endif
