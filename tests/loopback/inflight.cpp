// SPDX-License-Identifier: Apache-2.0
// Sampler weights of the kind "inflight": one set a model, which every such save replaces for all who sample from it.
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "../support/temporary_folder.hpp"
#include "server_driver.hpp"

namespace {

struct scene : driver {
  std::int64_t samplers = 0;
  using driver::driver;

  save_weights_for_sampler_request save(const char* kind) {
    return {.model_id = model, .seq_id = ++seq, .sampling_session_seq_id = samplers++, .kind = kind};
  }
  std::string sampler(const char* kind) {
    const auto made = result<save_weights_for_sampler_reply>("save_weights_for_sampler", to_json(save(kind)));
    BOOST_TEST(!made.path.has_value());
    return made.sampling_session_id.value();
  }
  sample_request scoring(const std::string& from) const {
    return {.sampling_session_id = from,
            .prompt = {{encoded_text{{72, 101, 108, 108, 111}}}},
            .sampling_params = {.max_tokens = 1},
            .prompt_logprobs = true};
  }
  float score(const std::string& from) const {
    return (*result<sample_reply>("asample", to_json(scoring(from))).prompt_logprobs)[4];
  }
  void train(int steps) {
    for (int i = 0; i < steps; ++i) run(batch()), step(3e-2);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(inflight)

BOOST_AUTO_TEST_CASE(a_later_save_gives_its_weights_to_every_inflight_sampler) {
  scene it;
  const auto fixed = it.sampler("snapshot"), first = it.sampler("inflight");
  const float untrained = it.score(fixed);
  BOOST_TEST(it.score(first) == untrained);
  it.train(3);
  BOOST_TEST(it.score(first) == untrained);  // a step alone publishes nothing
  const auto second = it.sampler("inflight");
  BOOST_TEST(second != first);
  const float trained = it.score(second);
  BOOST_TEST(trained > untrained + 0.5F);
  BOOST_TEST(it.score(first) == trained);
  BOOST_TEST(it.score(fixed) == untrained);
  it.train(1);
  const auto later = it.sampler("snapshot");  // no inflight save
  BOOST_TEST(it.score(first) == trained);
  BOOST_TEST(it.score(later) != trained);
}

// Each model has its own.
BOOST_AUTO_TEST_CASE(another_model_changes_nothing) {
  scene it;
  const auto own = it.sampler("inflight");
  const float before = it.score(own);
  it.train(2);
  const std::string trained = it.model;
  it.model = it.create(1);
  it.seq = 0;
  it.train(1);
  it.sampler("inflight");
  BOOST_TEST(it.score(own) == before);
}

BOOST_AUTO_TEST_CASE(a_sample_that_was_asked_for_before_goes_on) {
  scene it;
  const auto sampler = it.sampler("inflight");
  const float before = it.score(sampler);
  it.run(it.batch());
  const auto asked = it.ok<submit_reply>("asample", to_json(it.scoring(sampler))).request_id;  // first in the row
  it.step(3e-2);
  it.sampler("inflight");
  const auto reply = it.poll(asked);
  BOOST_REQUIRE(reply.status == 200);
  BOOST_TEST((*from_json<sample_reply>(reply.body).prompt_logprobs)[4] == before);
  BOOST_TEST(it.score(sampler) != before);
}

BOOST_AUTO_TEST_CASE(it_outlives_its_model) {
  scene it;
  const auto sampler = it.sampler("inflight");
  const float before = it.score(sampler);
  it.result<unload_model_reply>("unload_model", to_json(unload_model_request{it.model}));
  BOOST_TEST(it.score(sampler) == before);
}

// The request that comes again is the same save; many saves keep one set in memory and none on disk.
BOOST_AUTO_TEST_CASE(sent_again_and_sent_often) {
  const temporary_folder files;
  scene it({.checkpoints = files.path, .threads = 1, .debug = true});
  const auto body = to_json(it.save("inflight"));
  const auto first = it.result<save_weights_for_sampler_reply>("save_weights_for_sampler", body);
  const auto again = it.result<save_weights_for_sampler_reply>("save_weights_for_sampler", body);
  BOOST_TEST(first.sampling_session_id.value() == again.sampling_session_id.value());
  BOOST_TEST(it.executed("save_weights_for_sampler") == 1);
  for (int i = 0; i < 40; ++i) it.sampler("inflight");
  BOOST_TEST(it.score(first.sampling_session_id.value()) < 0);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(files.path))
    BOOST_TEST((!entry.is_regular_file() || entry.path().parent_path().filename() == "tokenizer"),
               entry.path().string());
}

BOOST_AUTO_TEST_CASE(what_it_has_not) {
  scene it;
  const auto refused = [&](save_weights_for_sampler_request request, std::string_view member) {
    const auto reply = it.http.post("save_weights_for_sampler", to_json(request));
    BOOST_TEST(reply.status == 422);
    BOOST_TEST(contains(reply.body, "\"" + std::string(member) + "\""), reply.body);
  };
  auto request = it.save("inflight");
  request.path = "named";
  refused(request, "path");
  request = it.save("inflight");
  request.ttl_seconds = 3600;
  refused(request, "ttl_seconds");
  request = it.save("inflight");
  request.checkpoint_type = "base";
  refused(request, "checkpoint_type");
  request = it.save("inflight");
  request.sampling_session_seq_id.reset();
  refused(request, "sampling_session_seq_id");
  refused(it.save("mutable"), "kind");
  request = it.save("snapshot");
  request.path = "../named";
  refused(request, "path");
  BOOST_TEST(from_json<session_info_reply>(it.http.get("sessions/" + it.session).body).sampler_ids.empty());
  auto noting = it.scoring(it.sampler("inflight"));
  noting.record_stability_info = true;
  const auto reply = it.http.post("asample", to_json(noting));
  BOOST_TEST(reply.status == 422);
  BOOST_TEST(contains(reply.body, "stable_reinforce"), reply.body);
}

BOOST_AUTO_TEST_SUITE_END()
