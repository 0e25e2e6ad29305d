// SPDX-License-Identifier: Apache-2.0
// The operation's state machine, with the server played by hand on a mock clock. No sockets, no sleeping.
#include <random>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include <gradwire/transport/operation.hpp>
#include <gradwire/transport/server_text.hpp>

using namespace gradwire;
using action = operation_action::kind;

namespace {

http_response json(int status, std::string body, std::vector<http_header> headers = {}) {
  headers.push_back({"Content-Type", "application/json"});
  return {status, std::move(headers), std::move(body)};
}

http_failure refused() { return {errc::transport, false, "connection refused"}; }
http_failure reset_after_send() { return {errc::transport, true, "connection reset by peer"}; }
http_failure no_answer() { return {errc::timeout, true, "no answer in time"}; }

// Plays one operation: keeps the clock, remembers what was sent.
struct play {
  time_point now{std::chrono::hours(1000)};
  time_point begun = now;
  retry_policy policy;
  operation_record record;
  std::optional<operation> machine;
  operation_action next;
  std::vector<std::string> sent;  // bodies
  std::vector<std::string> keys;  // idempotency keys of the submits
  int polls = 0;

  explicit play(effect what = effect::deduped, bool has_future = true) {
    record.name = "optim_step";
    record.target = "/prefix/api/v1/optim_step";
    record.poll_target = "/prefix/api/v1/retrieve_future";
    record.body = R"({"model_id":"m","seq_id":7})";
    record.seq_id = 7;
    record.idempotency_key = "key-1";
    record.effect = what;
    record.has_future = has_future;
    record.time_limit_seconds = 100;
  }

  play& begin() {
    machine.emplace(record, policy, 1);
    return take(machine->begin(now));
  }
  play& take(operation_action a) {
    next = std::move(a);
    if (next.what == action::send) {
      sent.push_back(next.request->body);
      if (next.is_poll) ++polls;
      if (!next.is_poll) keys.emplace_back(next.request->header("X-Idempotency-Key"));
    }
    return *this;
  }
  play& reply(http_response r, double after = 0.01) {
    BOOST_REQUIRE((next.what == action::send));
    now += in_seconds(after);
    return take(machine->on_reply(now, std::move(r)));
  }
  play& fails(const http_failure& f, double after = 0.01) {
    BOOST_REQUIRE((next.what == action::send));
    now += in_seconds(after);
    return take(machine->on_failure(now, f));
  }
  play& wait() {  // lets the pause pass
    BOOST_REQUIRE((next.what == action::wait));
    BOOST_TEST((next.until > now || next.until <= machine->deadline()));
    waited = std::chrono::duration<double>(next.until - now).count();
    now = std::max(now, next.until);
    return take(machine->on_timer(now));
  }
  double waited = 0;
  double elapsed() const { return std::chrono::duration<double>(now - begun).count(); }
  bool is_done() const { return next.what == action::done; }

  void must_fail(errc kind, const char* part = "") {
    BOOST_REQUIRE(is_done());
    BOOST_REQUIRE(machine->failure().has_value());
    BOOST_TEST(!machine->result().has_value());
    const error& e = *machine->failure();
    BOOST_TEST(to_string(e.kind()) == to_string(kind));
    BOOST_TEST(std::string(e.what()).find(part) != std::string::npos, e.what() << " lacks " << part);
    BOOST_TEST(e.details().operation == "optim_step");
    BOOST_TEST(e.details().seq_id == 7);
    BOOST_TEST(machine->settled());
    // one outcome: later events change nothing
    BOOST_TEST((machine->on_reply(now, json(200, "{}")).what == action::done));
    BOOST_TEST((machine->on_failure(now, refused()).what == action::done));
    BOOST_TEST((machine->on_timer(now).what == action::done));
    BOOST_TEST(!machine->result().has_value());
  }
  void must_succeed(const std::string& body) {
    BOOST_REQUIRE(is_done());
    if (machine->failure()) BOOST_FAIL(machine->failure()->what());
    BOOST_REQUIRE(machine->result().has_value());
    BOOST_TEST(machine->result()->body == body);
    BOOST_TEST((machine->on_failure(now, reset_after_send()).what == action::done));
    BOOST_TEST(!machine->failure().has_value());
  }
};

const http_response accepted = json(202, R"({"request_id":"r-1","model_id":null})");
const http_response finished = json(200, R"({"metrics":{"grad_norm":1.5}})");
const char* const finished_body = R"({"metrics":{"grad_norm":1.5}})";

}  // namespace

BOOST_AUTO_TEST_SUITE(operation_)

BOOST_AUTO_TEST_CASE(submit_poll_result) {
  play p;
  p.begin();
  BOOST_TEST(p.next.request->target == "/prefix/api/v1/optim_step");
  BOOST_TEST(p.next.request->header("content-type") == "application/json");
  BOOST_TEST(!p.next.is_poll);
  BOOST_TEST(!p.machine->settled());
  p.reply(accepted);
  BOOST_TEST(p.next.is_poll);
  BOOST_TEST(p.machine->settled());  // the next operation may go
  BOOST_TEST(p.next.request->target == "/prefix/api/v1/retrieve_future");
  BOOST_TEST(p.next.request->body == R"({"request_id":"r-1","allow_metadata_only":false})");
  p.reply(finished, 3.0).must_succeed(finished_body);
  BOOST_TEST(p.machine->result()->request_id == "r-1");
  BOOST_TEST(p.machine->result()->attempts == 2);
  BOOST_TEST(p.machine->result()->elapsed_seconds == 3.01, boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(a_reply_without_a_future_is_the_result) {
  play p(effect::reads, false);
  p.begin().reply(json(201, R"({"session_id":"s"})")).must_succeed(R"({"session_id":"s"})");
}

BOOST_AUTO_TEST_CASE(request_ids_may_be_numbers_or_have_odd_characters) {
  play p;
  p.begin().reply(json(200, R"({"request_id":17,"status":"pending"})"));
  BOOST_TEST(p.next.request->body == R"({"request_id":"17","allow_metadata_only":false})");
  play q;
  q.begin().reply(json(200, R"({"request_id":"a:b\"c"})"));
  BOOST_TEST(q.next.request->body == R"({"request_id":"a:b\"c","allow_metadata_only":false})");
}

BOOST_AUTO_TEST_CASE(pending_is_asked_again_408_or_try_again) {
  play p;
  p.begin().reply(accepted);
  p.reply(json(408, R"({"detail":"Timeout waiting for result","queue_state":"paused_capacity"})"), 30).wait();
  BOOST_TEST(p.waited < 0.1);
  BOOST_TEST(p.machine->queue_state() == "paused_capacity");
  p.reply(json(200, R"({"type":"try_again","request_id":"r-1","queue_state":"active"})"), 30).wait();
  p.reply(json(200, R"({"status":"complete_metadata","response_payload_size":9})")).wait();
  p.reply(finished).must_succeed(finished_body);
}

BOOST_AUTO_TEST_CASE(a_server_that_never_holds_is_not_hammered) {
  play p;
  p.begin().reply(accepted);
  while (p.elapsed() < 25) p.reply(json(408, "{}")).wait();
  BOOST_TEST(p.polls <= 60);  // 25 s at the floor of 0.5 s, and the quick ones of the beginning
  BOOST_TEST(p.polls >= 45);
}

BOOST_AUTO_TEST_CASE(a_quick_result_of_a_server_that_never_holds_is_not_delayed) {
  play p;
  p.begin().reply(accepted);
  p.reply(json(408, "{}")).wait();
  p.reply(finished).must_succeed(finished_body);
  BOOST_TEST(p.elapsed() < 0.1);
}

BOOST_AUTO_TEST_CASE(null_and_empty_results_are_results) {
  play p;
  p.begin().reply(accepted).reply(json(200, "null")).must_succeed("null");
  play q;
  q.begin().reply(accepted).reply(json(200, "")).must_succeed("");
  play r;  // a gateway's, not a trainer's
  r.begin().reply(accepted).reply(json(204, "")).wait();
  r.reply(json(204, "")).wait();
  r.reply(json(204, "")).must_fail(errc::protocol, "204");
}

BOOST_AUTO_TEST_CASE(protobuf_is_a_result_without_being_looked_at) {
  play p;
  p.record.accept = "application/x-protobuf, application/json";
  p.begin().reply(accepted);
  BOOST_TEST(p.next.request->header("Accept") == "application/x-protobuf, application/json");
  p.reply({200, {{"content-type", "application/x-protobuf; charset=x"}}, "\x0a\x01x"}).must_succeed("\x0a\x01x");
}

BOOST_AUTO_TEST_CASE(an_error_member_fails_the_operation) {
  play p;
  p.begin().reply(accepted);
  p.reply(json(200, R"({"error":"loss is not finite","category":"user"})"))
      .must_fail(errc::status, "loss is not finite");
  BOOST_TEST(std::string(p.machine->failure()->what()).find("user") != std::string::npos);
  BOOST_TEST(std::string(p.machine->failure()->what()).find("request r-1") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(refused_connections_are_tried_again_for_every_kind_of_operation) {
  for (effect what : {effect::reads, effect::deduped, effect::mutates}) {
    play p(what);
    p.begin().fails(refused()).wait();
    p.fails(refused()).wait();
    p.reply(accepted).reply(finished).must_succeed(finished_body);
    BOOST_TEST(p.sent[0] == p.sent[1]);
    BOOST_TEST(p.sent[1] == p.sent[2]);
    BOOST_TEST(p.keys[0] == "key-1");
    BOOST_TEST(p.keys[2] == "key-1");
  }
}

BOOST_AUTO_TEST_CASE(unreachable_for_too_long_is_a_transport_error) {
  play p(effect::mutates);
  p.policy.unreachable_seconds = 20;
  p.begin();
  while (!p.is_done()) {
    p.fails(refused());
    if (!p.is_done()) p.wait();
  }
  p.must_fail(errc::transport, "connection refused");
  BOOST_TEST(p.elapsed() <= 20.02);  // not a pause longer
  BOOST_TEST(p.machine->failure()->details().attempts > 3);
}

BOOST_AUTO_TEST_CASE(a_reset_after_the_send_is_unknown_where_the_server_does_not_dedupe) {
  play p(effect::mutates);
  p.begin().fails(reset_after_send()).must_fail(errc::outcome_unknown, "may or may not have executed it");
  BOOST_TEST(p.sent.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_reset_after_the_send_is_sent_again_where_it_dedupes_or_reads) {
  for (effect what : {effect::reads, effect::deduped}) {
    play p(what);
    p.begin().fails(reset_after_send()).wait();
    BOOST_TEST(p.sent.size() == 2u);
    BOOST_TEST(p.sent[0] == p.sent[1]);
    p.reply(accepted).reply(finished).must_succeed(finished_body);
  }
}

BOOST_AUTO_TEST_CASE(no_answer_to_a_submit_is_as_ambiguous_as_a_reset) {
  play p(effect::mutates);
  p.begin().fails(no_answer(), 50).must_fail(errc::outcome_unknown);
  play q(effect::deduped);
  q.begin().fails(no_answer(), 50).wait();
  q.reply(accepted).reply(finished).must_succeed(finished_body);
}

BOOST_AUTO_TEST_CASE(five_hundreds_at_submit) {
  play p(effect::deduped);
  p.begin().reply(json(503, "")).wait();
  p.reply({500, {{"Content-Type", "text/plain"}}, "Internal Server Error"}).wait();
  p.reply(accepted).reply(finished).must_succeed(finished_body);
  play q(effect::mutates);
  q.begin().reply(json(502, "<html>")).must_fail(errc::outcome_unknown, "502");
  play r(effect::mutates);  // of a gateway that was tired of waiting
  r.begin().reply(json(408, "{}")).must_fail(errc::outcome_unknown, "408");
}

BOOST_AUTO_TEST_CASE(retry_after_is_obeyed_at_submit_and_at_poll) {
  play p(effect::mutates);  // 429 says that it was not executed
  p.begin().reply(json(429, R"({"detail":"slow"})", {{"Retry-After", "6"}})).wait();
  BOOST_TEST(p.waited == 6.0, boost::test_tools::tolerance(1e-9));
  p.reply(accepted);
  p.reply(json(503, "", {{"Retry-After", "5"}})).wait();
  BOOST_TEST(p.waited == 5.0, boost::test_tools::tolerance(1e-9));
  p.reply(json(429, "", {{"retry-after-ms", "750"}})).wait();
  BOOST_TEST(p.waited == 0.75, boost::test_tools::tolerance(1e-9));
  p.reply(finished).must_succeed(finished_body);
}

BOOST_AUTO_TEST_CASE(retry_after_of_every_form) {
  using detail::retry_after_seconds;
  const auto with = [](std::string value) {
    return retry_after_seconds(json(429, "", {{"Retry-After", std::move(value)}}));
  };
  BOOST_TEST(with("3").value() == 3.0);
  BOOST_TEST(with("0.5").value() == 0.5);
  BOOST_TEST(with("1e9").value() == 1e9);  // the deadline clamps it
  BOOST_TEST(!with("-1").has_value());
  BOOST_TEST(!with("soon").has_value());
  BOOST_TEST(!with("").has_value());
  const auto dated = retry_after_seconds(
      json(503, "", {{"Date", "Sat, 21 Nov 2026 10:00:00 GMT"}, {"Retry-After", "Sat, 21 Nov 2026 10:01:30 GMT"}}));
  BOOST_TEST(dated.value() == 90.0);
}

BOOST_AUTO_TEST_CASE(the_deadline_holds_against_a_huge_retry_after) {
  play p;
  p.begin().reply(json(429, "", {{"Retry-After", "1e9"}}));
  BOOST_TEST((p.next.until == p.machine->deadline()));
  p.wait().must_fail(errc::timeout, "429");
  BOOST_TEST(p.elapsed() <= 100.0);
}

BOOST_AUTO_TEST_CASE(the_deadline_holds_against_503_for_ever_with_few_polls) {
  play p;
  p.begin().reply(accepted);
  while (!p.is_done()) {
    p.reply(json(503, "", {{"Retry-After", "5"}}));
    if (p.elapsed() < 25) BOOST_TEST(p.polls <= 6);
    if (!p.is_done()) p.wait();
  }
  p.must_fail(errc::timeout, "may still finish");
  BOOST_TEST(p.elapsed() <= 100.0);
}

BOOST_AUTO_TEST_CASE(no_exchange_outlives_the_deadline) {
  play p;
  p.record.time_limit_seconds = 60;
  p.begin();
  BOOST_TEST((p.next.until == p.begun + in_seconds(60)));  // less than the 120 s of a submit
  p.reply(accepted, 40);
  BOOST_TEST((p.next.until == p.begun + in_seconds(60)));  // less than the 45 s of a poll
  p.fails(no_answer(), 20).must_fail(errc::timeout);
}

BOOST_AUTO_TEST_CASE(a_long_poll_that_times_out_is_asked_again_at_once) {
  play p;
  p.begin().reply(accepted);
  p.fails(no_answer(), 45);
  BOOST_TEST((p.next.what == action::send));
  p.reply(finished).must_succeed(finished_body);
}

BOOST_AUTO_TEST_CASE(a_poll_whose_connection_breaks_is_asked_again_after_a_pause) {
  play p(effect::mutates);  // polling reads
  p.begin().reply(accepted);
  p.fails(reset_after_send()).wait();
  p.fails(refused()).wait();
  p.reply(finished).must_succeed(finished_body);
}

BOOST_AUTO_TEST_CASE(a_server_that_dies_after_the_submit_leaves_the_outcome_unknown) {
  play p(effect::deduped);
  p.policy.unreachable_seconds = 5;
  p.begin().reply(accepted);
  while (!p.is_done()) {
    p.fails(refused());
    if (!p.is_done()) p.wait();
  }
  p.must_fail(errc::outcome_unknown, "request r-1");
}

BOOST_AUTO_TEST_CASE(a_restarted_server_does_not_know_the_future) {
  play p;
  p.begin()
      .reply(accepted)
      .reply(json(404, R"({"detail":"Future not found"})"))
      .must_fail(errc::outcome_unknown, "Future not found");
  play q(effect::reads);
  q.begin().reply(accepted).reply(json(404, R"({"detail":"Future not found"})")).must_fail(errc::status);
}

BOOST_AUTO_TEST_CASE(a_broken_promise_is_submitted_again_with_the_same_bytes) {
  play p;
  p.begin().reply(accepted).reply(json(410, "")).wait();
  BOOST_TEST(!p.next.is_poll);
  BOOST_TEST(p.sent[0] == p.sent.back());
  p.reply(accepted).reply(finished).must_succeed(finished_body);
  play q(effect::mutates);
  q.begin().reply(accepted).reply(json(410, "")).must_fail(errc::outcome_unknown, "410");
}

BOOST_AUTO_TEST_CASE(what_would_see_later_weights_is_not_submitted_again) {
  play save(effect::repeats);  // the optim_step behind it may have been executed
  save.begin().reply(accepted).reply(json(410, "")).must_fail(errc::outcome_unknown, "nobody knows");
  BOOST_TEST(save.keys.size() == 1u);
  play forward(effect::reads);
  forward.record.model_id = "m";
  forward.begin().reply(accepted).reply(json(410, "")).must_fail(errc::status, "ask again");
  BOOST_TEST(forward.keys.size() == 1u);
  play sample(effect::reads);  // its weights are a saved state's
  sample.begin().reply(accepted).reply(json(410, "")).wait();
  sample.reply(accepted).reply(finished).must_succeed(finished_body);
  BOOST_TEST(sample.keys.size() == 2u);
  play lost(effect::repeats);  // nothing has followed what the server has not acknowledged
  lost.begin().fails(reset_after_send()).wait();
  lost.reply(accepted).reply(finished).must_succeed(finished_body);
}

BOOST_AUTO_TEST_CASE(client_errors_are_final_and_quoted) {
  for (int status : {400, 401, 403, 404, 405, 409, 413, 415, 422}) {
    play p;
    p.begin().reply(json(status, R"({"detail":"what is wrong"})")).must_fail(errc::status, "what is wrong");
    BOOST_TEST(p.machine->failure()->details().http_status == status);
    BOOST_TEST(p.sent.size() == 1u);
  }
  play p;
  p.begin().reply(json(401, R"({"detail":"Missing API key"})")).must_fail(errc::status, "TINKER_API_KEY");
}

BOOST_AUTO_TEST_CASE(validation_lists_become_a_sentence) {
  play p;
  p.begin()
      .reply(json(422,
                  R"({"detail":[{"type":"missing","loc":["body","seq_id"],"msg":"Field required","input":{"x":1}}]})"))
      .must_fail(errc::status, "body.seq_id: Field required");
}

BOOST_AUTO_TEST_CASE(a_failed_future_is_final_at_the_poll) {
  for (int status : {400, 401, 403, 409, 422}) {
    play p;
    p.begin()
        .reply(accepted)
        .reply(json(status, R"({"detail":"Sequence conflict: expected 5, got 7."})"))
        .must_fail(errc::status, "expected 5");
  }
}

BOOST_AUTO_TEST_CASE(a_400_without_a_body_is_a_proxys_and_asked_again_three_times) {
  play p;
  p.begin().reply(accepted);
  for (int i = 0; i < 3; ++i) p.reply(json(400, "")).wait();
  p.reply(json(400, "")).must_fail(errc::status, "400");
}

BOOST_AUTO_TEST_CASE(redirects_are_refused) {
  for (int status : {301, 302, 307, 308}) {
    play p;
    p.begin()
        .reply(json(status, "", {{"Location", "http://elsewhere/"}}))
        .must_fail(errc::protocol, "redirect to http://elsewhere/");
    BOOST_TEST(p.sent.size() == 1u);
  }
}

BOOST_AUTO_TEST_CASE(an_answer_without_request_id) {
  play p(effect::mutates);
  p.begin().reply(json(200, "{}")).must_fail(errc::outcome_unknown, "no request_id");
  play q(effect::deduped);
  q.begin().reply(json(200, "{}")).wait();
  q.reply(accepted).reply(finished).must_succeed(finished_body);
  play r(effect::deduped);
  r.begin();
  for (int i = 0; i < 2; ++i) r.reply(json(200, "<html>Sign in</html>")).wait();
  r.reply(json(200, "<html>Sign in</html>")).must_fail(errc::outcome_unknown, "Sign in");
}

BOOST_AUTO_TEST_CASE(garbage_at_the_poll_is_asked_again_twice) {
  play p;
  p.begin().reply(accepted);
  p.reply(json(200, "{\"metrics\":")).wait();
  p.reply(json(200, "\xff\xfe")).wait();
  p.reply(finished).must_succeed(finished_body);
  play q;
  q.begin().reply(accepted);
  q.reply(json(200, "[1,")).wait();
  q.reply(json(200, "[1,")).wait();
  q.reply(json(200, "[1,")).must_fail(errc::decode, "not JSON");
}

BOOST_AUTO_TEST_CASE(a_500_for_a_protobuf_result_is_asked_again_as_json) {
  play p;
  p.record.accept = "application/x-protobuf, application/json";
  p.begin().reply(accepted);
  p.reply({500, {{"Content-Type", "text/plain"}}, "Internal Server Error"}).wait();
  BOOST_TEST(p.next.request->header("Accept") == "application/json");
  p.reply(finished).must_succeed(finished_body);
}

BOOST_AUTO_TEST_CASE(closing_ends_it_wherever_it_is) {
  play p;
  p.begin().take(p.machine->on_close(p.now)).must_fail(errc::closed, "may have got it");
  play q;
  q.begin().reply(accepted);
  q.take(q.machine->on_close(q.now)).must_fail(errc::closed, "the trainer has it");
}

BOOST_AUTO_TEST_CASE(a_server_text_cannot_break_a_log) {
  play p;
  p.begin()
      .reply({422, {}, std::string("bad\x1b[31m\x00 text\n", 15) + std::string(100000, 'x')})
      .must_fail(errc::status, "\\x1b");
  BOOST_TEST(std::string(p.machine->failure()->what()).size() < 4096u);
}

// ---- budget, payment, conflicts, lost models, cancelling ----

BOOST_AUTO_TEST_CASE(retry_after_of_nothing_is_no_reason_to_hammer) {
  for (const char* wish : {"0", "-1", "soon", "0.001", ""}) {
    play p;
    p.begin().reply(accepted);
    while (p.elapsed() < 25) p.reply(json(503, "", {{"Retry-After", wish}})).wait();
    BOOST_TEST(p.polls <= 65, wish << ": " << p.polls);
  }
}

BOOST_AUTO_TEST_CASE(polls_of_a_result_that_takes_long) {
  play p;
  p.record.time_limit_seconds = 3000;
  p.begin().reply(accepted);
  while (p.elapsed() < 900) {
    p.fails(no_answer(), 45);  // a server that holds longer than we wait
  }
  p.reply(finished).must_succeed(finished_body);
  BOOST_TEST(p.polls <= 900 / 45 + 2);
}

BOOST_AUTO_TEST_CASE(all_operations_to_a_server_share_a_budget_of_retries) {
  // Fifty futures, every poll 503: without a budget each would ask every 5 s on average.
  retry_policy policy;
  auto budget = std::make_shared<retry_budget>(policy);
  std::vector<play> all(50);
  std::size_t sends = 0;
  for (auto& p : all) {
    p.record.time_limit_seconds = 600;
    p.machine.emplace(p.record, policy, sends + 1, budget);
    p.take(p.machine->begin(p.now)).reply(accepted);
    ++sends;
  }
  for (bool busy = true; busy;) {
    busy = false;
    play* next = nullptr;  // whose turn it is: one clock for all
    for (auto& p : all) {
      if (p.is_done()) continue;
      if (!next || (p.next.what == action::send ? p.now : p.next.until) <
                       (next->next.what == action::send ? next->now : next->next.until))
        next = &p;
      busy = true;
    }
    if (!next) break;
    if (next->next.what == action::wait) {
      next->wait();
    } else {
      ++sends;
      next->reply(json(503, ""), 0.001);
    }
  }
  for (auto& p : all) p.must_fail(errc::timeout, "503");
  BOOST_TEST(sends >= 50u + 50u + 100u);
  BOOST_TEST(sends <= 50u + 50u + 100u + 2u * 600u);  // submits, first polls, the bucket, what it gains
}

BOOST_AUTO_TEST_CASE(a_success_fills_the_budget_again) {
  retry_policy policy;
  policy.budget_retries = 2;
  policy.budget_retries_per_second = 0;
  auto budget = std::make_shared<retry_budget>(policy);
  for (int i = 0; i < 20; ++i) {
    play p;
    p.machine.emplace(p.record, policy, 1, budget);
    p.take(p.machine->begin(p.now)).reply(json(503, "")).wait();
    BOOST_REQUIRE((p.next.what == action::send));
    p.reply(accepted).reply(finished).must_succeed(finished_body);
  }
  play p;  // no success, no retry: the deadline ends it
  p.machine.emplace(p.record, policy, 1, budget);
  p.take(p.machine->begin(p.now));
  while (!p.is_done()) p.next.what == action::send ? p.reply(json(503, "")) : p.wait();
  p.must_fail(errc::outcome_unknown, "503");
  BOOST_TEST(p.sent.size() == 3u);
  BOOST_TEST(p.elapsed() <= 100.0);
}

BOOST_AUTO_TEST_CASE(jitter_comes_from_the_seed) {
  const auto pauses = [](std::uint64_t seed) {
    play p;
    p.machine.emplace(p.record, p.policy, seed);
    p.take(p.machine->begin(p.now));
    std::vector<double> all;
    for (int i = 0; i < 6; ++i) {
      p.reply(json(503, "")).wait();
      all.push_back(p.waited);
    }
    return all;
  };
  BOOST_TEST(pauses(7) == pauses(7), boost::test_tools::per_element());
  BOOST_TEST(pauses(7)[3] != pauses(8)[3]);
  double ceiling = 0.5;
  for (double pause : pauses(7)) {
    BOOST_TEST(pause <= ceiling);
    BOOST_TEST(pause > 0);
    ceiling = std::min(2 * ceiling, 10.0);
  }
}

BOOST_AUTO_TEST_CASE(a_missing_payment_is_waited_for) {
  play p(effect::mutates);
  p.begin();
  for (int i = 0; i < 3; ++i) {
    p.reply(json(402, R"({"detail":"no credit"})"));
    BOOST_TEST(p.machine->queue_state() == "paused: billing");
    p.wait();
    BOOST_TEST(p.waited == 5.0, boost::test_tools::tolerance(1e-9));
  }
  p.reply(accepted);
  BOOST_TEST(p.machine->queue_state() == "active");
  p.reply(json(402, "")).wait();
  p.reply(finished).must_succeed(finished_body);
  play q;
  q.begin();
  while (!q.is_done()) q.next.what == action::send ? q.reply(json(402, "")) : q.wait();
  q.must_fail(errc::timeout, "402");
  BOOST_TEST(q.elapsed() <= 100.0);
}

BOOST_AUTO_TEST_CASE(conflicts) {
  play used;  // another writer, or a defect: never again
  used.begin()
      .reply(json(409, R"({"detail":"Training request sequence number 7 was reused with another body"})"))
      .must_fail(errc::status, "reused");
  BOOST_TEST(used.sent.size() == 1u);
  play locked;
  locked.begin().reply(json(409, R"({"detail":"model is locked"})")).wait();
  locked.reply(json(409, "", {{"Retry-After", "2"}})).wait();
  locked.reply(accepted).reply(finished).must_succeed(finished_body);
  play taken(effect::repeats);
  taken.begin()
      .reply(json(409, R"({"detail":"Checkpoint 'a' already exists"})"))
      .must_fail(errc::status, "already exists");
  BOOST_TEST(!taken.machine->maybe_executed());
}

BOOST_AUTO_TEST_CASE(a_strict_server_tells_that_a_lost_attempt_was_executed) {
  const auto said = json(409, R"({"detail":"Failed to retrieve future: Sequence conflict: expected 8, got 7."})");
  play p(effect::counted);
  p.begin().fails(reset_after_send()).wait();
  BOOST_TEST(p.sent[0] == p.sent[1]);
  p.reply(accepted).reply(said).must_fail(errc::outcome_unknown, "expected seq_id 8 and was sent 7");
  BOOST_TEST(p.machine->failure()->details().http_status == 409);
  play q(effect::counted);  // without a lost attempt it is somebody else's number
  q.begin().reply(accepted).reply(said).must_fail(errc::status, "expected 8");
  play r(effect::counted);  // it had not been executed: the second attempt is
  r.begin().fails(no_answer(), 20).wait();
  r.reply(accepted).reply(finished).must_succeed(finished_body);
}

BOOST_AUTO_TEST_CASE(a_refusal_says_nothing_of_a_lost_attempt) {
  for (const int status : {401, 413, 415, 422}) {
    play p;
    p.begin().fails(reset_after_send()).wait();
    p.reply(json(status, R"({"detail":"no"})")).must_fail(errc::outcome_unknown, "may have been executed");
    play never_arrived;
    never_arrived.begin().fails(refused()).wait();
    never_arrived.reply(json(status, R"({"detail":"no"})")).must_fail(errc::status, "no");
    play nothing_to_repeat(effect::reads);
    nothing_to_repeat.begin().fails(reset_after_send()).wait();
    nothing_to_repeat.reply(json(status, R"({"detail":"no"})")).must_fail(errc::status, "no");
  }
}

BOOST_AUTO_TEST_CASE(only_the_servers_own_number_tells_that_it_was_executed) {
  play told(effect::counted);
  told.begin().fails(reset_after_send()).wait();
  told.reply(json(409, R"({"detail":"Sequence conflict: expected 8, got 7."})"));
  BOOST_REQUIRE(told.is_done());
  BOOST_TEST(told.machine->told_executed());
  play locked(effect::counted);  // the deadline passes while the model is locked
  locked.begin().fails(reset_after_send()).wait();
  while (!locked.is_done())
    locked.next.what == action::send ? locked.reply(json(409, R"({"detail":"model is locked"})")) : locked.wait();
  BOOST_TEST(locked.machine->failure()->details().http_status == 409);
  BOOST_TEST(!locked.machine->told_executed());
}

BOOST_AUTO_TEST_CASE(a_model_that_is_gone) {
  for (const char* text : {"Model not found", "Unknown model: m", "Session not found"}) {
    play p;
    p.record.model_id = "m";
    p.begin()
        .reply(json(404, std::string(R"({"detail":")") + text + R"("})"))
        .must_fail(errc::closed, "last saved state");
    play q;
    q.record.model_id = "m";
    q.begin()
        .reply(accepted)
        .reply(json(404, std::string(R"({"detail":"Failed to retrieve future: )") + text + R"("})"))
        .must_fail(errc::closed, text);
  }
  play unloaded;
  unloaded.record.model_id = "m";
  unloaded.begin()
      .reply(accepted)
      .reply(json(400, R"j({"detail":"Model not loaded (likely stale request from previous server)"})j"))
      .must_fail(errc::closed, "restarted");
  play checkpoint;  // what the call named, not the model
  checkpoint.record.model_id = "m";
  checkpoint.begin()
      .reply(accepted)
      .reply(json(404, R"({"detail":"Failed to retrieve future: Checkpoint tinker://m/weights/a not found"})"))
      .must_fail(errc::status, "tinker://m/weights/a");
}

BOOST_AUTO_TEST_CASE(a_page_instead_of_an_answer) {
  const http_response page{200, {{"Content-Type", "text/html"}}, "<html><head><title>Sign in to Wi-Fi</title></head>"};
  play p;
  p.begin().reply(accepted);
  for (int i = 0; i < 2; ++i) p.reply(page).wait();
  p.reply(page).must_fail(errc::protocol, "text/html");
  BOOST_TEST(std::string(p.machine->failure()->what()).find("Sign in to Wi-Fi") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_answer_for_another_request) {
  play p;
  p.begin().reply(accepted);
  for (int i = 0; i < 2; ++i) p.reply(json(200, R"({"type":"try_again","request_id":"r-2"})")).wait();
  p.reply(json(200, R"({"type":"try_again","request_id":"r-2"})")).must_fail(errc::protocol, "r-2");
}

BOOST_AUTO_TEST_CASE(a_result_that_is_always_dropped_is_not_asked_for_for_ever) {
  play p;
  p.begin();
  int submits = 1;
  while (!p.is_done()) {
    p.reply(accepted).reply(json(410, R"({"detail":"expired"})"));
    if (!p.is_done()) p.wait(), ++submits;
  }
  p.must_fail(errc::outcome_unknown, "410");
  BOOST_TEST(submits == 3);
}

BOOST_AUTO_TEST_CASE(cancelling) {
  play waiting;  // refused, about to be tried again: it never left
  waiting.begin().fails(refused());
  waiting.take(waiting.machine->on_cancel(waiting.now)).must_fail(errc::closed, "before it was sent");
  for (effect what : {effect::deduped, effect::mutates}) {
    play sending(what);
    sending.begin();
    BOOST_TEST(to_string(sending.machine->cancelled(sending.now).kind()) == to_string(errc::outcome_unknown));
    BOOST_TEST((sending.machine->on_cancel(sending.now).what == action::none));  // until the server has it
    BOOST_TEST(!sending.machine->settled());
    sending.reply(accepted).must_fail(errc::closed, "executes it");
    BOOST_TEST(sending.polls == 0);
  }
  play lost;
  lost.begin();
  lost.machine->on_cancel(lost.now);
  lost.fails(reset_after_send()).must_fail(errc::outcome_unknown, "may or may not");  // not sent again
  BOOST_TEST(lost.sent.size() == 1u);
  play polled;
  polled.begin().reply(accepted);
  polled.take(polled.machine->on_cancel(polled.now)).must_fail(errc::closed, "executes it");
  play done;
  done.begin().reply(accepted).reply(finished);
  done.take(done.machine->on_cancel(done.now)).must_succeed(finished_body);
}

BOOST_AUTO_TEST_CASE(random_faults_never_execute_twice_nor_outlive_the_deadline) {
  // The server here applies a submit when it gets it, and its answer is lost at random. A deduping server applies a
  // seq_id once; the other one each time. Whatever happens: one outcome, by the deadline, applied at most once, and
  // exactly once when the outcome is a result.
  for (unsigned seed = 0; seed < 3000; ++seed) {
    std::minstd_rand draw(seed + 1);
    const auto chance = [&](int percent) { return static_cast<int>(draw() % 100) < percent; };
    const effect what = seed % 2 ? effect::deduped : effect::mutates;
    play p(what);
    p.record.time_limit_seconds = 60;
    p.policy.unreachable_seconds = 20;
    int applied = 0;
    p.begin();
    int steps = 0;
    while (!p.is_done()) {
      BOOST_REQUIRE(++steps < 10000);
      if (p.next.what == action::wait) {
        p.wait();
        continue;
      }
      const bool is_submit = !p.next.is_poll;
      if (chance(20)) {
        p.fails(refused());
      } else if (chance(10)) {
        p.reply(json(429, "", {{"Retry-After", "1"}}));
      } else {
        if (is_submit && (what == effect::mutates || applied == 0)) ++applied;
        if (chance(20)) {
          p.fails(chance(50) ? reset_after_send() : no_answer(), 1);
        } else if (chance(10)) {
          p.reply(json(chance(50) ? 500 : 503, ""));
        } else if (is_submit) {
          p.reply(accepted);
        } else {
          p.reply(chance(50) ? finished : json(408, "{}"));
        }
      }
    }
    BOOST_REQUIRE(p.elapsed() <= 60 + 1.1);
    BOOST_REQUIRE(p.machine->result().has_value() != p.machine->failure().has_value());
    BOOST_REQUIRE(applied <= 1);
    if (p.machine->result()) BOOST_REQUIRE(applied == 1);
    if (p.machine->failure() && p.machine->failure()->kind() == errc::transport) BOOST_REQUIRE(applied == 0);
    for (const auto& key : p.keys) BOOST_REQUIRE(key == "key-1");
  }
}

BOOST_AUTO_TEST_SUITE_END()
