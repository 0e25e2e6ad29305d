// SPDX-License-Identifier: Apache-2.0
// References that go before their calls are done, or before they are made: what was asked for is answered, and nothing
// stays on the server.
#include "by_hand.hpp"
#include "spy.hpp"

using namespace gradwire;

namespace {

struct making : by_hand::scene {
  training_client trained = trainer();

  making() {
    net->server["/save_weights"] = by_hand::always(R"({"request_id":"r:a"})");
    net->server["/load_weights"] = by_hand::always(R"({"request_id":"r:b"})");
    net->server["/unload_model"] = by_hand::always(R"({"request_id":"r:c"})");
    net->server["/checkpoints/weights/a"] = by_hand::always("", 0.01, 204);
  }
  // Of the saved states and of the models beside the trainer's.
  int made() const { return net->count("/create_model") - 1; }
  int freed() const { return net->count("/unload_model"); }
  int deleted() const { return net->count("/checkpoints/weights/a"); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(references)

BOOST_AUTO_TEST_CASE(forwards_of_one_that_has_gone_are_carried_out) {
  spying::bench b;
  for (int i = 0; i < 3; ++i) {
    std::vector<future<forward_result>> asked;
    {
      auto reference = b.service.create_reference_client({.base_model = b.server.model()}).result();
      for (int k = 0; k < 5; ++k) asked.push_back(reference.forward(spying::supervised()));
    }
    for (auto& each : asked) BOOST_CHECK_NO_THROW(each.result());
  }
  std::string order;
  for (const auto& each : b.net->log()) {
    if (each.target.ends_with("/forward_backward")) order += 'f';
    if (each.target.ends_with("/unload_model")) order += 'u';
  }
  BOOST_TEST(order == "fffffufffffufffffu");
}

BOOST_AUTO_TEST_CASE(one_that_nobody_wants_while_its_save_waits_is_not_begun) {
  making s;
  s.net->server["/save_weights"] = by_hand::always(R"({"request_id":"r:a"})", 3);
  auto before = s.trained.save_state("before");
  auto reference = s.service.create_reference_client(s.trained);
  s.net->pass(1);
  BOOST_TEST(reference.cancel());
  BOOST_TEST(by_hand::says(by_hand::failure_of(*s.net, reference, errc::closed), "before anything was sent"));
  s.net->wait(before);
  s.net->pass(10);
  BOOST_TEST(s.net->count("/save_weights") == 1);
  BOOST_TEST(s.made() == 0);
}

BOOST_AUTO_TEST_CASE(one_that_nobody_wants_while_it_is_saved_leaves_no_state) {
  making s;
  s.net->server["/save_weights"] = by_hand::always(R"({"request_id":"r:a"})", 3);
  auto reference = s.service.create_reference_client(s.trained);
  s.net->pass(1);
  BOOST_TEST(reference.cancel());
  BOOST_TEST(by_hand::says(by_hand::failure_of(*s.net, reference, errc::closed), "is deleted when it is there"));
  s.net->pass(10);
  BOOST_TEST(s.deleted() == 1);
  BOOST_TEST(s.made() == 0);
}

BOOST_AUTO_TEST_CASE(one_that_nobody_wants_while_it_is_loaded_leaves_nothing) {
  making s;
  s.net->server["/load_weights"] = by_hand::always(R"({"request_id":"r:b"})", 3);
  auto reference = s.service.create_reference_client(s.trained);
  s.net->pass(1);
  BOOST_TEST(s.made() == 1);
  BOOST_TEST(reference.cancel());
  by_hand::failure_of(*s.net, reference, errc::outcome_unknown);
  s.net->pass(10);
  BOOST_TEST(s.deleted() == 1);
  BOOST_TEST(s.freed() == 1);
}

BOOST_AUTO_TEST_CASE(one_that_cannot_be_loaded_leaves_nothing) {
  making s;
  s.net->server["/load_weights"] = by_hand::always(R"({"detail":"no such state"})", 0.01, 400);
  auto reference = s.service.create_reference_client(s.trained);
  by_hand::failure_of(*s.net, reference, errc::status);
  s.net->pass(10);
  BOOST_TEST(s.deleted() == 1);
  BOOST_TEST(s.freed() == 1);
}

BOOST_AUTO_TEST_CASE(one_that_is_made_keeps_its_model_and_no_state) {
  making s;
  auto asked = s.service.create_reference_client(s.trained);
  s.net->wait(asked);
  auto reference = std::move(asked).result();
  s.net->pass(10);
  BOOST_TEST(s.deleted() == 1);
  BOOST_TEST(s.freed() == 0);
  reference = {};
  s.net->pass(10);
  BOOST_TEST(s.freed() == 1);
}

BOOST_AUTO_TEST_SUITE_END()
