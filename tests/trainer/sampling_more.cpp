// SPDX-License-Identifier: Apache-2.0
// What can be asked for beside samples, against the embedded trainer: each number is held to another way to get it. And
// a server that does not know it.
#include <future>

#include "spy.hpp"

using namespace spying;

namespace {

struct sampler : bench {
  sampling_client client;
  const std::vector<int> prompt{72, 105, 33, 64};
  sampler() : client(service.create_sampling_client({.base_model = server.model()}).result()) {}
};

}  // namespace

BOOST_AUTO_TEST_SUITE(sampling_more)

BOOST_AUTO_TEST_CASE(the_most_probable_tokens) {
  sampler s;
  const auto got = s.client
                       .sample(s.prompt, {.max_tokens = 3,
                                          .temperature = 0,
                                          .prompt_logprobs = true,
                                          .topk_prompt_logprobs = 3,
                                          .topk_sample_logprobs = 2})
                       .result();
  const auto& one = got.sequences.at(0);
  BOOST_REQUIRE(one.topk_logprobs.size() == one.tokens.size());
  for (std::size_t t = 0; t < one.tokens.size(); ++t) {  // greedy: the first of the list
    BOOST_REQUIRE(one.topk_logprobs[t].size() == 2u);
    BOOST_TEST(one.topk_logprobs[t][0].token == one.tokens[t]);
    BOOST_TEST(std::abs(one.topk_logprobs[t][0].logprob - one.logprobs[t]) < 1e-5F);
    BOOST_TEST(one.topk_logprobs[t][1].logprob <= one.topk_logprobs[t][0].logprob);
  }
  BOOST_REQUIRE(got.topk_prompt_logprobs.size() == s.prompt.size());
  BOOST_TEST(got.topk_prompt_logprobs[0].empty());
  for (std::size_t t = 1; t < s.prompt.size(); ++t) {
    BOOST_TEST(got.topk_prompt_logprobs[t].size() == 3u);
    BOOST_TEST(got.topk_prompt_logprobs[t][0].logprob >= got.prompt_logprobs[t] - 1e-6F);
  }
}

BOOST_AUTO_TEST_CASE(logprobs_of_given_tokens) {
  sampler s;
  std::vector<std::int64_t> ids;  // two a position: the prompt's own token, and nothing
  for (std::size_t t = 1; t < s.prompt.size(); ++t) {
    ids.push_back(s.prompt[t]);
    ids.push_back(t == 2 ? -1 : 65);
  }
  const auto got = s.client.sample(s.prompt, {.max_tokens = 1, .prompt_logprobs = true, .target_ids = ids}).result();
  BOOST_REQUIRE(got.target_logprobs.size() == ids.size());
  for (std::size_t t = 1; t < s.prompt.size(); ++t)
    BOOST_TEST(std::abs(got.target_logprobs[2 * (t - 1)] - got.prompt_logprobs[t]) < 1e-4F);
  BOOST_TEST(got.target_logprobs[3] == 0);  // the -1
}

BOOST_AUTO_TEST_CASE(only_the_last_of_the_prompt) {
  sampler s;
  const auto all = s.client.compute_logprobs(s.prompt).result();
  const auto got =
      s.client.sample(s.prompt, {.max_tokens = 1, .prompt_logprobs = true, .prompt_logprobs_last_n = 2}).result();
  for (std::size_t t = 0; t < 2; ++t) BOOST_TEST(std::isnan(got.prompt_logprobs[t]));
  for (std::size_t t = 2; t < 4; ++t) BOOST_TEST(std::abs(got.prompt_logprobs[t] - all[t]) < 1e-5F);
}

BOOST_AUTO_TEST_CASE(alternatives_to_the_prompt) {
  sampler s;
  const auto greedy =
      s.client
          .sample(s.prompt, {.max_tokens = 1, .temperature = 0, .topk_prompt_logprobs = 1, .prompt_alternatives = 2})
          .result();
  BOOST_REQUIRE(greedy.prompt_alternatives.size() == s.prompt.size() - 1);
  for (std::size_t t = 1; t < s.prompt.size(); ++t)
    for (const auto& draw : greedy.prompt_alternatives[t - 1]) {
      BOOST_TEST(draw.token == greedy.topk_prompt_logprobs[t][0].token);
      BOOST_TEST(std::abs(draw.logprob - greedy.topk_prompt_logprobs[t][0].logprob) < 1e-4F);
    }
  const sample_options drawn{.max_tokens = 1, .seed = 5, .prompt_alternatives = 200};
  const auto a = s.client.sample(s.prompt, drawn).result(), b = s.client.sample(s.prompt, drawn).result();
  double mean = 0;
  for (std::size_t t = 0; t + 1 < s.prompt.size(); ++t)
    for (std::size_t i = 0; i < 200; ++i) {
      BOOST_TEST(a.prompt_alternatives[t][i].token == b.prompt_alternatives[t][i].token);  // the same seed
      mean += static_cast<double>(a.prompt_alternatives[t][i].logprob) / 600;
    }
  // Of a fresh random model over its vocabulary the mean logprob of a draw is minus the entropy: near -log(size).
  BOOST_TEST(mean < -4.0);
  BOOST_TEST(mean > -6.5);
}

BOOST_AUTO_TEST_CASE(a_server_that_answers_without_is_told_of) {
  sampler s;
  s.net->on_request([](const exchange& e, http_response& reply) {
    if (e.target.ends_with("/asample")) {
      reply = {200, {{"Content-Type", "application/json"}}, R"({"request_id":"old"})"};
      return fault::answer;
    }
    if (!e.target.ends_with("/retrieve_future") || e.body.find("\"old\"") == std::string::npos) return fault::none;
    reply = {
        200,
        {{"Content-Type", "application/json"}},
        R"({"sequences":[{"stop_reason":"length","tokens":[1],"logprobs":[-1]}],"prompt_logprobs":[-1,-1,-1],"topk_prompt_logprobs":null,"type":"sample"})"};
    return fault::answer;
  });
  const auto plain = s.client.sample(s.prompt, {.max_tokens = 1, .prompt_logprobs = true}).result();
  BOOST_TEST(plain.prompt_logprobs.size() == 4u);  // one short: the first has none
  BOOST_TEST(std::isnan(plain.prompt_logprobs[0]));
  for (const sample_options& asked :
       {sample_options{.max_tokens = 1, .topk_sample_logprobs = 1},
        sample_options{.max_tokens = 1, .topk_prompt_logprobs = 1},
        sample_options{.max_tokens = 1, .prompt_alternatives = 1},
        sample_options{.max_tokens = 1, .target_ids = {1, 2, 3}},
        sample_options{.max_tokens = 1, .prompt_logprobs = true, .prompt_logprobs_last_n = 1}})
    must_fail(errc::data, {"answered without it"}, [&] { s.client.sample(s.prompt, asked).result(); });
}

BOOST_AUTO_TEST_CASE(an_old_server_is_not_asked) {
  sampler s;
  auto how = quick();
  how.dialect = "tuft";
  auto service = service_client::connect_through(s.net, s.server.endpoint(), how);
  auto client = service.create_sampling_client({.base_model = s.server.model()}).result();
  const auto before = s.net->count("/asample");
  must_fail(errc::config, {"tuft", "does not know"},
            [&] { client.sample(s.prompt, {.max_tokens = 1, .topk_sample_logprobs = 1}).result(); });
  must_fail(errc::config, {"does not know"}, [&] { client.sample(s.prompt, {.never_stop = true}).result(); });
  BOOST_TEST(s.net->count("/asample") == before);
}

BOOST_AUTO_TEST_CASE(options_that_cannot_be) {
  sampler s;
  const auto wrong = [&](const sample_options& options, const char* text) {
    must_fail(errc::config, {text}, [&] { s.client.sample(s.prompt, options).result(); });
  };
  wrong({.prompt_logprobs_last_n = 1}, "with prompt_logprobs");
  wrong({.prompt_logprobs = true, .prompt_logprobs_last_n = 4}, "the first has no logprob");
  wrong({.target_ids = {1, 2}}, "no whole number of rows");
  wrong({.stop = {"x"}, .never_stop = true}, "never_stop");
  wrong({.topk_prompt_logprobs = -1}, "negative");
}

// A sample that nobody waits for is given up at once, and the server is told where it wants to be.
BOOST_AUTO_TEST_CASE(a_sample_is_cancelled) {
  for (const bool wants_to_know : {true, false}) {
    sampler s;
    std::promise<void> polled, asked, told;
    s.net->on_request([&, was_polled = false](const exchange& e, http_response& reply) mutable {
      reply = {200, {{"Content-Type", "application/json"}}, "{}"};
      if (e.target.ends_with("/retrieve_future")) {
        if (!std::exchange(was_polled, true)) polled.set_value();
        reply.body = R"({"type":"try_again","request_id":"r","queue_state":"active"})";
        return fault::answer;
      }
      if (e.target.ends_with("/client/dynamic_config")) {
        reply.body = wants_to_know ? R"({"sample_cancel_enabled":true})" : "{}";
        asked.set_value();
        return fault::answer;
      }
      if (e.target.ends_with("/cancel_future")) told.set_value();
      return fault::none;
    });
    auto samples = s.client.sample(s.prompt, {.max_tokens = 3});
    polled.get_future().wait();
    BOOST_TEST(samples.cancel());
    must_fail(errc::closed, {"cancelled"}, [&] { samples.result(); });
    asked.get_future().wait();
    if (wants_to_know) told.get_future().wait();
    s.service.health().result();  // whatever came of the answer has been sent
    BOOST_TEST(s.net->count("/cancel_future") == (wants_to_know ? 1u : 0u));
    BOOST_TEST(s.net->count("/asample") == 1u);
  }
  sampler s;
  auto done = s.client.sample(s.prompt, {.max_tokens = 1});
  done.result();
  BOOST_TEST(!done.cancel());
}

BOOST_AUTO_TEST_CASE(a_dropped_result_is_drawn_anew_under_another_number) {
  sampler s;
  std::int64_t number = -1;  // of the request that came last
  s.net->on_request([&](const exchange& e, http_response& reply) {
    if (e.target.ends_with("/asample")) number = wire::from_json<wire::sample_request>(e.body).seq_id.value();
    if (!e.target.ends_with("/retrieve_future") || number != 0) return fault::none;
    reply = {410, {{"Content-Type", "application/json"}}, R"({"detail":"expired"})"};
    return fault::answer;
  });
  BOOST_TEST(s.client.sample(s.prompt, {.max_tokens = 1}).result().sequences.size() == 1u);
  BOOST_TEST(number == 1);
}

BOOST_AUTO_TEST_SUITE_END()
