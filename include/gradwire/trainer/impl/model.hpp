// SPDX-License-Identifier: Apache-2.0
// How model.hpp works.
#pragma once

#include <algorithm>
#include <memory>

#include <gradwire/trainer/model.hpp>
#include <gradwire/transport/server_text.hpp>

namespace gradwire::inline v0 {
namespace detail {

GRADWIRE_DECL void model::enqueue(std::function<void(release_type)> job) {
  jobs_.push_back(std::move(job));
  start_next();
}

// A job's place in the row: given up by its release, or when nobody can call that any more.
struct job_place {
  explicit job_place(std::function<void()> leave) : left(std::move(leave)) {}
  ~job_place() { leave(); }
  job_place(const job_place&) = delete;
  job_place& operator=(const job_place&) = delete;

  void leave() noexcept {
    const auto once = std::exchange(left, nullptr);
    if (!once) return;
    try {
      once();
    } catch (...) {
      report_lost_error(std::current_exception());
    }
  }
  std::function<void()> left;
};

GRADWIRE_DECL void model::start_next() {
  if (busy_ || jobs_.empty()) return;
  // The next job, when its turn comes. A network that ends before that lets go of the turn: nobody will come to the jobs any
  // more, and they hold this model as it holds them.
  struct turn {
    explicit turn(std::shared_ptr<model> of) : on(std::move(of)) {}
    ~turn() {
      if (on) std::exchange(on->jobs_, {}).clear();
    }
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;

    void take() { std::exchange(on, nullptr)->start_next(); }
    std::shared_ptr<model> on;
  };
  std::shared_ptr<job_place> place;
  for (int tries = 3; !place && tries > 0; --tries) {  // memory may be short for a moment
    try {
      place = std::make_shared<job_place>([self = shared_from_this()] {
        self->busy_ = false;
        // Not from here: a long row of jobs that fail at once would nest as deep as it is long.
        if (self->session_->is_closed()) return self->start_next();
        std::shared_ptr<turn> next;
        try {
          next = std::make_shared<turn>(self);
          self->session_->net().post([next] { next->take(); });
        } catch (const std::bad_alloc&) {
          next ? next->take() : self->start_next();
        }
      });
    } catch (const std::bad_alloc&) {
    }
  }
  if (!place) {  // they end `closed`
    jobs_.clear();
    return;
  }
  busy_ = true;
  auto job = std::move(jobs_.front());
  jobs_.pop_front();
  job([place = std::move(place)] { place->leave(); });
}

GRADWIRE_DECL void model::submit(make_type make, call_deadline deadline, release_type acknowledged, done_type done) {
  attempt(std::move(make), deadline, std::move(acknowledged), std::move(done), true);
}

GRADWIRE_DECL void model::attempt(make_type make, call_deadline deadline, release_type acknowledged, done_type done,
                                  bool may_follow) {
  operation_record record;
  const std::int64_t seq_id = next_seq_id_;
  try {
    if (session_->is_closed()) throw error(errc::closed, "the client was closed");
    if (session_->lost()) std::rethrow_exception(session_->lost());
    if (deadline.is_cancelled()) throw error(errc::closed, "cancelled before it was sent");
    const double left = std::chrono::duration<double>(deadline.at - session_->net().now()).count();
    if (left <= 0)
      throw error(errc::timeout, "the deadline passed while the operation waited for those before it; it was not sent");
    record = make(seq_id);
    record.seq_id = seq_id;
    record.model_id = id_;
    record.time_limit_seconds = left;
    record.cancel = deadline.cancel;
  } catch (...) {
    operation_outcome outcome;
    outcome.failure = std::current_exception();
    return done(outcome);
  }
  ++next_seq_id_;
  const auto ended = [self = shared_from_this(), make, deadline, acknowledged, done, seq_id, epoch = epoch_,
                      may_follow](const operation_outcome& outcome, bool was_acknowledged) {
    if (outcome.failure && !outcome.machine && !outcome.perhaps_sent && self->next_seq_id_ == seq_id + 1)
      self->next_seq_id_ = seq_id;  // memory ran out before it was sent
    if (outcome.failure && outcome.machine &&
        self->settle_sequence(*outcome.machine, seq_id, epoch, was_acknowledged) && may_follow) {
      return self->attempt(make, deadline, acknowledged, done, false);
    }
    done(outcome);
  };
  try {
    const auto so_far = std::make_shared<bool>(false);
    session_->run(
        std::move(record), traffic::submit,
        [so_far, acknowledged] {
          *so_far = true;
          if (acknowledged) acknowledged();
        },
        [so_far, ended](const operation_outcome& outcome) { ended(outcome, *so_far); });
  } catch (const std::bad_alloc&) {
    operation_outcome outcome;
    outcome.failure = std::current_exception();
    ended(outcome, false);
  }
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
    const bool executed_before = conflict->expected > conflict->got;
    // Too high a number is followed, too low a one, below those that are on their way, is not.
    next_seq_id_ = executed_before ? std::max(next_seq_id_, conflict->expected) : conflict->expected;
    return is_last && (!executed_before || machine.record().effect == effect::reads);
  }
  const bool never_arrived = !acknowledged && machine.request_id().empty() && !machine.maybe_executed() &&
                             failure.kind() != errc::outcome_unknown;
  if (never_arrived && is_last) next_seq_id_ = seq_id;
  return false;
}

// Ends a pass whose handle goes away without a word: memory ran out, or the client was closed.
struct pass_ticket {
  std::shared_ptr<model> on;
  std::shared_ptr<gradient_window> window;
  bool ended = false;

  void operator()(gradient_window*) noexcept {
    if (ended) return;
    try {
      on->end_pass(window, std::make_exception_ptr(error(errc::closed, "it ended without an outcome")), true);
    } catch (...) {
      report_lost_error(std::current_exception());
    }
  }
};

GRADWIRE_DECL std::shared_ptr<gradient_window> model::begin_pass() {
  ++window_->begun;
  ++window_->running;  // first: a handle that cannot be made ends the pass
  return {window_.get(), pass_ticket{shared_from_this(), window_}};
}

GRADWIRE_DECL void model::end_pass(const std::shared_ptr<gradient_window>& window, std::exception_ptr failure,
                                   bool partly) {
  if (auto* const ticket = std::get_deleter<pass_ticket>(window)) {
    if (std::exchange(ticket->ended, true)) return;
  }
  if (failure && partly)
    taint("the trainer holds a part of the gradients of a call that failed (" + text_of_error(failure) + ")");
  window->note(std::move(failure));
  if (--window->running == 0) {
    for (const auto& next : std::exchange(window->waiting, {})) next();
  }
}

}  // namespace detail
}  // namespace gradwire::inline v0
