// SPDX-License-Identifier: Apache-2.0
// The real network: an io_context with one I/O thread, a pool of keep-alive connections, and one thread on which
// losses are computed, so that a slow loss never delays a heartbeat.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include <gradwire/transport/config.hpp>
#include <gradwire/transport/network.hpp>
#include <gradwire/transport/policy.hpp>

namespace gradwire::inline v0 {

namespace detail {
struct runtime_state;
}

class runtime final : public network {
 public:
  GRADWIRE_DECL explicit runtime(runtime_options options = {});

  // Fails every exchange in flight as `closed`, then stops the threads. A loss that is being computed is waited for.
  GRADWIRE_DECL ~runtime() override;
  runtime(const runtime&) = delete;
  runtime& operator=(const runtime&) = delete;

  GRADWIRE_DECL time_point now() const override;
  GRADWIRE_DECL void post(std::function<void()> task) override;
  GRADWIRE_DECL std::uint64_t start_timer(time_point when, std::function<void()> task) override;
  GRADWIRE_DECL void cancel_timer(std::uint64_t timer) override;
  GRADWIRE_DECL void send(http_call call, std::function<void(http_outcome)> done) override;
  GRADWIRE_DECL void compute(std::function<void()> task) override;

 private:
  std::shared_ptr<detail::runtime_state> state_;
};

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/transport/impl/runtime.hpp>
#endif
