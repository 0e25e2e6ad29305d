// SPDX-License-Identifier: Apache-2.0
// "comms": "v2" at the embedded trainer: offered, understood, and no null for a number in what is exchanged so.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include <gradwire/loopback/service/futures.hpp>

#include "server_driver.hpp"

BOOST_AUTO_TEST_SUITE(comms)

BOOST_AUTO_TEST_CASE(it_is_offered_and_changes_no_number) {
  driver it;
  const auto made = it.result<create_model_reply>(
      "create_model", to_json(create_model_request{.session_id = it.session,
                                                   .model_seq_id = 1,
                                                   .base_model = it.server.model(),
                                                   .lora_config = lora_config{.rank = 4, .seed = 1}}));
  BOOST_TEST(made.comms.value() == "v2");
  for (const bool forward_only : {true, false}) {
    auto request = it.batch(forward_only);
    const auto first = it.run(request);
    request.seq_id = ++it.seq;
    request.comms = "v2";
    const auto second = it.run(request);
    BOOST_TEST((logprobs(first, 0) == logprobs(second, 0)));
    BOOST_TEST((first.metrics == second.metrics));
  }
  auto unknown = it.batch();
  unknown.comms = "v3";
  const auto refused = it.http.post("forward_backward", to_json(unknown));
  BOOST_TEST(refused.status == 422);
  BOOST_TEST(contains(refused.body, "comms"), refused.body);
}

// A logprob that is no number: null without v2; with it protobuf has it, and JSON says that it cannot.
BOOST_AUTO_TEST_CASE(no_null_for_a_number) {
  loopback::detail::future_table futures("f-");
  const auto finish = [&](bool v2) {
    const auto id = futures.create();
    forward_backward_reply reply{.loss_fn_output_type = "scalar"};
    reply.loss_fn_outputs.push_back({{"logprobs", tensor(array<float>{-1, std::numeric_limits<float>::quiet_NaN()})}});
    futures.finish(id, {.result = reply, .without_null = v2});
    return id;
  };
  const auto ask = [&](const std::string& id, bool protobuf) {
    http_response answered;
    futures.retrieve(id, protobuf, [&](http_response reply) { answered = std::move(reply); });
    return answered;
  };
  BOOST_TEST(contains(ask(finish(false), false).body, "[-1,null]"));
  const auto id = finish(true);
  const auto json = ask(id, false);
  BOOST_TEST(json.status == 400);
  BOOST_TEST(contains(json.body, "ask for the result as protobuf"), json.body);
  const auto read = from_protobuf<forward_backward_reply>(ask(id, true).body);
  BOOST_TEST(std::isnan(logprobs(read, 0)[1]));
}

BOOST_AUTO_TEST_SUITE_END()
