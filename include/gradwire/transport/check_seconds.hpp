// SPDX-License-Identifier: Apache-2.0
// Times that a user gives: 0 or more, infinity too.
#pragma once

#include <string>

#include <gradwire/error.hpp>
#include <gradwire/transport/policy.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline void check_seconds(const char* name, double given) {
  if (given >= 0) return;
  throw error(errc::config,
              std::string(name) + " is " + std::to_string(given) + "; it must be 0 or more, or infinity for no end",
              {.value = std::to_string(given)});
}

inline void check_seconds(const retry_policy& given) {
  check_seconds("first_pause_seconds", given.first_pause_seconds);
  check_seconds("longest_pause_seconds", given.longest_pause_seconds);
  check_seconds("unreachable_seconds", given.unreachable_seconds);
  check_seconds("submit_timeout_seconds", given.submit_timeout_seconds);
  check_seconds("poll_timeout_seconds", given.poll_timeout_seconds);
  check_seconds("first_poll_pause_seconds", given.first_poll_pause_seconds);
  check_seconds("longest_poll_pause_seconds", given.longest_poll_pause_seconds);
  check_seconds("payment_pause_seconds", given.payment_pause_seconds);
}

inline void check_seconds(const runtime_options& given) {
  check_seconds("idle_seconds", given.idle_seconds);
  check_seconds("idle_submit_seconds", given.idle_submit_seconds);
}

}  // namespace detail
}  // namespace gradwire::inline v0
