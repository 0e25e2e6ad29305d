// SPDX-License-Identifier: Apache-2.0
// The embedded platform: the control plane of training shapes, jobs and deployments, with real trainers behind its
// gateway and deployments that load their snapshots and sample, in this process.
//
//   auto fireworks = loopback::start_platform();               // lives as long as this variable
//   auto client = platform::client::connect(fireworks.endpoint());
//
// It listens on 127.0.0.1 only, unless it is told otherwise, and wants its key with every request. The hosted
// platform's own SDK works against it unchanged.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/loopback/platform/options.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/endpoint.hpp>

namespace gradwire::inline v0 {
namespace loopback {

class platform {
 public:
  // errc::config for a key, fault, catalogue or folder that cannot be used, errc::transport for a port that is taken.
  GRADWIRE_DECL explicit platform(platform_options options = {});
  GRADWIRE_DECL ~platform();  // waits for the operations that are running; those behind them are dropped
  GRADWIRE_DECL platform(platform&&) noexcept;
  GRADWIRE_DECL platform& operator=(platform&&) noexcept;

  GRADWIRE_DECL gradwire::endpoint endpoint() const;         // http://127.0.0.1:PORT and the key
  GRADWIRE_DECL const std::string& account() const;          // without accounts/
  GRADWIRE_DECL const std::filesystem::path& files() const;  // the folder of checkpoints and models

  // For tests. All may be called from any thread.
  GRADWIRE_DECL platform_counts counts() const;
  GRADWIRE_DECL std::vector<std::string> jobs() const;         // ids of those that are not deleted
  GRADWIRE_DECL std::vector<std::string> deployments() const;  // …
  GRADWIRE_DECL std::vector<std::string> models() const;       // promoted, by name
  GRADWIRE_DECL std::vector<std::string> hot_loads(const std::string& deployment) const;  // identities begun, in order
  GRADWIRE_DECL operation_counts executed(const std::string& job) const;                  // by the job's trainer
  GRADWIRE_DECL void advance(double seconds);                                             // the platform's clock
  GRADWIRE_DECL void set_fault(platform_fault fault);  // errc::config for one that is not known
  GRADWIRE_DECL void clear_faults();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

inline platform start_platform(platform_options options = {}) { return platform(std::move(options)); }

}  // namespace loopback
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/loopback/impl/platform.hpp>
#endif
