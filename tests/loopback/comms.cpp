// SPDX-License-Identifier: Apache-2.0
// "comms": "v2" at the embedded trainer: offered and understood.
#include <boost/test/unit_test.hpp>

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

BOOST_AUTO_TEST_SUITE_END()
