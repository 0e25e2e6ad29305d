// SPDX-License-Identifier: Apache-2.0
// How a session goes on and ends: heartbeats, a server that does not know it any more or is another process than
// before, closing.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <gradwire/trainer/impl/session.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/json_codec.hpp>

namespace gradwire::inline v0 {
namespace detail {

// After a failure the next call tries again.
GRADWIRE_DECL void session::started(std::exception_ptr failure) {
  state_ = failure ? state::none : state::ready;
  if (!failure) {
    dialect_.order = options_.order.value_or(dialect_.order);
    last_beat_ = net_->now();
    schedule_heartbeat();
  }
  for (const auto& then : std::exchange(waiting_, {})) then(failure);
}

GRADWIRE_DECL void session::schedule_heartbeat() {
  if (closed_ || lost_ || options_.heartbeat_seconds <= 0) return;
  net_->start_timer(net_->now() + in_seconds(options_.heartbeat_seconds),
                    [self = shared_from_this()] { self->beat(); });
}

GRADWIRE_DECL void session::beat() {
  if (closed_ || lost_) return;
  auto asked = record("session_heartbeat", "/api/v1/session_heartbeat",
                      wire::to_json(wire::session_heartbeat_request{id_}), effect::reads);
  asked.has_future = false;
  asked.time_limit_seconds = options_.heartbeat_seconds;  // the next one is due then
  run(std::move(asked), traffic::control, nullptr, [self = shared_from_this()](const operation_outcome& outcome) {
    if (self->beaten(outcome)) self->schedule_heartbeat();
  });
}

// False: no more of them.
GRADWIRE_DECL bool session::beaten(const operation_outcome& outcome) {
  const time_point now = net_->now();
  if (!outcome.failure) {
    last_beat_ = now;
    has_beaten_ = true;
    return true;
  }
  const int status = outcome.machine ? outcome.machine->failure()->details().http_status : 0;
  const std::string said = outcome.machine ? outcome.machine->failure_body() : "";
  const bool names_it = find_missing(said) == missing_thing::model;
  if (status == 410 || (status == 404 && (names_it || has_beaten_))) {
    lose("the trainer does not know this session any more (" + std::to_string(status) + ")");
    return false;
  }
  if (status == 404 || status == 405 || status == 501) return false;  // a server without heartbeats
  const double silent = std::chrono::duration<double>(now - last_beat_).count();
  if (options_.session_limit_seconds > 0 && silent >= options_.session_limit_seconds) {
    lose("no heartbeat has come through for " + std::to_string(static_cast<long long>(silent)) + " s" +
         ", so the trainer has given the session up");
    return false;
  }
  if (silent >= options_.session_risk_seconds) {
    client_event event;
    event.what = client_event::type::session_at_risk;
    event.seconds = silent;
    event.detail = text_of_error(outcome.failure);
    tell(std::move(event));
  }
  return true;
}

// Later calls fail at once; what runs goes on, because its results may still come.
GRADWIRE_DECL void session::lose(const std::string& why) {
  if (lost_) return;
  lost_ = std::make_exception_ptr(
      error(errc::closed,
            why + ". Connect again, make a training client from the last saved state and repeat what came after it"));
  client_event event;
  event.what = client_event::type::session_lost;
  event.detail = why;
  tell(std::move(event));
}

// A step of the beginning, or a heartbeat, was lost on this side (memory ran out).
GRADWIRE_DECL void session::broke(std::exception_ptr why) noexcept {
  try {
    if (state_ == state::starting) started(std::move(why));
  } catch (...) {
    report_lost_error(std::current_exception());
  }
}

// A trainer names its process in each reply, where it can.
GRADWIRE_DECL void session::saw_boot(std::string_view id) {
  if (id.empty() || id == boot_id_) return;
  {
    const std::lock_guard lock(boot_mutex_);
    if (std::exchange(boot_id_, std::string(id)).empty()) return;
  }
  client_event event;
  event.what = client_event::type::trainer_restarted;
  event.detail = "the trainer was restarted; what was not saved is lost";
  tell(std::move(event));
}

GRADWIRE_DECL void session::close() {
  if (std::exchange(closed_, true)) return;
  while (!running_.empty()) {
    const auto each = *running_.begin();
    running_.erase(running_.begin());
    each->close();
  }
  const auto failure = std::make_exception_ptr(error(errc::closed, "the client was closed"));
  for (const auto& then : std::exchange(waiting_, {})) then(failure);
}

}  // namespace detail
}  // namespace gradwire::inline v0
