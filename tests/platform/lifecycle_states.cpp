// SPDX-License-Identifier: Apache-2.0
// The machines that open and close a run, without a network: each rule by hand. lifecycle_plays.cpp plays them by chance.
#include "lifecycle_actions.hpp"

using namespace acting;

namespace {

// With a policy job under a given id, asked for.
lifecycle_opening named_opening(lifecycle_state state = begun()) {
  opening_wishes wishes{.reference = false, .deployment = false};
  wishes.existing[0] = "shared";
  lifecycle_opening opening(wishes, std::move(state));
  static_cast<void>(opening.begin());
  return opening;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(lifecycle_states)

BOOST_AUTO_TEST_CASE(shapes_come_first_then_jobs_side_by_side_then_the_deployment) {
  lifecycle_opening opening({}, begun());
  BOOST_TEST(text_of(opening.begin()) == "resolve policy_job, resolve reference_job");
  BOOST_TEST(text_of(opening.on_resolved(part::policy_job, "v")) == "write resolved policy_job");
  BOOST_TEST(text_of(opening.on_resolved(part::reference_job, "w")) ==
             "write resolved reference_job, write creating policy_job, create policy_job, "
             "write creating reference_job, create reference_job");
  BOOST_TEST(text_of(opening.on_created(part::reference_job)) == "write created reference_job, wait reference_job");
  BOOST_TEST(text_of(opening.on_created(part::policy_job)) ==
             "write created policy_job, wait policy_job, write creating deployment, create deployment");
  BOOST_TEST(text_of(opening.on_created(part::deployment)) == "write created deployment, wait deployment");
  BOOST_TEST(text_of(opening.on_ready(part::deployment)) == "");
  BOOST_TEST(text_of(opening.on_ready(part::policy_job)) == "connect policy_job");
  BOOST_TEST(text_of(opening.on_connected(part::policy_job, "m")) == "write model policy_job");
  BOOST_TEST(text_of(opening.on_ready(part::reference_job)) == "connect reference_job");
  BOOST_TEST(text_of(opening.on_connected(part::reference_job, "n")) == "finish");
  BOOST_TEST(opening.state()[part::policy_job].id == "gradwire-0a1b2c3d-policy");
}

BOOST_AUTO_TEST_CASE(with_a_bucket_of_the_deployment_it_is_made_first) {
  lifecycle_opening opening({.reference = false, .deployment_first = true}, begun());
  BOOST_TEST(text_of(opening.begin()) == "resolve policy_job");
  BOOST_TEST(text_of(opening.on_resolved(part::policy_job, "v")) ==
             "write resolved policy_job, write creating deployment, create deployment");
  BOOST_TEST(text_of(opening.on_created(part::deployment)) ==
             "write created deployment, wait deployment, write creating policy_job, create policy_job");
}

BOOST_AUTO_TEST_CASE(a_lost_answer_is_looked_for_and_repeated_under_the_same_id) {
  lifecycle_opening opening({.reference = false, .deployment = false}, begun());
  static_cast<void>(opening.begin());
  static_cast<void>(opening.on_resolved(part::policy_job, "v"));
  const auto lost = trouble(errc::outcome_unknown, "the answer was lost");
  auto next = opening.on_failed(part::policy_job, kind::create, lost, true);
  BOOST_TEST(text_of(next) == "look policy_job");
  BOOST_TEST(next[0].id == "gradwire-0a1b2c3d-policy");
  next = opening.on_found(part::policy_job, found::absent);
  BOOST_TEST(text_of(next) == "create policy_job");  // its line stands in the journal already
  BOOST_TEST(next[0].id == "gradwire-0a1b2c3d-policy");
  next = opening.on_failed(part::policy_job, kind::create, lost, true);
  next = opening.on_found(part::policy_job, found::present);
  BOOST_TEST(text_of(next) == "write created policy_job, wait policy_job");
}

BOOST_AUTO_TEST_CASE(a_create_is_not_repeated_for_ever) {
  lifecycle_opening opening({.reference = false, .deployment = false, .creates = 2}, begun());
  static_cast<void>(opening.begin());
  static_cast<void>(opening.on_resolved(part::policy_job, "v"));
  const auto lost = trouble(errc::outcome_unknown, "the answer was lost");
  static_cast<void>(opening.on_failed(part::policy_job, kind::create, lost, true));
  static_cast<void>(opening.on_found(part::policy_job, found::absent));
  static_cast<void>(opening.on_failed(part::policy_job, kind::create, lost, true));
  auto next = opening.on_found(part::policy_job, found::absent);
  BOOST_TEST(text_of(next) == "write deleting policy_job, remove policy_job");  // it may come late
  next = opening.on_removed(part::policy_job);
  BOOST_REQUIRE(text_of(next) == "write deleted policy_job, fail");
  BOOST_TEST(what(next[1].failure) ==
             "gradwire: policy_job gradwire-0a1b2c3d-policy was asked for 2 times without an answer, and is not there. "
             "What the run had made is deleted");
}

BOOST_AUTO_TEST_CASE(when_a_part_fails_what_was_made_is_deleted) {
  lifecycle_opening opening({}, begun());
  static_cast<void>(resolved(opening));
  static_cast<void>(opening.on_created(part::policy_job));  // and the deployment is on its way
  auto next = opening.on_failed(part::reference_job, kind::create, trouble(errc::status, "no more GPUs"));
  BOOST_TEST(text_of(next) == "write refused reference_job");  // the deployment's answer is waited for
  BOOST_TEST(text_of(opening.on_ready(part::policy_job)) == "");
  next = opening.on_created(part::deployment);
  BOOST_TEST(text_of(next) == "write created deployment, write deleting deployment, remove deployment");
  next = opening.on_removed(part::deployment);
  BOOST_TEST(text_of(next) == "write deleted deployment, write deleting policy_job, remove policy_job");
  next = opening.on_failed(part::policy_job, kind::remove, trouble(errc::transport, "no way there"));
  BOOST_REQUIRE(text_of(next) == "fail");
  BOOST_TEST(
      what(next[0].failure) ==
      "gradwire: no more GPUs. Of this run there may still be: policy_job gradwire-0a1b2c3d-policy (could not be "
      "deleted: no way there)");
  BOOST_TEST(opening.state().owes(part::policy_job));
}

BOOST_AUTO_TEST_CASE(what_was_there_before_is_used_and_never_deleted) {
  opening_wishes wishes{.reference = false};
  wishes.existing[static_cast<std::size_t>(part::deployment)] = "my-rollouts";
  lifecycle_opening opening(wishes, begun());
  static_cast<void>(opening.begin());
  BOOST_TEST(text_of(opening.on_resolved(part::policy_job, "v")) ==
             "write resolved policy_job, write creating policy_job, create policy_job");
  BOOST_TEST(text_of(opening.on_created(part::policy_job)) ==
             "write created policy_job, wait policy_job, look deployment");
  BOOST_TEST(text_of(opening.on_found(part::deployment, found::present)) ==
             "write attached deployment, wait deployment");
  auto next = opening.on_failed(part::policy_job, kind::wait, trouble(errc::status, "it failed"));
  BOOST_TEST(text_of(next) == "write deleting policy_job, remove policy_job");
  BOOST_TEST(text_of(opening.on_removed(part::policy_job)) == "write deleted policy_job, fail");
}

BOOST_AUTO_TEST_CASE(a_run_goes_on_with_what_its_journal_names) {
  lifecycle_opening first({}, begun());
  static_cast<void>(resolved(first));
  static_cast<void>(first.on_created(part::policy_job));
  lifecycle_state state = first.state();  // the deployment and the reference were asked for
  state.apply({.what = lifecycle_fact::loading, .id = "step-1", .type = "base"});
  lifecycle_opening again({}, state);
  auto next = again.begin();
  BOOST_REQUIRE(text_of(next) == "resolve policy_job, resolve reference_job");
  BOOST_TEST(next[0].id == "accounts/f/trainingShapes/s/versions/1");  // what it stands for today does not count
  static_cast<void>(again.on_resolved(part::policy_job, "accounts/f/trainingShapes/s/versions/1"));
  next = again.on_resolved(part::reference_job, "accounts/f/trainingShapes/r/versions/1");
  BOOST_TEST(text_of(next) == "look policy_job, look reference_job, look deployment");
  BOOST_TEST(text_of(again.on_found(part::policy_job, found::stopped)) == "revive policy_job");
  BOOST_TEST(text_of(again.on_ready(part::policy_job)) == "wait policy_job");
  BOOST_TEST(text_of(again.on_found(part::reference_job, found::absent)) == "create reference_job");
  BOOST_TEST(text_of(again.on_found(part::deployment, found::present)) == "write created deployment, wait deployment");
  BOOST_TEST(text_of(again.on_ready(part::deployment)) == "inspect deployment");
  next = again.on_inspected("step-1");
  BOOST_TEST(text_of(next) == "write loaded");
  BOOST_TEST(again.state().loaded.name == "step-1");
  BOOST_TEST(again.state().loaded.type == "base");
}

BOOST_AUTO_TEST_CASE(a_part_of_the_journal_that_is_gone_is_an_error_and_not_made_anew) {
  lifecycle_opening first({.reference = false, .deployment = false}, begun());
  static_cast<void>(first.begin());
  static_cast<void>(first.on_resolved(part::policy_job, "v"));
  static_cast<void>(first.on_created(part::policy_job));
  lifecycle_opening again({.reference = false, .deployment = false, .keep_on_failure = true}, first.state());
  static_cast<void>(again.begin());
  BOOST_TEST(text_of(again.on_resolved(part::policy_job, "v")) == "look policy_job");
  const auto next = again.on_found(part::policy_job, found::absent);
  BOOST_REQUIRE(text_of(next) == "fail");
  BOOST_TEST(what(next[0].failure).find("is not there any more") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(closing_is_in_order_and_goes_on_where_it_was) {
  lifecycle_state state = begun();
  for (const part each : all_parts) {
    const std::string id = std::string("gradwire-0a1b2c3d-") + to_string(each);
    state.apply({.what = lifecycle_fact::creating, .of = each, .id = id});
    if (each != part::reference_job) state.apply({.what = lifecycle_fact::created, .of = each, .id = id});
  }
  lifecycle_closing closing(state);
  auto first = closing.begin();
  BOOST_REQUIRE(text_of(first) == "write closing, write deleting reference_job, remove reference_job");
  BOOST_TEST(first[2].may_come_late);  // its create was never answered
  BOOST_TEST(text_of(closing.on_removed(part::reference_job)) ==
             "write deleted reference_job, write deleting deployment, remove deployment");
  auto next = closing.on_failed(part::deployment, trouble(errc::status, "busy"));
  BOOST_TEST(text_of(next) == "write deleting policy_job, remove policy_job");
  next = closing.on_removed(part::policy_job);
  BOOST_REQUIRE(text_of(next) == "write deleted policy_job, fail");
  BOOST_TEST(
      what(next[1].failure) ==
      "gradwire: busy. Of this run there may still be: deployment gradwire-0a1b2c3d-deployment (could not be deleted: "
      "busy); close it again, its journal names them");
  lifecycle_closing again(closing.state());
  first = again.begin();
  BOOST_REQUIRE(text_of(first) == "remove deployment");
  BOOST_TEST(!first[0].may_come_late);
  BOOST_TEST(text_of(again.on_removed(part::deployment)) == "write deleted deployment, write closed, finish");
}

BOOST_AUTO_TEST_CASE(an_id_that_was_taken_is_the_runs_only_with_its_mark) {
  for (const creation how : {creation::taken, creation::unclear})
    for (const bool is_marked : {true, false}) {
      lifecycle_opening opening = named_opening();
      BOOST_TEST(text_of(opening.on_resolved(part::policy_job, "v")) == "write resolved policy_job, look policy_job");
      BOOST_TEST(text_of(opening.on_found(part::policy_job, found::absent)) ==
                 "write creating policy_job, create policy_job");
      BOOST_TEST(text_of(opening.on_created(part::policy_job, how)) == "look policy_job");
      BOOST_TEST(
          text_of(opening.on_found(part::policy_job, found::present, "", is_marked)) ==
          (is_marked ? "write created policy_job, wait policy_job" : "write attached policy_job, wait policy_job"));
      BOOST_TEST(opening.state().owes(part::policy_job) == is_marked);
    }
}

// Its create was taken for refused, or it came after its deletion; the next process finds it.
BOOST_AUTO_TEST_CASE(what_has_the_runs_mark_is_the_runs) {
  for (const lifecycle_fact last : {lifecycle_fact::refused, lifecycle_fact::deleted})
    for (const bool is_marked : {true, false})
      for (const found what : {found::present, found::dead}) {
        lifecycle_state state = begun();
        state.apply({.what = lifecycle_fact::creating, .of = part::policy_job, .id = "shared"});
        state.apply({.what = last, .of = part::policy_job, .id = "shared"});
        lifecycle_opening opening = named_opening(state);
        BOOST_TEST(text_of(opening.on_resolved(part::policy_job, "v")) == "write resolved policy_job, look policy_job");
        const std::string then = text_of(opening.on_found(part::policy_job, what, "", is_marked));
        if (what == found::dead)
          BOOST_TEST(then == "fail");  // a tombstone is nobody's
        else
          BOOST_TEST(then == (is_marked ? "write created policy_job, wait policy_job"
                                        : "write attached policy_job, wait policy_job"));
        BOOST_TEST(opening.state().owes(part::policy_job) == (is_marked && what == found::present));
      }
}

BOOST_AUTO_TEST_CASE(an_id_of_the_runs_own_that_is_taken_is_an_error) {
  lifecycle_opening opening({.reference = false, .deployment = false}, begun());
  static_cast<void>(opening.begin());
  static_cast<void>(opening.on_resolved(part::policy_job, "v"));
  const auto next = opening.on_created(part::policy_job, creation::taken);
  BOOST_REQUIRE(text_of(next) == "write refused policy_job, fail");
  BOOST_TEST(what(next[1].failure).find("was there before this run asked for it") != std::string::npos);
  // Asked for by an earlier process, it is this run's.
  lifecycle_state state = begun();
  state.apply({.what = lifecycle_fact::creating, .of = part::policy_job, .id = "gradwire-0a1b2c3d-policy"});
  lifecycle_opening again({.reference = false, .deployment = false}, state);
  static_cast<void>(again.begin());
  static_cast<void>(again.on_resolved(part::policy_job, "v"));
  BOOST_TEST(text_of(again.on_found(part::policy_job, found::absent)) == "create policy_job");
  BOOST_TEST(text_of(again.on_created(part::policy_job, creation::taken)) ==
             "write created policy_job, wait policy_job");
}

// A create was not answered, and the run fails before it is known what became of it.
BOOST_AUTO_TEST_CASE(what_may_be_anybodys_is_named_and_looked_at_when_closing) {
  lifecycle_opening opening = named_opening();
  static_cast<void>(opening.on_resolved(part::policy_job, "v"));
  static_cast<void>(opening.on_found(part::policy_job, found::absent));
  const auto lost = trouble(errc::outcome_unknown, "the answer was lost");
  BOOST_TEST(text_of(opening.on_failed(part::policy_job, kind::create, lost, true)) == "look policy_job");
  const auto end = opening.on_failed(part::policy_job, kind::look, trouble(errc::transport, "no way there"));
  BOOST_REQUIRE(text_of(end) == "fail");
  BOOST_TEST(what(end[0].failure) ==
             "gradwire: no way there. Of this run there may still be: policy_job shared (could not be deleted: whether "
             "it is there, and this run's, is not known; close() looks again)");
  for (const bool is_marked : {true, false}) {
    lifecycle_closing closing(opening.state());
    BOOST_TEST(text_of(closing.begin()) == "write closing, look policy_job");
    BOOST_TEST(text_of(closing.on_found(part::policy_job, found::present, is_marked)) ==
               (is_marked ? "write created policy_job, write deleting policy_job, remove policy_job"
                          : "write attached policy_job, write closed, finish"));
  }
  lifecycle_closing closing(opening.state());
  static_cast<void>(closing.begin());
  BOOST_TEST(text_of(closing.on_found(part::policy_job, found::absent, false)) ==
             "write refused policy_job, write closed, finish");
}

// The first attempt was lost and may still come, the second was refused: what comes is deleted.
BOOST_AUTO_TEST_CASE(a_refusal_says_nothing_of_the_attempt_before_it) {
  lifecycle_opening opening({.reference = false, .deployment = false}, begun());
  static_cast<void>(opening.begin());
  static_cast<void>(opening.on_resolved(part::policy_job, "v"));
  static_cast<void>(opening.on_failed(part::policy_job, kind::create, trouble(errc::outcome_unknown, "lost"), true));
  static_cast<void>(opening.on_found(part::policy_job, found::absent));
  const auto next = opening.on_failed(part::policy_job, kind::create, trouble(errc::status, "no more GPUs"));
  BOOST_REQUIRE(text_of(next) == "write deleting policy_job, remove policy_job");
  BOOST_TEST(next[1].may_come_late);
}

BOOST_AUTO_TEST_SUITE_END()
