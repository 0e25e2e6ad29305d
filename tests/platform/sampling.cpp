// SPDX-License-Identifier: Apache-2.0
// Sampling from a deployment: requests, streams, echo, logprobs, and which failures are tried again.
#include "played.hpp"

using namespace playing;
namespace pf = gradwire::platform;

BOOST_AUTO_TEST_SUITE(sampling)

namespace {

// An event of a stream with these tokens.
std::string chunk(std::vector<std::pair<int, double>> tokens, const std::string& finish = "",
                  std::vector<std::int32_t> all = {}) {
  wp::completion_reply part;
  auto& choice = part.choices.emplace_back();
  auto& logprobs = choice.logprobs.emplace();
  for (const auto& [id, logprob] : tokens) {
    choice.text += "t" + std::to_string(id);
    logprobs.content.push_back({.token = "t", .token_id = id, .logprob = logprob - 1, .sampling_logprob = logprob});
  }
  if (!finish.empty()) {
    choice.finish_reason = finish;
    choice.raw_output.emplace().completion_token_ids = std::move(all);
    part.perf_metrics = wp::text_map{{"prefill-queue-duration", "0.25"}};
  }
  return wp::event_text(wp::to_json(part));
}

http_response stream(std::string body) {
  return {.status = 200, .headers = {{"Content-Type", "text/event-stream"}}, .body = std::move(body)};
}
http_response good() {
  return stream(chunk({{7, -0.5}}) + ": comment\n\n" + chunk({{9, -0.25}}, "stop", {7, 9}) + "data: [DONE]\n\n");
}

struct sampled : scene {
  pf::deployment_sampler sampler = get(client.deployments().sampler("rollouts"));

  template <class... Answers>
  pf::completions sample(const pf::completion_options& options, Answers... answers) {
    net->on("POST", completions_path, std::vector<http_outcome>{answers...});
    return get(sampler.sample({1, 2, 3}, options));
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_stream_of_events_is_one_completion) {
  sampled s;
  const auto all = s.sample({.max_tokens = 16, .seed = 5, .stop = {"\n"}}, good());
  BOOST_REQUIRE(all.sequences.size() == 1u);
  const auto& one = all.sequences[0];
  BOOST_TEST(one.tokens == (std::vector<std::int32_t>{7, 9}), boost::test_tools::per_element());
  BOOST_TEST(one.logprobs == (std::vector<float>{-0.5F, -0.25F}), boost::test_tools::per_element());
  BOOST_TEST(one.model_logprobs == (std::vector<float>{-1.5F, -1.25F}), boost::test_tools::per_element());
  BOOST_TEST(one.text == "t7t9");
  BOOST_TEST((one.stop_reason == stop_reason::stop));
  BOOST_TEST(one.server_metrics.at(0).second == "0.25");
  const auto& sent = s.net->last("POST", completions_path);
  BOOST_TEST(
      sent.body ==
      R"({"model":"accounts/acme/deployments/rollouts","prompt":[1,2,3],"n":1,"max_tokens":16,"temperature":1,)"
      R"("stream":true,"perf_metrics_in_response":true,"raw_output":true,"logprobs":true,"stop":["\n"],"seed":5,)"
      R"("top_p":1,"top_k":0})");
  BOOST_TEST(sent.bearer);
  BOOST_TEST(sent.header("x-request-id") == one.request_id);
  BOOST_TEST(one.request_id.size() == 32u);
}

BOOST_AUTO_TEST_CASE(a_whole_reply_does_too) {
  sampled s;
  wp::completion_reply whole;
  auto& choice = whole.choices.emplace_back();
  choice.finish_reason = "length";
  choice.raw_output.emplace().completion_token_ids = {4};
  choice.logprobs.emplace().content.push_back({.token = "d", .token_id = 4, .logprob = -1.0});
  const auto all = s.sample({.stream = false}, reply_with(whole));
  BOOST_TEST((all.sequences[0].stop_reason == stop_reason::length));
  BOOST_TEST(all.sequences[0].logprobs[0] == -1.0F);  // nothing was cut off, so the model's is the sampler's
  BOOST_TEST(text_at(s.net->last("POST", completions_path).body, {"stream"}) == "(absent)");
}

BOOST_AUTO_TEST_CASE(several_samples_are_several_requests_with_seeds_of_their_own) {
  sampled s;
  const auto all = s.sample({.num_samples = 3, .seed = 10}, good());
  BOOST_TEST(all.sequences.size() == 3u);
  BOOST_TEST(all.tokens == 6u);
  std::vector<std::string> seeds, ids;
  for (const auto& each : s.net->log)
    if (each.path() == completions_path) {
      seeds.push_back(text_at(each.body, {"seed"}));
      ids.push_back(each.header("x-request-id"));
      BOOST_TEST(each.at == 0.0);  // side by side
    }
  BOOST_TEST(seeds == (std::vector<std::string>{"10", "11", "12"}), boost::test_tools::per_element());
  BOOST_TEST(ids[0] != ids[1]);
}

BOOST_AUTO_TEST_CASE(with_echo_the_prompt_is_checked_and_cut_off) {
  sampled s;
  const auto body = chunk({{1, -9}, {2, -0.5}, {3, -0.75}, {7, -0.125}}, "stop", {1, 2, 3, 7});
  const auto all = s.sample({.echo = true}, stream(body + "data: [DONE]\n\n"));
  const auto& one = all.sequences[0];
  BOOST_TEST(one.tokens == (std::vector<std::int32_t>{7}), boost::test_tools::per_element());
  BOOST_TEST(one.prompt_logprobs == (std::vector<float>{-1.5F, -1.75F}), boost::test_tools::per_element());
  BOOST_TEST(one.logprobs == (std::vector<float>{-0.125F}), boost::test_tools::per_element());
  must_fail(errc::protocol, {"should begin with the prompt's"}, [&] {
    s.sample({.echo = true}, stream(chunk({{1, -1}}, "stop", {9, 2, 3, 7})));
  });
}

BOOST_AUTO_TEST_CASE(a_stream_that_is_cut_off_is_asked_for_again_under_the_same_id) {
  sampled s;
  const auto cut = stream(chunk({{7, -0.5}}));
  const auto all = s.sample({}, cut, stream("data: [DONE]\n\n"), stream("data: {\"choi"), lost(), refused(),
                            stream("event: error\ndata: {\"error\":{\"message\":\"busy\"}}\n\n"), good());
  BOOST_TEST(all.sequences[0].attempts == 7);
  BOOST_TEST(all.sequences[0].tokens.size() == 2u);
  std::set<std::string> ids;
  for (const auto& each : s.net->log)
    if (each.path() == completions_path) ids.insert(each.header("x-request-id"));
  BOOST_TEST(ids.size() == 1u);
  // 2, 4, 8, 16, 30, 30 seconds, each times 0.5 to 1.5
  BOOST_TEST(s.net->seconds() >= 45.0);
  BOOST_TEST(s.net->seconds() <= 135.0);
  must_fail(errc::protocol, {"7 attempts", "cut off", "no finish_reason", "request"}, [&] { s.sample({}, cut); });
}

BOOST_AUTO_TEST_CASE(retries_obey_the_server_and_end) {
  sampled s;
  static_cast<void>(s.sample({}, reply(429, "{}", {{"Retry-After", "20"}}), good()));
  BOOST_TEST(s.net->seconds() == 20.0);
  must_fail(errc::status, {"sample from deployment rollouts", "3 attempts", "503", "full"},
            [&] { s.sample({.attempts = 3}, reply(503, R"({"error":{"message":"full"}})")); });
  must_fail(errc::status, {"400", "too long", "context"},
            [&] { s.sample({}, reply(400, R"({"error":{"message":"prompt is too long"}})")); });
  must_fail(errc::transport, {"connection refused"}, [&] { s.sample({.attempts = 2}, refused()); });
}

BOOST_AUTO_TEST_CASE(while_no_weights_are_loaded_it_waits) {
  sampled s;
  static_cast<void>(s.sample({}, reply(404, "{}"), reply(425, "{}"), good()));
  BOOST_TEST(s.net->seconds() == 10.0);
  const auto before = s.net->count("POST", completions_path);
  must_fail(errc::status, {"404", "no weights loaded yet"}, [&] { s.sample({}, reply(404, "{}")); });
  BOOST_TEST(s.net->count("POST", completions_path) - before == 11u);
}

BOOST_AUTO_TEST_CASE(a_logprob_that_would_be_another_number_is_not_taken) {
  wp::completion_reply whole;
  auto& choice = whole.choices.emplace_back();
  choice.finish_reason = "stop";
  choice.raw_output.emplace().completion_token_ids = {4};
  choice.logprobs.emplace().content.push_back({.token = "d", .token_id = 4, .logprob = -1.0});
  sampled s;
  must_fail(errc::protocol, {"no sampling_logprob for token 0", "temperature other than 1"},
            [&] { s.sample({.temperature = 0.7}, reply_with(whole)); });
  must_fail(errc::protocol, {"no sampling_logprob"}, [&] { s.sample({.top_k = 5}, reply_with(whole)); });
  choice.logprobs->content.clear();
  must_fail(errc::protocol, {"0 logprobs for 1 tokens"}, [&] { s.sample({}, reply_with(whole)); });
  choice.raw_output.reset();
  choice.text = "d";
  must_fail(errc::protocol, {"no token ids"}, [&] { s.sample({.logprobs = false}, reply_with(whole)); });
  choice.finish_reason = "content_filter";
  must_fail(errc::protocol, {"'content_filter'"}, [&] { s.sample({}, reply_with(whole)); });
}

BOOST_AUTO_TEST_CASE(what_cannot_be_asked_for_is_told_before_anything_is_sent) {
  sampled s;
  must_fail(errc::config, {"num_samples is 0", "max_tokens is 0", "top_p", "top_k"},
            [&] { s.sample({.num_samples = 0, .max_tokens = 0, .top_p = 0, .top_k = -1}, good()); });
  must_fail(errc::config, {"the prompt is empty"}, [&] { s.get(s.sampler.sample(std::vector<int>{})); });
  must_fail(errc::config, {"prompt token 1 is -4"}, [&] { s.get(s.sampler.sample(std::vector<int>{1, -4})); });
  BOOST_TEST(s.net->count("POST", completions_path) == 0u);
}

BOOST_AUTO_TEST_CASE(one_sample_that_fails_ends_the_others) {
  sampled s;
  int sent = 0;
  s.net->on("POST", completions_path,
            [&](const seen&) { return ++sent == 2 ? reply(400, R"({"error":{"message":"no"}})") : reply(503, "{}"); });
  must_fail(errc::status, {"400", "no"}, [&] { s.get(s.sampler.sample({1}, {.num_samples = 4, .attempts = 7})); });
}

BOOST_AUTO_TEST_CASE(events_of_a_stream) {
  const auto events = wp::read_events(
      "\xef\xbb\xbf"
      "data: a\r\ndata: b\r\n\r\n: comment\nid: 3\nevent:ping\ndata:\n\ndata: c");
  BOOST_REQUIRE(events.size() == 3u);
  BOOST_TEST(events[0].data == "a\nb");
  BOOST_TEST(events[1].event == "ping");
  BOOST_TEST(events[2].data == "c");
}

BOOST_AUTO_TEST_SUITE_END()
