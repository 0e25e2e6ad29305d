// SPDX-License-Identifier: Apache-2.0
// The chain of snapshots: when a save may be a delta, and what a hot load names as previous. Each test plays a trainer
// that makes a delta against its last save, whether its answer arrived or not, and a deployment that applies it to what
// it has: what the chain allows must never make the deployment serve something else than was saved.
#include <boost/test/unit_test.hpp>

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gradwire/platform/snapshot_chain.hpp>

using namespace gradwire;
using platform::load_plan;
using platform::save_plan;
using platform::snapshot_chain;

namespace {

// The chain after base "a" and delta "b", both loaded.
snapshot_chain two_loaded() {
  snapshot_chain chain(0);
  for (const char* name : {"a", "b"}) {
    chain.saved(chain.begin_save(), name);
    chain.loaded(chain.begin_load(name));
  }
  return chain;
}

template <class F>
std::string refused(const char* operation, F&& f) {
  try {
    f();
  } catch (const error& e) {
    BOOST_TEST((e.kind() == errc::config));
    BOOST_TEST(e.details().operation == operation);
    return e.what();
  }
  BOOST_ERROR("it was not refused");
  return {};
}

bool says(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_SUITE(chain_of_snapshots)

BOOST_AUTO_TEST_CASE(the_first_is_a_base_and_deltas_follow) {
  snapshot_chain chain(0);
  std::optional<std::string> before;
  for (const char* name : {"a", "b", "c"}) {
    const save_plan save = chain.begin_save();
    BOOST_TEST((save.type() == (before ? checkpoint::delta : checkpoint::base)));
    BOOST_TEST(save.against() == before.value_or(""));
    chain.saved(save, name);
    const load_plan load = chain.begin_load(name);
    BOOST_TEST(load.identity() == name);
    BOOST_TEST((load.previous() == before));  // the third names the second, not the base
    BOOST_TEST(!load.already_loaded());
    chain.loaded(load);
    before = name;
  }
}

BOOST_AUTO_TEST_CASE(a_skipped_hot_load_gives_a_base) {
  snapshot_chain chain = two_loaded();
  const save_plan save = chain.begin_save();
  BOOST_TEST((save.type() == checkpoint::delta));
  chain.saved(save, "c");  // and never loaded
  BOOST_TEST((chain.begin_save().type() == checkpoint::base));
}

BOOST_AUTO_TEST_CASE(a_failed_hot_load_gives_a_base) {
  snapshot_chain chain = two_loaded();
  chain.saved(chain.begin_save(), "c");
  chain.begin_load("c");  // no loaded()
  BOOST_TEST((chain.next() == checkpoint::base));
  BOOST_TEST(!chain.last_loaded());
  const save_plan save = chain.begin_save();
  BOOST_TEST((save.type() == checkpoint::base));
  chain.saved(save, "d");
  const load_plan load = chain.begin_load("d");
  BOOST_TEST(!load.previous());
  chain.loaded(load);
  BOOST_TEST((chain.next() == checkpoint::delta));
}

BOOST_AUTO_TEST_CASE(a_save_without_an_answer_gives_a_base) {
  snapshot_chain chain = two_loaded();
  chain.begin_save();  // perhaps the trainer has it, perhaps not
  BOOST_TEST((chain.begin_save().type() == checkpoint::base));
}

BOOST_AUTO_TEST_CASE(a_save_in_flight_gives_a_base) {
  snapshot_chain chain = two_loaded();
  const save_plan first = chain.begin_save(), second = chain.begin_save();
  BOOST_TEST((second.type() == checkpoint::base));
  chain.saved(first, "c");
  chain.loaded(chain.begin_load("c"));
  BOOST_TEST(!chain.last_saved());  // the second may have been executed
  BOOST_TEST((chain.next() == checkpoint::base));
  chain.saved(second, "d");
  BOOST_TEST(*chain.last_saved() == "d");
  BOOST_TEST((chain.next() == checkpoint::base));  // "c" is loaded
  chain.loaded(chain.begin_load("d"));
  BOOST_TEST((chain.next() == checkpoint::delta));
}

// Trap 3: without a previous identity a delta is loaded as full weights, in silence.
BOOST_AUTO_TEST_CASE(a_delta_without_a_known_previous_is_refused) {
  snapshot_chain empty(0);
  BOOST_TEST(says(refused("save_weights_for_sampler", [&] { empty.begin_save(checkpoint::delta); }), "Save a base"));
  snapshot_chain chain = two_loaded();
  chain.saved(chain.begin_save(), "c");
  const std::string text = refused("save_weights_for_sampler", [&] { chain.begin_save(checkpoint::delta); });
  BOOST_TEST(says(text, "'c'"));
  BOOST_TEST(says(text, "'b'"));
  chain.deployment_holds("");
  const std::string noise = refused("hot_load", [&] { chain.begin_load("c"); });
  BOOST_TEST(says(noise, "'c' is a delta against 'b'"));
  BOOST_TEST(says(noise, "not known"));
  chain.deployment_holds("a");
  BOOST_TEST(says(refused("hot_load", [&] { chain.begin_load("c"); }), "'a' loaded"));
  chain.deployment_holds("b");  // that settles it
  BOOST_TEST(*chain.begin_load("c").previous() == "b");
}

BOOST_AUTO_TEST_CASE(a_base_may_be_asked_for_at_any_time) {
  snapshot_chain chain = two_loaded();
  BOOST_TEST((chain.begin_save(checkpoint::base).type() == checkpoint::base));
  snapshot_chain again = two_loaded();
  BOOST_TEST((again.begin_save(checkpoint::delta).type() == checkpoint::delta));
}

// Trap 3 again: the previous of a second load is not the snapshot itself.
BOOST_AUTO_TEST_CASE(the_same_delta_twice_does_not_name_itself) {
  snapshot_chain chain = two_loaded();
  const load_plan again = chain.begin_load("b");
  BOOST_TEST(again.already_loaded());
  BOOST_TEST(*again.previous() == "a");
  chain.loaded(again);
  BOOST_TEST(*chain.last_loaded() == "b");
  BOOST_TEST((chain.next() == checkpoint::delta));
  BOOST_TEST(chain.begin_save().against() == "b");
}

BOOST_AUTO_TEST_CASE(an_older_base_can_be_loaded_and_then_a_base_follows) {
  snapshot_chain chain = two_loaded();
  chain.loaded(chain.begin_load("a"));
  BOOST_TEST((chain.next() == checkpoint::base));
  chain.loaded(chain.begin_load("b"));  // applies to "a" again
  BOOST_TEST((chain.next() == checkpoint::delta));
}

BOOST_AUTO_TEST_CASE(lora_is_always_a_base) {
  snapshot_chain chain(8);
  for (const char* name : {"a", "b", "c"}) {
    const save_plan save = chain.begin_save();
    BOOST_TEST((save.type() == checkpoint::base));
    chain.saved(save, name);
    const load_plan load = chain.begin_load(name);
    BOOST_TEST(!load.previous());
    chain.loaded(load);
  }
  BOOST_TEST(says(refused("save_weights_for_sampler", [&] { chain.begin_save(checkpoint::delta); }), "LoRA"));
  BOOST_TEST((chain.begin_save(checkpoint::merged_base).type() == checkpoint::merged_base));
  snapshot_chain full(0);
  BOOST_TEST(says(refused("save_weights_for_sampler", [&] { full.begin_save(checkpoint::merged_base); }), "LoRA"));
}

BOOST_AUTO_TEST_CASE(after_a_re_attach_everything_is_unknown) {
  snapshot_chain chain = two_loaded();
  chain.reset();
  BOOST_TEST((!chain.last_saved() && !chain.last_loaded()));
  BOOST_TEST((chain.next() == checkpoint::base));
  chain.deployment_holds("b");  // its status says so; what the trainer diffs against is still unknown
  BOOST_TEST((chain.next() == checkpoint::base));
}

BOOST_AUTO_TEST_CASE(a_new_trainer_has_saved_nothing) {
  snapshot_chain chain = two_loaded();
  chain.trainer_restarted();
  BOOST_TEST(*chain.last_loaded() == "b");
  const save_plan save = chain.begin_save();
  BOOST_TEST((save.type() == checkpoint::base));
  chain.saved(save, "c");
  chain.loaded(chain.begin_load("c"));
  BOOST_TEST((chain.next() == checkpoint::delta));
}

BOOST_AUTO_TEST_CASE(a_snapshot_goes_by_name_and_by_path) {
  snapshot_chain chain(0);
  chain.saved(chain.begin_save(), "a", "run-1/a");
  const load_plan base = chain.begin_load("run-1/a");
  BOOST_TEST(base.identity() == "run-1/a");
  chain.loaded(base);
  BOOST_TEST(*chain.last_loaded() == "a");
  chain.saved(chain.begin_save(checkpoint::delta), "b", "run-1/b");
  const load_plan delta = chain.begin_load("b");
  BOOST_TEST(*delta.previous() == "run-1/a");  // as the deployment was told
  chain.loaded(delta);
  chain.deployment_holds("run-1/b");
  BOOST_TEST((chain.next() == checkpoint::delta));
}

BOOST_AUTO_TEST_CASE(what_somebody_else_saved) {
  snapshot_chain chain = two_loaded();
  BOOST_TEST(says(refused("hot_load", [&] { chain.begin_load("x"); }), "begin_load_base"));
  BOOST_TEST(says(refused("hot_load", [&] { chain.begin_load_base("b"); }), "delta against 'a'"));
  chain.loaded(chain.begin_load_base("x"));
  BOOST_TEST(*chain.last_loaded() == "x");
  const save_plan save = chain.begin_save();
  BOOST_TEST((save.type() == checkpoint::base));
  chain.saved(save, "x");  // the same name, and not the same snapshot
  BOOST_TEST((chain.next() == checkpoint::base));
}

BOOST_AUTO_TEST_CASE(names_are_given_once) {
  snapshot_chain chain = two_loaded();
  const save_plan save = chain.begin_save();
  BOOST_TEST(says(refused("save_weights_for_sampler", [&] { chain.saved(save, "a"); }), "'a' was saved before"));
  refused("save_weights_for_sampler", [&] { chain.saved(save, ""); });
}

// Saves, loads, lost answers, failures, restarts and re-attaches in any order.
BOOST_AUTO_TEST_CASE(no_order_of_events_serves_noise) {
  std::mt19937 random(20);
  int deltas = 0, loads = 0;
  for (int run = 0; run < 300; ++run) {
    snapshot_chain chain(0);
    struct stored {
      bool delta = false;
      std::string against{};  // what the trainer had saved last
    };
    std::map<std::string, stored> store;  // what the trainer has made
    std::string trainer_last, held;       // "": nothing, or noise nobody relies on
    std::vector<std::string> names;       // those whose answer arrived
    for (int i = 0; i < 60; ++i) {
      const auto dice = random() % 20;
      if (dice < 8) {
        const save_plan save = chain.begin_save();
        const std::string name = std::to_string(run) + "-" + std::to_string(i);
        const auto fate = random() % 6;
        if (fate == 0) continue;  // not executed
        store[name] = {save.type() == checkpoint::delta, trainer_last};
        if (save.type() == checkpoint::delta) BOOST_REQUIRE(save.against() == trainer_last);
        trainer_last = name;
        if (fate == 1) continue;  // its answer is lost
        chain.saved(save, name);
        names.push_back(name);
      } else if (dice < 17 && !names.empty()) {
        const std::string name = random() % 4 ? names.back() : names[random() % names.size()];
        std::optional<load_plan> load;
        try {
          load = chain.begin_load(name);
        } catch (const error&) {
          BOOST_REQUIRE(store[name].delta);
          BOOST_REQUIRE((!chain.last_loaded() || *chain.last_loaded() != store[name].against));
          continue;
        }
        const auto fate = random() % 6;
        if (fate == 0) continue;  // not executed
        ++loads;
        if (store[name].delta) {
          ++deltas;
          BOOST_REQUIRE(load->previous().has_value());
          BOOST_REQUIRE(*load->previous() == store[name].against);
          BOOST_REQUIRE((held == store[name].against || (held == name && load->already_loaded())));
        } else {
          BOOST_REQUIRE(!load->previous());
        }
        held = name;
        if (fate != 1) chain.loaded(*load);
      } else if (dice == 17) {
        chain.trainer_restarted();
        trainer_last.clear();
      } else if (dice == 18) {
        chain.reset();
      } else {
        chain.deployment_holds(held);
      }
    }
  }
  BOOST_TEST_MESSAGE(deltas << " of " << loads << " hot loads were deltas");
  BOOST_TEST(deltas > 100);
}

BOOST_AUTO_TEST_SUITE_END()
