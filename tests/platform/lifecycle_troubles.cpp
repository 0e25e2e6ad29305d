// SPDX-License-Identifier: Apache-2.0
// The lifecycle when things go wrong: what a failure of each part leaves, what a lost answer leads to, a full disk, and
// a deployment that does not hold what it was given.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/platform/lifecycle_journal.hpp>

#include "../support/full_disk.hpp"
#include "lifecycle_world.hpp"

using namespace living;

BOOST_AUTO_TEST_SUITE(lifecycle_troubles)

BOOST_AUTO_TEST_CASE(a_wrong_shape_makes_nothing) {
  const world at;
  auto plan = whole_plan();
  plan.reference_shape = shape + "-that-is-not-there";
  refusal([&] { at.run(plan).open().result(); }, errc::status);
  BOOST_TEST(at.hosted.counts().jobs_created == 0);
  BOOST_TEST(at.hosted.counts().deployments_created == 0);
}

BOOST_AUTO_TEST_CASE(when_a_part_is_refused_what_was_made_is_deleted) {
  loopback::platform_options options;
  options.quotas.deployments = 0;
  world at(options);
  const auto run = at.run();
  const auto said = refusal([&] { run.open().result(); }, errc::status);
  BOOST_TEST(holds(said, "What the run had made is deleted"), said);
  BOOST_TEST(at.hosted.jobs().empty());
  BOOST_TEST(at.hosted.counts().jobs_created == at.hosted.counts().jobs_deleted);
}

BOOST_AUTO_TEST_CASE(when_a_job_fails_the_others_are_deleted) {
  world at;
  at.hosted.set_fault({"job_fails", "statusMessage", 1});
  const auto said = refusal([&] { at.run().open().result(); }, errc::status);
  BOOST_TEST(holds(said, "What the run had made is deleted"), said);
  BOOST_TEST(at.hosted.jobs().empty());
  BOOST_TEST(at.hosted.deployments().empty());
}

BOOST_AUTO_TEST_CASE(what_cannot_be_deleted_is_named_and_deleted_later) {
  world at;
  at.hosted.set_fault({"deployment_fails", "", 1});
  at.hosted.set_fault({"refuse", "delete_job:403", -1});
  const auto run = at.run();
  const auto said = refusal([&] { run.open().result(); }, errc::status);
  BOOST_TEST(holds(said, "Of this run there may still be: policy_job gradwire-" + run.state().run + "-policy"), said);
  at.hosted.clear_faults();
  run.close().result();
  BOOST_TEST(at.hosted.jobs().empty());
  BOOST_TEST(at.hosted.deployments().empty());
}

BOOST_AUTO_TEST_CASE(lost_answers_make_nothing_twice) {
  world at;
  for (const char* operation : {"create_job", "create_deployment", "hot_load", "promote", "delete_job"})
    at.hosted.set_fault({"lose_reply", operation, 1});
  const auto run = at.run();
  auto made = run.open().result();
  BOOST_TEST(at.hosted.counts().jobs_created == 2);
  BOOST_TEST(at.hosted.counts().deployments_created == 1);
  for (int s = 1; s <= 3; ++s) {
    step(made.trainer, s);
    run.publish(s).result();
  }
  auto identities = at.hosted.hot_loads(made.deployment);
  std::sort(identities.begin(), identities.end());
  BOOST_TEST((std::adjacent_find(identities.begin(), identities.end()) == identities.end()));
  const auto rows = at.client.checkpoints().list(made.policy.id()).result();
  const auto base = std::find_if(rows.begin(), rows.end(), [](const auto& row) { return row.promotable; });
  BOOST_REQUIRE((base != rows.end()));
  try {
    run.promote({.checkpoint = base->name, .output_model = "once"}).result();
  } catch (const error& said) {
    BOOST_TEST((said.kind() == errc::outcome_unknown), said.what());
    BOOST_TEST(run.state().promoting == "once");
    run.promote({.checkpoint = base->name, .output_model = "once"}).result();  // found, and not made again
  }
  BOOST_TEST(at.hosted.counts().promotions == 1);
  run.close().result();
  BOOST_TEST(at.hosted.jobs().empty());
  BOOST_TEST(at.hosted.deployments().empty());
}

// The second attempt is told that the id is taken, and the look that follows does not find the job yet.
BOOST_AUTO_TEST_CASE(a_refusal_after_a_lost_answer_leaks_nothing) {
  for (const bool keeps_failing : {false, true}) {
    world at;
    at.hosted.set_fault({"lose_reply", "create_job", 1});
    at.hosted.set_fault({"job_vanishes", "", 1});
    if (keeps_failing) at.hosted.set_fault({"refuse", "create_deployment:403", 1});
    auto plan = whole_plan();
    plan.reference_shape.clear();
    const auto run = at.run(plan);
    if (keeps_failing)
      refusal([&] { run.open().result(); }, errc::status);
    else
      static_cast<void>(run.open().result());
    BOOST_TEST(at.hosted.counts().jobs_created == 1);
    BOOST_TEST(at.hosted.jobs().empty() == keeps_failing);
    run.close().result();
    BOOST_TEST(at.hosted.jobs().empty());
    BOOST_TEST(at.hosted.deployments().empty());
  }
}

BOOST_AUTO_TEST_CASE(a_delta_that_does_not_load_is_followed_by_a_base) {
  world at;
  const auto run = at.run();
  auto made = run.open().result();
  run.publish(0).result();
  step(made.trainer, 1);
  at.hosted.set_fault({"refuse", "hot_load:400", 1});
  const auto second = run.publish(1).result();
  BOOST_TEST(second.fell_back);
  BOOST_TEST((second.type == checkpoint::base));
  step(made.trainer, 2);
  BOOST_TEST((run.publish(2).result().type == checkpoint::delta));
  run.close().result();
}

BOOST_AUTO_TEST_CASE(cancelled_it_leaves_nothing) {
  loopback::platform_options slow;
  slow.delays.job_creating = 1000;  // of the platform's clock
  const world at(slow);
  const auto all_made = std::make_shared<std::promise<void>>();
  auto options = at.options();
  options.on_progress = [all_made, made = 0](const platform::wait_progress& now) mutable {
    if (now.state == "created" && ++made == 3) all_made->set_value();
  };
  const platform::lifecycle run(at.client, whole_plan(), options);
  auto opening = run.open();
  const auto in_time = all_made->get_future().wait_for(std::chrono::seconds(60));
  opening.cancel();
  BOOST_REQUIRE_MESSAGE((in_time == std::future_status::ready),
                        "after a minute there are " << at.hosted.jobs().size() << " jobs of 2 and "
                                                    << at.hosted.deployments().size() << " deployments of 1");
  const auto said = refusal([&] { opening.result(); }, errc::closed);
  BOOST_TEST(holds(said, "open() was cancelled"), said);
  BOOST_TEST(at.hosted.jobs().empty());
  BOOST_TEST(at.hosted.deployments().empty());
}

// Every line of open() in turn is the one for which there is no room; later ones could be written again.
BOOST_AUTO_TEST_CASE(without_room_for_a_line_nothing_more_is_begun) {
  const world at;
  int failed = 0;
  for (int line = 1;; ++line) {
    const std::string name = "full-" + std::to_string(line) + ".jsonl";
    const auto before = at.hosted.counts();
    const auto run = at.run(whole_plan(), name);
    std::optional<full_disk> disk(std::in_place, line);
    std::string said;
    try {
      static_cast<void>(run.open().result());
    } catch (const error& journal) {
      BOOST_TEST((journal.kind() == errc::config), journal.what());
      said = journal.what();
    }
    const int written = disk->lines();
    if (said.empty()) {
      BOOST_TEST(written < line);
      disk.reset();
      run.close().result();
      break;
    }
    ++failed;
    BOOST_TEST(holds(said, "the journal " + run.journal() + " cannot be written: No space left on device"), said);
    BOOST_TEST(written == line);  // nor was anything tried again
    std::vector<std::string> there = at.hosted.jobs();
    for (const auto& each : at.hosted.deployments()) there.push_back(each);
    for (const auto& id : there) BOOST_TEST(holds(said, id), id << " is not named: " << said);
    const auto after = at.hosted.counts();
    BOOST_TEST(after.jobs_created - before.jobs_created + after.deployments_created - before.deployments_created ==
               static_cast<std::int64_t>(there.size()));
    // Nothing goes on behind the error.
    static_cast<void>(at.client.trainer_jobs().list().result());
    static_cast<void>(at.client.deployments().list().result());
    BOOST_TEST(disk->lines() == line);
    BOOST_TEST(at.hosted.counts().jobs_created == after.jobs_created);
    BOOST_TEST(at.hosted.counts().deployments_created == after.deployments_created);
    BOOST_TEST(at.hosted.counts().jobs_deleted == before.jobs_deleted);
    run.close().result();
    BOOST_TEST(at.hosted.jobs().empty());
    BOOST_TEST(at.hosted.deployments().empty());
  }
  BOOST_TEST(failed == 10);  // begun, two shapes, three parts with two lines each, a model
}

BOOST_AUTO_TEST_CASE(somebody_else_has_loaded_another_snapshot) {
  const world at;
  const auto run = at.run();
  auto made = run.open().result();
  const auto base = run.publish(0).result();
  step(made.trainer, 1);
  const auto delta = run.publish(1).result();
  BOOST_TEST((delta.type == checkpoint::delta));
  at.client.deployments().hot_load(made.deployment, {.identity = base.identity}).result();
  static_cast<void>(
      at.client.deployments().wait_hot_load(made.deployment, base.identity, at.options().hot_load_wait).result());
  step(made.trainer, 2);
  const auto third = run.publish(2).result();
  BOOST_TEST((third.type == checkpoint::base));
  BOOST_TEST(!third.fell_back);  // no delta was tried
  const std::vector<std::string> loads{base.identity, delta.identity, base.identity, third.identity};
  BOOST_TEST((at.hosted.hot_loads(made.deployment) == loads));
  run.close().result();
}

BOOST_AUTO_TEST_CASE(a_status_that_cannot_be_had_means_a_base) {
  world at;
  const auto run = at.run();
  auto made = run.open().result();
  run.publish(0).result();
  for (const auto& fault : {loopback::platform_fault{"refuse", "hot_load_status:403", 1},
                            loopback::platform_fault{"replicas", "missing", 1}}) {
    step(made.trainer, 1);
    at.hosted.set_fault(fault);
    const auto loaded = run.publish(1).result();
    BOOST_TEST((loaded.type == checkpoint::base));
    BOOST_TEST(!loaded.fell_back);
    step(made.trainer, 2);
    BOOST_TEST((run.publish(2).result().type == checkpoint::delta));
  }
  run.close().result();
}

BOOST_AUTO_TEST_CASE(a_status_without_replicas_is_looked_at_again) {
  world at;
  std::string served;
  {
    const auto first = at.run();
    auto made = first.open().result();
    first.save_state(0).result();
    served = first.publish(0).result().identity;
  }
  at.hosted.set_fault({"replicas", "missing", 3});
  {
    const auto again = at.run();
    BOOST_TEST(again.open().result().serves == 0);
    BOOST_TEST(again.state().loaded.name == served);
  }
  at.hosted.set_fault({"replicas", "missing", -1});
  auto hurried = at.options();
  hurried.hot_load_wait.ready_seconds = 0.1;
  const platform::lifecycle late(at.client, whole_plan(), hurried);
  const auto said = refusal([&] { late.open().result(); }, errc::timeout);
  BOOST_TEST(holds(said, "does not tell after"), said);
  BOOST_TEST(holds(said, "lists no replicas"), said);
  at.hosted.clear_faults();
  late.close().result();
}

BOOST_AUTO_TEST_SUITE_END()
