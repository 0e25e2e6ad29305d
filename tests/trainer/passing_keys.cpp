// SPDX-License-Identifier: Apache-2.0
// A key that the server gives for the user's own, on a clock that stands still: renewed once for all who need it, and
// in time.
#include "by_hand.hpp"

using namespace by_hand;

namespace {

// Gives the key "key-1", "key-2" …; the newest is good, until they all run out.
struct key_server : scene {
  int given = 0;
  int good_from = 1;
  bool gives = true;

  explicit key_server(const connect_options& how = ten_seconds()) : scene(how) {
    net->server["/client/config"] = always(R"({"server":"gradwire","pjwt_auth_enabled":true})");
    net->server["/auth/token"] = [this](const http_call& call) -> std::optional<answer> {
      BOOST_TEST(call.to->key.reveal() == "tml-own-key");
      if (!gives) return {};
      return json(R"({"jwt":"key-)" + std::to_string(++given) + "\"}");
    };
    net->server["/get_server_capabilities"] = [this](const http_call& call) {
      const std::string key = call.to->key.reveal();
      if (key.starts_with("key-") && std::stoi(key.substr(4)) >= good_from) return json(R"({"supported_models":[]})");
      auto refusal = json(R"({"detail":"Invalid JWT"})", late-- == 0 ? 5 : 0.01, 401);
      std::get<http_response>(refusal.outcome)
          .headers.push_back({"WWW-Authenticate", R"(Bearer error="invalid_token")"});
      return refusal;
    };
  }
  int late = -1;  // the number of the refusal, from 0, that comes after five seconds
};

}  // namespace

BOOST_AUTO_TEST_SUITE(passing_keys)

BOOST_AUTO_TEST_CASE(one_exchange_is_for_all_who_wait) {
  key_server s;
  auto first = s.service.capabilities();
  s.net->wait(first);
  BOOST_TEST(s.given == 1);
  s.good_from = 2;
  s.late = 7;
  std::vector<future<std::vector<model_description>>> all;
  for (int i = 0; i < 8; ++i) all.push_back(s.service.capabilities());
  for (auto& each : all) {
    s.net->wait(each);
    BOOST_CHECK_NO_THROW(each.result());
  }
  BOOST_TEST(s.given == 2);  // also for the one that heard of it when the new key was there
}

BOOST_AUTO_TEST_CASE(it_is_renewed_once_in_each_half_of_its_life) {
  key_server s;
  auto first = s.service.capabilities();
  s.net->wait(first);
  for (int i = 0; i < 4; ++i) {  // each refusal brings a new key, and a new time for the next one
    s.good_from = s.given + 1;
    std::vector<future<std::vector<model_description>>> all;
    for (int k = 0; k < 3; ++k) all.push_back(s.service.capabilities());
    for (auto& each : all) s.net->wait(each), each.result();
  }
  BOOST_TEST(s.given == 5);
  s.net->pass(3000);  // nothing says how long it lives: ten minutes
  BOOST_TEST(s.given == 5 + 9);
}

BOOST_AUTO_TEST_CASE(a_key_that_does_not_come_keeps_nobody_beyond_the_deadline) {
  key_server s;
  auto first = s.service.capabilities();
  s.net->wait(first);
  s.good_from = 2;
  s.gives = false;
  auto late = s.service.capabilities();
  BOOST_TEST(s.net->wait(late) <= 10.0);
  BOOST_TEST(says(failure_of(*s.net, late, errc::status), "401"));
  s.net->pass(1);  // the exchange ends too
  s.gives = true;
  auto again = s.service.capabilities();
  s.net->wait(again);
  BOOST_CHECK_NO_THROW(again.result());
}

BOOST_AUTO_TEST_SUITE_END()
