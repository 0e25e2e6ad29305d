// SPDX-License-Identifier: Apache-2.0
// The client against the embedded platform: from a shape's id to a completion of weights that were just trained, and
// what becomes of a create, a hot load and a promotion whose answer is lost. The platform counts what it executed.
#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include <gradwire/loopback/platform.hpp>
#include <gradwire/loss/tinker/ppo.hpp>
#include <gradwire/platform.hpp>

using namespace gradwire;
namespace pf = gradwire::platform;

BOOST_AUTO_TEST_SUITE(embedded)

namespace {

constexpr const char* qwen8 = "accounts/fireworks/models/qwen3-8b";
constexpr const char* policy_shape = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200";
constexpr const char* reference_shape = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200-forward-only";

loopback::platform_options quick() {
  loopback::platform_options options;
  options.threads = 1;
  options.delays = {.job_creating = 0, .deployment_creating = 0, .promotion = 0};
  return options;
}

pf::client_options impatient() {
  pf::client_options options;
  options.retry.first_pause_seconds = 0.01;
  options.retry.longest_pause_seconds = 0.05;
  return options;
}

struct stage {
  loopback::platform server;
  pf::client client;

  explicit stage(loopback::platform_options options = quick())
      : server(loopback::start_platform(std::move(options))),
        client(pf::client::connect(server.endpoint(), impatient())) {}

  pf::policy_job running_job(const std::string& id = "grpo-1", int rank = 0) {
    const auto profile = client.resolve_training_profile(policy_shape).result();
    const auto made = client.trainer_jobs()
                          .create({.base_model = qwen8,
                                   .training_shape_ref = profile.training_shape_version,
                                   .lora_rank = rank,
                                   .display_name = "grpo-run",
                                   .job_id = id})
                          .result();
    return client.trainer_jobs().wait(made, {.poll_seconds = 0.02}).result();
  }
  pf::deployment ready_deployment(const pf::policy_job& job) {
    const auto profile = client.resolve_training_profile(policy_shape).result();
    const auto made = client.deployments()
                          .create({.deployment_id = "rollouts",
                                   .base_model = qwen8,
                                   .linked_shape = profile.deployment_shape_version,
                                   .hot_load_trainer_job = job.name()})
                          .result();
    return client.deployments().wait(made.id, {.poll_seconds = 0.02}).result();
  }
  void load(const std::string& identity, std::optional<std::string> previous = {}) {
    pf::hot_load_options how{.identity = identity, .previous_identity = std::move(previous)};
    client.deployments().hot_load("rollouts", how).result();
    client.deployments().wait_hot_load("rollouts", identity, {.poll_seconds = 0.02}).result();
  }
};

auto data() { return batch{group(datum{prompt({72, 105, 33}) + response({65, 66, 67})})}; }

// Runs f, which must throw a gradwire::error of this kind whose text has all parts.
template <class F>
error must_fail(errc kind, std::initializer_list<const char*> parts, F&& f) {
  try {
    f();
  } catch (const error& e) {
    BOOST_TEST(to_string(e.kind()) == to_string(kind), "expected " << to_string(kind) << ": " << e.what());
    for (const char* part : parts)
      BOOST_TEST(std::string_view(e.what()).find(part) != std::string_view::npos, e.what() << " lacks: " << part);
    return e;
  }
  BOOST_FAIL("no error was thrown");
  throw 0;
}

}  // namespace

BOOST_AUTO_TEST_CASE(from_a_shapes_id_to_a_completion_of_trained_weights) {
  stage s;
  BOOST_TEST(s.client.account().result() == "acme");
  auto job = s.running_job();
  s.ready_deployment(job);
  auto trainer = job.training_client().result();
  const auto step = trainer.forward_backward(data(), server_loss::cross_entropy{});
  trainer.optim_step({.learning_rate = 1e-3}).result();
  BOOST_TEST(step.result().loss > 0);
  trainer.save_weights_for_sampler({.name = "step-1-a1b2c3d4", .type = checkpoint::base}).result();
  s.load("step-1-a1b2c3d4");
  s.client.deployments().warm_up("rollouts").result();
  const auto sampler = s.client.deployments().sampler("rollouts").result();
  const auto all = sampler.sample({72, 105, 33}, {.num_samples = 2, .max_tokens = 4, .seed = 3, .echo = true}).result();
  BOOST_REQUIRE(all.sequences.size() == 2u);
  for (const auto& one : all.sequences) {
    BOOST_TEST(!one.tokens.empty());
    BOOST_TEST(one.logprobs.size() == one.tokens.size());
    BOOST_TEST(one.prompt_logprobs.size() == 2u);
  }
  // What the deployment says of the prompt is what the trainer computes, in bf16.
  const auto again = trainer.forward(batch{group(datum{prompt({72}) + response({105, 33})})}).result();
  for (std::size_t i = 0; i < 2; ++i) BOOST_TEST(std::abs(all.sequences[0].prompt_logprobs[i] - again[0][i]) < 0.1);
  trainer.optim_step({.learning_rate = 1e-3}).result();
  trainer.save_weights_for_sampler({.name = "step-2-a1b2c3d4", .type = checkpoint::delta}).result();
  s.load("step-2-a1b2c3d4", "step-1-a1b2c3d4");
  BOOST_TEST(s.server.counts().hot_loads == 2);
  const auto rows = s.client.checkpoints().list(job.id()).result();
  BOOST_REQUIRE(rows.size() == 2u);
  BOOST_TEST(rows[1].is_delta());
  const auto model = s.client.checkpoints()
                         .promote({.checkpoint = rows[0].resource_name, .output_model = "tuned", .base_model = qwen8},
                                  {.poll_seconds = 0.02})
                         .result();
  BOOST_TEST(model.name == "accounts/acme/models/tuned");
  s.client.deployments().remove("rollouts").result();
  s.client.trainer_jobs().remove(job.id()).result();
  BOOST_TEST(s.server.jobs().empty());
  BOOST_TEST(s.server.deployments().empty());
}

BOOST_AUTO_TEST_CASE(A29_A31_A32_a_reference_trainer_runs_forward_and_gives_the_base_models_logprobs) {
  stage s;
  auto policy = s.running_job();
  const auto profile = s.client.resolve_training_profile(reference_shape).result();
  BOOST_TEST(profile.is_forward_only());
  auto made = s.client.trainer_jobs()
                  .create_reference(
                      {.base_model = qwen8, .training_shape_ref = profile.training_shape_version, .job_id = "ref-1"})
                  .result();
  made = s.client.trainer_jobs().wait(made, {.poll_seconds = 0.02}).result();
  auto reference = made.reference_client().result();
  auto trainer = policy.training_client().result();
  const auto theirs = reference.forward(data()).result();
  const auto before = trainer.forward(data()).result();
  BOOST_REQUIRE(theirs[0].size() == before[0].size());
  for (std::size_t i = 0; i < theirs[0].size(); ++i) BOOST_TEST(theirs[0][i] == before[0][i]);
}

BOOST_AUTO_TEST_CASE(A33_A42_the_catalogue_is_listed_with_its_three_kinds) {
  stage s;
  std::set<std::string> modes;
  for (const auto& each : s.client.training_shapes().result()) modes.insert(each.trainer_mode);
  BOOST_TEST(modes.contains("POLICY_TRAINER"));
  BOOST_TEST(modes.contains("FORWARD_ONLY"));
  BOOST_TEST(modes.contains("LORA_TRAINER"));
  const auto chosen = s.client.select_training_shape({.base_model = qwen8, .max_context_length = 100000}).result();
  BOOST_TEST(chosen.training_shape == policy_shape);
  BOOST_TEST(chosen.training_shape_version.name() == std::string(policy_shape) + "/versions/v2");
}

BOOST_AUTO_TEST_CASE(bad_input_has_its_error) {
  stage s;
  must_fail(errc::config, {"short id"}, [&] { s.client.resolve_training_profile("qwen3-8b-128k-h200").result(); });
  must_fail(errc::status, {"404", "nowhere"},
            [&] { s.client.resolve_training_profile("accounts/fireworks/trainingShapes/nowhere").result(); });
  s.server.set_fault({"no_validated_version"});
  must_fail(errc::config, {"no latest validated version"},
            [&] { s.client.resolve_training_profile(policy_shape).result(); });
  s.server.set_fault({"accounts", "two"});
  must_fail(errc::config, {"more than one account"}, [&] { s.client.account().result(); });
  s.server.clear_faults();
  auto wrong = s.server.endpoint();
  wrong.token = "fw_ffffffffffffffffffffffffffffffff";
  must_fail(errc::status, {"401", "one that may train"},
            [&] { pf::client::connect(wrong, impatient()).account().result(); });
}

BOOST_AUTO_TEST_CASE(a_quota_is_told_with_its_numbers) {
  auto options = quick();
  options.quotas.trainer_jobs = 1;
  stage s(options);
  s.running_job("one");
  must_fail(errc::status, {"create trainer job two", "1 attempt", "429", "more quota"}, [&] { s.running_job("two"); });
  BOOST_TEST(s.server.jobs().size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_create_that_is_refused_three_times_or_whose_answer_is_lost_is_one_job) {
  stage s;
  s.server.set_fault({"refuse", "create_job:503", 3});
  BOOST_TEST(!s.running_job("one").existed());
  s.server.set_fault({"lose_reply", "create_job", 1});
  BOOST_TEST(!s.running_job("two").existed());
  BOOST_TEST(s.running_job("two").existed());
  BOOST_TEST(s.server.counts().jobs_created == 2);
}

BOOST_AUTO_TEST_CASE(a_hot_load_whose_answer_is_lost_is_executed_once) {
  stage s;
  auto job = s.running_job();
  s.ready_deployment(job);
  auto trainer = job.training_client().result();
  trainer.save_weights_for_sampler({.name = "step-1-a1b2c3d4", .type = checkpoint::base}).result();
  s.server.set_fault({"lose_reply", "hot_load", 1});
  s.load("step-1-a1b2c3d4");
  BOOST_TEST(s.server.counts().hot_loads == 1);
}

BOOST_AUTO_TEST_CASE(a_promotion_whose_answer_is_lost_is_executed_once) {
  stage s;
  auto job = s.running_job();
  auto trainer = job.training_client().result();
  trainer.save_weights_for_sampler({.name = "step-1-a1b2c3d4", .type = checkpoint::base}).result();
  const auto rows = s.client.checkpoints().list(job.id()).result();
  s.server.set_fault({"lose_reply", "promote", 1});
  const auto model =
      s.client.checkpoints()
          .promote({.checkpoint = rows.at(0).resource_name, .output_model = "tuned", .base_model = qwen8},
                   {.poll_seconds = 0.02})
          .result();
  BOOST_TEST(model.name == "accounts/acme/models/tuned");
  BOOST_TEST(s.server.counts().promotions == 1);
}

BOOST_AUTO_TEST_CASE(a_stream_that_is_cut_off_is_sampled_again) {
  stage s;
  auto job = s.running_job();
  s.ready_deployment(job);
  auto trainer = job.training_client().result();
  trainer.save_weights_for_sampler({.name = "step-1-a1b2c3d4", .type = checkpoint::base}).result();
  s.load("step-1-a1b2c3d4");
  const auto sampler = s.client.deployments().sampler("rollouts").result();
  s.server.set_fault({"stream", "truncated", 1});
  BOOST_TEST(sampler.sample({72, 105}, {.max_tokens = 2}).result().sequences[0].attempts == 2);
  s.server.set_fault({"echo_mismatch"});
  must_fail(errc::protocol, {"should begin with the prompt's"}, [&] {
    sampler.sample({72, 105}, {.max_tokens = 2, .echo = true}).result();
  });
  s.server.clear_faults();
  s.server.set_fault({"no_sampling_logprob"});
  must_fail(errc::protocol, {"no sampling_logprob"}, [&] {
    sampler.sample({72, 105}, {.max_tokens = 2, .temperature = 0.7}).result();
  });
}

BOOST_AUTO_TEST_CASE(a_datum_without_an_active_token_keeps_its_place_and_moves_nothing) {
  stage s;
  const datum active{prompt({72, 105}) + response({65, 66}), fields::weights = std::vector<float>{0, 1, 1}};
  const datum idle{prompt({7, 8}) + response({9}), fields::weights = std::vector<float>{0, 0}};
  const auto loss = sum_over_all_tokens(-fields::logprobs);
  auto one = s.running_job("one").training_client().result();
  auto two = s.running_job("two").training_client().result();
  const auto alone = one.forward_backward_custom(batch(std::vector{active}), loss).result();
  const auto beside = two.forward_backward_custom(batch(std::vector{idle, active}), loss).result();
  BOOST_TEST(alone.loss > 0);
  BOOST_TEST(beside.loss == alone.loss, boost::test_tools::tolerance(1e-6));  // a larger batch rounds differently
  BOOST_TEST(beside.logprobs[1][2] == alone.logprobs[0][2], boost::test_tools::tolerance(1e-6F));
  for (auto* each : {&one, &two}) each->optim_step({.learning_rate = 1e-3}).result();
  const auto after_one = one.forward(batch(std::vector{active})).result();
  const auto after_two = two.forward(batch(std::vector{active})).result();
  BOOST_TEST(after_one[0][2] > alone.logprobs[0][2] + 1e-3F);
  for (std::size_t t = 0; t < 3; ++t)
    BOOST_TEST(after_one[0][t] == after_two[0][t], boost::test_tools::tolerance(1e-6F));
  BOOST_TEST(two.forward_backward_custom(batch(std::vector{idle}), loss).result().loss == 0);  // all of it
}

BOOST_AUTO_TEST_CASE(a_policy_loss_is_not_lowered_to_one_that_caps_the_ratio) {
  stage s;
  auto trainer = s.running_job().training_client().result();
  const auto rollout = with(fields::old_logprobs = std::vector<std::vector<float>>{{-1, -1, -1, -1, -1}},
                            fields::advantage = std::vector<double>{1}, data());
  must_fail(errc::config, {"caps the ratio in its ppo", "Leave lower() out"},
            [&] { trainer.forward_backward_custom(rollout, lower(tinker::ppo{})).result(); });
  BOOST_TEST(std::isfinite(trainer.forward_backward_custom(rollout, tinker::ppo{}).result().loss));
}

BOOST_AUTO_TEST_SUITE_END()
