// SPDX-License-Identifier: Apache-2.0
// The lifecycle's state machines without a network: each rule by hand, and then 200,000 runs in which the platform of
// this file refuses, loses answers and is left in the middle, and the program is started again with what the journal
// had.
#include <boost/test/unit_test.hpp>

#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>

#include <gradwire/error.hpp>
#include <gradwire/platform/lifecycle_closing.hpp>
#include <gradwire/platform/lifecycle_opening.hpp>
#include <gradwire/platform/lifecycle_publishing.hpp>

using namespace gradwire;
using namespace gradwire::platform;

namespace {

using kind = lifecycle_action::kind;

std::exception_ptr trouble(errc what, const std::string& sentence) {
  return std::make_exception_ptr(error(what, sentence));
}

// "write creating policy_job, create policy_job, …"
std::string text_of(const lifecycle_actions& actions) {
  constexpr const char* names[] = {"write",   "resolve", "look",   "create", "revive", "wait",
                                   "connect", "inspect", "remove", "finish", "fail"};
  std::string text;
  for (const lifecycle_action& each : actions) {
    if (!text.empty()) text += ", ";
    text += names[static_cast<unsigned>(each.what)];
    if (each.what == kind::write) text += " " + std::string(name_of(each.event.what));
    if (each.of) text += std::string(" ") + to_string(*each.of);
  }
  return text;
}

lifecycle_state begun() {
  lifecycle_state state;
  state.apply({.what = lifecycle_fact::begun, .id = "0a1b2c3d"});
  return state;
}

std::string what(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& said) {
    return said.what();
  }
}

// Resolved shapes; the actions that follow.
lifecycle_actions resolved(lifecycle_opening& opening) {
  static_cast<void>(opening.begin());
  static_cast<void>(opening.on_resolved(part::policy_job, "accounts/f/trainingShapes/s/versions/1"));
  return opening.on_resolved(part::reference_job, "accounts/f/trainingShapes/r/versions/1");
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
    state.apply({.what = lifecycle_fact::creating, .of = each, .id = to_string(each)});
    if (each != part::reference_job) state.apply({.what = lifecycle_fact::created, .of = each, .id = to_string(each)});
  }
  lifecycle_closing closing(state);
  BOOST_TEST(text_of(closing.begin()) == "write closing, write deleting reference_job, remove reference_job");
  BOOST_TEST(text_of(closing.on_removed(part::reference_job)) ==
             "write deleted reference_job, write deleting deployment, remove deployment");
  auto next = closing.on_failed(part::deployment, trouble(errc::status, "busy"));
  BOOST_TEST(text_of(next) == "write deleting policy_job, remove policy_job");
  next = closing.on_removed(part::policy_job);
  BOOST_REQUIRE(text_of(next) == "write deleted policy_job, fail");
  BOOST_TEST(
      what(next[1].failure) ==
      "gradwire: busy. Of this run there may still be: deployment deployment (could not be deleted: busy); close "
      "it again, its journal names them");
  lifecycle_closing again(closing.state());
  BOOST_TEST(text_of(again.begin()) == "remove deployment");
  BOOST_TEST(text_of(again.on_removed(part::deployment)) == "write deleted deployment, write closed, finish");
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

using step_kind = publishing_action::kind;

std::string text_of(const publishing_actions& actions) {
  constexpr const char* names[] = {"write", "save", "look", "pause", "load", "await", "warm_up", "finish", "fail"};
  std::string text;
  for (const publishing_action& each : actions) {
    if (!text.empty()) text += ", ";
    text += names[static_cast<unsigned>(each.what)];
    if (each.what == step_kind::write) text += " " + std::string(name_of(each.event.what)) + " " + each.event.id;
    if (each.what == step_kind::save) text += each.type == checkpoint::delta ? " delta" : " base";
    if (each.what == step_kind::load) text += " " + each.name;
    if (each.what == step_kind::load && each.previous) text += " after " + *each.previous;
  }
  return text;
}

struct names {
  int next = 0;
  auto maker() {
    return [this] { return "s" + std::to_string(++next); };
  }
};

// Everything goes well.
void publish_well(snapshot_chain& chain, names& named, std::int64_t step) {
  lifecycle_publishing one(chain, named.maker(), step, {}, true);
  const std::string name = one.begin().at(1).name;
  static_cast<void>(one.on_saved("path/" + name));
  static_cast<void>(one.on_accepted());
  static_cast<void>(one.on_loaded());
  BOOST_TEST(text_of(one.on_warm()) == "finish");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(lifecycle_publishes)

BOOST_AUTO_TEST_CASE(a_base_first_and_a_delta_to_it_then) {
  snapshot_chain chain(0);
  names named;
  lifecycle_publishing first(chain, named.maker(), 0, {}, false);
  BOOST_TEST(text_of(first.begin()) == "write saving s1, save base");
  BOOST_TEST(text_of(first.on_saved("path/s1")) == "write saved path/s1, look");
  BOOST_TEST(text_of(first.on_status({})) == "pause");
  BOOST_TEST(text_of(first.on_pause()) == "look");
  BOOST_TEST(text_of(first.on_status({.count = 1})) == "write loading path/s1, load path/s1");
  BOOST_TEST(text_of(first.on_accepted()) == "await");
  BOOST_TEST(text_of(first.on_loaded()) == "write loaded path/s1, warm_up");
  BOOST_TEST(text_of(first.on_failed(step_kind::warm_up, trouble(errc::timeout, "slow"))) == "finish");
  lifecycle_publishing second(chain, named.maker(), 4, {}, true);
  BOOST_TEST(text_of(second.begin()) == "write saving s2, save delta");
  BOOST_TEST(text_of(second.on_saved("path/s2")) ==
             "write saved path/s2, write loading path/s2, load path/s2 after path/s1");
}

BOOST_AUTO_TEST_CASE(a_load_whose_answer_was_lost_is_looked_for_and_never_sent_again) {
  const auto lost = trouble(errc::outcome_unknown, "the answer was lost");
  snapshot_chain chain(0);
  names named;
  publish_well(chain, named, 0);
  lifecycle_publishing seen(chain, named.maker(), 1, {}, true);
  static_cast<void>(seen.begin());
  static_cast<void>(seen.on_saved("path/s2"));
  BOOST_TEST(text_of(seen.on_failed(step_kind::load, lost, true)) == "look");
  BOOST_TEST(text_of(seen.on_status({.count = 1, .loading = "path/s2"})) == "await");
  BOOST_TEST(text_of(seen.on_loaded()) == "write loaded path/s2, warm_up");
  static_cast<void>(seen.on_warm());
  // And where it is not seen: a base, under its own name.
  lifecycle_publishing unseen(chain, named.maker(), 2, {}, true);
  BOOST_TEST(text_of(unseen.begin()) == "write saving s3, save delta");
  static_cast<void>(unseen.on_saved("path/s3"));
  static_cast<void>(unseen.on_failed(step_kind::load, lost, true));
  BOOST_TEST(text_of(unseen.on_status({.count = 1, .holds = "path/s2"})) ==
             "write unloaded path/s3, write saving s4, save base");
  BOOST_TEST(text_of(unseen.on_saved("path/s4")) == "write saved path/s4, write loading path/s4, load path/s4");
  static_cast<void>(unseen.on_failed(step_kind::load, lost, true));
  BOOST_TEST(text_of(unseen.on_failed(step_kind::look, trouble(errc::transport, "no way there"))) == "fail");
  BOOST_TEST((chain.next() == checkpoint::base));
}

BOOST_AUTO_TEST_CASE(a_refused_delta_is_followed_by_a_base_once) {
  snapshot_chain chain(0);
  names named;
  publish_well(chain, named, 0);
  lifecycle_publishing one(chain, named.maker(), 1, {}, true);
  static_cast<void>(one.begin());
  static_cast<void>(one.on_saved("path/s2"));
  BOOST_TEST(text_of(one.on_failed(step_kind::load, trouble(errc::status, "another snapshot is loaded"))) ==
             "write unloaded path/s2, write saving s3, save base");
  static_cast<void>(one.on_saved("path/s3"));
  static_cast<void>(one.on_accepted());
  const auto end = one.on_failed(step_kind::await, trouble(errc::status, "the disk is full"));
  BOOST_REQUIRE(text_of(end) == "write unloaded path/s3, fail");
  BOOST_TEST(what(end[1].failure) == "gradwire: the disk is full");
  BOOST_TEST(one.fell_back());
}

BOOST_AUTO_TEST_CASE(a_save_that_failed_makes_the_next_one_a_base) {
  snapshot_chain chain(0);
  names named;
  publish_well(chain, named, 0);
  lifecycle_publishing one(chain, named.maker(), 1, {}, true);
  BOOST_TEST(text_of(one.begin()) == "write saving s2, save delta");
  BOOST_TEST(text_of(one.on_failed(step_kind::save, trouble(errc::timeout, "slow"), true)) == "fail");
  lifecycle_publishing next(chain, named.maker(), 1, {}, true);
  BOOST_TEST(text_of(next.begin()) == "write saving s3, save base");
}

BOOST_AUTO_TEST_CASE(an_adapter_is_always_a_base_and_a_delta_that_would_be_wrong_is_not_begun) {
  snapshot_chain chain(8);
  names named;
  publish_well(chain, named, 0);
  lifecycle_publishing one(chain, named.maker(), 1, {}, true);
  BOOST_TEST(text_of(one.begin()) == "write saving s2, save base");
  snapshot_chain fresh(0);
  lifecycle_publishing wrong(fresh, named.maker(), 1, checkpoint::delta, true);
  BOOST_TEST(text_of(wrong.begin()) == "fail");
}

BOOST_AUTO_TEST_CASE(without_a_replica_it_ends) {
  snapshot_chain chain(0);
  names named;
  lifecycle_publishing one(chain, named.maker(), 0, {}, false, 2);
  static_cast<void>(one.begin());
  static_cast<void>(one.on_saved("path/s1"));
  BOOST_TEST(text_of(one.on_status({})) == "pause");
  BOOST_TEST(text_of(one.on_status({})) == "fail");
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

// A platform and a disk that this file plays: what exists, and the journal as its state.
struct played_world {
  std::mt19937_64 random;
  std::set<std::string> exists;
  std::map<std::string, int> creates;  // requests that were carried out, by id
  lifecycle_state journal;
  int kills_left;
  int tick = 0;

  explicit played_world(std::uint64_t seed) : random(seed), kills_left(static_cast<int>(seed % 4)) {
    journal = begun();
  }
  bool once_in(unsigned n) { return random() % n == 0; }
};

struct killed {};

// One process from its start to its end. What the last action was; throws `killed`.
template <class Machine, class Perform>
lifecycle_action play(played_world& world, Machine& machine, Perform perform) {
  std::deque<lifecycle_action> pending;
  const auto take = [&](lifecycle_actions more) {
    for (auto& each : more) {
      // Lines are written at once and in order; the rest is on its way, and ends in any order.
      if (world.kills_left > 0 && world.once_in(12)) {
        --world.kills_left;
        throw killed{};
      }
      if (each.what == kind::write) {
        world.journal.apply(each.event);
      } else {
        if (each.what == kind::create) {
          BOOST_REQUIRE((world.journal[*each.of].is == presence::asked));
          BOOST_REQUIRE(world.journal[*each.of].id == each.id);
        }
        if (each.what == kind::remove) {
          BOOST_REQUIRE((world.journal[*each.of].is == presence::going));
          BOOST_REQUIRE(world.journal[*each.of].ours);
          for (const lifecycle_action& other : pending) BOOST_REQUIRE((other.what != kind::remove));
        }
        pending.push_back(each);
      }
    }
  };
  take(machine.begin());
  while (!pending.empty()) {
    const std::size_t which = world.random() % pending.size();
    const lifecycle_action action = pending[which];
    pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(which));
    if (action.what == kind::finish || action.what == kind::fail) return action;
    take(perform(machine, action));
  }
  BOOST_FAIL("the machine stands still");
  throw killed{};
}

lifecycle_actions perform_opening(played_world& world, lifecycle_opening& machine, const lifecycle_action& action) {
  const auto refused = trouble(errc::status, "refused");
  const auto lost = trouble(errc::outcome_unknown, "lost");
  const bool fails = world.once_in(40);
  switch (action.what) {
    case kind::resolve:
      if (fails) return machine.on_failed(action.of, action.what, refused);
      return machine.on_resolved(*action.of, "v1");
    case kind::look:
      if (fails) return machine.on_failed(action.of, action.what, refused);
      return machine.on_found(*action.of, world.exists.count(action.id) ? found::present : found::absent);
    case kind::create: {
      if (fails) return machine.on_failed(action.of, action.what, refused);
      const unsigned how = static_cast<unsigned>(world.random() % 8);
      if (how != 0 && world.exists.insert(action.id).second) ++world.creates[action.id];
      if (how <= 1) return machine.on_failed(action.of, action.what, lost, true);
      return machine.on_created(*action.of);
    }
    case kind::wait:
      if (fails) return machine.on_failed(action.of, action.what, refused);
      return machine.on_ready(*action.of);
    case kind::connect:
      if (fails) return machine.on_failed(action.of, action.what, refused);
      return machine.on_connected(*action.of, "model");
    case kind::remove:
      if (fails) return machine.on_failed(action.of, action.what, refused);
      world.exists.erase(action.id);
      return machine.on_removed(*action.of);
    default:
      BOOST_FAIL("not expected here: " + text_of({action}));
      return {};
  }
}

lifecycle_actions perform_closing(played_world& world, lifecycle_closing& machine, const lifecycle_action& action) {
  if (world.once_in(20)) return machine.on_failed(*action.of, trouble(errc::transport, "no way there"));
  world.exists.erase(action.id);
  return machine.on_removed(*action.of);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(lifecycle_states)

BOOST_AUTO_TEST_CASE(nothing_is_made_twice_and_nothing_is_left_whatever_happens) {
  int opened = 0, failed = 0, kills = 0, lost = 0;
  for (std::uint64_t seed = 1; seed <= 200'000; ++seed) {
    played_world world(seed);
    const opening_wishes wishes{
        .reference = seed % 3 != 0, .deployment = seed % 5 != 0, .deployment_first = seed % 7 == 0};
    for (int process = 0; process < 20; ++process) {
      try {
        lifecycle_opening opening(wishes, world.journal);
        const auto end = play(world, opening, [&](auto& machine, const lifecycle_action& action) {
          return perform_opening(world, machine, action);
        });
        BOOST_REQUIRE(opening.state() == world.journal);
        if (end.what == kind::finish) {
          ++opened;
          for (const part each : all_parts) {
            const bool wanted =
                each == part::policy_job || (each == part::reference_job ? wishes.reference : wishes.deployment);
            BOOST_REQUIRE((world.journal[each].is == presence::there) == wanted);
          }
          break;
        }
        ++failed;
        // What is there is owed by the journal and named.
        for (const part each : all_parts)
          if (world.journal.owes(each))
            BOOST_REQUIRE(what(end.failure).find(world.journal[each].id) != std::string::npos);
        break;
      } catch (const killed&) {
        ++kills;
      }
    }
    for (const std::string& id : world.exists) {
      bool named = false;
      for (const part each : all_parts) named = named || (world.journal.owes(each) && world.journal[each].id == id);
      BOOST_REQUIRE_MESSAGE(named, "seed " << seed << ": " << id << " is there and the journal does not know");
    }
    for (int process = 0; process < 50 && !world.journal.closed; ++process) {
      try {
        lifecycle_closing closing(world.journal);
        play(world, closing,
             [&](auto& machine, const lifecycle_action& action) { return perform_closing(world, machine, action); });
      } catch (const killed&) {
        ++kills;
      }
    }
    BOOST_REQUIRE(world.journal.closed);
    BOOST_REQUIRE_MESSAGE(world.exists.empty(), "seed " << seed << ": " << *world.exists.begin() << " was left");
    for (const auto& [id, times] : world.creates) {
      BOOST_REQUIRE_MESSAGE(times == 1, "seed " << seed << ": " << id << " was made " << times << " times");
      lost += times;
    }
  }
  BOOST_TEST(opened > 50'000);
  BOOST_TEST(failed > 10'000);
  BOOST_TEST(kills > 50'000);
  BOOST_TEST_MESSAGE(opened << " opened, " << failed << " failed, " << kills << " kills, " << lost << " parts made");
}

BOOST_AUTO_TEST_SUITE_END()
