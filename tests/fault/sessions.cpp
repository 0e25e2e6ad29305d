// SPDX-License-Identifier: Apache-2.0
// Rows S and I09 of the table of faults: heartbeats, sessions that end, trainers that come back as another process.
#include <sys/wait.h>
#include <unistd.h>

#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/protobuf.hpp>

#include "../support/temporary_folder.hpp"
#include "scene.hpp"

using namespace faults;

namespace {

// Waits for an event; false after two seconds.
bool comes(scene& s, client_event::type what) {
  for (int i = 0; i < 400; ++i) {
    if (s.saw(what)) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

connect_options beating() {
  auto how = impatient();
  how.heartbeat_seconds = 0.03;
  how.session_risk_seconds = 0.15;
  how.session_limit_seconds = 0.5;
  return how;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sessions)

FAULT_CASE(S01_heartbeats_fail) {
  scene s({{.what = fault::respond, .path = "/session_heartbeat", .deliver = false, .status = 503}}, beating());
  auto running = s.trainer.forward(small_batch());
  BOOST_TEST(comes(s, client_event::type::session_at_risk));
  BOOST_TEST(!s.saw(client_event::type::session_lost));
  BOOST_TEST(running.result().tokens == 17u);  // what runs goes on
  BOOST_TEST(comes(s, client_event::type::session_lost));
  const auto v = verdict_of([&] { s.trainer.optim_step().result(); });
  must_be(v, errc::closed, {"no heartbeat", "last saved state"});
  BOOST_TEST(v.seconds < 0.2);
  must_be(verdict_of([&] { s.service.create_training_client({.base_model = s.server.model()}).result(); }),
          errc::closed, {"no heartbeat"});
  BOOST_TEST(s.steps() == 0);
}

FAULT_CASE(S01_heartbeats_that_fail_for_a_moment_do_no_harm) {
  scene s({{.what = fault::respond, .path = "/session_heartbeat", .to = 3, .deliver = false, .status = 503}},
          beating());
  for (int i = 0; i < 400 && s.arrived("/session_heartbeat") < 8; ++i) std::this_thread::sleep_for(5ms);
  BOOST_TEST(s.trainer.optim_step().result().metric("step") == 1);
  BOOST_TEST(!s.saw(client_event::type::session_lost));
}

FAULT_CASE(S02_the_session_is_not_known) {
  scene s({}, beating());
  for (int i = 0; i < 400 && s.arrived("/session_heartbeat") < 1; ++i) std::this_thread::sleep_for(5ms);
  s.proxy.set({{.what = fault::respond,
                .path = "/session_heartbeat",
                .deliver = false,
                .status = 404,
                .body = R"({"detail":"Session not found"})"}});
  BOOST_TEST(comes(s, client_event::type::session_lost));
  must_be(verdict_of([&] { s.trainer.optim_step().result(); }), errc::closed, {"404", "last saved state"});
  BOOST_TEST(s.steps() == 0);
}

FAULT_CASE(S02_a_server_without_heartbeats) {
  scene s({{.what = fault::respond,
            .path = "/session_heartbeat",
            .deliver = false,
            .status = 404,
            .body = R"({"detail":"Not Found"})"}},
          beating(), shared_server(), true);
  for (int i = 0; i < 400 && s.arrived("/session_heartbeat") < 1; ++i) std::this_thread::sleep_for(5ms);
  BOOST_TEST(s.trainer.optim_step().result().metric("step") == 1);
  BOOST_TEST(!s.saw(client_event::type::session_lost));
}

FAULT_CASE(S03_heartbeats_do_not_wait_for_uploads) {
  auto how = beating();
  how.operation_timeout_seconds = 20;
  how.retry.submit_timeout_seconds = 20;
  how.connections.max_submits = 1;
  scene s({}, how);
  // Each of these holds the only connection for uploads for a while.
  s.proxy.set({{.what = fault::delay, .path = "/forward_backward", .ms = is_long_run() ? 3000 : 300}});
  std::vector<future<forward_result>> all;
  for (int i = 0; i < 3; ++i) all.push_back(s.trainer.forward(small_batch()));
  for (auto& each : all) each.result();
  double last = -1, gap = 0;
  for (const auto& each : s.proxy.log()) {
    if (!each.path.ends_with("/session_heartbeat")) continue;
    if (last >= 0) gap = std::max(gap, each.seconds - last);
    last = each.seconds;
  }
  BOOST_TEST(last > 0);
  BOOST_TEST(gap < 0.3);
}

FAULT_CASE(S04_the_trainer_restarts_between_submit_and_result) {
  const temporary_folder folder;
  const auto options = [&](std::uint16_t port) {
    return loopback::start_options{.port = port, .token = std::string(canary), .checkpoints = folder.path};
  };
  const optim_step_options adam{.learning_rate = 1e-2};
  const auto data = small_batch();
  std::vector<float> expected;
  {  // three steps without a fault
    auto server = loopback::start(options(0));
    scene s({}, impatient(), server);
    for (int i = 0; i < 3; ++i) {
      s.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
      s.trainer.optim_step(adam).result();
    }
    const auto probe = s.trainer.forward(data).result();
    for (const float x : probe[0]) expected.push_back(x);
  }
  std::optional<loopback::server> server(loopback::start(options(0)));
  const std::uint16_t port = port_of(*server);
  auto how = impatient();
  how.operation_timeout_seconds = 5;
  std::string saved;
  {
    scene s({}, how, *server);
    for (int i = 0; i < 2; ++i) {
      s.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
      s.trainer.optim_step(adam).result();
    }
    saved = s.trainer.save_state("two-steps").result().path;
    s.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
    s.proxy.set({{.what = fault::respond,
                  .path = "/retrieve_future",
                  .to = 3,
                  .deliver = false,
                  .status = 503,
                  .headers = {{"Retry-After", "0.2"}}}});
    auto third = s.trainer.optim_step(adam);
    for (int i = 0; i < 400 && s.steps() < 1; ++i) std::this_thread::sleep_for(5ms);
    server.reset();
    server.emplace(loopback::start(options(port)));
    const auto v = verdict_of([&] { third.result(); });
    BOOST_TEST((v.kind == errc::outcome_unknown || v.kind == errc::closed), show(v));
    BOOST_TEST(v.text.find("restarted") != std::string::npos, show(v));
    BOOST_TEST(s.saw(client_event::type::trainer_restarted));
  }
  auto service = service_client::connect(server->endpoint(), how);
  auto trainer = service.create_training_client_from_state({.path = saved}).result();
  trainer.forward_backward(data, server_loss::cross_entropy{}).result();
  trainer.optim_step(adam).result();
  std::vector<float> resumed;
  const auto probe = trainer.forward(data).result();
  for (const float x : probe[0]) resumed.push_back(x);
  BOOST_TEST(resumed == expected, boost::test_tools::per_element());
  server.reset();
}

FAULT_CASE(S05_a_trainer_that_came_back_is_noticed_while_idle) {
  std::optional<loopback::server> server(loopback::start({.token = std::string(canary)}));
  const std::uint16_t port = port_of(*server);
  scene s({}, beating(), *server);
  for (int i = 0; i < 400 && s.arrived("/session_heartbeat") < 2; ++i) std::this_thread::sleep_for(5ms);
  BOOST_TEST(!s.saw(client_event::type::trainer_restarted));
  server.reset();
  server.emplace(loopback::start({.port = port, .token = std::string(canary)}));
  BOOST_TEST(comes(s, client_event::type::trainer_restarted));
  BOOST_TEST(comes(s, client_event::type::session_lost));  // the new one does not know it
}

FAULT_CASE(S06_a_client_that_was_asleep_uses_no_stale_connection) {
  auto how = impatient();
  how.connections.idle_seconds = 0.1;
  scene s({}, how);
  BOOST_TEST(s.trainer.optim_step().result().metric("step") == 1);
  const int before = s.proxy.connections();
  std::this_thread::sleep_for(200ms);  // longer than a connection may be idle, as a suspended process sees it
  BOOST_TEST(s.trainer.optim_step().result().metric("step") == 2);
  BOOST_TEST(s.proxy.connections() > before);
  BOOST_TEST(s.arrived("/optim_step") == 2);
}

FAULT_CASE(I09_large_numbers_are_sent_exactly_or_refused) {
  for (const std::int64_t number : {std::int64_t{1} << 31, (std::int64_t{1} << 53) + 1}) {
    wire::optim_step_request step;
    step.model_id = "m";
    step.seq_id = number;
    BOOST_TEST(wire::to_json(step).find("\"seq_id\":" + std::to_string(number)) != std::string::npos);
    wire::forward_backward_request pass;
    pass.model_id = "m";
    pass.seq_id = number;
    try {
      const auto back = wire::from_protobuf<wire::forward_backward_request>(wire::to_protobuf(pass));
      BOOST_TEST((back.seq_id == number));
    } catch (const error& refused) {
      BOOST_TEST(std::string(refused.what()).find(std::to_string(number)) != std::string::npos, refused.what());
    }
  }
}

FAULT_CASE(I03_every_attempt_sends_the_same_bytes) {
  scene s({{.what = fault::reset, .path = "/optim_step", .attempt = {1, 2, 3}},
           {.what = fault::reset, .path = "/forward_backward", .attempt = {1, 2}}});
  s.trainer.forward_backward(small_batch(), server_loss::cross_entropy{}).result();
  BOOST_TEST(s.trainer.optim_step().result().metric("step") == 1);
  BOOST_TEST(s.arrived("/optim_step") == 4);
  BOOST_TEST(s.arrived("/forward_backward") == 3);
  BOOST_TEST(s.steps() == 1);
  BOOST_TEST(s.passes() == 1);
  s.check_attempts();
}

FAULT_CASE(I04_the_idempotency_key_is_the_operations) {
  scene s({{.what = fault::reset, .path = "/optim_step", .attempt = {1, 2}}});
  for (int i = 0; i < 3; ++i) s.trainer.optim_step().result();
  std::map<std::int64_t, std::set<std::string>> keys;
  for (const auto& each : s.proxy.log())
    if (each.path.ends_with("/optim_step")) keys[each.seq_id].insert(each.key);
  BOOST_TEST(keys.size() == 3u);
  std::set<std::string> all;
  for (const auto& [number, of_it] : keys) {
    BOOST_TEST(of_it.size() == 1u);
    all.insert(*of_it.begin());
  }
  BOOST_TEST(all.size() == 3u);
  BOOST_TEST(!all.contains(""));
}

BOOST_AUTO_TEST_SUITE_END()
