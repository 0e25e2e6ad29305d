// SPDX-License-Identifier: Apache-2.0
// What the operations of one call share, so that the call can be cancelled. Used on the I/O thread only.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <gradwire/error.hpp>

#include <gradwire/transport/network.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct cancellation {
  bool asked = false;
  std::vector<std::function<std::exception_ptr()>> stops;  // of the operations that have begun: what the caller is told

  // Stops what runs; what becomes of the call.
  std::exception_ptr cancel() {
    asked = true;
    std::exception_ptr told;
    const bool begun = !stops.empty();
    for (const auto& stop : std::exchange(stops, {})) {
      if (const auto said = stop(); said && !told) told = said;
    }
    if (told) return told;
    return std::make_exception_ptr(
        error(errc::closed, begun ? "cancelled; nothing more is sent" : "cancelled before anything was sent"));
  }
};

// When a call must be finished, and how it is told that nobody wants it any more.
struct call_deadline {
  call_deadline(time_point when = {}, std::shared_ptr<cancellation> shared = {}) noexcept
      : at(when), cancel(std::move(shared)) {}

  time_point at;
  std::shared_ptr<cancellation> cancel;

  operator time_point() const noexcept { return at; }
  bool is_cancelled() const noexcept { return cancel && cancel->asked; }
};

}  // namespace detail
}  // namespace gradwire::inline v0
