// SPDX-License-Identifier: Apache-2.0
// The token for another account's state is a secret as the key is: a server may repeat it, no text of this side does.
#include "by_hand.hpp"

using namespace by_hand;

namespace {

const std::string token = "wat-9f8e7d6c5b4a39281706";

struct listener {
  std::vector<std::string> told;  // what on_event was told

  connect_options listening(const char* dialect) {
    auto how = ten_seconds();
    how.dialect = dialect;
    how.on_event = [this](const client_event& e) { told.push_back(e.detail); };
    return how;
  }
};

struct other_account : listener, scene {
  explicit other_account(const char* dialect) : scene(listening(dialect)) {
    net->server["/weights_info"] = always(R"({"base_model":"m","is_lora":true,"lora_rank":2})");
    const auto refusal = [](int status) {
      return json(R"({"detail":"token )" + token + R"( is not for it"})", 0.01, status);
    };
    const auto first_busy = [refusal, calls = 0](const http_call&) mutable {
      return refusal(++calls == 1 ? 429 : 403);
    };
    net->server["/load_weights"] = first_busy;
    net->server["/copy_weights"] = first_busy;
  }
  void is_hidden(const error& refused) const {
    BOOST_TEST(!says(refused, token), refused.what());
    BOOST_TEST(says(refused, "(key) is not for it"), refused.what());
    BOOST_TEST(says(refused, "Check the weights_access_token, and the key"), refused.what());
    int busy = 0;
    for (const auto& text : told) {
      BOOST_TEST(text.find(token) == std::string::npos, text);
      busy += text.find("429") != std::string::npos;
    }
    BOOST_TEST(busy > 0);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(access_token)

BOOST_AUTO_TEST_CASE(of_a_state_that_is_loaded_into_a_new_model) {
  other_account s("tuft");
  auto made =
      s.service.create_training_client_from_state({.path = "tinker://o/weights/a", .weights_access_token = token});
  s.is_hidden(failure_of(*s.net, made, errc::status));
  BOOST_TEST(s.net->count("/create_model") == 1);
}

BOOST_AUTO_TEST_CASE(of_a_state_that_makes_its_model) {
  other_account s("tinker");
  auto made =
      s.service.create_training_client_from_state({.path = "tinker://o/weights/a", .weights_access_token = token});
  s.is_hidden(failure_of(*s.net, made, errc::status));
}

BOOST_AUTO_TEST_CASE(of_weights_that_are_copied) {
  other_account s("tinker");
  auto copied = s.service.rest().copy_weights({.path = "tinker://o/weights/a", .weights_access_token = token});
  s.is_hidden(failure_of(*s.net, copied, errc::status));
}

BOOST_AUTO_TEST_CASE(one_that_cannot_be_sent_is_refused_without_being_shown) {
  other_account s("tuft");
  auto made = s.service.create_training_client_from_state(
      {.path = "tinker://o/weights/a", .weights_access_token = token + "\n"});
  const error refused = failure_of(*s.net, made, errc::config);
  BOOST_TEST(says(refused, "weights_access_token (25 characters)"), refused.what());
  BOOST_TEST(!says(refused, token));
}

BOOST_AUTO_TEST_SUITE_END()
