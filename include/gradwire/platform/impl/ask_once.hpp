// SPDX-License-Identifier: Apache-2.0
// Requests that change something: those that must not be carried out twice, and deletions.
#pragma once

#include <algorithm>
#include <exception>
#include <functional>
#include <string>
#include <utility>

#include <gradwire/platform/impl/ask.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

// What became of a request that must not be carried out twice: an answer, or the error that says that nobody knows.
struct fate {
  answer said{};
  std::exception_ptr unknown{};
};

inline task<fate> ask_once(flow& f, question asked) {
  fate came;
  try {
    came.said = co_await ask(f, std::move(asked));
  } catch (const error& failed) {
    if (failed.kind() != errc::outcome_unknown) throw;
    came.unknown = std::current_exception();
  }
  f.check();
  co_return came;
}

// Asks once, and again without a member that a 400 says it does not know: what was refused was not done. `drop` leaves out
// of the body what the refusal speaks of; false: nothing, so that the refusal is the answer.
template <class Body>
task<fate> ask_without(flow& f, question asked, Body body, std::function<bool(const std::string& why, Body& of)> drop) {
  asked.also = {400};
  for (;;) {
    asked.body = wire::platform::to_json(body);
    const fate came = co_await ask_once(f, asked);
    if (came.unknown || came.said.status != 400) co_return came;
    if (!drop(wire::platform::read_status(came.said.body).message, body))
      throw_refusal(f.core(), asked, came.said.status, came.said.body, came.said.attempts, came.said.elapsed_seconds);
  }
}

// A DELETE; what is not there is deleted. A create whose answer was lost may arrive after it: with settle_seconds it is
// repeated for so long where there is nothing, also if an attempt without an answer may have been what deleted it, for
// it may as well have come too early. False: nothing came.
inline task<bool> ask_to_delete(flow& f, question asked, double settle_seconds) {
  asked.method = "DELETE";
  asked.effect = effect::repeats;
  asked.attempt_seconds = 30;
  asked.also = {404};
  const time_point begun = f.net().now();
  for (double pause = 1;; pause = std::min(2 * pause, 8.0)) {
    const answer said = co_await ask(f, asked);
    if (said.status != 404 || (said.maybe_earlier && settle_seconds <= 0)) co_return true;
    const double left = settle_seconds - std::chrono::duration<double>(f.net().now() - begun).count();
    if (left <= 0) co_return false;
    co_await sleep(f, std::min(pause, left));
  }
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
