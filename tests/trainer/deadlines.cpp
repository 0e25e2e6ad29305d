// SPDX-License-Identifier: Apache-2.0
// A call ends when its time is over, however many requests it takes; on a clock that stands still.
#include "by_hand.hpp"

using namespace by_hand;

namespace {

constexpr double limit = 10.0 + 1e-9;  // operation_timeout_seconds

}  // namespace

BOOST_AUTO_TEST_SUITE(deadlines)

BOOST_AUTO_TEST_CASE(the_requests_that_make_a_session_share_one) {
  for (const bool with_key : {false, true}) {
    scene s;
    s.net->server["/client/config"] =
        always(with_key ? R"({"server":"gradwire","pjwt_auth_enabled":true})" : R"({"server":"gradwire"})", 4);
    s.net->server["/auth/token"] = always(R"({"jwt":"a.b.c"})", 4);
    s.net->server["/create_session"] = silence();
    auto asked = s.service.capabilities();
    BOOST_TEST(s.net->wait(asked) <= limit);
    failure_of(*s.net, asked, errc::timeout);
    BOOST_TEST(s.net->count("/create_session") >= 1);
  }
}

BOOST_AUTO_TEST_CASE(the_search_for_a_lost_model) {
  scene s;
  s.net->server["/create_model"] = [](const http_call&) { return lost(9); };
  s.net->server["/sessions/s"] = silence();
  auto made = s.create();
  BOOST_TEST(s.net->wait(made) <= limit);
  BOOST_TEST(says(failure_of(*s.net, made, errc::outcome_unknown), "could not be listed"));
}

BOOST_AUTO_TEST_CASE(the_search_for_a_lost_save) {
  scene s;
  auto trainer = s.trainer();
  s.net->server["/save_weights"] = [first = true](const http_call&) mutable {
    return std::exchange(first, false) ? lost(8) : json(R"({"detail":"Checkpoint 'a' already exists"})", 0.01, 409);
  };
  s.net->server["/checkpoints"] = silence();
  auto saved = trainer.save_state("a");
  BOOST_TEST(s.net->wait(saved) <= limit);
  BOOST_TEST(says(failure_of(*s.net, saved, errc::outcome_unknown), "could not be listed"));
  BOOST_TEST(s.net->count("/checkpoints") >= 1);
}

BOOST_AUTO_TEST_CASE(samples_that_are_drawn_anew) {
  scene s;
  s.net->server["/create_sampling_session"] = always(R"({"sampling_session_id":"p"})");
  auto made = s.service.create_sampling_client({.base_model = "m"});
  s.net->wait(made);
  auto client = std::move(made).result();
  s.net->server["/asample"] = always(R"({"request_id":"r"})");
  s.net->server["/retrieve_future"] = always(R"({"detail":"expired"})", 2.5, 410);
  auto drawn = client.sample({1, 2, 3});
  BOOST_TEST(s.net->wait(drawn) <= limit);
  failure_of(*s.net, drawn, errc::timeout);
  BOOST_TEST(s.net->count("/asample") == 4);  // three times the same, and once anew
}

BOOST_AUTO_TEST_CASE(an_unload_that_waited_in_the_row) {
  scene s;
  auto trainer = s.trainer();
  s.net->server["/save_weights"] = always(R"({"request_id":"r"})", 8);
  s.net->server["/unload_model"] = silence();
  auto saved = trainer.save_state("a");
  auto gone = trainer.unload();
  BOOST_TEST(s.net->wait(gone) <= limit);
  failure_of(*s.net, gone, errc::timeout);
  BOOST_TEST(s.net->count("/unload_model") >= 1);
  s.net->wait(saved);
}

BOOST_AUTO_TEST_CASE(an_unload_that_was_cancelled_in_the_row_is_not_sent) {
  scene s;
  auto trainer = s.trainer();
  s.net->server["/save_weights"] = always(R"({"request_id":"r"})", 3);
  s.net->server["/unload_model"] = always(R"({"request_id":"u"})");
  auto saved = trainer.save_state("a");
  auto gone = trainer.unload();
  s.net->pass(1);
  BOOST_TEST(gone.cancel());
  BOOST_TEST(says(failure_of(*s.net, gone, errc::closed), "cancelled"));
  s.net->wait(saved);
  s.net->pass(1);
  BOOST_TEST(s.net->count("/unload_model") == 0);
}

BOOST_AUTO_TEST_SUITE_END()
