// SPDX-License-Identifier: Apache-2.0
// Trainer jobs: created, waited for, connected to, ended. A policy job has a training client; a reference job has a
// reference client, which cannot train. Every call returns a future at once.
//
//   auto job = client.trainer_jobs().create({…}).result();
//   job = client.trainer_jobs().wait(job).result();
//   auto trainer = job.training_client().result();
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/platform/job_config.hpp>
#include <gradwire/platform/job_handle.hpp>
#include <gradwire/platform/trainer_job.hpp>
#include <gradwire/platform/wait_options.hpp>
#include <gradwire/trainer.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/future.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

// Connects to the trainer; nothing is sent yet.
GRADWIRE_DECL service_client connect_to(const job_handle& job, connect_options options);

}  // namespace detail

// The model that a job's trainer trains. What is left out is the job's own, or the trainer's.
struct job_model_options {
  std::optional<int> lora_rank{};  // at most the job's
  std::optional<double> lora_alpha{};
  std::optional<std::int64_t> seed{};
  bool train_unembed = true;
  bool train_mlp = true;
  bool train_attn = true;
};

class policy_job {
 public:
  policy_job() = default;  // empty; trainer_jobs() gives a usable one
  explicit policy_job(detail::job_handle made) noexcept : job_(std::move(made)) {}

  const std::string& id() const noexcept { return job_.info.id; }
  const std::string& name() const noexcept { return job_.info.name; }
  const trainer_job& info() const noexcept { return job_.info; }  // as it was at the last look
  bool existed() const noexcept { return job_.existed; }          // the id was taken by a job like it: that one
  const std::string& url() const noexcept { return job_.url; }    // where its trainer answers

  // The connection to its trainer. `options.token` is the platform's key unless another is given.
  service_client service(connect_options options = {}) const { return detail::connect_to(job_, std::move(options)); }

  // A new model.
  GRADWIRE_DECL future<gradwire::training_client> training_client(const job_model_options& options = {},
                                                                  connect_options how = {}) const;
  GRADWIRE_DECL future<gradwire::training_client> training_client_from_state(const from_state_options& options,
                                                                             connect_options how = {}) const;

  const detail::job_handle& handle() const noexcept { return job_; }

 private:
  detail::job_handle job_{};
};

class reference_job {
 public:
  reference_job() = default;
  explicit reference_job(detail::job_handle made) noexcept : job_(std::move(made)) {}

  const std::string& id() const noexcept { return job_.info.id; }
  const std::string& name() const noexcept { return job_.info.name; }
  const trainer_job& info() const noexcept { return job_.info; }
  bool existed() const noexcept { return job_.existed; }
  const std::string& url() const noexcept { return job_.url; }

  service_client service(connect_options options = {}) const { return detail::connect_to(job_, std::move(options)); }
  GRADWIRE_DECL future<gradwire::reference_client> reference_client(connect_options how = {}) const;

  const detail::job_handle& handle() const noexcept { return job_; }

 private:
  detail::job_handle job_{};
};

struct job_list_options {
  std::string filter{};  // AIP-160: state="JOB_STATE_RUNNING"
  std::string order_by{};
};

class trainer_jobs_client {
 public:
  explicit trainer_jobs_client(detail::client_owner owner) noexcept : owner_(std::move(owner)) {}

  // One job for one id, however often it is called or an answer is lost: the id is made here unless it is given. Done
  // when the job exists; wait() waits until it runs. What cannot be right is an error{config} before anything is sent.
  GRADWIRE_DECL future<policy_job> create(const trainer_job_config& config) const;
  GRADWIRE_DECL future<reference_job> create_reference(const reference_job_config& config) const;
  GRADWIRE_DECL future<policy_job> create_manual(const manual_trainer_job_config& config) const;
  GRADWIRE_DECL future<reference_job> create_manual_reference(const manual_trainer_job_config& config) const;

  // An id for create(), made once and kept, as in a journal.
  GRADWIRE_DECL static std::string fresh_id();

  GRADWIRE_DECL future<trainer_job> get(const std::string& id) const;
  GRADWIRE_DECL future<std::optional<trainer_job>> find(const std::string& id) const;  // nothing where there is none
  GRADWIRE_DECL future<std::vector<trainer_job>> list(const job_list_options& which = {}) const;

  // A job that exists, as what it is; the other kind is an error.
  GRADWIRE_DECL future<policy_job> attach_policy(const std::string& id) const;
  GRADWIRE_DECL future<reference_job> attach_reference(const std::string& id) const;

  // Until it runs and its trainer answers. A state from which it will not run is an error at once.
  GRADWIRE_DECL future<policy_job> wait(const policy_job& job, job_wait_options options = {},
                                        progress_handler told = {}) const;
  GRADWIRE_DECL future<reference_job> wait(const reference_job& job, job_wait_options options = {},
                                           progress_handler told = {}) const;

  // Asks the platform to start it again from its last state.
  GRADWIRE_DECL future<trainer_job> resume(const std::string& id) const;
  // Whatever it is doing: running jobs are waited for, stopped ones are resumed.
  GRADWIRE_DECL future<policy_job> reconnect(const std::string& id, job_wait_options options = {},
                                             progress_handler told = {}) const;
  GRADWIRE_DECL future<completed> cancel(const std::string& id) const;  // one that has ended is no error
  // One that is not there is no error.
  GRADWIRE_DECL future<completed> remove(const std::string& id, remove_options options = {}) const;

 private:
  detail::client_owner owner_;
};

}  // namespace platform
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform/impl/trainer_jobs.hpp>
#endif
