// SPDX-License-Identifier: Apache-2.0
// What the waits of the platform's calls have in common: telling of a look, and giving up.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include <gradwire/error.hpp>
#include <gradwire/platform/wait_options.hpp>
#include <gradwire/transport/impl/reply_head.hpp>
#include <gradwire/transport/lost_error.hpp>
#include <gradwire/transport/server_text.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

inline void report(const progress_handler& told, const wait_progress& now) {
  if (!told) return;
  try {
    told(now);
  } catch (...) {
    v0::detail::report_lost_error(std::current_exception());  // the wait must not suffer
  }
}

[[noreturn]] inline void stop_waiting(errc kind, const wait_progress& at, const std::string& sentence) {
  error_details details;
  details.operation = "wait for " + at.what;
  details.attempts = static_cast<int>(at.polls);
  details.elapsed_seconds = at.elapsed_seconds;
  details.value = at.state;
  throw error(kind,
              "wait for " + at.what + " (" + std::to_string(at.polls) + (at.polls == 1 ? " look, " : " looks, ") +
                  v0::detail::seconds_text(at.elapsed_seconds) + "): " + sentence,
              std::move(details));
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
