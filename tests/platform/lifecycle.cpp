// SPDX-License-Identifier: Apache-2.0
// The lifecycle against the embedded platform: what is made, loaded and deleted, by the platform's own counts.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <gradwire/platform/training_loop.hpp>

#include "lifecycle_world.hpp"

using namespace living;

BOOST_AUTO_TEST_SUITE(lifecycles)

BOOST_AUTO_TEST_CASE(from_a_shape_to_a_deployment_of_the_last_step_and_back_to_nothing) {
  const world at;
  const auto run = at.run();
  auto made = run.open().result();
  BOOST_TEST(!made.resumed);
  BOOST_TEST(made.step == 0);
  BOOST_TEST(made.serves == -1);
  BOOST_TEST(made.profile->max_supported_context_length == 131072);
  BOOST_TEST(made.reference_profile->is_forward_only());
  BOOST_TEST(at.hosted.jobs().size() == 2U);
  BOOST_TEST(at.hosted.deployments().size() == 1U);
  // Base, then deltas of it.
  std::vector<platform::published_snapshot> loaded{run.publish(0).result()};
  for (int s = 1; s <= 3; ++s) {
    step(made.trainer, s);
    loaded.push_back(run.publish(s).result());
  }
  BOOST_TEST((loaded[0].type == checkpoint::base));
  std::vector<std::string> identities;
  for (const auto& each : loaded) {
    identities.push_back(each.identity);
    BOOST_TEST((&each == &loaded[0] || each.type == checkpoint::delta));
    BOOST_TEST(!each.fell_back);
  }
  BOOST_TEST((at.hosted.hot_loads(made.deployment) == identities));
  // The deployment samples from what the trainer has, to the bits that bf16 keeps; the reference from the base model.
  const std::vector<std::int32_t> asked{40, 50, 60};
  const auto sampled = made.sampler.sample(asked, {.max_tokens = 4, .temperature = 0}).result().sequences.at(0);
  const auto same = batch(std::vector{datum{prompt(asked) + response(sampled.tokens)}});
  const auto trained = made.trainer.forward(same).result();
  for (std::size_t t = 0; t < sampled.tokens.size(); ++t)
    BOOST_TEST(std::abs(trained[0][asked.size() - 1 + t] - sampled.model_logprobs.at(t)) < 0.05F);
  BOOST_TEST((made.frozen.forward(same).result()[0][0] != trained[0][0]));
  const auto saved = run.save_state(3).result();
  BOOST_TEST(run.state().state == saved.path);
  BOOST_TEST(run.state().step == 3);
  const auto rows = at.client.checkpoints().list(made.policy.id()).result();
  const auto base = std::find_if(rows.begin(), rows.end(), [](const auto& row) { return row.promotable; });
  BOOST_REQUIRE((base != rows.end()));
  run.promote({.checkpoint = base->name, .output_model = "lifecycle-model"}).result();
  BOOST_TEST(at.hosted.models().size() == 1U);
  const auto job = made.policy.id();
  run.close().result();
  BOOST_TEST(at.hosted.jobs().empty());
  BOOST_TEST(at.hosted.deployments().empty());
  BOOST_TEST(run.state().closed);
  BOOST_TEST(at.hosted.counts().jobs_created == 2);
  BOOST_TEST(at.hosted.counts().jobs_deleted == 2);
  BOOST_TEST(at.hosted.counts().deployments_created == 1);
  BOOST_TEST(at.hosted.counts().deployments_deleted == 1);
  BOOST_TEST(at.hosted.counts().promotions == 1);
  run.close().result();  // nothing to do
  BOOST_TEST(holds(refusal([&] { run.publish(4).result(); }, errc::closed), "is closed"));
  BOOST_TEST(
      holds(refusal([&] { at.run(whole_plan(), "other.jsonl").publish(1).result(); }, errc::config), "is not open"));
}

BOOST_AUTO_TEST_CASE(a_second_process_goes_on_with_all_of_it) {
  const world at;
  std::string job, deployment, served, path;
  {
    const auto first = at.run();
    auto made = first.open().result();
    step(made.trainer, 1);
    path = first.save_state(1).result().path;
    served = first.publish(1).result().identity;
    job = made.policy.id();
    deployment = made.deployment;
  }
  const auto again = at.run();
  auto made = again.open().result();
  BOOST_TEST(made.resumed);
  BOOST_TEST(made.policy.id() == job);
  BOOST_TEST(made.deployment == deployment);
  BOOST_TEST(made.step == 1);
  BOOST_TEST(made.serves == 1);  // so nothing is loaded before the first rollout
  BOOST_TEST(again.state().loaded.name == served);
  BOOST_TEST(at.hosted.counts().jobs_created == 2);
  BOOST_TEST(at.hosted.counts().deployments_created == 1);
  // A model made anew has saved nothing that a delta could be made against.
  step(made.trainer, 2);
  BOOST_TEST((again.publish(2).result().type == checkpoint::base));
  step(made.trainer, 3);
  BOOST_TEST((again.publish(3).result().type == checkpoint::delta));
  again.close().result();
  BOOST_TEST(at.hosted.jobs().empty());
  BOOST_TEST(at.hosted.deployments().empty());
}

BOOST_AUTO_TEST_CASE(closing_what_another_process_left) {
  const world at;
  {
    const auto first = at.run();
    static_cast<void>(first.open().result());
  }
  BOOST_TEST(at.hosted.jobs().size() == 2U);
  at.run().close().result();
  BOOST_TEST(at.hosted.jobs().empty());
  BOOST_TEST(at.hosted.deployments().empty());
  BOOST_TEST(holds(refusal([&] { at.run().open().result(); }, errc::closed), "nothing of it is left"));
}

BOOST_AUTO_TEST_CASE(k_calls_for_each_step_of_the_optimizer) {
  const world at;
  auto plan = whole_plan();
  plan.reference_shape.clear();
  plan.deployment = false;
  plan.gradient_accumulation_steps = 4;
  const auto run = at.run(plan);
  auto made = run.open().result();
  BOOST_TEST(made.deployment.empty());
  platform::training_loop loop(made.trainer,
                               {.gradient_accumulation_steps = 4,
                                .optim = {.learning_rate = 1e-4},
                                .learning_rate = [](std::int64_t s) { return 1e-4 / static_cast<double>(s); }});
  for (int i = 0; i < 10; ++i) {
    auto fed = loop.feed(some_batch(i), server_loss::cross_entropy{});
    BOOST_TEST(fed.number == i / 4 + 1);
    BOOST_TEST(fed.optim.has_value() == (i % 4 == 3));
    fed.step.result();
    if (fed.optim) fed.optim->result();
  }
  BOOST_TEST(loop.pending() == 2);
  auto rest = loop.finish();
  BOOST_REQUIRE(rest.has_value());
  rest->result();
  BOOST_TEST(!loop.finish().has_value());
  BOOST_TEST(loop.steps() == 3);
  const auto executed = at.hosted.executed(made.policy.id());
  BOOST_TEST(executed.forward_backward == 10);
  BOOST_TEST(executed.optim_step == 3);
  BOOST_CHECK_THROW(platform::training_loop(made.trainer, {.gradient_accumulation_steps = 0}), error);
  refusal([&] { run.publish(1).result(); }, errc::config);
  run.close().result();
}

BOOST_AUTO_TEST_CASE(one_journal_is_one_run) {
  const world at;
  {
    const auto run = at.run();
    static_cast<void>(run.open().result());
    BOOST_TEST(holds(refusal([&] { run.open().result(); }, errc::config), "is open"));
    BOOST_TEST(holds(refusal([&] { static_cast<void>(at.run()); }, errc::config), "is written by another program"));
  }
  auto other = whole_plan();
  other.lora_rank = 8;
  BOOST_TEST(holds(refusal([&] { at.run(other).open().result(); }, errc::config), "is of another run"));
  at.run(other).close().result();  // deletes what the journal names, whatever the plan
  BOOST_TEST(at.hosted.jobs().empty());
  refusal([&] { platform::lifecycle(at.client, whole_plan(), {}); }, errc::config);
  auto none = whole_plan();
  none.base_model.clear();
  refusal([&] { at.run(none, "none.jsonl"); }, errc::config);
}

BOOST_AUTO_TEST_CASE(a_deployment_with_its_own_bucket_is_made_first) {
  const world at;
  auto plan = whole_plan();
  plan.reference_shape.clear();
  plan.bucket = platform::hot_load_bucket::of_deployment;
  const auto run = at.run(plan);
  auto made = run.open().result();
  BOOST_TEST(made.policy.info().hot_load_deployment_id == made.deployment);
  run.publish(0).result();
  run.close().result();
  BOOST_TEST(at.hosted.jobs().empty());
}

BOOST_AUTO_TEST_CASE(a_deployment_may_be_left_at_no_replicas) {
  const world at;
  auto options = at.options();
  options.end = platform::end_of_deployment::scaled_to_zero;
  const platform::lifecycle run(at.client, whole_plan(), options);
  const auto deployment = run.open().result().deployment;
  run.close().result();
  BOOST_TEST(at.hosted.jobs().empty());
  BOOST_TEST(at.client.deployments().get(deployment).result().max_replica_count == 0);
}

BOOST_AUTO_TEST_SUITE_END()
