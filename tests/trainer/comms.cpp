// SPDX-License-Identifier: Apache-2.0
// "comms": "v2" of Fireworks' trainers: named in JSON batches of a model whose maker offered it, and only there.
#include "spy.hpp"

using namespace spying;

namespace {

http_response answer_json(std::string body, int status = 200) {
  return {status, {{"Content-Type", "application/json"}}, std::move(body)};
}

// The bodies of a forward and of a forward_backward for a model that was made with this reply; both are answered 400.
std::vector<exchange> passes(const char* dialect, wire_format format, const std::string& offered) {
  auto how = quick();
  how.dialect = dialect;
  how.wire = format;
  const auto server = loopback::start();
  const auto net = std::make_shared<spy>();
  std::vector<exchange> sent;
  net->on_request([&](const exchange& e, http_response& reply) {
    if (e.target.ends_with("/create_model")) {
      reply = answer_json(R"({"request_id":"made"})");
    } else if (e.target.ends_with("/retrieve_future")) {
      reply = answer_json(R"({"model_id":"ts-1:train:0")" + offered + "}");
    } else if (e.target.ends_with("/forward") || e.target.ends_with("/forward_backward")) {
      sent.push_back(e);
      reply = answer_json(R"({"detail":"enough"})", 400);
    } else {
      return fault::none;
    }
    return fault::answer;
  });
  auto service = service_client::connect_through(net, server.endpoint(), how);
  auto trainer = service.create_training_client({.base_model = server.model(), .lora_rank = 4}).result();
  const auto enough = [](auto call) { must_fail(errc::status, {"enough"}, call); };
  enough([&] { trainer.forward(supervised()).result(); });
  enough([&] { trainer.forward_backward(supervised(), server_loss::cross_entropy{}).result(); });
  BOOST_REQUIRE(sent.size() == 2u);
  return sent;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(comms)

BOOST_AUTO_TEST_CASE(it_is_named_where_it_was_offered) {
  struct row {
    const char* dialect;
    wire_format format;
    const char* offered;
    bool named;
  };
  constexpr auto json = wire_format::json, automatic = wire_format::automatic, protobuf = wire_format::protobuf;
  for (const auto& each :
       {row{"fireworks", automatic, R"(,"comms":"v2")", true}, row{"fireworks", automatic, R"(,"comms":"v1")", false},
        row{"fireworks", automatic, R"(,"comms":"v9")", false}, row{"fireworks", automatic, R"(,"comms":2)", false},
        row{"fireworks", automatic, R"(,"comms":null)", false}, row{"fireworks", automatic, "", false},
        row{"gradwire", json, R"(,"comms":"v2")", true}, row{"gradwire", protobuf, R"(,"comms":"v2")", false},
        row{"tinker", json, R"(,"comms":"v2")", false}, row{"skyrl-json", automatic, R"(,"comms":"v2")", false}}) {
    for (const auto& sent : passes(each.dialect, each.format, each.offered)) {
      const bool is_json = sent.content_type == "application/json";
      const bool found = is_json && sent.body.find(R"("comms":"v2","forward_)") != std::string::npos;
      BOOST_TEST(found == each.named, each.dialect << each.offered << ": " << sent.target);
      BOOST_TEST((sent.body.find("comms") != std::string::npos) == each.named);
    }
  }
}

// The embedded trainer under Fireworks' row: the same gradient with and without it.
BOOST_AUTO_TEST_CASE(results_are_the_same) {
  auto how = quick();
  how.dialect = "fireworks";
  bench with_it({}, how);
  how.dialect = "skyrl-json";  // JSON, and nothing offered is taken
  bench without({}, how);
  for (auto* each : {&with_it, &without}) {
    for (int i = 0; i < 2; ++i) {
      each->trainer.forward_backward(supervised(), server_loss::cross_entropy{}).result();
      each->trainer.optim_step({.learning_rate = 1e-2}).result();
    }
  }
  const auto a = with_it.trainer.forward(supervised()).result(), b = without.trainer.forward(supervised()).result();
  BOOST_TEST(largest_difference(a.logprobs, b.logprobs) == 0.0);
  std::size_t named = 0;
  for (const auto& sent : with_it.net->log()) named += sent.body.find(R"("comms":"v2")") != std::string::npos;
  for (const auto& sent : without.net->log()) BOOST_TEST(sent.body.find("comms") == std::string::npos);
  BOOST_TEST(named == 3u);
}

BOOST_AUTO_TEST_SUITE_END()
