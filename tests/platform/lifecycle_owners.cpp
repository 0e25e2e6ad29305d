// SPDX-License-Identifier: Apache-2.0
// Whose a part is: two runs that name the same id, answers that were lost, processes that were killed in between. A run
// deletes what was made for it, and nothing else.
#include <algorithm>
#include <string>
#include <string_view>

#include "../support/full_disk.hpp"
#include "lifecycle_world.hpp"

using namespace living;

namespace {

// A policy job alone, under an id that others may use.
platform::lifecycle_plan named_plan() {
  auto plan = whole_plan();
  plan.reference_shape.clear();
  plan.deployment = false;
  plan.trainer_job_id = "shared";
  return plan;
}

bool is_there(const world& at, const std::string& id) {
  const auto jobs = at.hosted.jobs();
  return std::find(jobs.begin(), jobs.end(), id) != jobs.end();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(lifecycle_owners)

BOOST_AUTO_TEST_CASE(what_was_there_before_stays) {
  const world at;
  std::string kept_job, kept_deployment;
  {
    const auto owner = at.run(whole_plan(), "owner.jsonl");
    const auto made = owner.open().result();
    kept_job = made.reference.id();
    kept_deployment = made.deployment;
  }
  auto plan = whole_plan();
  plan.reference_job_id = kept_job;
  plan.deployment_id = kept_deployment;
  plan.trainer_job_id = "named-by-the-user";  // not there: made, and the run's
  const auto guest = at.run(plan, "guest.jsonl");
  auto made = guest.open().result();
  BOOST_TEST(made.reference.id() == kept_job);
  BOOST_TEST(made.policy.id() == "named-by-the-user");
  BOOST_TEST(at.client.deployments().get(kept_deployment).result().hot_load_trainer_job == made.policy.name());
  guest.publish(0).result();
  guest.close().result();
  auto jobs = at.hosted.jobs();
  BOOST_TEST((std::find(jobs.begin(), jobs.end(), kept_job) != jobs.end()));
  BOOST_TEST((std::find(jobs.begin(), jobs.end(), "named-by-the-user") == jobs.end()));
  BOOST_TEST(at.hosted.deployments().size() == 1U);
  at.run(whole_plan(), "owner.jsonl").close().result();
  BOOST_TEST(at.hosted.jobs().empty());
  BOOST_TEST(at.hosted.deployments().empty());
}

// The look finds nothing, and the id is taken when the create arrives.
BOOST_AUTO_TEST_CASE(a_run_that_was_slower_uses_the_part_and_does_not_delete_it) {
  world at;
  const auto owner = at.run(named_plan(), "owner.jsonl");
  static_cast<void>(owner.open().result());
  at.hosted.set_fault({"refuse", "get_job:404", 1});
  const auto guest = at.run(named_plan(), "guest.jsonl");
  BOOST_TEST(guest.open().result().policy.id() == "shared");
  BOOST_TEST(!guest.state()[platform::part::policy_job].ours);
  guest.close().result();
  BOOST_TEST(is_there(at, "shared"));
  owner.close().result();
  BOOST_TEST(!is_there(at, "shared"));
}

BOOST_AUTO_TEST_CASE(after_a_lost_answer_the_mark_tells_whose_it_is) {
  world at;
  at.hosted.set_fault({"lose_reply", "create_job", 1});
  const auto owner = at.run(named_plan(), "owner.jsonl");
  const auto made = owner.open().result();
  BOOST_TEST(made.policy.info().display_name == "gradwire [" + owner.state().run + "]");
  BOOST_TEST(owner.state()[platform::part::policy_job].ours);
  at.hosted.set_fault({"refuse", "get_job:404", 1});
  at.hosted.set_fault({"refuse", "create_job:502", 1});  // an attempt that may have got through, and did not
  const auto guest = at.run(named_plan(), "guest.jsonl");
  static_cast<void>(guest.open().result());
  BOOST_TEST(!guest.state()[platform::part::policy_job].ours);
  guest.close().result();
  BOOST_TEST(is_there(at, "shared"));
  owner.close().result();
  BOOST_TEST(!is_there(at, "shared"));
}

// All three parts under given ids; the line after the k-th create is the last thing that the process does not write.
BOOST_AUTO_TEST_CASE(a_process_that_ended_before_the_answer_finds_its_parts_again) {
  const world at;
  auto plan = whole_plan();
  plan.trainer_job_id = "my-policy";
  plan.reference_job_id = "my-reference";
  plan.deployment_id = "my-rollouts";
  plan.display_name = "mine";
  int ended = 0;
  for (const char* which : {"my-policy", "my-reference", "my-rollouts"}) {
    const std::string name = std::string(which) + ".jsonl";
    {
      const auto first = at.run(plan, name);
      const full_disk disk([&](std::string_view line) {
        return line.starts_with("{\"fact\":\"created\"") && line.find(which) != line.npos;
      });
      ended += holds(refusal([&] { first.open().result(); }, errc::config), "cannot be written");
      BOOST_TEST((first.state()[platform::part::policy_job].is != platform::presence::none));
    }
    const auto again = at.run(plan, name);
    const auto made = again.open().result();
    for (const platform::part each : platform::all_parts) BOOST_TEST(again.state()[each].ours, to_string(each));
    BOOST_TEST(made.policy.info().display_name == "mine [" + again.state().run + "]");
    again.close().result();
    BOOST_TEST(at.hosted.jobs().empty());
    BOOST_TEST(at.hosted.deployments().empty());
    plan.trainer_job_id += "-2";  // an id leaves a tombstone
    plan.reference_job_id += "-2";
    plan.deployment_id += "-2";
  }
  BOOST_TEST(ended == 3);
}

BOOST_AUTO_TEST_CASE(a_display_name_has_room_for_the_mark) {
  const world at;
  auto plan = named_plan();
  plan.display_name = std::string(53, 'x');
  BOOST_TEST(holds(refusal([&] { at.run(plan); }, errc::config), "at most 52 are allowed where a job's id is given"));
  plan.trainer_job_id.clear();
  static_cast<void>(at.run(plan));
}

BOOST_AUTO_TEST_SUITE_END()
