// SPDX-License-Identifier: Apache-2.0
// Models whose making was never answered: taken over where there can be no doubt whose they are, and else reported.
#include "by_hand.hpp"

using namespace by_hand;

namespace {

// The n-th request for a model is lost, with the server having acted or not; that is what the list of models says.
struct losing : scene {
  std::vector<int> lost_ones;
  std::vector<std::string> models;

  losing(std::vector<int> which, bool acts) : lost_ones(std::move(which)) {
    net->server["/create_model"] = [this, acts, n = 0](const http_call&) mutable {
      const bool is_lost = std::find(lost_ones.begin(), lost_ones.end(), ++n) != lost_ones.end();
      if (is_lost && !acts) return lost();
      const std::string id = "s:train:" + std::to_string(models.size());
      models.push_back(id);
      return is_lost ? lost() : json(R"({"request_id":")" + id + R"(","model_id":")" + id + "\"}");
    };
    net->server["/sessions/s"] = [this](const http_call&) {
      std::string text;
      for (const auto& id : models) text += (text.empty() ? "\"" : ",\"") + id + "\"";
      return json(R"({"training_run_ids":[)" + text + R"(],"sampler_ids":[]})");
    };
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(creations)

BOOST_AUTO_TEST_CASE(a_lost_one_is_found_and_the_next_lost_one_too) {
  losing s({1, 3}, true);
  for (const char* id : {"s:train:0", "s:train:1", "s:train:2"}) BOOST_TEST(s.trainer().model_id() == id);
  BOOST_TEST(s.net->count("/sessions/s") == 2);
}

BOOST_AUTO_TEST_CASE(a_refused_one_leaves_no_doubt) {
  losing s({1}, true);
  auto made = s.net->server["/create_model"];
  s.net->server["/create_model"] = always(R"({"detail":"no such model"})", 0.01, 422);
  auto refused = s.create();
  failure_of(*s.net, refused, errc::status);
  s.net->server["/create_model"] = made;
  BOOST_TEST(s.trainer().model_id() == "s:train:0");
}

BOOST_AUTO_TEST_CASE(a_model_that_another_call_is_making_is_not_taken) {
  losing s({2}, false);
  bool ready = false;
  s.net->server["/retrieve_future"] = [&](const http_call&) {
    return ready ? json(R"({"model_id":"s:train:0"})") : json(R"({"type":"try_again"})");
  };
  auto others = s.create();  // made, and the answer is not there yet
  s.net->pass(1);
  auto own = s.create();  // never made
  const error failed = failure_of(*s.net, own, errc::outcome_unknown);
  BOOST_TEST(says(failed, "s:train:0"), failed.what());
  BOOST_TEST(says(failed, "another call's"), failed.what());
  ready = true;
  s.net->wait(others);
  BOOST_TEST(others.result().model_id() == "s:train:0");
}

BOOST_AUTO_TEST_CASE(a_copy_is_no_model_to_train) {
  losing s({1}, false);
  s.net->server["/copy_weights"] = [&](const http_call&) {
    s.models.push_back("s:train:0");
    return json(R"({"tinker_path":"tinker://s:train:0/weights/x"})");
  };
  auto copied = s.service.rest().copy_weights({.path = "tinker://elsewhere/weights/x"});
  s.net->wait(copied);
  BOOST_TEST(copied.result() == "tinker://s:train:0/weights/x");
  auto own = s.create();
  const error failed = failure_of(*s.net, own, errc::outcome_unknown);
  BOOST_TEST(says(failed, "nobody uses"), failed.what());
}

BOOST_AUTO_TEST_CASE(a_copy_that_is_being_made_is_none_either) {
  losing s({1}, false);
  s.net->server["/copy_weights"] = [&](const http_call&) {
    s.models.push_back("s:train:0");
    return json(R"({"tinker_path":"tinker://s:train:0/weights/x"})", 5);
  };
  auto copied = s.service.rest().copy_weights({.path = "tinker://elsewhere/weights/x"});
  s.net->pass(1);
  auto own = s.create();
  failure_of(*s.net, own, errc::outcome_unknown);
  s.net->wait(copied);
  copied.result();
}

BOOST_AUTO_TEST_SUITE_END()
