// SPDX-License-Identifier: Apache-2.0
// What start_options change: the rules for seq_id, the model's name, no_op; and what a test can read of the server.
#include <boost/test/unit_test.hpp>

#include "server_driver.hpp"

BOOST_AUTO_TEST_SUITE(server_options)

BOOST_AUTO_TEST_CASE(every_reply_names_the_boot_and_another_start_has_another) {
  const driver it;
  const std::string& id = it.server.boot_id();
  BOOST_TEST(id.size() == 32U);
  const std::string header = "X-Trainer-Boot: " + id;
  for (const auto& reply : {it.http.get("healthz"), it.http.get("no_such_path"), it.http.post("create_session", "{")})
    BOOST_TEST(contains(reply.head, header), reply.status << " " << reply.head);
  const auto alive = it.http.post("session_heartbeat", to_json(session_heartbeat_request{it.session}));
  BOOST_TEST(contains(alive.body, "\"boot_id\":\"" + id + "\""), alive.body);
  from_json<session_heartbeat_reply>(alive.body);
  const driver other;
  BOOST_TEST(other.server.boot_id() != id);
}

BOOST_AUTO_TEST_CASE(a_request_id_is_not_given_twice_by_two_starts) {
  driver it, other;
  const auto id = it.ok<submit_reply>("forward_backward", to_json(it.batch())).request_id;
  BOOST_TEST(other.poll(id).status == 404);
}

BOOST_AUTO_TEST_CASE(counts_are_of_what_was_executed) {
  driver it;
  const auto request = it.batch();
  it.run(request);
  it.run(request);  // recognised
  it.run(it.batch(true));
  it.step();
  const auto counts = it.server.executed();
  BOOST_TEST(counts.create_model == 1);
  BOOST_TEST(counts.forward_backward == 1);
  BOOST_TEST(counts.forward == 1);
  BOOST_TEST(counts.optim_step == 1);
  BOOST_TEST(counts.save_weights == 0);
  BOOST_TEST(it.executed("forward_backward") == 1);
  const driver silent({.threads = 1});
  BOOST_TEST(silent.http.get("debug/counters").status == 404);
}

BOOST_AUTO_TEST_CASE(without_sequence_numbers_a_resend_is_executed_again) {
  driver it({.threads = 1, .sequence = loopback::sequence_policy::none});
  const auto request = it.batch();
  it.run(request);
  it.run(request);
  BOOST_TEST(it.server.executed().forward_backward == 2);
}

BOOST_AUTO_TEST_CASE(strict_numbers_count_successes) {
  driver it({.threads = 1, .sequence = loopback::sequence_policy::strict});
  const auto conflict = [&](forward_backward_request request, std::string_view sentence) {
    const auto reply = it.outcome("forward_backward", to_json(request));
    BOOST_TEST(reply.status == 409);
    BOOST_TEST(contains(reply.body, sentence), reply.body);
  };
  auto request = it.batch();
  it.run(request);
  conflict(request, "Sequence conflict: expected 2, got 1.");
  request.seq_id = 3;
  conflict(request, "Sequence conflict: expected 2, got 3.");
  request.seq_id = 2;  // this one fails: the next is still 2
  request.loss_fn = "ppo";
  for (auto& datum : request.data) {
    datum.loss_fn_inputs.resize(1);
    const auto count = datum.loss_fn_inputs[0].value.size();
    datum.loss_fn_inputs.push_back({"logprobs", tensor(array<float>(std::vector<float>(count, -2000)))});
    datum.loss_fn_inputs.push_back({"advantages", tensor(array<float>(std::vector<float>(count, -1)))});
  }
  BOOST_TEST(it.outcome("forward_backward", to_json(request)).status == 400);
  auto good = it.batch();
  good.seq_id = 2;
  it.run(good);
  good.seq_id = 4;
  conflict(good, "Sequence conflict: expected 3, got 4.");
  BOOST_TEST(it.server.executed().forward_backward == 3);  // one of them failed in the middle
}

BOOST_AUTO_TEST_CASE(the_model_may_be_called_otherwise) {
  const driver it({.threads = 1, .name = "Qwen/Qwen3-8B"});
  BOOST_TEST(it.server.model() == "Qwen/Qwen3-8B");
  BOOST_TEST(contains(it.http.get("get_server_capabilities").body, "\"Qwen/Qwen3-8B\""));
  BOOST_TEST(contains(it.http.post("get_info", "{\"model_id\":\"" + it.model + "\"}").body, "\"Qwen/Qwen3-8B\""));
}

BOOST_AUTO_TEST_CASE(no_op_takes_everything_and_computes_nothing) {
  driver it({.threads = 1, .no_op = true});
  std::vector<std::int32_t> tokens(100'000);
  std::vector<std::int64_t> targets(tokens.size());
  for (std::size_t t = 0; t < tokens.size(); ++t) targets[t] = tokens[t] = static_cast<std::int32_t>(20'000 * t);
  forward_backward_request request{.model_id = it.model, .seq_id = ++it.seq};
  request.data.push_back({.model_input = {encoded_text{array<std::int32_t>(tokens)}},
                          .loss_fn_inputs = {{"target_tokens", tensor(array<std::int64_t>(targets))}}});
  const auto given = logprobs(it.run(request), 0);
  BOOST_TEST(given.size() == tokens.size());
  BOOST_TEST(std::count(given.begin(), given.end(), -1.0F) == 100'000);
  BOOST_TEST(it.step().metrics.at(1).value == 1);
  BOOST_TEST(it.step().metrics.at(1).value == 2);
  const auto saved = it.result<save_weights_reply>(
      "save_weights", to_json(save_weights_request{.model_id = it.model, .path = "a", .seq_id = ++it.seq}));
  it.result<load_weights_reply>(
      "load_weights", to_json(load_weights_request{.model_id = it.model, .seq_id = ++it.seq, .path = saved.path}));
  it.create(1, 32);
  const auto drawn =
      it.result<sample_reply>("asample", to_json(sample_request{.base_model = "gradwire/tiny",
                                                                .num_samples = 2,
                                                                .prompt = {{encoded_text{{1'000'000, 2}}}},
                                                                .sampling_params = {.max_tokens = 7}}));
  BOOST_TEST(drawn.sequences.size() == 2U);
  BOOST_TEST(drawn.sequences.at(1).tokens.size() == 7U);
}

BOOST_AUTO_TEST_SUITE_END()
