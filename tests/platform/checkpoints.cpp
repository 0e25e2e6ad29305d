// SPDX-License-Identifier: Apache-2.0
// The checkpoints of a job, and promotions that are never sent twice.
#include "played.hpp"

using namespace playing;
namespace pf = gradwire::platform;

BOOST_AUTO_TEST_SUITE(checkpoints)

namespace {

const std::string list_path = std::string(jobs_path) + "/grpo-1/checkpoints";
const std::string model_path = "/v1/accounts/acme/models/tuned";
const std::string promote_path = "/v1/accounts/acme/checkpoints/step-2-a1b2c3d4:promote";

wp::job_checkpoint row(const std::string& name, const std::string& type, bool promotable, const std::string& time) {
  return {"accounts/acme/rlorTrainerJobs/grpo-1/checkpoints/" + name, type, promotable, time, ""};
}

// A job with a base, a delta and a state; no model of the name yet.
void fill(scene& s) {
  wp::job_checkpoints_reply rows;
  rows.checkpoints = {
      row("step-2-a1b2c3d4", "CHECKPOINT_TYPE_INFERENCE_BASE", true, "2026-11-22T07:00:00.5Z"),
      row("step-3-a1b2c3d4", "CHECKPOINT_TYPE_INFERENCE_ARC_V2", true, "2026-11-22T07:00:01Z"),
      row("state-2", "CHECKPOINT_TYPE_TRAINING", false, "2026-11-22T07:00:00.250000Z"),
  };
  s.net->on("GET", list_path, {reply_with(rows)});
  s.net->on("GET", model_path, {reply(404, "{}")});
}

pf::promote_options wanted() {
  return {.checkpoint = "accounts/acme/rlorTrainerJobs/grpo-1/checkpoints/step-2-a1b2c3d4",
          .output_model = "tuned",
          .base_model = "accounts/fireworks/models/qwen3-8b"};
}

http_response operation(bool done, const std::string& more = "") {
  return reply(
      200, std::string(R"({"name":"accounts/acme/operations/o1","done":)") + (done ? "true" : "false") + more + "}");
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_list_is_sorted_by_time_and_not_by_text) {
  scene s;
  fill(s);
  const auto rows = s.get(s.client.checkpoints().list("accounts/acme/rlorTrainerJobs/grpo-1"));
  BOOST_TEST(s.net->last("GET", list_path).target == list_path + "?pageSize=200");
  BOOST_REQUIRE(rows.size() == 3u);
  BOOST_TEST(rows[0].name == "state-2");
  BOOST_TEST(rows[0].is_resumable());
  BOOST_TEST(rows[1].name == "step-2-a1b2c3d4");
  BOOST_TEST(rows[2].is_delta());
  BOOST_TEST(rows[1].created_nanoseconds - rows[0].created_nanoseconds == 250'000'000);
}

BOOST_AUTO_TEST_CASE(a_list_under_its_other_name_and_in_pages) {
  scene s;
  s.net->on("GET", list_path, [](const seen& r) {
    wp::job_checkpoints_reply rows;
    const bool second = r.query("pageToken") == "2";
    rows.rlor_trainer_job_checkpoints = {
        row(second ? "b" : "a", "", false, second ? "2026-01-02T00:00:00Z" : "2026-01-01T00:00:00Z")};
    if (!second) rows.next_page_token = "2";
    return reply_with(rows);
  });
  const auto rows = s.get(s.client.checkpoints().list("grpo-1"));
  BOOST_REQUIRE(rows.size() == 2u);
  BOOST_TEST(rows[1].name == "b");
}

BOOST_AUTO_TEST_CASE(times_with_fractions_and_offsets) {
  scene s;
  const auto at = [&](const char* time) {
    wp::job_checkpoints_reply rows;
    rows.checkpoints = {row("a", "", false, time)};
    s.net->on("GET", list_path, {reply_with(rows)});
    return s.get(s.client.checkpoints().list("grpo-1")).at(0).created_nanoseconds;
  };
  BOOST_TEST(at("1970-01-01T00:00:00Z") == 0);
  BOOST_TEST(at("1970-01-02T00:00:01.000000002Z") == 86401'000'000'002);
  BOOST_TEST(at("2000-02-29T12:00:00Z") == 951825600'000'000'000);  // date -d 2000-02-29T12:00:00Z +%s
  BOOST_TEST(at("2026-11-22T07:00:00+02:00") == at("2026-11-22T05:00:00Z"));
  BOOST_TEST(at("yesterday") == 0);
}

BOOST_AUTO_TEST_CASE(a_promotion_waits_for_its_operation) {
  scene s;
  fill(s);
  s.net->on("POST", promote_path, {reply(200, R"({"operation":{"name":"accounts/acme/operations/o1"}})")});
  s.net->on("GET", "/v1/accounts/acme/operations/o1",
            {reply(503, "{}"), operation(false),
             operation(true, R"(,"response":{"@type":"x","name":"accounts/acme/models/tuned","state":"READY"})")});
  const auto model = s.get(s.client.checkpoints().promote(wanted()));
  BOOST_TEST(model.name == "accounts/acme/models/tuned");
  BOOST_TEST(model.state == "READY");
  BOOST_TEST(s.net->last("POST", promote_path).body ==
             R"({"output_model":"accounts/acme/models/tuned","trainer_job_id":"accounts/acme/rlorTrainerJobs/grpo-1",)"
             R"("base_model":"accounts/fireworks/models/qwen3-8b","async_promotion":true})");
}

BOOST_AUTO_TEST_CASE(a_promotion_may_be_over_at_once) {
  scene s;
  fill(s);
  s.net->on("POST", promote_path, [](const seen& r) {
    if (r.body.find("async_promotion") != std::string::npos)
      return reply(400, R"({"error":{"message":"Extra inputs are not permitted, field: 'async_promotion'"}})");
    return reply(200, R"({"model":{"state":"READY","kind":"HF_BASE_MODEL"}})");
  });
  const auto model = s.get(s.client.checkpoints().promote(wanted()));
  BOOST_TEST(model.name == "accounts/acme/models/tuned");
  BOOST_TEST(model.kind == "HF_BASE_MODEL");
  BOOST_TEST(s.net->count("POST", promote_path) == 2u);
}

BOOST_AUTO_TEST_CASE(a_promotion_that_fails_says_why) {
  scene s;
  fill(s);
  s.net->on("POST", promote_path, {reply(200, R"({"operation":{"name":"accounts/acme/operations/o1"}})")});
  s.net->on("GET", "/v1/accounts/acme/operations/o1",
            {operation(true, R"(,"error":{"code":9,"message":"weights are not readable"})")});
  must_fail(errc::status,
            {"promotion", "accounts/acme/operations/o1", "weights are not readable", "FAILED_PRECONDITION"},
            [&] { s.get(s.client.checkpoints().promote(wanted())); });
}

BOOST_AUTO_TEST_CASE(what_cannot_be_promoted_is_told_before_anything_is_sent) {
  scene s;
  fill(s);
  auto options = wanted();
  options.checkpoint = "accounts/acme/rlorTrainerJobs/grpo-1/checkpoints/step-3-a1b2c3d4";
  must_fail(errc::config, {"step-3-a1b2c3d4", "is a delta", "save a base"},
            [&] { s.get(s.client.checkpoints().promote(options)); });
  options = wanted();
  options.checkpoint = "state-2";
  options.job_id = "grpo-1";
  must_fail(errc::config, {"state-2", "CHECKPOINT_TYPE_TRAINING", "cannot be promoted"},
            [&] { s.get(s.client.checkpoints().promote(options)); });
  options.checkpoint = "step-2";
  must_fail(errc::config, {"step-2", "is not there", "suffix"},
            [&] { s.get(s.client.checkpoints().promote(options)); });
  options.job_id.clear();
  must_fail(errc::config, {"job_id is empty"}, [&] { s.get(s.client.checkpoints().promote(options)); });
  options = wanted();
  options.output_model = std::string(64, 'a');
  must_fail(errc::config, {"output_model has 64 characters, at most 63"},
            [&] { s.get(s.client.checkpoints().promote(options)); });
  s.net->on("GET", model_path, {reply(200, R"({"name":"accounts/acme/models/tuned","state":"READY"})")});
  must_fail(errc::config, {"'accounts/acme/models/tuned' exists (READY)", "another output_model"},
            [&] { s.get(s.client.checkpoints().promote(wanted())); });
  BOOST_TEST(s.net->count("POST", promote_path) == 0u);
}

BOOST_AUTO_TEST_CASE(a_promotion_whose_answer_is_lost_is_looked_for_and_never_sent_again) {
  for (const http_outcome& ambiguous :
       {http_outcome(lost()), http_outcome(reply(503, "{}")), http_outcome(reply(408, "{}"))}) {
    scene s;
    fill(s);
    s.net->on("POST", promote_path, {ambiguous});
    must_fail(errc::outcome_unknown,
              {"promote checkpoint step-2-a1b2c3d4", "not sent again", "no model", "find_model()"},
              [&] { s.get(s.client.checkpoints().promote(wanted())); });
    BOOST_TEST(s.net->count("POST", promote_path) == 1u);
    s.net->on("GET", model_path,
              {reply(404, "{}"), reply(200, R"({"name":"accounts/acme/models/tuned","state":"UPLOADING"})"),
               reply(200, R"({"name":"accounts/acme/models/tuned","state":"READY"})")});
    BOOST_TEST(s.get(s.client.checkpoints().promote(wanted())).state == "READY");
    BOOST_TEST(s.net->count("POST", promote_path) == 2u);
  }
}

BOOST_AUTO_TEST_SUITE_END()
