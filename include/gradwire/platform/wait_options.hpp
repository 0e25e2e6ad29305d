// SPDX-License-Identifier: Apache-2.0
// How a call waits for something on the platform, and what it tells meanwhile. All waiting is done on the network's
// timers.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace gradwire::inline v0 {
namespace platform {

struct wait_progress {
  std::string what{};   // "trainer job accounts/…", "deployment accounts/…", "hot load of step-2", …
  std::string state{};  // as the platform spells it
  std::string detail{};
  std::size_t polls = 0;
  double elapsed_seconds = 0;
};

// Called on the client's network thread after each look: it must not wait for anything.
using progress_handler = std::function<void(const wait_progress&)>;

struct job_wait_options {
  double poll_seconds = 5;
  double ready_seconds = 3600;      // from the first look that finds it out of PENDING
  double pending_seconds = 172800;  // how long it may be PENDING, from the beginning
  double settle_seconds = 0;        // after a resume: how long a state that it was resumed from may still be told of
  bool direct_route = false;  // where the gateway does not answer: try the host that the job names. The key goes there
};

// Of a deletion. A create whose answer was lost, or that was cancelled, may arrive after it: where there is nothing, it is
// looked for so long, and what comes is deleted.
struct remove_options {
  double settle_seconds = 0;
};

struct deployment_wait_options {
  double poll_seconds = 5;
  double ready_seconds = 5400;
};

struct hot_load_wait_options {
  double poll_seconds = 5;
  double ready_seconds = 600;
  bool first_replica_only = false;  // others may then still sample from older weights
};

struct warm_up_options {
  int tries = 30;
  double pause_seconds = 10;
};

}  // namespace platform
}  // namespace gradwire::inline v0
