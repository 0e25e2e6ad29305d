// SPDX-License-Identifier: Apache-2.0
// save_weights_and_get_sampling_client: snapshots, and the weights that each inflight save replaces.
#include "by_hand.hpp"
#include "spy.hpp"

#include <gradwire/loss/sft_nll.hpp>

using namespace spying;

namespace {

const std::vector<int> text{72, 105, 33, 65, 66};

float score(sampling_client& from) { return from.compute_logprobs(text).result().at(4); }

auto as_data() { return batch{sequence({72, 105, 33}, {65, 66})}; }

// The last token's logprob by the trainer itself.
float score(training_client& trainer) { return trainer.forward(as_data()).result()[0][3]; }

void train(training_client& trainer) {
  trainer.forward_backward_custom(as_data(), sft_nll{}).result();
  trainer.optim_step({.learning_rate = 3e-2}).result();
}

std::string last_save(const spy& net) {
  std::string body;
  for (const auto& each : net.log())
    if (each.target.ends_with("/save_weights_for_sampler")) body = each.body;
  return body;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(inflight)

BOOST_AUTO_TEST_CASE(every_inflight_client_has_the_newest_weights_that_were_saved) {
  bench b;
  auto fixed = b.trainer.save_weights_and_get_sampling_client().result();
  auto first = b.trainer.save_weights_and_get_sampling_client(sampling_client_kind::inflight).result();
  const float untrained = score(fixed);
  BOOST_TEST(score(first) == untrained);
  for (int i = 0; i < 3; ++i) train(b.trainer);
  BOOST_TEST(score(first) == untrained);  // a step alone publishes nothing
  auto second = b.trainer.save_weights_and_get_sampling_client(sampling_client_kind::inflight).result();
  const float trained = score(second);
  BOOST_TEST(std::abs(trained - score(b.trainer)) < 1e-4F);
  BOOST_TEST(std::abs(trained - untrained) > 0.5F);
  BOOST_TEST(score(first) == trained);
  BOOST_TEST(score(fixed) == untrained);
}

BOOST_AUTO_TEST_CASE(a_strict_server_is_followed_after_a_failure) {
  for (const auto kind : {sampling_client_kind::snapshot, sampling_client_kind::inflight}) {
    bench b({.sequence = loopback::sequence_policy::strict});
    b.trainer.save_state("a").result();
    // executed and refused: the client's number is one ahead, and the next call is sent again with the server's
    must_fail(errc::status, {"409"}, [&] { b.trainer.save_state("a").result(); });
    auto sampler = b.trainer.save_weights_and_get_sampling_client(kind).result();
    BOOST_TEST(std::abs(score(sampler) - score(b.trainer)) < 1e-4F);
  }
}

// What goes out, member by member; a number of its own for each, in the session's one row of samplers.
BOOST_AUTO_TEST_CASE(what_is_sent) {
  bench b;
  b.service.create_sampling_client({.base_model = b.server.model()}).result();
  b.trainer.save_weights_and_get_sampling_client().result();
  const std::string head = R"({"model_id":")" + b.trainer.model_id() + R"(","seq_id":)";
  BOOST_TEST(last_save(*b.net) == head + R"(1,"sampling_session_seq_id":1,"type":"save_weights_for_sampler"})");
  b.trainer.save_weights_and_get_sampling_client(sampling_client_kind::inflight).result();
  BOOST_TEST(last_save(*b.net) ==
             head + R"(2,"sampling_session_seq_id":2,"kind":"inflight","type":"save_weights_for_sampler"})");
}

// It waits for the step before it, as every save does.
BOOST_AUTO_TEST_CASE(it_keeps_its_place_in_the_row) {
  bench b;
  auto before = b.trainer.save_weights_and_get_sampling_client(sampling_client_kind::inflight).result();
  const float untrained = score(before);
  auto step = b.trainer.forward_backward_custom(as_data(), sft_nll{});
  auto optim = b.trainer.optim_step({.learning_rate = 3e-2});
  auto after = b.trainer.save_weights_and_get_sampling_client(sampling_client_kind::inflight).result();
  BOOST_TEST(std::abs(score(after) - untrained) > 0.1F);
  BOOST_TEST(optim.result().elapsed_seconds > 0);
}

BOOST_AUTO_TEST_CASE(a_lost_answer) {
  bench b;  // the embedded trainer knows the request again
  int lost = 0;
  b.net->on_request([&](const exchange& e, http_response&) {
    return e.target.ends_with("/save_weights_for_sampler") && lost++ == 0 ? fault::lose_reply : fault::none;
  });
  auto sampler = b.trainer.save_weights_and_get_sampling_client(sampling_client_kind::inflight).result();
  BOOST_TEST(score(sampler) < 0);
  BOOST_TEST(lost == 2);
  BOOST_TEST(b.server.executed().save_weights_for_sampler == 1u);

  by_hand::scene s;  // nobody knows this one
  auto trainer = s.trainer();
  s.net->server["/save_weights_for_sampler"] = [](const http_call&) { return by_hand::lost(); };
  auto saved = trainer.save_weights_and_get_sampling_client();
  by_hand::failure_of(*s.net, saved, errc::outcome_unknown);
  BOOST_TEST(s.net->count("/save_weights_for_sampler") == 1);
}

BOOST_AUTO_TEST_CASE(where_it_is_not_to_be_had) {
  for (const auto& [row, kind, part] :
       {std::tuple{"skyrl", sampling_client_kind::inflight, "no inflight sampler weights"},
        std::tuple{"tuft", sampling_client_kind::inflight, "no inflight sampler weights"},
        std::tuple{"fireworks", sampling_client_kind::snapshot, "samples through another service"}}) {
    auto how = quick();
    how.dialect = row;
    bench b({}, how);
    must_fail(errc::config, {row, part}, [&] { b.trainer.save_weights_and_get_sampling_client(kind).result(); });
    BOOST_TEST(b.net->operations() == 0u);
  }
}

BOOST_AUTO_TEST_CASE(a_reply_without_a_session) {
  bench b;
  b.net->on_request([&](const exchange& e, http_response& reply) {
    if (!e.target.ends_with("/retrieve_future")) return fault::none;
    reply = {200, {{"Content-Type", "application/json"}}, R"({"path":"tinker://m/sampler_weights/x"})"};
    return fault::answer;
  });
  must_fail(errc::protocol, {"no sampling session"},
            [&] { b.trainer.save_weights_and_get_sampling_client().result(); });
}

BOOST_AUTO_TEST_SUITE_END()
