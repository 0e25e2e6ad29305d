// SPDX-License-Identifier: Apache-2.0
// How operation.hpp works.
#pragma once

#include <algorithm>
#include <utility>

#include <gradwire/transport/impl/operation_poll.hpp>
#include <gradwire/transport/impl/reply_head.hpp>
#include <gradwire/transport/operation.hpp>

namespace gradwire::inline v0 {

GRADWIRE_DECL operation::operation(operation_record record, retry_policy policy, std::uint64_t seed)
    : record_(std::move(record)), policy_(policy), random_(seed) {
  auto request = std::make_shared<http_request>();
  request->method = record_.method;
  request->target = record_.target;
  if (!record_.body.empty()) request->headers.push_back({"Content-Type", record_.content_type});
  request->headers.push_back({"Accept", record_.has_future ? "application/json" : record_.accept});
  if (!record_.idempotency_key.empty()) request->headers.push_back({"X-Idempotency-Key", record_.idempotency_key});
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
    sentence += "the deadline of " + detail::seconds_text(record_.time_limit_seconds) + " passed";
    if (!request_id_.empty()) sentence += "; the trainer may still finish it";
    if (!last_trouble_.empty()) sentence += "; last: " + last_trouble_;
    return fail(now, unknown ? errc::outcome_unknown : never_reached ? errc::transport : errc::timeout, sentence);
  }
  ++attempts_;
  in_flight_ = true;
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

// Exponential pause with full jitter, or what the server wishes.
GRADWIRE_DECL operation_action operation::pause(time_point now, std::optional<double> server_wish) {
  pause_seconds_ =
      pause_seconds_ <= 0 ? policy_.first_pause_seconds : std::min(2 * pause_seconds_, policy_.longest_pause_seconds);
  if (server_wish) return wait(now, *server_wish);
  random_ = random_ * 6364136223846793005u + 1442695040888963407u;
  const double draw = static_cast<double>(random_ >> 11) * 0x1p-53;
  return wait(now, pause_seconds_ * (0.05 + 0.95 * draw));
}

GRADWIRE_DECL operation_action operation::on_timer(time_point now) {
  if (finished_) return done();
  return in_flight_ ? operation_action{} : send(now);
}

GRADWIRE_DECL operation_action operation::on_close(time_point now) {
  if (finished_) return done();
  return fail(now, errc::closed,
              "the client was closed" +
                  std::string(request_id_.empty() ? (maybe_executed_ || in_flight_ ? "; the trainer may have got it"
                                                                                   : " before it was sent")
                                                  : "; the trainer has it"));
}

GRADWIRE_DECL operation_action operation::on_failure(time_point now, const http_failure& failure) {
  if (finished_) return done();
  in_flight_ = false;
  last_status_ = 0;
  last_trouble_ = failure.sentence;
  if (failure.kind == errc::closed || failure.kind == errc::config) return fail(now, failure.kind, failure.sentence);
  if (!request_id_.empty()) {  // a poll is a read
    if (failure.kind == errc::protocol) return bad_answer(now, failure.sentence, errc::protocol);
    if (failure.kind == errc::timeout && failure.executed) return send(now);  // a long poll that was too long
    return unreachable(now, failure.sentence);
  }
  if (!failure.executed) return unreachable(now, failure.sentence);
  unreached_since_.reset();
  if (failure.kind == errc::protocol && record_.effect != effect::mutates)
    return bad_answer(now, failure.sentence, errc::protocol);
  return ambiguous(now, std::nullopt);
}

// An attempt whose answer we do not know. The next one is allowed where it does nothing a second time.
GRADWIRE_DECL operation_action operation::ambiguous(time_point now, std::optional<double> server_wish) {
  maybe_executed_ = true;
  if (record_.effect != effect::mutates) return pause(now, server_wish);
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
  if (++bad_answers_ <= 2 && (!request_id_.empty() || record_.effect != effect::mutates)) return pause(now);
  const bool unknown = request_id_.empty() && record_.effect != effect::reads;
  return fail(now, unknown ? errc::outcome_unknown : kind, sentence + (unknown ? "; it may have been executed" : ""));
}

GRADWIRE_DECL operation_action operation::on_reply(time_point now, http_response reply) {
  if (finished_) return done();
  in_flight_ = false;
  unreached_since_.reset();
  last_status_ = reply.status;
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

GRADWIRE_DECL operation_action operation::submit_reply(time_point now, http_response reply) {
  if (!record_.has_future) {
    if (detail::is_protobuf(reply.header("Content-Type")) || reply.body.empty()) return finish(now, std::move(reply));
    const auto head = detail::read_head(reply);
    if (!head.is_json)
      return bad_answer(now, "the answer is not JSON: " + detail::printable(reply.body, 80), errc::decode);
    if (head.is_object && head.has_error) return refused(now, reply);
    return finish(now, std::move(reply));
  }
  const auto head = detail::read_head(reply);
  if (head.is_object && head.has_error) return refused(now, reply);
  if (head.request_id.empty()) {  // it may have acted all the same
    maybe_executed_ = true;
    return bad_answer(now, "the answer to the request has no request_id: " + detail::printable(reply.body, 80),
                      head.is_json ? errc::protocol : errc::decode);
  }
  settled_ = true;
  bad_answers_ = 0;
  pause_seconds_ = 0;
  request_id_ = head.request_id;
  submit_body_ = std::move(reply.body);
  auto poll = std::make_shared<http_request>();
  poll->target = record_.poll_target;
  poll->headers = {{"Content-Type", "application/json"}, {"Accept", record_.accept}};
  poll->body = "{\"request_id\":" + detail::json_text(request_id_) + ",\"allow_metadata_only\":false}";
  poll_request_ = std::move(poll);
  return send(now);
}

GRADWIRE_DECL operation_action operation::submit_status(time_point now, const http_response& reply) {
  const auto wish = detail::retry_after_seconds(reply);
  switch (reply.status) {
    case 408:  // the server did not get the request in time
    case 425:  // "not yet"
    case 429:
      return pause(now, wish);
    case 409:
      return wish ? pause(now, wish) : refused(now, reply);
    case 400:
      return reply.body.empty() && ++bad_answers_ <= 3 ? pause(now) : refused(now, reply);  // a proxy's 400 has no body
    default:
      break;
  }
  return reply.status >= 500 ? ambiguous(now, wish) : refused(now, reply);
}

GRADWIRE_DECL operation_action operation::refused(time_point now, const http_response& reply) {
  failure_body_ = reply.body.substr(0, 64 * 1024);
  std::string sentence = "the trainer answered";
  if (reply.status >= 300) sentence += " " + std::to_string(reply.status);
  const std::string text = detail::server_text(reply);
  const std::string code = detail::server_code(reply);
  if (!text.empty()) sentence += (reply.status >= 300 ? ": " : " with an error: ") + text;
  if (!code.empty() && text.find(code) == std::string::npos) sentence += " (" + code + ")";
  if (reply.status == 401 || reply.status == 403) {
    sentence += ". Check the key: the token given to connect(), or the environment variable TINKER_API_KEY";
  }
  return fail(now, errc::status, sentence);
}

GRADWIRE_DECL operation_action operation::finish(time_point now, http_response reply) {
  settled_ = true;
  finished_ = true;
  result_.emplace();
  result_->content_type = reply.header("Content-Type");
  result_->body = std::move(reply.body);
  result_->submit_body = std::move(submit_body_);
  result_->request_id = request_id_;
  result_->attempts = attempts_;
  result_->elapsed_seconds = std::chrono::duration<double>(now - begun_).count();
  return done();
}

GRADWIRE_DECL operation_action operation::fail(time_point now, errc kind, const std::string& sentence) {
  settled_ = true;
  finished_ = true;
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
  failure_.emplace(kind, text, std::move(details));
  return done();
}

}  // namespace gradwire::inline v0
