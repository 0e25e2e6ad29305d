// SPDX-License-Identifier: Apache-2.0
// The first half of an operation: what the replies to its request mean.
#pragma once

#include <utility>

#include <gradwire/transport/impl/reply_head.hpp>
#include <gradwire/transport/operation.hpp>

namespace gradwire::inline v0 {

GRADWIRE_DECL operation_action operation::submit_reply(time_point now, http_response reply) {
  if (!record_.has_future) {
    if (record_.any_reply || detail::is_protobuf(reply.header("Content-Type")) || reply.body.empty())
      return finish(now, std::move(reply));
    const auto head = detail::read_head(reply);
    if (!head.is_json) return bad_answer(now, detail::not_json(reply, head), detail::not_json_kind(reply));
    if (head.is_object && head.has_error) return refused(now, reply);
    return finish(now, std::move(reply));
  }
  const auto head = detail::read_head(reply);
  if (head.is_object && head.has_error) return refused(now, reply);
  if (head.request_id.empty()) {  // it may have acted all the same
    maybe_executed_ = true;
    if (!head.is_json && !reply.body.empty())
      return bad_answer(now, detail::not_json(reply, head), detail::not_json_kind(reply));
    return bad_answer(now,
                      "the answer to the request (status " + std::to_string(reply.status) +
                          ") has no request_id: " + detail::printable(reply.body, 80),
                      errc::protocol);
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
  return cancel_asked_ ? on_cancel(now) : send(now);
}

GRADWIRE_DECL operation_action operation::submit_status(time_point now, const http_response& reply) {
  const auto wish = detail::retry_after_seconds(reply);
  switch (reply.status) {
    case 402:
      return unpaid(now, wish);
    case 404:
      return missing(now, reply);
    case 408:  // it did not come in time, or a gateway was tired of waiting for the answer
      return ambiguous(now, wish);
    case 425:  // "not yet"
    case 429:
      return pause(now, wish);
    case 409:
      return conflict(now, reply);
    case 410:  // a server that kept the number over a restart, and not the result
      failure_body_ = reply.body.substr(0, 64 * 1024);
      return fail(now, record_.effect == effect::reads ? errc::status : errc::outcome_unknown,
                  "the trainer has its number already and no longer has its result: " + detail::server_text(reply));
    case 412:
      return missing(now, reply);
    case 400:
      return reply.body.empty() && ++bad_answers_ <= 3 ? pause(now) : refused(now, reply);  // a proxy's 400 has no body
    default:
      break;
  }
  // 501: the server does not have this call, and will not have it later.
  return reply.status >= 500 && reply.status != 501 ? ambiguous(now, wish) : refused(now, reply);
}

// 409: a number that was used, a name that is taken, or something that is locked for a moment.
GRADWIRE_DECL operation_action operation::conflict(time_point now, const http_response& reply) {
  const std::string text = detail::server_text(reply);
  const auto numbers = detail::find_sequence_conflict(text);
  if (numbers && numbers->got == record_.seq_id && numbers->expected > numbers->got && maybe_executed_) {
    if (record_.effect == effect::reads) {  // the model sends it under the next number where nothing has followed it
      return fail(now, errc::status,
                  "an attempt was executed, and its answer is lost (" + text + "). It changed nothing; ask again");
    }
    told_executed_ = true;
    return fail(now, errc::outcome_unknown,
                "an earlier attempt was executed, and its result is lost: the trainer expected seq_id " +
                    std::to_string(numbers->expected) + " and was sent " + std::to_string(numbers->got) +
                    " again. It was not executed twice");
  }
  if (!request_id_.empty() || numbers) return refused(now, reply);
  const auto wish = detail::retry_after_seconds(reply);
  if (wish || detail::says_locked(text)) return pause(now, wish);
  if (reply.body.empty() && ++bad_answers_ <= 3) return pause(now);
  return refused(now, reply);
}

// 404: a model or session that is gone, else what the call named.
GRADWIRE_DECL operation_action operation::missing(time_point now, const http_response& reply) {
  const std::string text = detail::server_text(reply);
  const auto what = reply.status == 412 ? detail::missing_thing::unloaded_model : detail::find_missing(text);
  if ((what == detail::missing_thing::model || what == detail::missing_thing::unloaded_model) &&
      !record_.model_id.empty()) {
    failure_body_ = reply.body.substr(0, 64 * 1024);
    return fail(now, errc::closed,
                "the trainer does not know the model any more (" + text +
                    "): it was restarted, or the session has ended. Make a new training client from the last saved "
                    "state and repeat what came after it");
  }
  const bool of_the_request = what == detail::missing_thing::request || text.find_first_not_of(' ') == text.npos ||
                              (what == detail::missing_thing::other && record_.model_id.empty());
  if (request_id_.empty() || !of_the_request) return refused(now, reply);
  return fail(now, record_.effect == effect::reads ? errc::status : errc::outcome_unknown,
              "the trainer does not know request " + detail::printable(request_id_, 80) + " (" + text +
                  "): was it restarted? Nobody knows whether it was executed; load the last saved state");
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
    const std::string& from = record_.key_source;
    sentence += ". Check the " + (record_.token.empty() ? "" : record_.token.where() + ", and the ") + "key: ";
    sentence += (from.empty() ? "the token given to connect()" : from);
    if (from.find("TINKER_API_KEY") == from.npos) sentence += ", or the environment variable TINKER_API_KEY";
  }
  // A refusal says nothing of an earlier attempt whose answer was lost.
  const bool unknown = request_id_.empty() && maybe_executed_ &&
                       (record_.effect == effect::deduped || record_.effect == effect::counted) &&
                       !detail::find_sequence_conflict(text);
  if (unknown) sentence += "; an earlier attempt may have been executed";
  return fail(now, unknown ? errc::outcome_unknown : errc::status, sentence);
}

}  // namespace gradwire::inline v0
