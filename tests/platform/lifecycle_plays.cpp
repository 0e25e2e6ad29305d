// SPDX-License-Identifier: Apache-2.0
// 200,000 runs in which the platform of this file refuses, loses answers, carries requests out late and is left in the
// middle, in which another run makes parts under the same ids, the disk is full, and the program is started again with
// what the journal had. Nothing is made twice, what is the run's is named and deleted, and nothing else is.
#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>

#include "lifecycle_actions.hpp"

using namespace acting;

namespace {

// A platform and a disk that this file plays: what exists, and the journal as its state.
struct played_world {
  enum class owner { us, others };

  std::mt19937_64 random;
  std::map<std::string, owner> exists;
  std::set<std::string> late;          // creates of ours that were not answered and are still on their way
  std::map<std::string, int> creates;  // requests of ours that were carried out, by id
  lifecycle_state journal;
  int kills_left;
  bool is_full_at_times;
  bool is_full = false;  // a line could not be written

  explicit played_world(std::uint64_t seed)
      : random(seed), kills_left(static_cast<int>(seed % 4)), is_full_at_times(seed % 11 == 0) {
    journal = begun();
  }
  bool once_in(unsigned n) { return random() % n == 0; }

  bool is_ours(const std::string& id) const {
    const auto found = exists.find(id);
    return found != exists.end() && found->second == owner::us;
  }
  // Whether it was made now.
  bool make(const std::string& id) {
    late.erase(id);
    const bool is_new = exists.emplace(id, owner::us).second;
    if (is_new) ++creates[id];
    return is_new;
  }
  void let_late_ones_arrive(bool all) {
    const auto ids = late;
    for (const std::string& id : ids)
      if (all || once_in(3)) make(id);
  }
  void remove(const lifecycle_action& action) {
    if (action.may_come_late && late.count(action.id) > 0) make(action.id);
    BOOST_REQUIRE_MESSAGE(exists.count(action.id) == 0 || is_ours(action.id), action.id << " is another run's");
    exists.erase(action.id);
  }
  found look(const std::string& id) const { return exists.count(id) ? found::present : found::absent; }
  bool is_marked(const std::string& id) const { return is_ours(id) && id.starts_with("named-"); }
};

struct killed {};

// One process from its start to its end. What the last action was; throws `killed`.
template <class Machine, class Perform>
lifecycle_action play(played_world& world, Machine& machine, Perform perform) {
  std::deque<lifecycle_action> pending;
  const auto take = [&](const auto& self, const lifecycle_actions& more) -> void {
    for (auto next = more.begin(); next != more.end(); ++next) {
      const lifecycle_action& each = *next;
      // Lines are written at once and in order; the rest is on its way, and ends in any order.
      if (world.kills_left > 0 && world.once_in(12)) {
        --world.kills_left;
        throw killed{};
      }
      const bool changes = each.what == kind::write || each.what == kind::create || each.what == kind::remove;
      BOOST_REQUIRE_MESSAGE(!(world.is_full && changes), "after a line that could not be written: " << text_of({each}));
      if (each.what == kind::write) {
        if constexpr (requires { machine.on_unwritable({}, world.journal, more); }) {
          if (world.is_full_at_times && world.once_in(10)) {
            world.is_full = true;
            return self(self, machine.on_unwritable(trouble(errc::config, "the disk is full"), world.journal,
                                                    lifecycle_actions(next, more.end())));
          }
        }
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
  take(take, machine.begin());
  while (!pending.empty()) {
    const std::size_t which = world.random() % pending.size();
    const lifecycle_action action = pending[which];
    pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(which));
    if (action.what == kind::finish || action.what == kind::fail) return action;
    world.let_late_ones_arrive(false);
    take(take, perform(machine, action));
  }
  BOOST_FAIL("the machine stands still");
  throw killed{};
}

lifecycle_actions perform_create(played_world& world, lifecycle_opening& machine, const lifecycle_action& action) {
  const auto lost = trouble(errc::outcome_unknown, "lost");
  if (action.id.starts_with("named-") && world.once_in(6)) world.exists.emplace(action.id, played_world::owner::others);
  switch (world.random() % 10) {
    case 0:
      return machine.on_failed(action.of, action.what, lost, true);
    case 1:
      world.make(action.id);
      return machine.on_failed(action.of, action.what, lost, true);
    case 2:
      if (world.exists.count(action.id) == 0) world.late.insert(action.id);
      return machine.on_failed(action.of, action.what, lost, true);
    case 3:  // the first attempt got through or not, the second is told that the id is taken
      world.make(action.id);
      return machine.on_created(*action.of, creation::unclear);
    case 4:  // … and the second is refused
      if (world.once_in(2)) world.make(action.id);
      return machine.on_failed(action.of, action.what, trouble(errc::status, "refused after a lost answer"), true);
    default:
      return machine.on_created(*action.of, world.make(action.id) ? creation::made : creation::taken);
  }
}

lifecycle_actions perform_opening(played_world& world, lifecycle_opening& machine, const lifecycle_action& action) {
  if (world.once_in(40)) return machine.on_failed(action.of, action.what, trouble(errc::status, "refused"));
  switch (action.what) {
    case kind::resolve:
      return machine.on_resolved(*action.of, "v1");
    case kind::look:
      return machine.on_found(*action.of, world.look(action.id), "", world.is_marked(action.id));
    case kind::create:
      return perform_create(world, machine, action);
    case kind::wait:
      return machine.on_ready(*action.of);
    case kind::connect:
      return machine.on_connected(*action.of, "model");
    case kind::remove:
      world.remove(action);
      return machine.on_removed(*action.of);
    default:
      BOOST_FAIL("not expected here: " + text_of({action}));
      return {};
  }
}

lifecycle_actions perform_closing(played_world& world, lifecycle_closing& machine, const lifecycle_action& action) {
  if (world.once_in(20)) return machine.on_failed(*action.of, trouble(errc::transport, "no way there"));
  if (action.what == kind::look) {
    world.let_late_ones_arrive(true);  // it is looked for long enough
    return machine.on_found(*action.of, world.look(action.id), world.is_marked(action.id));
  }
  world.remove(action);
  return machine.on_removed(*action.of);
}

opening_wishes wishes_of(std::uint64_t seed) {
  opening_wishes wishes{.reference = seed % 3 != 0, .deployment = seed % 5 != 0, .deployment_first = seed % 7 == 0};
  if (seed % 2 == 0) wishes.existing = {"named-policy", seed % 4 == 0 ? "named-reference" : "", "named-rollout"};
  return wishes;
}

struct tally {
  int opened = 0, failed = 0, kills = 0, made = 0, full = 0, shared = 0;
};

void open(played_world& world, const opening_wishes& wishes, tally& counted) {
  for (int process = 0; process < 20; ++process) {
    world.is_full = false;
    try {
      lifecycle_opening opening(wishes, world.journal);
      const auto end = play(world, opening, [&](auto& machine, const lifecycle_action& action) {
        return perform_opening(world, machine, action);
      });
      if (!world.is_full) BOOST_REQUIRE(opening.state() == world.journal);
      if (end.what == kind::finish) {
        BOOST_REQUIRE(!world.is_full);
        ++counted.opened;
        for (const part each : all_parts) {
          const bool wanted =
              each == part::policy_job || (each == part::reference_job ? wishes.reference : wishes.deployment);
          BOOST_REQUIRE((world.journal[each].is == presence::there) == wanted);
          counted.shared += wanted && !world.journal[each].ours;
        }
        return;
      }
      ++(world.is_full ? counted.full : counted.failed);
      // What is there and is the run's is named; and so is what the journal owes.
      const std::string said = what(end.failure);
      for (const auto& [id, owner] : world.exists)
        BOOST_REQUIRE_MESSAGE((owner == played_world::owner::others || said.find(id) != said.npos), id << ": " << said);
      for (const part each : all_parts)
        if (world.journal.owes(each) && !world.is_full)
          BOOST_REQUIRE(said.find(world.journal[each].id) != std::string::npos);
      if (world.is_full) BOOST_REQUIRE(said.find("the disk is full") != std::string::npos);
      return;
    } catch (const killed&) {
      ++counted.kills;
    }
  }
}

void close(played_world& world, tally& counted) {
  world.is_full = false;
  for (int process = 0; process < 50 && !world.journal.closed; ++process) {
    try {
      lifecycle_closing closing(world.journal);
      play(world, closing,
           [&](auto& machine, const lifecycle_action& action) { return perform_closing(world, machine, action); });
    } catch (const killed&) {
      ++counted.kills;
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(lifecycle_plays)

BOOST_AUTO_TEST_CASE(nothing_is_made_twice_and_nothing_is_left_whatever_happens) {
  tally counted;
  for (std::uint64_t seed = 1; seed <= 200'000; ++seed) {
    played_world world(seed);
    open(world, wishes_of(seed), counted);
    for (const auto& [id, owner] : world.exists) {
      bool named = owner == played_world::owner::others;
      for (const part each : all_parts) named = named || (world.journal.owes(each) && world.journal[each].id == id);
      BOOST_REQUIRE_MESSAGE(named, "seed " << seed << ": " << id << " is there and the journal does not know");
    }
    close(world, counted);
    BOOST_REQUIRE(world.journal.closed);
    world.let_late_ones_arrive(true);
    for (const auto& [id, owner] : world.exists)
      BOOST_REQUIRE_MESSAGE((owner == played_world::owner::others), "seed " << seed << ": " << id << " was left");
    for (const auto& [id, times] : world.creates) {
      const bool is_named = id.starts_with("named-");  // may be made again after it was deleted, as the user wants
      BOOST_REQUIRE_MESSAGE((is_named || times == 1),
                            "seed " << seed << ": " << id << " was made " << times << " times");
      counted.made += times;
    }
  }
  BOOST_TEST(counted.opened > 50'000);
  BOOST_TEST(counted.failed > 10'000);
  BOOST_TEST(counted.kills > 50'000);
  BOOST_TEST(counted.full > 1'000);
  BOOST_TEST(counted.shared > 1'000);
  BOOST_TEST_MESSAGE(counted.opened << " opened, " << counted.failed << " failed, " << counted.full
                                    << " without a disk, " << counted.kills << " kills, " << counted.made
                                    << " parts made, " << counted.shared << " used of another run");
}

BOOST_AUTO_TEST_SUITE_END()
