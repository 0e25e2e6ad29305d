// SPDX-License-Identifier: Apache-2.0
// The connection to a training platform's control plane: accounts, training shapes, trainer jobs, deployments and
// checkpoints. A handle: copies share, and the last one that goes away ends what still runs. Nothing is sent before the
// first call.
//
//   auto fireworks = platform::client::from_environment();
//   auto profile = fireworks.resolve_training_profile("accounts/fireworks/trainingShapes/qwen3-8b-128k-h200").result();
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/platform/checkpoints.hpp>
#include <gradwire/platform/client_options.hpp>
#include <gradwire/platform/deployments.hpp>
#include <gradwire/platform/refusal.hpp>
#include <gradwire/platform/trainer_jobs.hpp>
#include <gradwire/platform/training_profile.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/endpoint.hpp>
#include <gradwire/transport/future.hpp>
#include <gradwire/transport/network.hpp>

namespace gradwire::inline v0 {
namespace platform {

class client {
 public:
  // Throws error{config} for an address, key or option that cannot be right. An address that ends in /training/v1 or
  // /training/v1/serverless is taken without it.
  GRADWIRE_DECL static client connect(const endpoint& where, client_options options = {});
  // FIREWORKS_API_KEY, and FIREWORKS_BASE_URL where it is not https://api.fireworks.ai; also
  // FIREWORKS_TRAINER_GATEWAY_URL.
  GRADWIRE_DECL static client from_environment(client_options options = {});
  // Over another network than the real one.
  GRADWIRE_DECL static client connect_through(std::shared_ptr<network> net, const endpoint& where,
                                              client_options options = {});

  GRADWIRE_DECL future<std::string> account() const;  // the key's one: "acme"

  // accounts/<a>/trainingShapes/<s>: its latest validated version; with /versions/<v>: that one.
  GRADWIRE_DECL future<training_profile> resolve_training_profile(const std::string& shape_id) const;
  GRADWIRE_DECL future<std::vector<training_profile>> training_shapes(const shape_list_options& which = {}) const;
  // The smallest context that fits, of the newest version; of the model itself, else of models of its type and size.
  GRADWIRE_DECL future<training_profile> select_training_shape(const shape_wish& wish) const;

  trainer_jobs_client trainer_jobs() const { return trainer_jobs_client(owner_); }
  deployments_client deployments() const { return deployments_client(owner_); }
  checkpoints_client checkpoints() const { return checkpoints_client(owner_); }

  GRADWIRE_DECL std::shared_ptr<network> net() const;
  const detail::client_owner& handle() const noexcept { return owner_; }

 private:
  explicit client(detail::client_owner owner) noexcept : owner_(std::move(owner)) {}
  detail::client_owner owner_;
};

}  // namespace platform
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform/impl/client.hpp>
#endif
