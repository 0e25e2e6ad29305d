// SPDX-License-Identifier: Apache-2.0
// What a run finds otherwise than it left it: a deployment that another run has made or that was deleted, replicas that
// went away, a model that is still being made.
#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include <gradwire/platform/lifecycle_journal.hpp>

#include "lifecycle_world.hpp"

using namespace living;

namespace {

platform::lifecycle_plan without_reference() {
  auto plan = whole_plan();
  plan.reference_shape.clear();
  return plan;
}

// The journal of a process that was killed while its create of the deployment was on its way.
void kill_while_creating(world& at, platform::lifecycle_options options, const platform::lifecycle_plan& plan) {
  options.keep_on_failure = true;
  at.hosted.set_fault({"refuse", "create_deployment:403", 1});
  refusal([&] { platform::lifecycle(at.client, plan, options).open().result(); }, errc::status);
  platform::lifecycle_journal journal(options.journal);
  const std::string own = "gradwire-" + journal.state().run + "-rollout";
  journal.write({.what = platform::lifecycle_fact::creating,
                 .of = platform::part::deployment,
                 .id = plan.deployment_id.empty() ? own : plan.deployment_id,
                 .type = "ours"});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(lifecycle_surprises)

BOOST_AUTO_TEST_CASE(a_deployment_that_another_run_made_first_keeps_its_trainer) {
  world at;
  auto plan = without_reference();
  plan.deployment_id = "shared";
  kill_while_creating(at, at.options("guest.jsonl"), plan);
  const auto owner = at.run(plan, "owner.jsonl");
  const auto made = owner.open().result();
  const auto guest = at.run(plan, "guest.jsonl");
  const auto said = refusal([&] { guest.open().result(); }, errc::config);
  BOOST_TEST(holds(said, "deployment shared was made by another run"), said);
  BOOST_TEST(holds(said, made.policy.name()), said);
  BOOST_TEST(at.client.deployments().get("shared").result().hot_load_trainer_job == made.policy.name());
  guest.close().result();
  BOOST_TEST(at.hosted.deployments().size() == 1U);
  owner.close().result();
  BOOST_TEST(at.hosted.jobs().empty());
  BOOST_TEST(at.hosted.deployments().empty());
}

BOOST_AUTO_TEST_CASE(nothing_is_loaded_while_no_replica_is_listed) {
  world at;
  const auto run = at.run(without_reference());
  auto made = run.open().result();
  at.hosted.set_fault({"replicas", "missing", 2});  // before the first load
  BOOST_TEST(!run.publish(0).result().fell_back);
  step(made.trainer, 1);
  at.hosted.set_fault({"replicas", "missing", 3});  // before the save, and after it
  BOOST_TEST(!run.publish(1).result().fell_back);
  BOOST_TEST(at.hosted.hot_loads(made.deployment).size() == 2U);
  at.hosted.set_fault({"replicas", "missing", -1});
  step(made.trainer, 2);
  const auto said = refusal([&] { run.publish(2).result(); }, errc::timeout);
  BOOST_TEST(holds(said, "it was saved"), said);
  BOOST_TEST(holds(said, "lists no replicas"), said);
  at.hosted.clear_faults();
  at.hosted.set_fault({"replicas", "missing", 2});  // nor by the call after that
  BOOST_TEST(!run.publish(2).result().fell_back);
  BOOST_TEST(at.hosted.hot_loads(made.deployment).size() == 3U);
  run.close().result();
}

BOOST_AUTO_TEST_CASE(a_deployment_that_is_gone_needs_no_scaling) {
  const world at;
  auto options = at.options();
  options.end = platform::end_of_deployment::scaled_to_zero;
  const platform::lifecycle run(at.client, without_reference(), options);
  const auto deployment = run.open().result().deployment;
  at.client.deployments().remove(deployment).result();
  run.close().result();
  BOOST_TEST(run.state().closed);
  BOOST_TEST(at.hosted.jobs().empty());
}

BOOST_AUTO_TEST_CASE(a_deployment_that_comes_late_is_deleted_and_not_scaled) {
  world at;
  auto options = at.options();
  options.end = platform::end_of_deployment::scaled_to_zero;
  kill_while_creating(at, options, without_reference());
  const platform::lifecycle run(at.client, without_reference(), options);
  const auto profile = at.client.resolve_training_profile(shape).result();
  at.client.deployments()
      .create({.deployment_id = run.state()[platform::part::deployment].id,
               .base_model = model,
               .linked_shape = profile.deployment_shape_version})
      .result();
  run.close().result();
  BOOST_TEST(at.hosted.jobs().empty());
  BOOST_TEST(at.hosted.deployments().empty());
}

BOOST_AUTO_TEST_CASE(a_model_that_is_still_being_made_is_waited_for) {
  loopback::platform_options slow;
  slow.delays.promotion = 1000;  // of the platform's clock
  world at(slow);
  const auto is_waiting = std::make_shared<std::promise<void>>();
  auto options = at.options();
  options.on_progress = [is_waiting, told = false](const platform::wait_progress& now) mutable {
    if (now.what.starts_with("the promotion to") && !std::exchange(told, true)) is_waiting->set_value();
  };
  auto plan = without_reference();
  plan.deployment = false;
  const platform::lifecycle run(at.client, plan, options);
  auto made = run.open().result();
  made.trainer.save_weights_for_sampler({.name = "base", .type = checkpoint::base}).result();
  const auto rows = at.client.checkpoints().list(made.policy.id()).result();
  const auto base = std::find_if(rows.begin(), rows.end(), [](const auto& row) { return row.promotable; });
  BOOST_REQUIRE((base != rows.end()));
  const platform::promote_plan wanted{.checkpoint = base->name, .output_model = "once"};
  at.hosted.set_fault({"lose_reply", "promote", 1});
  at.hosted.set_fault({"refuse", "get_model:404", 2});  // before it is asked for, and after
  refusal([&] { run.promote(wanted).result(); }, errc::outcome_unknown);
  auto again = run.promote(wanted);
  BOOST_TEST((is_waiting->get_future().wait_for(std::chrono::seconds(60)) == std::future_status::ready));
  BOOST_TEST(run.state().promoted.empty());
  at.hosted.advance(1000);
  BOOST_TEST(again.result().state == "READY");
  BOOST_TEST(run.state().promoted.size() == 1U);
  BOOST_TEST(at.hosted.counts().promotions == 1);
  run.close().result();
}

BOOST_AUTO_TEST_SUITE_END()
