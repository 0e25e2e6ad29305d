// SPDX-License-Identifier: Apache-2.0
// How model.hpp works.
#pragma once

#include <memory>

#include <gradwire/trainer/model.hpp>
#include <gradwire/transport/server_text.hpp>

namespace gradwire::inline v0 {
namespace detail {

GRADWIRE_DECL void model::enqueue(std::function<void(release_type)> job) {
  jobs_.push_back(std::move(job));
  start_next();
}

GRADWIRE_DECL void model::start_next() {
  if (busy_ || jobs_.empty()) return;
  busy_ = true;
  auto job = std::move(jobs_.front());
  jobs_.pop_front();
  auto released = std::make_shared<bool>(false);
  job([self = shared_from_this(), released] {
    if (std::exchange(*released, true)) return;
    self->busy_ = false;
    // Not from here: a long row of jobs that fail at once would nest as deep as it is long.
    if (self->session_->is_closed()) return self->start_next();
    self->session_->net().post([self] { self->start_next(); });
  });
}

GRADWIRE_DECL void model::submit(make_type make, time_point deadline, release_type acknowledged, done_type done) {
  attempt(std::move(make), deadline, std::move(acknowledged), std::move(done), true);
}

GRADWIRE_DECL void model::attempt(make_type make, time_point deadline, release_type acknowledged, done_type done,
                                  bool may_follow) {
  operation_record record;
  const std::int64_t seq_id = next_seq_id_;
  try {
    if (session_->is_closed()) throw error(errc::closed, "the client was closed");
    const double left = std::chrono::duration<double>(deadline - session_->net().now()).count();
    if (left <= 0)
      throw error(errc::timeout, "the deadline passed while the operation waited for those before it; it was not sent");
    record = make(seq_id);
    record.seq_id = seq_id;
    record.time_limit_seconds = left;
  } catch (...) {
    operation_outcome outcome;
    outcome.failure = std::current_exception();
    return done(outcome);
  }
  ++next_seq_id_;
  struct progress {
    bool acknowledged = false;
  };
  auto so_far = std::make_shared<progress>();
  session_->run(
      std::move(record), traffic::submit,
      [so_far, acknowledged] {
        so_far->acknowledged = true;
        if (acknowledged) acknowledged();
      },
      [self = shared_from_this(), so_far, make, deadline, acknowledged, done, seq_id, epoch = epoch_,
       may_follow](const operation_outcome& outcome) {
        if (outcome.failure && self->settle_sequence(*outcome.machine, seq_id, epoch, so_far->acknowledged) &&
            may_follow) {
          return self->attempt(make, deadline, acknowledged, done, false);
        }
        done(outcome);
      });
}

// After a failure: which number is next? True when the request was certainly not executed and is the last one that was
// sent, so that it may be sent again under the right number.
GRADWIRE_DECL bool model::settle_sequence(const operation& machine, std::int64_t seq_id, std::uint64_t epoch,
                                          bool acknowledged) {
  const error& failure = *machine.failure();
  const bool is_last = next_seq_id_ == seq_id + 1;
  const auto conflict = failure.kind() == errc::status && failure.details().http_status == 409
                            ? find_sequence_conflict(failure.what())
                            : std::nullopt;
  if (conflict && conflict->got == seq_id) {
    if (epoch != epoch_) return false;  // somebody else has followed already
    ++epoch_;
    next_seq_id_ = conflict->expected;
    const bool executed_before = conflict->expected > conflict->got;
    return is_last && (!executed_before || machine.record().effect == effect::reads);
  }
  const bool never_arrived = !acknowledged && failure.kind() != errc::outcome_unknown &&
                             failure.kind() != errc::timeout && failure.kind() != errc::closed;
  if (never_arrived && is_last) next_seq_id_ = seq_id;
  return false;
}

GRADWIRE_DECL std::shared_ptr<gradient_window> model::begin_pass() {
  ++window_->running;
  return window_;
}

GRADWIRE_DECL void model::end_pass(const std::shared_ptr<gradient_window>& window, std::exception_ptr failure,
                                   bool partly) {
  if (failure && partly)
    taint("the trainer holds a part of the gradients of a call that failed (" + text_of_error(failure) + ")");
  if (failure && !window->failure) window->failure = failure;
  if (--window->running == 0) {
    for (const auto& next : std::exchange(window->waiting, {})) next();
  }
}

}  // namespace detail
}  // namespace gradwire::inline v0
