// SPDX-License-Identifier: Apache-2.0
// From a training shape's id to its profile, the list of shapes, the choice of one, and configs out of a file. The
// numbers are those of the promises that the training shapes' page makes.
#include "played.hpp"

using namespace playing;
namespace pf = gradwire::platform;

BOOST_AUTO_TEST_SUITE(shapes)

BOOST_AUTO_TEST_CASE(A01_a_training_shape_is_the_launch_input_of_a_trainer_job) {
  scene s;
  s.net->on("POST", jobs_path, {reply_with(job("grpo-1", "JOB_STATE_CREATING"))});
  static_cast<void>(s.get(s.client.trainer_jobs().create(s.job_config())));
  BOOST_TEST(s.net->last("POST", jobs_path).query("trainingShape") == std::string(shape_id) + "/versions/v7");
}

BOOST_AUTO_TEST_CASE(A02_one_string_in_a_profile_out) {
  scene s;
  const auto profile = s.get(s.client.resolve_training_profile("accounts/fireworks/trainingShapes/qwen3-8b-128k-h200"));
  BOOST_TEST(profile.training_shape == shape_id);
}

BOOST_AUTO_TEST_CASE(A03_A04_a_shape_of_the_shared_catalogue_is_used_under_another_account) {
  scene s;
  static_cast<void>(s.profile());
  BOOST_REQUIRE(s.net->log.size() == 1u);  // the caller's account is not even asked for
  BOOST_TEST(s.net->log[0].path() == "/v1/accounts/fireworks/trainingShapes/qwen3-8b-128k-h200/versions");
}

BOOST_AUTO_TEST_CASE(A06_a_short_id_is_refused_with_the_full_one) {
  scene s;
  must_fail(errc::config, {"'qwen3-8b-128k-h200'", "short id", "accounts/<account>/trainingShapes/qwen3-8b-128k-h200"},
            [&] { s.get(s.client.resolve_training_profile("qwen3-8b-128k-h200")); });
  for (const char* wrong : {"", "accounts/fireworks/trainingShapes", "accounts/fireworks/models/qwen3-8b",
                            "accounts/fireworks/trainingShapes/a/version/v1", "accounts//trainingShapes/a",
                            "accounts/a/trainingShapes/../versions/v", "accounts/a/trainingShapes/b?x=1"})
    must_fail(errc::config, {"no id of a training shape"}, [&] { s.get(s.client.resolve_training_profile(wrong)); });
  BOOST_TEST(s.net->log.empty());
}

BOOST_AUTO_TEST_CASE(A07_A26_A27_an_id_without_a_version_asks_for_the_latest_validated_one) {
  scene s;
  const auto profile = s.profile();
  const auto& sent = s.net->log.at(0);
  BOOST_TEST(sent.method == "GET");
  BOOST_TEST(sent.target == "/v1/" + std::string(shape_id) + "/versions?filter=latest_validated%3Dtrue&pageSize=1");
  BOOST_TEST(sent.key == key);
  BOOST_TEST(!sent.bearer);
  BOOST_TEST(profile.training_shape_version.name() == std::string(shape_id) + "/versions/v7");
}

BOOST_AUTO_TEST_CASE(A27_a_shape_without_a_validated_version_is_an_error) {
  scene s;
  s.net->on("GET", "/v1/" + std::string(shape_id) + "/versions", {reply(200, "{}")});
  must_fail(errc::config, {shape_id, "no latest validated version", "take another shape"}, [&] { s.profile(); });
}

BOOST_AUTO_TEST_CASE(A08_A28_the_resolved_version_goes_verbatim_into_the_job) {
  scene s;
  s.net->on("GET", "/v1/" + std::string(shape_id) + "/versions/v3", [](const seen&) {
    auto v = version_of_shape();
    v.name = std::string(shape_id) + "/versions/v3";
    return reply_with(v);
  });
  const auto profile = s.get(s.client.resolve_training_profile(std::string(shape_id) + "/versions/v3"));
  BOOST_TEST(s.net->log.at(0).target == "/v1/" + std::string(shape_id) + "/versions/v3");
  s.net->on("POST", jobs_path, {reply_with(job("grpo-1", "JOB_STATE_CREATING"))});
  auto config = s.job_config();
  config.training_shape_ref = profile.training_shape_version;
  static_cast<void>(s.get(s.client.trainer_jobs().create(config)));
  BOOST_TEST(s.net->last("POST", jobs_path)
                 .target.find("trainingShape=accounts%2Ffireworks%2FtrainingShapes%2Fqwen3-8b"
                              "-128k-h200%2Fversions%2Fv3&") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(A05_A09_A10_A11_A12_the_profile_has_what_the_shape_provides) {
  scene s;
  const auto profile = s.profile();
  BOOST_TEST(profile.accelerator_type == "NVIDIA_H200_141GB");
  BOOST_TEST(profile.accelerator_count == 4);
  BOOST_TEST(profile.node_count == 1);
  BOOST_TEST(profile.max_supported_context_length == 131072);
  BOOST_TEST(profile.trainer_image_tag == "trainer-2026-10");
  BOOST_TEST(profile.deployment_shape_version.name() ==
             "accounts/fireworks/deploymentShapes/qwen3-8b-h200/versions/d3");
  BOOST_TEST(profile.pipeline_parallelism == 1);
  static_assert(!std::is_assignable_v<decltype((profile.node_count)), int>);
}

BOOST_AUTO_TEST_CASE(what_a_version_leaves_out_has_its_default) {
  scene s;
  s.net->on("GET", "/v1/" + std::string(shape_id) + "/versions",
            {reply(200, R"({"training_shape_versions":[{"name":"accounts/fireworks/trainingShapes/qwen3-8b-128k-h200/)"
                        R"(versions/v7","snapshot":{"max_supported_context_length":"65536","trainerMode":3}}]})")});
  const auto profile = s.profile();
  BOOST_TEST(profile.node_count == 1);
  BOOST_TEST(profile.accelerator_count == 0);
  BOOST_TEST(profile.accelerator_type == "");
  BOOST_TEST(profile.max_supported_context_length == 65536);
  BOOST_TEST(profile.deployment_shape_version.empty());
  BOOST_TEST(profile.trainer_mode == "LORA_TRAINER");
}

BOOST_AUTO_TEST_CASE(A42_there_are_three_kinds_of_shapes_and_unknown_ones_pass) {
  for (const auto& [mode, lora, forward_only, policy] :
       {std::tuple("LORA_TRAINER", true, false, false), std::tuple("FORWARD_ONLY", false, true, false),
        std::tuple("POLICY_TRAINER", false, false, true), std::tuple("", false, false, true),
        std::tuple("SOMETHING_NEW", false, false, false)}) {
    scene s;
    wp::training_shape_versions_reply versions;
    versions.training_shape_versions.push_back(version_of_shape());
    versions.training_shape_versions[0].snapshot.trainer_mode.name = mode;
    versions.training_shape_versions[0].snapshot.accelerator_type = "NVIDIA_B300_288GB";
    s.net->on("GET", "/v1/" + std::string(shape_id) + "/versions", {reply_with(versions)});
    const auto profile = s.profile();
    BOOST_TEST(profile.trainer_mode == mode);
    BOOST_TEST(profile.supports_lora() == lora);
    BOOST_TEST(profile.is_forward_only() == forward_only);
    BOOST_TEST(profile.is_policy_trainer() == policy);
    BOOST_TEST(profile.accelerator_type == "NVIDIA_B300_288GB");
  }
}

BOOST_AUTO_TEST_CASE(refusals_of_a_shape_name_cause_and_way_out) {
  scene s;
  const std::string path = "/v1/" + std::string(shape_id) + "/versions";
  s.net->on("GET", path, {reply(404, R"({"code":5,"message":"shape not found","details":[]})")});
  auto e = must_fail(
      errc::status,
      {"resolve training shape", shape_id, "404", "shape not found", "NOT_FOUND", "spelling", "training_shapes()"},
      [&] { s.profile(); });
  BOOST_TEST(e.details().http_status == 404);
  s.net->on("GET", path, {reply(403, R"({"error":{"message":"no access"}})")});
  must_fail(errc::status, {"403", "no access", "not open to this key's account"}, [&] { s.profile(); });
  s.net->on("GET", path, {reply(401, std::string("{\"error\":\"bad key ") + key + "\"}")});
  must_fail(errc::status, {"401", "for inference alone is not taken", "(key)"}, [&] { s.profile(); });
}

BOOST_AUTO_TEST_CASE(a_version_is_parsed_explicitly_or_not_at_all) {
  const auto made = pf::training_shape_ref::parse("accounts/a/trainingShapes/s/versions/v");
  BOOST_TEST(made.name() == "accounts/a/trainingShapes/s/versions/v");
  BOOST_TEST(made.shape() == "accounts/a/trainingShapes/s");
  must_fail(errc::config, {"no version of a training shape", "resolve_training_profile()"},
            [] { static_cast<void>(pf::training_shape_ref::parse("accounts/a/trainingShapes/s")); });
  must_fail(errc::config, {"one looks like"}, [] { static_cast<void>(pf::training_shape_ref::parse("s")); });
}

namespace {

wp::training_shape_version version(const std::string& id, const std::string& mode, std::int64_t context) {
  auto v = version_of_shape();
  v.name = "accounts/fireworks/trainingShapes/" + id + "/versions/v1";
  v.snapshot.trainer_mode.name = mode;
  v.snapshot.max_supported_context_length = context;
  return v;
}

constexpr const char* all_versions = "/v1/accounts/fireworks/trainingShapes/-/versions";

}  // namespace

BOOST_AUTO_TEST_CASE(A33_the_available_shapes_are_listed_over_all_pages) {
  scene s;
  s.net->on("GET", all_versions, [](const seen& r) {
    wp::training_shape_versions_reply page;
    page.training_shape_versions.push_back(version(r.query("pageToken").empty() ? "one" : "two", "", 65536));
    if (r.query("pageToken").empty()) page.next_page_token = "next/page=2";
    return reply_with(page);
  });
  const auto shapes = s.get(s.client.training_shapes());
  BOOST_REQUIRE(shapes.size() == 2u);
  BOOST_TEST(shapes[0].training_shape == "accounts/fireworks/trainingShapes/one");
  BOOST_TEST(shapes[1].training_shape == "accounts/fireworks/trainingShapes/two");
  BOOST_TEST(s.net->log[0].query("filter") == "latest_validated=true");
  BOOST_TEST(s.net->log[0].query("orderBy") == "create_time desc");
  BOOST_TEST(s.net->log[0].query("pageSize") == "200");
  BOOST_TEST(s.net->log[1].query("pageToken") == "next/page=2");
}

BOOST_AUTO_TEST_CASE(A30_A31_a_shape_is_chosen_by_role_and_context) {
  scene s;
  wp::training_shape_versions_reply page;
  page.training_shape_versions = {version("wide", "POLICY_TRAINER", 262144), version("fits", "POLICY_TRAINER", 131072),
                                  version("tight", "POLICY_TRAINER", 65536), version("ref", "FORWARD_ONLY", 131072),
                                  version("lora", "LORA_TRAINER", 131072)};
  s.net->on("GET", all_versions, {reply_with(page)});
  const auto pick = [&](pf::shape_wish wish) {
    wish.base_model = "accounts/fireworks/models/qwen3-8b";
    const auto found = s.get(s.client.select_training_shape(wish));
    return wp::last_segment(found.training_shape);
  };
  BOOST_TEST(pick({.max_context_length = 100000}) == "fits");
  BOOST_TEST(pick({}) == "wide");  // the first, which is the newest
  BOOST_TEST(pick({.max_context_length = 100000, .role = pf::shape_role::reference}) == "ref");
  BOOST_TEST(pick({.max_context_length = 100000, .lora_rank = 32}) == "lora");
  BOOST_TEST(s.net->log[0].query("filter") ==
             "snapshot.base_model=\"accounts/fireworks/models/qwen3-8b\" AND latest_validated=true");
  s.net->on("GET", "/v1/accounts/fireworks/models/qwen3-8b", {reply(200, R"({"name":"m"})")});
  must_fail(errc::config, {"no validated training shape fits", "qwen3-8b", "1000000 tokens"},
            [&] { pick({.max_context_length = 1000000}); });
}

BOOST_AUTO_TEST_CASE(a_model_without_a_shape_takes_one_of_its_type_and_size) {
  scene s;
  s.net->on("GET", all_versions, [](const seen& r) {
    wp::training_shape_versions_reply page;
    if (r.query("filter").find("model_type") != std::string::npos)
      page.training_shape_versions.push_back(version("same-size", "POLICY_TRAINER", 65536));
    return reply_with(page);
  });
  s.net->on("GET", "/v1/accounts/acme/models/tuned",
            {reply(200, R"({"name":"accounts/acme/models/tuned","baseModelDetails":{"modelType":"qwen3",)"
                        R"("parameterCount":"8190735360"}})")});
  const auto found = s.get(s.client.select_training_shape({.base_model = "accounts/acme/models/tuned"}));
  BOOST_TEST(found.training_shape == "accounts/fireworks/trainingShapes/same-size");
  BOOST_TEST(s.net->last("GET", all_versions).query("filter") ==
             "snapshot.model_type=\"qwen3\" AND snapshot.parameter_count>=8000000000 AND "
             "snapshot.parameter_count<=9000000000 AND latest_validated=true");
}

BOOST_AUTO_TEST_CASE(A20_A21_A22_A23_A24_a_file_that_names_what_the_shape_owns_is_refused_with_all_of_it) {
  scene s;
  const auto profile = s.profile();
  try {
    static_cast<void>(pf::read_trainer_job_config(
        R"({"base_model":"m","accelerator_type":"NVIDIA_B200_180GB","acceleratorCount":8,"node_count":2,)"
        R"("custom_image_tag":"mine","max_context_length":1024,"deployment_shape":"other"})",
        profile));
    BOOST_FAIL("it was taken");
  } catch (const pf::shape_owned_error& e) {
    BOOST_TEST((e.kind() == errc::config));
    BOOST_REQUIRE(e.fields().size() == 6u);
    BOOST_TEST(e.fields()[0].name == "accelerator_type");
    BOOST_TEST(e.fields()[0].given == "\"NVIDIA_B200_180GB\"");
    BOOST_TEST(e.fields()[0].shape_value == "NVIDIA_H200_141GB");
    BOOST_TEST(e.fields()[1].name == "accelerator_count");
    BOOST_TEST(e.fields()[1].shape_value == "4");
    BOOST_TEST(e.fields()[2].name == "node_count");
    BOOST_TEST(e.fields()[3].shape_value == "trainer-2026-10");
    BOOST_TEST(e.fields()[4].shape_value == "131072");
    BOOST_TEST(e.fields()[5].shape_value == "accounts/fireworks/deploymentShapes/qwen3-8b-h200/versions/d3");
    const std::string_view text = e.what();
    for (const char* part : {"accelerator_type (given \"NVIDIA_B200_180GB\", the shape's is NVIDIA_H200_141GB)",
                             "node_count (given 2", "take them out of the file"})
      BOOST_TEST(text.find(part) != text.npos, text << " lacks " << part);
  }
  // The same value as the shape's is one too; nothing at all is none.
  BOOST_CHECK_THROW(static_cast<void>(pf::read_trainer_job_config(R"({"node_count":1})", profile)),
                    pf::shape_owned_error);
  BOOST_CHECK_THROW(static_cast<void>(pf::read_deployment_config(R"({"deploymentShape":"x"})", profile)),
                    pf::shape_owned_error);
  const auto fine = pf::read_trainer_job_config(
      R"({"base_model":"m","node_count":0,"accelerator_type":null,"custom_image_tag":"","lora_rank":8})", profile);
  BOOST_TEST(fine.lora_rank == 8);
  BOOST_TEST(fine.training_shape_ref.name() == profile.training_shape_version.name());
}

BOOST_AUTO_TEST_CASE(a_file_with_a_name_nobody_knows_or_another_shape_is_refused) {
  scene s;
  const auto profile = s.profile();
  must_fail(errc::config, {"learning_rat", "not known", "learning_rate"},
            [&] { static_cast<void>(pf::read_trainer_job_config(R"({"learning_rat":1})", profile)); });
  must_fail(errc::config, {"learning_rate", "not known"},
            [&] { static_cast<void>(pf::read_reference_job_config(R"({"learning_rate":1})", profile)); });
  must_fail(errc::config, {"accounts/fireworks/trainingShapes/other", "versions/v7"}, [&] {
    static_cast<void>(
        pf::read_trainer_job_config(R"({"training_shape":"accounts/fireworks/trainingShapes/other"})", profile));
  });
  must_fail(errc::config, {"lora_rank", "integer"},
            [&] { static_cast<void>(pf::read_trainer_job_config(R"({"lora_rank":"many"})", profile)); });
  const auto deployment = pf::read_deployment_config(
      R"({"deploymentId":"rollouts","baseModel":"m","minReplicaCount":1,"maxReplicaCount":"3"})", profile);
  BOOST_TEST(deployment.min_replica_count == 1);
  BOOST_TEST(deployment.max_replica_count == 3);
  BOOST_TEST(deployment.linked_shape.name() == profile.deployment_shape_version.name());
}

BOOST_AUTO_TEST_SUITE_END()
