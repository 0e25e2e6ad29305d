// SPDX-License-Identifier: Apache-2.0
// Deployments: created, waited for, given new weights, sampled from, ended. Every call returns a future at once.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/platform/deployment.hpp>
#include <gradwire/platform/deployment_sampler.hpp>
#include <gradwire/platform/snapshot_chain.hpp>
#include <gradwire/platform/wait_options.hpp>
#include <gradwire/trainer/records.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/future.hpp>

namespace gradwire::inline v0 {
namespace platform {

struct deployment_list_options {
  std::string filter{};
  std::string order_by{};
};

class deployments_client {
 public:
  explicit deployments_client(detail::client_owner owner) noexcept : owner_(std::move(owner)) {}

  // One deployment for one id. One that exists is returned if it is of the same model, shape and trainer.
  GRADWIRE_DECL future<deployment> create(const deployment_config& config) const;
  GRADWIRE_DECL future<deployment> create_manual(const manual_deployment_config& config) const;

  // As create(); but one that has failed or is being deleted is removed and made again.
  GRADWIRE_DECL future<deployment> create_or_get(const deployment_config& config, deployment_wait_options options = {},
                                                 progress_handler told = {}) const;

  GRADWIRE_DECL future<deployment> get(const std::string& id) const;
  GRADWIRE_DECL future<std::optional<deployment>> find(const std::string& id) const;  // nothing where there is none
  GRADWIRE_DECL future<std::vector<deployment>> list(const deployment_list_options& which = {}) const;

  // Until it serves. FAILED, DELETING and DELETED are errors at once.
  GRADWIRE_DECL future<deployment> wait(const std::string& id, deployment_wait_options options = {},
                                        progress_handler told = {}) const;

  GRADWIRE_DECL future<deployment> scale(const std::string& id, int min_replica_count, int max_replica_count) const;

  // From now on it loads the weights of this job (policy_job::name()): waits until it is ready, changes what differs,
  // waits until it is ready again.
  GRADWIRE_DECL future<deployment> attach_trainer(const std::string& id, const std::string& trainer_job,
                                                  deployment_wait_options options = {},
                                                  progress_handler told = {}) const;

  // Asks for the load of a snapshot; wait_hot_load() waits for it. It is sent once: when its answer is lost, the status
  // is read, and where that does not show the load the call ends as error{outcome_unknown}.
  GRADWIRE_DECL future<completed> hot_load(const std::string& id, const hot_load_options& options) const;
  future<completed> hot_load(const std::string& id, const load_plan& plan) const {
    return hot_load(id, hot_load_options{.identity = plan.identity(), .previous_identity = plan.previous()});
  }
  GRADWIRE_DECL future<hot_load_status> hot_load_state(const std::string& id) const;
  // Until every replica samples from the snapshot.
  GRADWIRE_DECL future<hot_load_status> wait_hot_load(const std::string& id, const std::string& identity,
                                                      hot_load_wait_options options = {},
                                                      progress_handler told = {}) const;

  // Until a small completion succeeds.
  GRADWIRE_DECL future<completed> warm_up(const std::string& id, warm_up_options options = {},
                                          progress_handler told = {}) const;

  // One that is not there is no error.
  GRADWIRE_DECL future<completed> remove(const std::string& id, remove_options options = {}) const;

  // Samples from it; it is not asked for before the first call.
  GRADWIRE_DECL future<deployment_sampler> sampler(const std::string& id) const;

 private:
  detail::client_owner owner_;
};

}  // namespace platform
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform/impl/deployments.hpp>
#endif
