// SPDX-License-Identifier: Apache-2.0
// How patient an operation is, and how many connections are used. Plain numbers.
#pragma once

#include <cstddef>

namespace gradwire::inline v0 {

struct retry_policy {
  double first_pause_seconds = 0.5;         // doubled after each failure; the pause is drawn from (0, that]
  double longest_pause_seconds = 10;        // …
  double unreachable_seconds = 120;         // give up when nothing has been reached for so long
  double submit_timeout_seconds = 120;      // for one attempt to submit, upload included
  double poll_timeout_seconds = 45;         // for one long poll; then it is asked again
  double first_poll_pause_seconds = 0.005;  // when a server answers "not yet" at once; doubled up to …
  double longest_poll_pause_seconds = 0.5;  // …
  double payment_pause_seconds = 5;         // between two requests to a server that waits for a payment (402)
  double budget_retries = 100;              // of all operations to one server at once; 0: no budget …
  double budget_retries_per_second = 2;     // … and how many are added with time
};

struct runtime_options {
  std::size_t max_polls = 12;      // long polls at a time to one server; more wait their turn
  std::size_t max_submits = 4;     // uploads at a time to one server
  double idle_seconds = 30;        // an unused connection is closed after
  double idle_submit_seconds = 3;  // a submit takes a new connection when the old one is idle for longer: a server may
                                   // just be closing it, and then nobody knows whether it got the request
};

}  // namespace gradwire::inline v0
