// SPDX-License-Identifier: Apache-2.0
// The second half of an operation: asking for the result of a future until it is there.
#pragma once

#include <algorithm>
#include <utility>

#include <gradwire/transport/impl/reply_head.hpp>
#include <gradwire/transport/operation.hpp>

namespace gradwire::inline v0 {

GRADWIRE_DECL operation_action operation::poll_reply(time_point now, http_response reply) {
  pause_seconds_ = 0;
  if (reply.status == 204 && !record_.may_be_empty) {  // no server of the field says so, but gateways do
    return bad_answer(now, "status 204 instead of the result of request " + detail::printable(request_id_, 80),
                      errc::protocol);
  }
  if (reply.body.empty() || detail::is_protobuf(reply.header("Content-Type"))) return finish(now, std::move(reply));
  const auto head = detail::read_head(reply);
  if (!head.is_json) {
    return bad_answer(
        now, "the result of request " + detail::printable(request_id_, 80) + ": " + detail::not_json(reply, head),
        detail::not_json_kind(reply));
  }
  if (!head.request_id.empty() && head.request_id != request_id_) {
    return bad_answer(now,
                      "the answer is for request " + detail::printable(head.request_id, 80) + ", and request " +
                          detail::printable(request_id_, 80) + " was asked for",
                      errc::protocol);
  }
  if (head.type == "try_again" || head.status == "complete_metadata") {
    queue_state_ = head.queue_state;
    return not_yet(now);
  }
  if (head.is_object && head.has_error) return refused(now, reply);
  return finish(now, std::move(reply));
}

GRADWIRE_DECL operation_action operation::poll_status(time_point now, const http_response& reply) {
  const auto wish = detail::retry_after_seconds(reply);
  const bool says_why = detail::server_text(reply).find_first_not_of(' ') != std::string::npos;
  switch (reply.status) {
    case 408:
      queue_state_ = detail::read_head(reply).queue_state;
      return wish ? pause(now, wish) : not_yet(now);
    case 425:
    case 429:
      return pause(now, wish);
    case 400:
      if (detail::find_missing(detail::server_text(reply)) == detail::missing_thing::unloaded_model)
        return missing(now, reply);
      return says_why || ++bad_answers_ > 3 ? refused(now, reply) : pause(now, wish);
    case 402:
      return unpaid(now, wish);
    case 404:
    case 412:
      return missing(now, reply);
    case 409:
      return conflict(now, reply);
    case 410:
      maybe_executed_ = true;
      if (!may_repeat_after_others() || ++resubmits_ > 2) {
        const bool reads = record_.effect == effect::reads;
        return fail(now, reads ? errc::status : errc::outcome_unknown,
                    "the trainer dropped the result of request " + detail::printable(request_id_, 80) + " (410)" +
                        (reads ? "; ask again" : "; nobody knows whether it was executed"));
      }
      request_id_.clear();
      return pause(now, wish);  // submitted again: the server answers with the same future, or nothing is done twice
    default:
      break;
  }
  if (reply.status < 500) return refused(now, reply);
  // A 500 of one server means that the result does not fit protobuf (a metric that is NaN); the JSON form does.
  if (reply.status == 500 && poll_request_->header("Accept") != "application/json") return ask_for_json_next(now, wish);
  if (reply.status == 500 && !wish && ++bad_answers_ > 5) return refused(now, reply);
  return pause(now, wish);
}

GRADWIRE_DECL operation_action operation::ask_for_json_next(time_point now, std::optional<double> server_wish) {
  auto poll = std::make_shared<http_request>(*poll_request_);
  for (http_header& h : poll->headers) {
    if (h.name == "Accept") h.value = "application/json";
  }
  poll_request_ = std::move(poll);
  return pause(now, server_wish);
}

// The call itself is the wait on a server that holds it; one that answers at once is asked less and less often.
GRADWIRE_DECL operation_action operation::not_yet(time_point now) {
  bad_answers_ = 0;
  const bool held = now - last_poll_ > in_seconds(2 * policy_.longest_poll_pause_seconds);
  poll_pause_seconds_ = held || poll_pause_seconds_ <= 0
                            ? policy_.first_poll_pause_seconds
                            : std::min(2 * poll_pause_seconds_, policy_.longest_poll_pause_seconds);
  return wait(now, poll_pause_seconds_);
}

}  // namespace gradwire::inline v0
