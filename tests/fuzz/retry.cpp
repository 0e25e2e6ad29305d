// SPDX-License-Identifier: Apache-2.0
// Bytes choose what happens to each attempt of an operation, on a mock clock: refused, cut before or after the server
// has acted, no answer, every status with every Retry-After, garbage, late, cancelled, closed. Whatever happens, a step
// is not executed twice, a save or a forward does not run again behind the step that followed it, the operation ends by
// its deadline, and the number of requests is bounded.
#include "fuzz.hpp"

#include <gradwire/transport/operation.hpp>

#include <chrono>
#include <optional>

namespace {

using namespace gradwire;
using action = operation_action::kind;

struct server {
  effect kind;
  int executed = 0;
  bool next_has_run = false;   // the model's next operation, which goes when this one is settled
  bool ran_behind_it = false;  // … and this one once more, with the weights that it left

  // Whether the request was taken for a new one.
  bool act() {
    if ((kind == effect::deduped || kind == effect::counted) && executed != 0) return false;
    ++executed;
    ran_behind_it = ran_behind_it || next_has_run;
    return true;
  }
};

http_response answer(int status, std::string body, const std::string& retry_after = {}) {
  http_response reply{status, {{"Content-Type", "application/json"}}, std::move(body)};
  if (!retry_after.empty()) reply.headers.push_back({"Retry-After", retry_after});
  return reply;
}

http_response troubled(fuzz::choices& from) {
  static constexpr int statuses[] = {500, 502, 503, 504, 429, 408, 409, 400, 401,
                                     402, 403, 404, 410, 413, 422, 425, 307, 204};
  static const std::string waits[] = {"", "5", "0", "-3", "1e9", "0.25", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"};
  static const std::string bodies[] = {"",
                                       "{}",
                                       R"({"detail":"no"})",
                                       "<html>gateway</html>",
                                       R"({"detail":"seq_id was reused"})",
                                       R"({"error":"no such model","category":"user"})",
                                       "\xff\xfe"};
  const int status = statuses[from.below(std::size(statuses))];
  return answer(status, bodies[from.below(std::size(bodies))], waits[from.below(std::size(waits))]);
}

void run(std::string_view input) {
  fuzz::choices from(input);
  static constexpr effect kinds[] = {effect::reads, effect::deduped, effect::counted, effect::repeats, effect::mutates};
  server server{kinds[from.below(std::size(kinds))]};
  operation_record record;
  record.name = "optim_step";
  record.target = "/api/v1/optim_step";
  record.poll_target = "/api/v1/retrieve_future";
  record.body = R"({"model_id":"m","seq_id":7})";
  record.seq_id = 7;
  record.model_id = "m";
  record.idempotency_key = "key-1";
  record.effect = server.kind;
  record.has_future = from.below(4) != 0;
  record.time_limit_seconds = 100;
  const retry_policy policy;
  auto budget = std::make_shared<retry_budget>(policy);
  operation machine(record, policy, from.value<std::uint8_t>(), budget);

  time_point now{std::chrono::hours(1000)};
  const time_point begun = now;
  int submits = 0, polls = 0;
  const std::string* first_body = nullptr;
  std::shared_ptr<const http_request> kept;
  operation_action next = machine.begin(now);
  const time_point deadline = machine.deadline();
  fuzz::require(deadline == begun + in_seconds(100), "another deadline than asked for");

  for (int event = 0; next.what != action::done; ++event) {
    fuzz::require(event < 20000, "no end after 20,000 events");
    fuzz::require(now <= deadline + in_seconds(0.001), "still going after the deadline");
    fuzz::require(next.what != action::none, "nothing to do and not done");
    server.next_has_run = server.next_has_run || machine.settled();
    if (next.what == action::wait) {
      fuzz::require(next.until <= deadline, "a pause that ends after the deadline");
      if (from.below(64) == 63) {
        next = from.flag() ? machine.on_close(now) : machine.on_cancel(now);
        continue;
      }
      if (next.until > now) now = next.until;
      next = machine.on_timer(now);
      continue;
    }
    fuzz::require(next.until <= deadline, "an exchange that may last longer than the deadline");
    if (next.is_poll) {
      ++polls;
    } else {
      ++submits;
      if (!first_body) kept = next.request, first_body = &kept->body;
      fuzz::require(next.request->body == *first_body && next.request->header("X-Idempotency-Key") == "key-1",
                    "a resend with other bytes");
    }
    static constexpr double delays[] = {0.001, 0.01, 0.2, 1, 7, 44, 200};
    const bool acts = !next.is_poll && from.flag();
    const auto what = from.empty() ? 7 : from.below(10);
    now += in_seconds(from.empty() ? 0.01 : delays[from.below(std::size(delays))]);
    if (now > next.until) {  // the transport ends the exchange then
      if (acts) server.act();
      now = next.until;
      next = machine.on_failure(now, {errc::timeout, true, "no answer in time"});
      continue;
    }
    switch (what) {
      case 0:
        next = machine.on_failure(now, {errc::transport, false, "connection refused"});
        break;
      case 1:
        if (acts) server.act();
        next = machine.on_failure(now, {errc::transport, true, "connection reset by peer"});
        break;
      case 2:
        if (acts) server.act();
        next = machine.on_failure(now, {errc::protocol, true, "a garbled head"});
        break;
      case 3:
      case 4: {
        const http_response reply = troubled(from);
        if (acts && reply.status >= 500) server.act();  // a gateway's word: the trainer may have got it
        next = machine.on_reply(now, reply);
        break;
      }
      case 5:
        if (acts) server.act();
        next = machine.on_reply(now, answer(200, from.flag() ? "{}" : "not json"));
        break;
      case 6:
        next = machine.on_reply(now, next.is_poll
                                         ? answer(from.flag() ? 408 : 200,
                                                  R"({"type":"try_again","request_id":"9","queue_state":"active"})")
                                         : (server.act(), answer(200, R"({"request_id":"9"})")));
        break;
      default:
        if (next.is_poll) {
          next = machine.on_reply(now, answer(200, R"({"metrics":{}})"));
        } else if (server.kind == effect::counted && server.executed != 0) {
          next = machine.on_reply(now, answer(409, R"({"detail":"expected seq_id 8, got 7"})"));
        } else {
          server.act();
          next = machine.on_reply(now, answer(200, record.has_future ? R"({"request_id":"9"})" : R"({"metrics":{}})"));
        }
    }
  }
  fuzz::require(now <= deadline + in_seconds(0.001), "ended after the deadline");
  fuzz::require(machine.result().has_value() != machine.failure().has_value(), "not exactly one outcome");
  if (server.kind == effect::mutates || server.kind == effect::deduped || server.kind == effect::counted)
    fuzz::require(server.executed <= 1, "executed " + std::to_string(server.executed) + " times");
  fuzz::require(!server.ran_behind_it, "executed again behind the operation that followed it");
  // 100 retries, 2 more a second, a fifth of one for each success; a poll that is "not yet" each 0.5 s, a few quicker
  fuzz::require(submits <= 320 && polls <= 640,
                std::to_string(submits) + " submits, " + std::to_string(polls) + " polls");
  for (int i = 0; i < 3; ++i) fuzz::require(machine.on_timer(now).what == action::done, "not done any more");
}

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (unsigned kind = 0; kind < 5; ++kind) {
    std::string text{static_cast<char>(kind), '\1', '\7'};
    for (unsigned i = 0; i < 60; ++i) text += static_cast<char>(i * (kind + 3) + kind);
    all.push_back(text);
    all.push_back(std::string{static_cast<char>(kind), '\1', '\7'}.append(90, static_cast<char>(3 + kind)));
  }
  return all;
}

const fuzz::registered here({"retry", run, seeds, 20000});

}  // namespace
