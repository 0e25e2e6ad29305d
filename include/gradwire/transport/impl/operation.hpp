// SPDX-License-Identifier: Apache-2.0
// How operation.hpp works: pauses, deadlines and ends. What replies mean is in operation_submit.hpp and
// operation_poll.hpp.
#pragma once

#include <algorithm>
#include <utility>

#include <gradwire/transport/impl/operation_poll.hpp>
#include <gradwire/transport/impl/operation_submit.hpp>
#include <gradwire/transport/impl/reply_head.hpp>
#include <gradwire/transport/operation.hpp>

namespace gradwire::inline v0 {

GRADWIRE_DECL operation::operation(operation_record record, retry_policy policy, std::uint64_t seed,
                                   std::shared_ptr<retry_budget> budget)
    : record_(std::move(record)), policy_(policy), random_(seed), budget_(std::move(budget)) {
  auto request = std::make_shared<http_request>();
  request->method = record_.method;
  request->target = record_.target;
  if (!record_.body.empty()) request->headers.push_back({"Content-Type", record_.content_type});
  request->headers.push_back({"Accept", record_.has_future ? "application/json" : record_.accept});
  if (!record_.idempotency_key.empty()) request->headers.push_back({"X-Idempotency-Key", record_.idempotency_key});
  for (const auto& each : record_.headers) request->headers.push_back(each);
  request->body = std::move(record_.body);
  submit_request_ = std::move(request);
}

GRADWIRE_DECL operation_action operation::begin(time_point now) {
  begun_ = now;
  deadline_ = now + in_seconds(record_.time_limit_seconds);
  return send(now);
}

GRADWIRE_DECL operation_action operation::send(time_point now) {
  if (finished_) return done();
  if (now >= deadline_) {
    const bool unknown = maybe_executed_ && record_.effect != effect::reads && request_id_.empty();
    const bool never_reached = unreached_since_ && !maybe_executed_ && request_id_.empty();
    std::string sentence = never_reached ? "the trainer cannot be reached: " : "";
    sentence += record_.time_limit_seconds > 0
                    ? "the deadline of " + detail::seconds_text(record_.time_limit_seconds) + " passed"
                    : "what came before it has left no time for it";
    if (!request_id_.empty()) sentence += "; the trainer may still finish it";
    if (!last_trouble_.empty()) sentence += "; last: " + last_trouble_;
    return fail(now, unknown ? errc::outcome_unknown : never_reached ? errc::transport : errc::timeout, sentence);
  }
  ++attempts_;
  in_flight_ = true;
  paid_ = std::exchange(retry_cost_, 0.0);
  const bool is_poll = !request_id_.empty();
  const double limit = is_poll ? policy_.poll_timeout_seconds : policy_.submit_timeout_seconds;
  if (is_poll) last_poll_ = now;
  return {operation_action::kind::send, is_poll ? poll_request_ : submit_request_, is_poll,
          is_poll || !record_.has_future ? record_.result_limit : std::size_t{1} << 20,
          std::min(now + in_seconds(limit), deadline_)};
}

GRADWIRE_DECL operation_action operation::wait(time_point now, double seconds) {
  return {operation_action::kind::wait, nullptr, false, 0,
          std::min(now + in_seconds(std::min(seconds, 1e9)), deadline_)};
}

// Exponential pause with full jitter, or what the server wishes; but a wish of nothing does not make this hammer.
GRADWIRE_DECL operation_action operation::pause(time_point now, std::optional<double> server_wish) {
  if (cancel_asked_) return on_cancel(now);
  pause_seconds_ =
      pause_seconds_ <= 0 ? policy_.first_pause_seconds : std::min(2 * pause_seconds_, policy_.longest_pause_seconds);
  retry_cost_ = std::max(retry_cost_, 1.0);
  random_ = random_ * 6364136223846793005u + 1442695040888963407u;
  const double own = pause_seconds_ * (0.05 + 0.95 * (static_cast<double>(random_ >> 11) * 0x1p-53));
  if (server_wish) return wait(now, std::max(*server_wish, std::min(own, policy_.longest_poll_pause_seconds)));
  return wait(now, own);
}

// The server waits for somebody to pay: no failure, and no reason to ask often.
GRADWIRE_DECL operation_action operation::unpaid(time_point now, std::optional<double> server_wish) {
  if (cancel_asked_) return on_cancel(now);
  queue_state_ = "paused: billing";
  return wait(now, std::max(server_wish.value_or(0), policy_.payment_pause_seconds));
}

GRADWIRE_DECL operation_action operation::on_timer(time_point now) {
  if (finished_) return done();
  if (in_flight_) return {};
  if (budget_ && retry_cost_ > 0 && now < deadline_ && !budget_->take(now, retry_cost_)) {
    const double patience = record_.unreachable_seconds > 0 ? record_.unreachable_seconds : policy_.unreachable_seconds;
    if (unreached_since_ && now >= *unreached_since_ + in_seconds(patience)) return unreachable(now, last_trouble_);
    const double cost = retry_cost_;
    auto later = pause(now);
    retry_cost_ = cost;
    return later;
  }
  return send(now);
}

GRADWIRE_DECL operation_action operation::on_close(time_point now) {
  if (finished_) return done();
  return fail(now, errc::closed,
              "the client was closed" +
                  std::string(request_id_.empty() ? (maybe_executed_ || in_flight_ ? "; the trainer may have got it"
                                                                                   : " before it was sent")
                                                  : "; the trainer has it"));
}

GRADWIRE_DECL error operation::cancelled(time_point now) const {
  if (!request_id_.empty())
    return describe(now, errc::closed,
                    "cancelled: its result is not asked for any more; the trainer has it and executes it");
  if (!in_flight_ && !maybe_executed_) return describe(now, errc::closed, "cancelled before it was sent");
  if (record_.effect == effect::reads) return describe(now, errc::closed, "cancelled while it was being sent");
  return describe(now, errc::outcome_unknown,
                  "cancelled while it was being sent; the trainer may or may not have executed it");
}

GRADWIRE_DECL operation_action operation::on_cancel(time_point now) {
  if (finished_) return done();
  cancel_asked_ = true;
  if (request_id_.empty() && in_flight_) return {};  // until the server has it
  const error told = cancelled(now);
  settled_ = true;
  finished_ = true;
  failure_.emplace(told);
  return done();
}

GRADWIRE_DECL operation_action operation::on_failure(time_point now, const http_failure& failure) {
  if (finished_) return done();
  in_flight_ = false;
  last_status_ = 0;
  last_trouble_ = failure.sentence;
  retry_cost_ = failure.kind == errc::timeout ? 2 : 1;
  if (failure.kind == errc::closed || failure.kind == errc::config) return fail(now, failure.kind, failure.sentence);
  if (!request_id_.empty()) {  // a poll is a read
    if (failure.kind == errc::protocol) return bad_answer(now, failure.sentence, errc::protocol);
    if (failure.kind == errc::timeout && failure.executed) {  // a long poll that was too long
      retry_cost_ = 0;
      return send(now);
    }
    return unreachable(now, failure.sentence);
  }
  if (!failure.executed) return unreachable(now, failure.sentence);
  unreached_since_.reset();
  if (failure.kind == errc::protocol && may_resend()) {
    maybe_executed_ = true;
    return bad_answer(now, failure.sentence, errc::protocol);
  }
  return ambiguous(now, std::nullopt);
}

// An attempt whose answer we do not know. The next one is allowed where it does nothing a second time.
GRADWIRE_DECL operation_action operation::ambiguous(time_point now, std::optional<double> server_wish) {
  maybe_executed_ = true;
  if (may_resend()) return pause(now, server_wish);
  return fail(now, errc::outcome_unknown,
              "the trainer may or may not have executed it (" + last_trouble_ +
                  "); it is not sent again because this server would execute it a second time. Compare the model with "
                  "what you expect, or load a saved state");
}

GRADWIRE_DECL operation_action operation::unreachable(time_point now, const std::string& sentence) {
  if (!unreached_since_) unreached_since_ = now;
  const double patience = record_.unreachable_seconds > 0 ? record_.unreachable_seconds : policy_.unreachable_seconds;
  const time_point until = *unreached_since_ + in_seconds(patience);
  if (now < until) {
    auto action = pause(now);
    action.until = std::min(action.until, until);
    return action;
  }
  const bool unknown = (maybe_executed_ || !request_id_.empty()) && record_.effect != effect::reads;
  return fail(now, unknown ? errc::outcome_unknown : errc::transport,
              "the trainer cannot be reached: " + sentence + (unknown ? "; it had got the request before" : ""));
}

// An answer that cannot be read. Worth two more tries where asking again is harmless.
GRADWIRE_DECL operation_action operation::bad_answer(time_point now, const std::string& sentence, errc kind) {
  last_trouble_ = sentence;
  if (++bad_answers_ <= 2 && (!request_id_.empty() || may_resend())) return pause(now);
  const bool unknown = request_id_.empty() && record_.effect != effect::reads;
  return fail(now, unknown ? errc::outcome_unknown : kind, sentence + (unknown ? "; it may have been executed" : ""));
}

GRADWIRE_DECL operation_action operation::on_reply(time_point now, http_response reply) {
  if (finished_) return done();
  in_flight_ = false;
  unreached_since_.reset();
  last_status_ = reply.status;
  if (reply.status != 402 && queue_state_ == "paused: billing") queue_state_ = "active";
  if (budget_ && reply.status < 400) budget_->give_back(paid_);
  if (record_.any_reply && reply.status >= 300 && reply.status < 400) return finish(now, std::move(reply));
  if (reply.status < 200 || (reply.status >= 300 && reply.status < 400)) {
    return fail(
        now, errc::protocol,
        "the server answered " + std::to_string(reply.status) +
            (reply.header("Location").empty() ? ""
                                              : ", a redirect to " + detail::printable(reply.header("Location"), 200)) +
            "; redirects are not followed because the key would go with them. Give the final address");
  }
  if (reply.status >= 400) {
    last_trouble_ =
        "status " + std::to_string(reply.status) + (reply.body.empty() ? "" : ": " + detail::server_text(reply));
    return request_id_.empty() ? submit_status(now, reply) : poll_status(now, reply);
  }
  return request_id_.empty() ? submit_reply(now, std::move(reply)) : poll_reply(now, std::move(reply));
}

GRADWIRE_DECL operation_action operation::finish(time_point now, http_response reply) {
  settled_ = true;
  finished_ = true;
  result_.emplace();
  result_->content_type = reply.header("Content-Type");
  result_->body = std::move(reply.body);
  result_->submit_body = std::move(submit_body_);
  result_->request_id = request_id_;
  result_->status = reply.status;
  result_->location = reply.header("Location");
  result_->expires = reply.header("Expires");
  result_->attempts = attempts_;
  result_->elapsed_seconds = std::chrono::duration<double>(now - begun_).count();
  return done();
}

GRADWIRE_DECL error operation::describe(time_point now, errc kind, const std::string& sentence) const {
  error_details details;
  details.operation = record_.name;
  details.seq_id = record_.seq_id;
  details.request_id = request_id_;
  details.attempts = attempts_;
  details.elapsed_seconds = std::chrono::duration<double>(now - begun_).count();
  details.http_status = last_status_;
  std::string text = record_.name + " (";
  if (record_.seq_id >= 0) text += "seq_id " + std::to_string(record_.seq_id) + ", ";
  if (!request_id_.empty()) text += "request " + detail::printable(request_id_, 80) + ", ";
  text += std::to_string(attempts_) + (attempts_ == 1 ? " attempt, " : " attempts, ") +
          detail::seconds_text(details.elapsed_seconds) + "): " + sentence;
  return error(kind, text, std::move(details));
}

GRADWIRE_DECL operation_action operation::fail(time_point now, errc kind, const std::string& sentence) {
  error told = describe(now, kind, sentence);
  settled_ = true;
  finished_ = true;
  failure_.emplace(std::move(told));
  return done();
}

}  // namespace gradwire::inline v0
