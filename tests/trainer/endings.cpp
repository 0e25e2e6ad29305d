// SPDX-License-Identifier: Apache-2.0
// After the end: calls of a session that the server has given up, and of a model that is unloaded.
#include "by_hand.hpp"

using namespace by_hand;

namespace {

struct unloading : scene {
  training_client trainer = scene::trainer();

  // The first answer is lost, the second is this one.
  future<completed> unload(answer second) {
    net->server["/unload_model"] = [second, calls = 0](const http_call&) mutable {
      return ++calls == 1 ? lost() : second;
    };
    return trainer.unload();
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(endings)

BOOST_AUTO_TEST_CASE(after_the_session_is_lost_every_call_fails_at_once_and_is_not_sent) {
  auto how = ten_seconds();
  how.heartbeat_seconds = 1;
  int lost_sessions = 0;
  how.on_event = [&](const client_event& e) { lost_sessions += e.what == client_event::type::session_lost; };
  scene s(how);
  auto trainer = s.trainer();
  s.net->server["/create_sampling_session"] = always(R"({"sampling_session_id":"p"})");
  auto made = s.service.create_sampling_client({.base_model = "m"});
  s.net->wait(made);
  auto sampler = std::move(made).result();
  s.net->server["/session_heartbeat"] = always(R"({"detail":"Session not found"})", 0.01, 404);
  s.net->pass(2);
  BOOST_TEST(lost_sessions == 1);
  const auto sent = s.net->sent.size();
  const auto fails = [&](auto call) {
    BOOST_TEST(s.net->wait(call) == 0.0);
    BOOST_TEST(says(failure_of(*s.net, call, errc::closed), "does not know this session any more"));
  };
  fails(sampler.sample({1, 2, 3}));
  fails(sampler.compute_logprobs(std::vector{1, 2, 3}));
  fails(trainer.unload());
  fails(trainer.get_info());
  fails(trainer.optim_step());
  fails(s.service.capabilities());
  fails(s.service.rest().sessions());
  BOOST_TEST(s.net->sent.size() == sent);
}

BOOST_AUTO_TEST_CASE(an_unload_whose_answer_was_lost_is_done_when_the_model_is_gone) {
  unloading s;
  auto gone = s.unload(json(R"({"detail":"Model not found: s:train:0"})", 0.01, 404));
  s.net->wait(gone);
  BOOST_CHECK_NO_THROW(gone.result());
  BOOST_TEST(s.net->count("/unload_model") == 2);
}

BOOST_AUTO_TEST_CASE(one_that_is_refused_for_another_reason_is_not) {
  unloading s;
  auto refused = s.unload(json(R"({"detail":"not yours"})", 0.01, 403));
  BOOST_TEST(says(failure_of(*s.net, refused, errc::status), "not yours"));
}

BOOST_AUTO_TEST_CASE(nor_is_the_first_unload_of_a_model_that_is_not_there) {
  unloading s;
  s.net->server["/unload_model"] = always(R"({"detail":"Model not found: s:train:0"})", 0.01, 404);
  auto gone = s.trainer.unload();
  BOOST_TEST(says(failure_of(*s.net, gone, errc::closed), "Model not found"));
}

BOOST_AUTO_TEST_SUITE_END()
