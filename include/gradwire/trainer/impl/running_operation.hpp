// SPDX-License-Identifier: Apache-2.0
// Carries out what an operation decides: sends, waits, tells who watches, and ends it once.
#pragma once

#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <gradwire/trainer/session.hpp>
#include <gradwire/transport/server_text.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct running_operation : std::enable_shared_from_this<running_operation> {
  running_operation(std::shared_ptr<session> of, operation_record record, std::uint64_t seed, traffic priority)
      : owner(std::move(of)),
        machine(std::move(record), owner->options().retry, seed,
                owner->net().budget_of(owner->peer().address, owner->options().retry)),
        kind(priority) {}

  // Whatever `f` throws (memory ran out, a callback threw) is the operation's outcome.
  template <class F>
  void guarded(F&& f) noexcept {
    try {
      f();
    } catch (...) {
      crash(std::current_exception());
    }
  }

  void act(const operation_action& action) {
    if (action.what == operation_action::kind::done) return finish();
    watch(action);
    if (action.what == operation_action::kind::send) {
      last_sent = action;
      sent_at = owner->net().now();
      sent_to = peer ? peer : owner->peer_;
      abort = std::make_shared<std::function<void()>>();
      http_call call{sent_to, action.request, action.until, action.reply_limit, action.is_poll ? traffic::poll : kind,
                     abort};
      owner->net().send(std::move(call), [self = shared_from_this()](http_outcome outcome) {
        self->guarded([&] { self->arrived(std::move(outcome)); });
      });
    } else if (action.what == operation_action::kind::wait) {
      timer = owner->net().start_timer(action.until, [self = shared_from_this()] {
        self->timer = 0;
        if (self->finished) return;
        self->guarded([&] { self->act(self->machine.on_timer(self->owner->net().now())); });
      });
    }
    if (machine.settled() && acknowledged) std::exchange(acknowledged, nullptr)();
  }

  // Tells on_event what has changed.
  void watch(const operation_action& action) {
    if (!owner->options().on_event) return;
    if (action.what == operation_action::kind::send && !action.is_poll) {
      ++sends;
      tell(client_event::type::sent, {}, action.request->body.size());
    } else if (machine.last_trouble() != told_trouble) {
      told_trouble = machine.last_trouble();
      if (action.what == operation_action::kind::wait && !told_trouble.empty()) {
        auto event = describe(client_event::type::retrying);
        event.detail = cleaned(told_trouble);
        event.seconds = std::chrono::duration<double>(action.until - owner->net().now()).count();
        owner->tell(std::move(event));
      }
    }
    if (machine.request_id() != told_request) {
      told_request = machine.request_id();
      if (!told_request.empty()) tell(client_event::type::accepted, {}, 0);
    }
    const bool changed = machine.queue_state() != told_queue;
    if (changed) {
      told_queue = machine.queue_state();
      queued_since = owner->net().now();
    }
    if (changed || told_queue.starts_with("paused")) tell_queue();
  }

  // Again with each answer of a paused trainer, so that who watches can say for how long.
  void tell_queue() const {
    if (told_queue.empty()) return;
    auto event = describe(client_event::type::queue);
    event.detail = told_queue;
    event.seconds = std::chrono::duration<double>(owner->net().now() - queued_since).count();
    owner->tell(std::move(event));
  }

  client_event describe(client_event::type what) const {
    const operation_record& record = machine.record();
    client_event event;
    event.what = what;
    event.operation = number;
    event.name = record.name;
    event.model_id = record.model_id;
    event.seq_id = record.seq_id;
    event.request_id = machine.request_id();
    event.attempt = sends;
    event.tokens = record.tokens;
    event.seconds = machine.elapsed_seconds(owner->net().now());
    return event;
  }

  void tell(client_event::type what, const std::string& detail, std::size_t bytes) const {
    if (!owner->options().on_event) return;
    auto event = describe(what);
    event.detail = detail;
    event.bytes = bytes;
    owner->tell(std::move(event));
  }

  void arrived(http_outcome outcome) {
    if (finished) return;
    const time_point now = owner->net().now();
    if (auto* reply = std::get_if<http_response>(&outcome)) {
      owner->saw(*reply);
      if (replay_with_new_key(*reply)) return;
      act(machine.on_reply(now, std::move(*reply)));
    } else {
      act(machine.on_failure(now, std::get<http_failure>(outcome)));
    }
  }

  GRADWIRE_DECL bool replay_with_new_key(const http_response& reply);

  void send_again() {  // with as much time as it had
    operation_action again = last_sent;
    again.until = std::min(machine.deadline(), owner->net().now() + (last_sent.until - sent_at));
    act(again);
  }

  void close() {
    if (!finished) guarded([&] { act(machine.on_close(owner->net().now())); });
  }

  // What the caller is told.
  std::exception_ptr cancel() {
    if (finished) return nullptr;
    const time_point now = owner->net().now();
    const auto told = std::make_exception_ptr(scrubbed(machine.cancelled(now)));
    guarded([&] { act(machine.on_cancel(now)); });
    if (finished && abort && *abort) std::exchange(*abort, nullptr)();  // a poll that nobody waits for
    return told;
  }

  void finish() {
    operation_outcome outcome;
    outcome.machine = &machine;
    if (machine.failure()) {
      outcome.failure = std::make_exception_ptr(scrubbed(*machine.failure()));
      if (!finished) tell(client_event::type::failed, text_of_error(outcome.failure), 0);
    } else {
      if (!finished) tell(client_event::type::finished, {}, machine.result()->body.size());
      outcome.result = &*machine.result();
    }
    end(outcome);
  }

  // A server may echo the key in what it says.
  std::string cleaned(std::string text) const {
    text = owner->peer_->scrubbed(machine.record().token.removed_from(std::move(text)));
    return owner->own_peer_ ? owner->own_peer_->scrubbed(std::move(text)) : text;
  }
  error scrubbed(const error& from) const {
    error_details details = from.details();
    details.request_id = cleaned(std::move(details.request_id));
    details.value = cleaned(std::move(details.value));
    return error(from.kind(), cleaned(sentence_of(from.what())), std::move(details));
  }

  void crash(std::exception_ptr why) noexcept {
    if (finished) {  // what was to be done with its outcome went wrong
      report_lost_error(why);
      return owner->broke(std::move(why));
    }
    operation_outcome outcome;
    outcome.failure = std::move(why);
    outcome.perhaps_sent = last_sent.what == operation_action::kind::send;
    try {
      end(outcome);
    } catch (...) {
      report_lost_error(std::current_exception());
      owner->broke(std::current_exception());
    }
  }

  void end(const operation_outcome& outcome) {
    if (std::exchange(finished, true)) return;
    const auto self = shared_from_this();
    owner->running_.erase(self);
    if (timer && !owner->is_closed()) owner->net().cancel_timer(timer);
    acknowledged = nullptr;
    std::exchange(done, nullptr)(outcome);
  }

  std::shared_ptr<session> owner;
  operation machine;
  traffic kind;
  std::shared_ptr<const http_peer> peer;         // empty: the session's, as it is at each attempt
  std::shared_ptr<const http_peer> sent_to;      // by the last one
  std::shared_ptr<std::function<void()>> abort;  // ends the exchange that runs
  std::uint64_t timer = 0;
  std::uint64_t number = 0;  // of the client's operations
  int sends = 0;
  std::string told_trouble, told_request, told_queue;  // what on_event knows
  time_point queued_since{};
  std::function<void()> acknowledged;
  std::function<void(const operation_outcome&)> done;
  operation_action last_sent;
  time_point sent_at{};
  bool replayed = false;  // after a 401, with a new key
  bool finished = false;
};

}  // namespace detail
}  // namespace gradwire::inline v0
