// SPDX-License-Identifier: Apache-2.0
// The table of faults: what happens on the way, what the caller does, and what must come of it. One row is one test
// case. What is executed is counted by the trainer, not by the client.
#include "scene.hpp"

namespace faults {
namespace {

using script = void (*)(scene&);

// ---- what the caller does ----

void step(scene& s) { s.trainer.optim_step({.learning_rate = 1e-3}).result(); }
void step_refused_for_long(scene& s) {
  s.proxy.refuse_for(5000);
  step(s);
}
void step_refused_for_a_moment(scene& s) {
  s.proxy.refuse_for(150);
  step(s);
}
void two_steps(scene& s) {
  for (int i = 1; i <= 2; ++i) BOOST_TEST(s.trainer.optim_step({.learning_rate = 1e-3}).result().metric("step") == i);
}
void two_steps_at_once(scene& s) {
  auto first = s.trainer.optim_step({.learning_rate = 1e-3});
  auto second = s.trainer.optim_step({.learning_rate = 1e-3});
  BOOST_TEST(second.result().metric("step") == 2);
  BOOST_TEST(first.result().metric("step") == 1);
}
void pass(scene& s) {
  const auto done = s.trainer.forward_backward(small_batch(), server_loss::cross_entropy{}).result();
  BOOST_TEST(done.tokens == 17u);
  BOOST_TEST(done.logprobs.shape().sequences() == 3u);
}
void custom_and_step(scene& s) {
  auto done = s.trainer.forward_backward_custom(small_batch(), sft_nll{});
  auto stepped = s.trainer.optim_step({.learning_rate = 1e-3});
  done.result();
  BOOST_TEST(stepped.result().metric("step") == 1);
}
void save(scene& s) { BOOST_TEST(s.trainer.save_state("kept").result().path.ends_with("/kept")); }
void save_twice(scene& s) {
  s.trainer.save_state("kept").result();
  s.trainer.save_state("kept").result();
}
void save_sampler(scene& s) {
  BOOST_TEST(s.trainer.save_weights_for_sampler({.name = "kept"}).result().path.ends_with("/kept"));
}
void load(scene& s) {
  const auto saved = s.trainer.save_state("kept").result();
  s.trainer.load_state(saved.path).result();
}
void another_model(scene& s) {
  auto other = s.service.create_training_client({.base_model = s.server.model(), .lora_rank = 2, .seed = 8}).result();
  BOOST_TEST(other.optim_step({.learning_rate = 1e-3}).result().metric("step") == 1);
}
void fifty_steps(scene& s) {
  std::vector<future<optimizer_step>> all;
  for (int i = 0; i < 50; ++i) all.push_back(s.trainer.optim_step({.learning_rate = 1e-3}));
  std::exception_ptr first;
  for (auto& each : all) {
    try {
      each.result();
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

// ---- the rows ----

struct row {
  const char* id = "";  // of the table of faults; several rows may show one
  const char* what = "";
  std::vector<rule> faults{};
  script call = step;
  std::optional<errc> kind{};  // empty: it succeeds
  std::vector<std::string> words{};
  int steps = -1;      // executed on the trainer; -1: not looked at
  double most = 2.25;  // seconds: the deadline and a quarter of a second
  double least = 0;    // seconds, where a wait was asked for
  int submits = -1;    // requests to optim_step that arrived
  int polls = -1;      // … and to retrieve_future
  loopback::sequence_policy policy = loopback::sequence_policy::dedupe;
  bool from_the_start = false;
  std::function<void(connect_options&)> options{};
  std::function<void(scene&, const verdict&)> then{};
};

const std::optional<errc> ok{};
constexpr auto none = loopback::sequence_policy::none;
constexpr auto strict = loopback::sequence_policy::strict;
const char* const optim = "/optim_step";
const char* const poll = "/retrieve_future";
const char* const backward = "/forward_backward";

rule on(const char* path, rule r) {
  r.path = path;
  if (r.id.empty()) r.id = "fault";
  return r;
}
rule first(const char* path, rule r) {
  r.nth = {1};
  return on(path, std::move(r));
}
rule says(int status, std::string body = "", std::vector<std::pair<std::string, std::string>> headers = {}) {
  return {.what = fault::respond,
          .deliver = false,
          .status = status,
          .headers = std::move(headers),
          .body = std::move(body)};
}
rule up_to(int last, rule r) {
  r.to = last;
  return r;
}
rule acted(rule r) {
  r.deliver = true;
  return r;
}
rule raw(std::string bytes) { return {.what = fault::respond, .deliver = true, .raw = std::move(bytes)}; }
std::string http(const std::string& body, const std::string& headers = "") {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::vector<row> network_rows() {
  const std::string stalls = "no complete answer in time";
  std::vector<row> rows{
      {.id = "N04",
       .what = "connection refused, and for ever",
       .call = step_refused_for_long,
       .kind = errc::transport,
       .words = {"refused", "attempts", "optim_step", "seq_id 1"},
       .steps = 0,
       .most = 1.3},
      {.id = "N05", .what = "refused, then the server returns", .call = step_refused_for_a_moment, .steps = 1},
      {.id = "N07",
       .what = "reset on accept",
       .faults = {{.what = fault::reset, .to = 2, .on_connect = true}},
       .steps = 1,
       .from_the_start = true},
      {.id = "N08",
       .what = "reset before the answer, not delivered",
       .faults = {first(optim, {.what = fault::reset, .deliver = false})},
       .steps = 1,
       .submits = 2},
      {.id = "N09",
       .what = "reset before the answer, acted",
       .faults = {first(optim, {.what = fault::reset})},
       .call = two_steps,
       .steps = 2,
       .submits = 3},
      {.id = "N10",
       .what = "reset while the body is being sent",
       .faults = {first(backward, {.what = fault::reset_mid_request})},
       .call = pass,
       .then = [](scene& s, const verdict&) { BOOST_TEST(s.passes() == 1); }},
      {.id = "N12",
       .what = "the connection was closed while it was idle",
       .faults = {on(poll, {.what = fault::truncate, .nth = {1}, .at = 1})},
       .call = two_steps,
       .steps = 2},
      {.id = "N13",
       .what = "no answer to a submit",
       .faults = {first(optim, {.what = fault::stall})},
       .steps = 1,
       .least = 0.3,
       .submits = 2},
      {.id = "N13",
       .what = "no answer to a poll",
       .faults = {first(poll, {.what = fault::stall})},
       .steps = 1,
       .least = 0.3,
       .submits = 1,
       .polls = 2},
      {.id = "N13",
       .what = "never an answer to a submit",
       .faults = {on(optim, {.what = fault::stall})},
       .kind = errc::outcome_unknown,
       .words = {"deadline", stalls},
       .steps = 1,
       .least = 1.9},
      {.id = "N13",
       .what = "never an answer to a poll",
       .faults = {on(poll, {.what = fault::stall})},
       .kind = errc::timeout,
       .words = {"deadline", "may still finish"},
       .steps = 1,
       .least = 1.9},
      {.id = "N14",
       .what = "stall inside the header",
       .faults = {first(optim, {.what = fault::stall, .where = place::in_head})},
       .steps = 1,
       .least = 0.3},
      {.id = "N14",
       .what = "stall inside the header, for ever",
       .faults = {on(poll, {.what = fault::stall, .where = place::in_head})},
       .kind = errc::timeout,
       .steps = 1},
      {.id = "N15",
       .what = "stall inside the body",
       .faults = {first(optim, {.what = fault::stall, .where = place::in_body})},
       .steps = 1,
       .least = 0.3},
      {.id = "N15",
       .what = "stall inside the body, for ever",
       .faults = {on(poll, {.what = fault::stall, .where = place::in_body})},
       .kind = errc::timeout,
       .steps = 1},
      {.id = "N16",
       .what = "an answer byte by byte",
       .faults = {first(optim, {.what = fault::drip, .ms = 20, .bytes = 1})},
       .steps = 1,
       .least = 0.3},
      {.id = "N16",
       .what = "byte by byte, for ever",
       .faults = {on(poll, {.what = fault::drip, .ms = 20, .bytes = 1})},
       .kind = errc::timeout,
       .steps = 1},
      {.id = "N18",
       .what = "a delay below the limit",
       .faults = {on(optim, {.what = fault::delay, .ms = 100})},
       .steps = 1,
       .least = 0.1,
       .submits = 1},
      {.id = "N19",
       .what = "a delay above it: the late answer goes to nobody",
       .faults = {first(optim, {.what = fault::delay, .late = true, .ms = 500})},
       .call = two_steps,
       .steps = 2,
       .least = 0.3},
      {.id = "N20",
       .what = "a stream in slices of one byte",
       .faults = {{.id = "fault", .what = fault::drip, .ms = 0, .bytes = 1}},
       .call = custom_and_step,
       .steps = 1},
      {.id = "N21",
       .what = "delivered three times at once",
       .faults = {on(optim, {.what = fault::duplicate, .at_once = true, .copies = 3})},
       .call = two_steps,
       .steps = 2},
  };
  for (const double at : {0.1, 0.5, 0.9}) {
    rows.push_back({.id = "N11",
                    .what = "reset inside the answer to a submit",
                    .faults = {first(optim, {.what = fault::reset_mid_body, .at = at})},
                    .steps = 1});
    rows.push_back({.id = "N11",
                    .what = "reset inside a result",
                    .faults = {first(poll, {.what = fault::reset_mid_body, .at = at})},
                    .steps = 1,
                    .submits = 1});
  }
  return rows;
}

std::vector<row> status_rows() {
  const auto text = [](const char* sentence) { return "{\"detail\":\"" + std::string(sentence) + "\"}"; };
  std::vector<row> rows{
      {.id = "H01",
       .what = "400 at the submit",
       .faults = {on(optim, says(400, text("not like this")))},
       .kind = errc::status,
       .words = {"400", "not like this", "seq_id 1"},
       .steps = 0,
       .most = 0.5,
       .submits = 1},
      {.id = "H02",
       .what = "401",
       .faults = {on(optim, says(401, text("who are you")))},
       .kind = errc::status,
       .words = {"401", "key"},
       .steps = 0,
       .most = 0.5,
       .submits = 1},
      {.id = "H02",
       .what = "403",
       .faults = {on(optim, says(403, text("you may not")))},
       .kind = errc::status,
       .words = {"403", "key"},
       .steps = 0,
       .most = 0.5,
       .submits = 1},
      {.id = "H03",
       .what = "402 three times",
       .faults = {up_to(3, on(optim, says(402, text("no credit"))))},
       .steps = 1,
       .least = 0.08,
       .submits = 4,
       .then = [](scene& s, const verdict&) { BOOST_TEST(s.saw(client_event::type::queue, "paused: billing")); }},
      {.id = "H03",
       .what = "402 for ever",
       .faults = {on(optim, says(402, text("no credit")))},
       .kind = errc::timeout,
       .words = {"402", "no credit"},
       .steps = 0,
       .least = 1.9},
      {.id = "H04",
       .what = "404 of a future",
       .faults = {on(poll, says(404, text("Future not found")))},
       .kind = errc::outcome_unknown,
       .words = {"does not know request", "restarted?", "request "},
       .steps = 1,
       .most = 0.5},
      {.id = "H05",
       .what = "404 of the model",
       .faults = {on(optim, says(404, text("Model not found")))},
       .kind = errc::closed,
       .words = {"Model not found", "last saved state"},
       .steps = 0,
       .most = 0.5},
      {.id = "H05",
       .what = "404 of the session",
       .faults = {on(optim, says(404, text("Session not found")))},
       .kind = errc::closed,
       .words = {"Session not found"},
       .steps = 0,
       .most = 0.5},
      {.id = "H06",
       .what = "408 with a queue state, five times",
       .faults = {up_to(5, on(poll, says(408, "{\"queue_state\":\"paused_capacity\"}")))},
       .steps = 1,
       .polls = 6,
       .then = [](scene& s, const verdict&) { BOOST_TEST(s.saw(client_event::type::queue, "paused_capacity")); }},
      {.id = "H07",
       .what = "409 of a number that was used",
       .faults = {on(optim, says(409, text("Training request sequence number 1 was reused")))},
       .kind = errc::status,
       .words = {"reused"},
       .steps = 0,
       .most = 0.5,
       .submits = 1},
      {.id = "H08",
       .what = "a save whose answer was lost",
       .faults = {first("/save_weights", {.what = fault::reset})},
       .call = save},
      {.id = "H08",
       .what = "a save whose answer was lost, where nothing is recognised: found in the list",
       .faults = {first("/save_weights", {.what = fault::reset})},
       .call = save,
       .policy = none,
       .then = [](scene& s, const verdict&) { BOOST_TEST(s.arrived("/checkpoints") == 1); }},
      {.id = "H08",
       .what = "sampler weights, the same",
       .faults = {first("/save_weights_for_sampler", {.what = fault::reset})},
       .call = save_sampler,
       .policy = none},
      {.id = "H08",
       .what = "a second save of the name, answer lost: nobody can tell",
       .faults = {on("/save_weights", {.what = fault::reset, .nth = {2}})},
       .call = save_twice,
       .kind = errc::outcome_unknown,
       .words = {"kept", "cannot be told"},
       .policy = none},
      {.id = "H08",
       .what = "a name that is taken, nothing lost",
       .call = save_twice,
       .kind = errc::status,
       .words = {"409", "kept"},
       .most = 0.6},
      {.id = "H09",
       .what = "409 as a lock, twice",
       .faults = {up_to(2, on(optim, says(409, text("model is locked"))))},
       .steps = 1,
       .submits = 3},
      {.id = "H10",
       .what = "410: submitted again with the same number",
       .faults = {first(poll, says(410, ""))},
       .steps = 1,
       .submits = 2},
      {.id = "H10",
       .what = "410 where nothing is recognised",
       .faults = {first(poll, says(410, ""))},
       .kind = errc::outcome_unknown,
       .words = {"410"},
       .steps = 1,
       .submits = 1,
       .policy = none},
      {.id = "H10",
       .what = "410 for a save where nothing is recognised: found in the list, not saved a second time",
       .faults = {first(poll, acted(says(410)))},
       .call = save,
       .policy = none,
       .then =
           [](scene& s, const verdict&) {
             BOOST_TEST(s.arrived("/save_weights") == 1);
             BOOST_TEST(s.arrived("/checkpoints") == 1);
           }},
      {.id = "H11",
       .what = "413: the chunk is halved",
       .faults = {first(backward, says(413, text("too large")))},
       .call = pass,
       .then =
           [](scene& s, const verdict&) {
             BOOST_TEST(s.arrived(backward) == 3);
             BOOST_TEST(s.passes() == 2);
           }},
      {.id = "H11",
       .what = "413 for ever",
       .faults = {on(backward, says(413, text("too large")))},
       .call = pass,
       .kind = errc::data,
       .words = {"413", "datum 0 alone", "bytes"},
       .then = [](scene&, const verdict& v) { BOOST_TEST(v.details.datum == 0); }},
      {.id = "H12",
       .what = "422 names datum and token",
       .faults = {on(backward,
                     says(422, R"j({"detail":[{"type":"value_error","loc":["body","forward_backward_input","data",2,)j"
                               R"j("loss_fn_inputs","target_tokens","data",4],"msg":"no such token"}]})j"))},
       .call = pass,
       .kind = errc::data,
       .words = {"no such token", "datum 2", "token 4", "target_tokens"},
       .most = 0.6,
       .then =
           [](scene&, const verdict& v) {
             BOOST_TEST(v.details.datum == 2);
             BOOST_TEST(v.details.token == 4);
           }},
      {.id = "H13",
       .what = "425 three times",
       .faults = {up_to(3, on("/load_weights", says(425, text("pending"))))},
       .call = load},
      {.id = "H14",
       .what = "429 with seconds",
       .faults = {first(optim, says(429, "", {{"Retry-After", "1"}}))},
       .steps = 1,
       .least = 1,
       .submits = 2},
      {.id = "H14",
       .what = "429 with a fraction",
       .faults = {first(optim, says(429, "", {{"Retry-After", "0.4"}}))},
       .steps = 1,
       .least = 0.4,
       .submits = 2},
      {.id = "H14",
       .what = "429 with a date",
       .faults = {first(
           optim, says(429, "",
                       {{"Date", "Sun, 22 Nov 2026 10:00:00 GMT"}, {"Retry-After", "Sun, 22 Nov 2026 10:00:01 GMT"}}))},
       .steps = 1,
       .least = 1,
       .submits = 2},
      {.id = "H14",
       .what = "429 with less than nothing",
       .faults = {first(optim, says(429, "", {{"Retry-After", "-5"}}))},
       .steps = 1,
       .most = 0.6,
       .submits = 2},
      {.id = "H14",
       .what = "429 with a billion seconds",
       .faults = {on(optim, says(429, "", {{"Retry-After", "1e9"}}))},
       .kind = errc::timeout,
       .words = {"429"},
       .steps = 0,
       .least = 1.9,
       .submits = 1},
      {.id = "H14",
       .what = "429 with garbage",
       .faults = {first(optim, says(429, "", {{"Retry-After", "soon\x01"}}))},
       .steps = 1,
       .most = 0.6,
       .submits = -1},
      {.id = "H15",
       .what = "429 at the poll",
       .faults = {first(poll, says(429, "", {{"Retry-After", "1"}}))},
       .steps = 1,
       .least = 1,
       .polls = 2},
      {.id = "H17",
       .what = "503 for ever, with Retry-After",
       .faults = {on(poll, says(503, "", {{"Retry-After", "1"}}))},
       .kind = errc::timeout,
       .words = {"503"},
       .steps = 1,
       .least = 1.9,
       .polls = 2},
      {.id = "H17",
       .what = "503 for ever, without",
       .faults = {on(poll, says(503))},
       .kind = errc::timeout,
       .words = {"503"},
       .steps = 1,
       .least = 1.9,
       .then = [](scene& s, const verdict&) { BOOST_TEST(s.arrived(poll) <= 105); }},
      {.id = "H18",
       .what = "503 after acting",
       .faults = {first(optim, acted(says(503)))},
       .call = two_steps,
       .steps = 2,
       .submits = 3},
      {.id = "H19",
       .what = "fifty futures, all 503: the budget bounds the retries",
       .faults = {on(poll, says(503))},
       .call = fifty_steps,
       .kind = errc::timeout,
       .words = {"503"},
       .steps = 50,
       .options =
           [](connect_options& o) {
             o.retry.budget_retries = 20;
             o.retry.budget_retries_per_second = 5;
           },
       .then = [](scene& s, const verdict&) { BOOST_TEST(s.arrived(poll) <= 50 + 20 + 10 + 5 * 3); }},
      {.id = "H22",
       .what = "103 before the answer",
       .faults = {first(poll,
                        raw("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + http(R"({"metrics":{"step":1}})")))},
       .steps = 1,
       .polls = 1},
      {.id = "H22",
       .what = "204 instead of a result",
       .faults = {on(poll, says(204))},
       .call = save,
       .kind = errc::protocol,
       .words = {"204", "request"}},
      {.id = "H22",
       .what = "204 instead of a request id, once",
       .faults = {first(optim, acted(says(204)))},
       .steps = 1},
      {.id = "H22",
       .what = "300",
       .faults = {on(optim, says(300))},
       .kind = errc::protocol,
       .words = {"300"},
       .steps = 0},
      {.id = "H23",
       .what = "an error page of 100 MB",
       .faults = {on(optim, {.what = fault::respond_long,
                             .deliver = false,
                             .bytes = 100'000,
                             .status = 400,
                             .headers = {{"Content-Type", "text/html"}},
                             .body = std::string(996, 'x') + "\x1b[1m"})},
       .kind = errc::status,
       .words = {"400", "bytes)"},
       .steps = 0,
       .most = 1,
       .then =
           [](scene&, const verdict& v) {
             BOOST_TEST(v.text.size() < 3000u);
             BOOST_TEST(v.text.find('\x1b') == std::string::npos);
           }},
  };
  for (const int status : {500, 502, 503, 504}) {
    rows.push_back(
        {.id = "H16", .what = "once at the submit", .faults = {first(optim, says(status))}, .steps = 1, .submits = 2});
    rows.push_back({.id = "H16",
                    .what = "once at the poll",
                    .faults = {first(poll, says(status))},
                    .steps = 1,
                    .submits = 1,
                    .polls = 2});
  }
  for (const int status : {301, 302, 307, 308}) {
    rows.push_back({.id = "H20",
                    .what = "a redirect on the same host",
                    .faults = {on(optim, says(status, "", {{"Location", "/api/v2/optim_step"}}))},
                    .kind = errc::protocol,
                    .words = {"redirect to /api/v2/optim_step"},
                    .steps = 0,
                    .most = 0.5,
                    .submits = 1});
  }
  return rows;
}

std::vector<row> body_rows() {
  std::vector<row> rows{
      {.id = "B01",
       .what = "a submit's answer cut short",
       .faults = {first(optim, {.what = fault::truncate})},
       .steps = 1,
       .submits = 2},
      {.id = "B01",
       .what = "a result cut short",
       .faults = {first(poll, {.what = fault::truncate})},
       .steps = 1,
       .submits = 1,
       .polls = 2},
      {.id = "B02",
       .what = "cut short, chunked",
       .faults = {first(optim, {.what = fault::truncate, .chunked = true})},
       .steps = 1},
      {.id = "B02",
       .what = "a result cut short, chunked",
       .faults = {first(poll, {.what = fault::truncate, .chunked = true})},
       .steps = 1,
       .polls = 2},
      {.id = "B03",
       .what = "an answer without framing",
       .faults = {on(poll, raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"metrics\":{}}"))},
       .kind = errc::protocol,
       .words = {"neither its length nor chunked"},
       .steps = 1},
      {.id = "B04",
       .what = "something that is not HTTP",
       .faults = {on(poll, {.what = fault::garbage, .raw_status = true})},
       .kind = errc::protocol,
       .steps = 1},
      {.id = "B04",
       .what = "another protocol",
       .faults = {on(optim, raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"))},
       .kind = errc::outcome_unknown,
       .words = {"not HTTP"},
       .steps = 1},
      {.id = "B05",
       .what = "garbage twice, then the result",
       .faults = {on(poll, {.what = fault::garbage, .to = 2})},
       .steps = 1,
       .polls = 3},
      {.id = "B05",
       .what = "garbage for ever",
       .faults = {on(poll, {.what = fault::garbage})},
       .kind = errc::decode,
       .words = {"result of request", "not JSON", "near byte"},
       .steps = 1,
       .polls = 3},
      {.id = "B06",
       .what = "the page of a gateway",
       .faults = {on(poll, says(200, "<html><head><title>Sign in</title></head></html>",
                                {{"Content-Type", "text/html; charset=utf-8"}}))},
       .kind = errc::protocol,
       .words = {"text/html", "titled 'Sign in'"},
       .steps = 1},
      {.id = "B08",
       .what = "100,000 brackets",
       .faults = {on(poll, says(200, std::string(100'000, '[')))},
       .kind = errc::decode,
       .words = {"deep"},
       .steps = 1},
      {.id = "B09",
       .what = "a number of 900,000 digits",
       .faults = {on(poll, says(200, "{\"metrics\":{\"step\":" + std::string(900'000, '1') + "}}"))},
       .call = step,
       .kind = errc::decode,
       .steps = 1},
      {.id = "B09",
       .what = "ten million digits",
       .faults = {on(poll,
                     {.what = fault::respond_long, .bytes = 10'000, .status = 200, .body = std::string(1000, '1')})},
       .kind = errc::protocol,
       .words = {"limit"},
       .steps = 1},
      {.id = "B10",
       .what = "a body over the limit",
       .faults = {on(poll,
                     {.what = fault::respond_long, .bytes = 3000, .status = 200, .body = std::string(1000, ' ')})},
       .kind = errc::protocol,
       .words = {"3000000 bytes", "1048576"},
       .steps = 1},
      {.id = "B11",
       .what = "a header of 64 KiB",
       .faults = {on(poll, raw(http("{}", "X-Long: " + std::string(65'536, 'x') + "\r\n")))},
       .kind = errc::protocol,
       .steps = 1},
      {.id = "B13",
       .what = "{} after acting",
       .faults = {first(optim, acted(says(200, "{}")))},
       .call = two_steps,
       .steps = 2,
       .submits = 3},
      {.id = "B13",
       .what = "{} after acting, where nothing is recognised",
       .faults = {first(optim, acted(says(200, "{}")))},
       .kind = errc::outcome_unknown,
       .words = {"no request_id", "seq_id 1"},
       .steps = 1,
       .submits = 1,
       .policy = none},
      {.id = "B14",
       .what = "an answer for another request",
       .faults = {on(poll, says(200, R"({"type":"try_again","request_id":"another"})"))},
       .kind = errc::protocol,
       .words = {"another"},
       .steps = 1},
      {.id = "B14",
       .what = "the result of another operation",
       .faults = {on(poll, says(200, R"({"loss_fn_output_type":"x","loss_fn_outputs":[],"metrics":{}})"))},
       .kind = errc::protocol,
       .words = {"forward_backward"},
       .steps = 1},
      {.id = "B16",
       .what = "compressed, unasked",
       .faults = {on(poll, says(200, "\x1f\x8b", {{"Content-Encoding", "gzip"}}))},
       .kind = errc::protocol,
       .words = {"compressed", "gzip"},
       .steps = 1},
      {.id = "B16",
       .what = "a compression bomb, unasked",
       .faults = {on(optim, acted(says(200, "\x28\xb5\x2f\xfd", {{"Content-Encoding", "zstd"}})))},
       .kind = errc::outcome_unknown,
       .words = {"compressed", "zstd"},
       .steps = 1},
  };
  std::string headers;
  for (int i = 0; i < 10'000; ++i) headers += "X" + std::to_string(i) + ": 1\r\n";
  rows.push_back({.id = "B11",
                  .what = "10,000 headers",
                  .faults = {on(poll, raw(http("{}", headers)))},
                  .kind = errc::protocol,
                  .steps = 1});
  const auto result = [&](const char* what, std::string body, std::optional<errc> kind,
                          std::vector<std::string> words) {
    rows.push_back({.id = "B12",
                    .what = what,
                    .faults = {on(poll, says(200, std::move(body)))},
                    .kind = kind,
                    .words = std::move(words),
                    .steps = 1});
  };
  result("extra members", R"({"metrics":{"step":1},"new":{"a":[1]}})", ok, {});
  result("null for what is optional", R"({"metrics":null})", ok, {});
  result("a list for an object", R"({"metrics":[1]})", errc::decode, {"metrics"});
  result("a list for the result", R"([])", errc::decode, {});
  const auto batch_result = [&](const char* what, std::string body, errc kind, std::vector<std::string> words) {
    rows.push_back({.id = "B12",
                    .what = what,
                    .faults = {on(poll, says(200, std::move(body)))},
                    .call = pass,
                    .kind = kind,
                    .words = std::move(words)});
  };
  batch_result("text for numbers", R"({"loss_fn_outputs":[{"logprobs":{"data":"x","dtype":"float32"}}]})", errc::decode,
               {"loss_fn_outputs", "logprobs", "data"});
  batch_result("a number for a list", R"({"loss_fn_outputs":7,"metrics":{}})", errc::decode, {"loss_fn_outputs"});
  result("a member twice", R"({"metrics":{"step":1},"metrics":{"step":2}})", errc::decode, {"metrics"});
  const auto broken = [&](const char* what, std::string body) {
    rows.push_back({.id = "B15",
                    .what = what,
                    .faults = {on(poll, says(200, std::move(body)))},
                    .kind = errc::decode,
                    .steps = 1,
                    .then = [](scene&, const verdict& v) {
                      for (const char c : v.text) BOOST_TEST(((c & 0x80) || c >= 0x20), "a control character");
                    }});
  };
  broken("UTF-8 that is none", "{\"metrics\":{\"\xff\xfe\":1}}");
  broken("a lone surrogate", R"({"metrics":{"\ud800":1}})");
  broken("a NUL", std::string("{\"metrics\":{}\0}", 15));
  broken("a byte order mark", "\xef\xbb\xbf{\"metrics\":{\"step\":1}}");
  return rows;
}

std::vector<row> identity_rows() {
  return {
      {.id = "I01",
       .what = "two steps in flight, the first's answer lost",
       .faults = {first(optim, {.what = fault::reset})},
       .call = two_steps_at_once,
       .steps = 2},
      {.id = "I02",
       .what = "chunk 2 of 3 fails for good: no step",
       .faults =
           {first("/client/config", says(200, R"({"server":"gradwire","fwdbwd_max_chunk_len":1})")),
            on(backward,
               {.what = fault::respond, .nth = {2}, .deliver = false, .status = 422, .body = R"({"detail":"no"})"})},
       .call =
           [](scene& s) {
             auto passed = s.trainer.forward_backward(small_batch(), server_loss::cross_entropy{});
             auto stepped = s.trainer.optim_step({.learning_rate = 1e-3});
             must_be(verdict_of([&] { passed.result(); }), errc::status, {"422"});
             stepped.result();
           },
       .kind = errc::closed,
       .words = {"not stepped", "422"},
       .steps = 0,
       .submits = 0,
       .from_the_start = true,
       .then = [](scene& s, const verdict&) { BOOST_TEST(s.arrived(backward) == 2); }},
      {.id = "I05",
       .what = "a server that recognises nothing: the step is not sent again",
       .faults = {first(optim, {.what = fault::reset})},
       .kind = errc::outcome_unknown,
       .words = {"may or may not", "second time"},
       .steps = 1,
       .submits = 1,
       .policy = none},
      {.id = "I05",
       .what = "the same, told by an option",
       .faults = {first(optim, {.what = fault::reset, .deliver = false})},
       .kind = errc::outcome_unknown,
       .steps = 0,
       .submits = 1,
       .options = [](connect_options& o) { o.order = wire::sequencing::unknown; }},
      {.id = "I05",
       .what = "a pass there",
       .faults = {on(backward, {.what = fault::reset, .nth = {2}})},
       .call = custom_and_step,
       .kind = errc::outcome_unknown,
       .steps = 0,
       .policy = none,
       .then = [](scene& s, const verdict&) { BOOST_TEST(s.passes() <= 1); }},
      {.id = "I06",
       .what = "a strict server says that the lost attempt was executed",
       .faults = {first(optim, {.what = fault::reset})},
       .kind = errc::outcome_unknown,
       .words = {"was executed", "expected seq_id 2 and was sent 1"},
       .steps = 1,
       .submits = 2,
       .policy = strict,
       .then =
           [](scene& s, const verdict&) {
             BOOST_TEST(s.trainer.optim_step({.learning_rate = 1e-3}).result().metric("step") == 2);  // goes on
           }},
      {.id = "I06",
       .what = "a strict server that had not got it executes it",
       .faults = {first(optim, {.what = fault::reset, .deliver = false})},
       .call = two_steps,
       .steps = 2,
       .policy = strict},
      {.id = "I07",
       .what = "create_model's answer lost: recognised",
       .faults = {first("/create_model", {.what = fault::reset})},
       .call = another_model},
      {.id = "I07",
       .what = "create_model's answer lost: the orphan is found in the session",
       .faults = {first("/create_model", {.what = fault::reset})},
       .call = another_model,
       .policy = none,
       .then = [](scene& s,
                  const verdict&) { BOOST_TEST(s.server.executed().create_model - s.before.create_model == 1); }},
      {.id = "I07",
       .what = "create_model's answer lost, and it was never made: reported",
       .faults = {first("/create_model", {.what = fault::reset, .deliver = false})},
       .call = another_model,
       .kind = errc::outcome_unknown,
       .words = {"create_model", "nobody uses"},
       .policy = none},
      {.id = "I08",
       .what = "load_weights' answer lost: recognised",
       .faults = {first("/load_weights", {.what = fault::reset})},
       .call = load},
      {.id = "I08",
       .what = "load_weights' answer lost on a strict server: done",
       .faults = {first("/load_weights", {.what = fault::reset})},
       .call = load,
       .policy = strict},
      {.id = "I08",
       .what = "load_weights' answer lost where nothing is recognised",
       .faults = {first("/load_weights", {.what = fault::reset})},
       .call = load,
       .kind = errc::outcome_unknown,
       .words = {"load_state"},
       .policy = none},
  };
}

void run(const row& r) {
  auto how = impatient();
  if (r.options) r.options(how);
  scene s(r.faults, how, shared_server(r.policy), r.from_the_start);
  const verdict v = verdict_of([&] { r.call(s); });
  must_be(v, r.kind, r.words);
  BOOST_TEST(v.seconds <= r.most, "took " << v.seconds << " s");
  BOOST_TEST(v.seconds >= r.least, "took only " << v.seconds << " s");
  if (r.submits >= 0) BOOST_TEST(s.arrived(optim) == r.submits);
  if (r.polls >= 0) BOOST_TEST(s.arrived(poll) == r.polls);
  if (r.steps >= 0) {  // also what a late delivery would add
    for (int i = 0; i < 20 && s.steps() < r.steps; ++i) std::this_thread::sleep_for(5ms);
    BOOST_TEST(s.steps() == r.steps);
  }
  if (r.then) r.then(s, v);
  s.check_attempts();
}

// Rows become test cases before main() begins.
struct all_rows {
  all_rows() {
    auto* const suite = BOOST_TEST_SUITE("matrix");
    for (const auto& group : {network_rows(), status_rows(), body_rows(), identity_rows()}) {
      for (const row& r : group) {
        cases_that_are_there().insert(r.id);
        std::string name = std::string(r.id) + "_" + std::to_string(++numbers_[r.id]) + "_" + r.what;
        for (char& c : name)
          if (c == ' ' || c == ',' || c == ':' || c == '/') c = '_';
        suite->add(boost::unit_test::make_test_case([r] { run(r); }, name, __FILE__, __LINE__));
      }
    }
    boost::unit_test::framework::master_test_suite().add(suite);
  }
  std::map<std::string, int> numbers_;
};
const all_rows registered;

}  // namespace
}  // namespace faults
