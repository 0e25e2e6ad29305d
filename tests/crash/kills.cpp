// SPDX-License-Identifier: Apache-2.0
// A run of two processes, trainer and training loop, of which now the one and now the other is killed at any moment, up
// to five times; and the loop alone at every point of its journal (C07). 30 runs, 300 with GRADWIRE_LONG=1.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <random>

#include "../support/long_run.hpp"
#include "trainer_process.hpp"
#include "training_run.hpp"

namespace {

constexpr run_settings settings{.batches = 8, .save_every = 3};

role_settings client_settings(const kept_trainer& trainer, const run_folder& at) {
  return {{"URL", trainer.endpoint().url},
          {"JOURNAL", (at.path / "journal.jsonl").string()},
          {"BATCHES", std::to_string(settings.batches)},
          {"SAVE_EVERY", std::to_string(settings.save_every)}};
}

struct reference {
  run_result run;
  std::string state;
  double seconds = 0;  // of the training loop's process

  reference() {
    const run_folder at;
    const kept_trainer trainer(at.path, {{"COMMIT_EVERY", "1"}});
    const auto begun = std::chrono::steady_clock::now();
    const int status = wait_for(start_role("client", client_settings(trainer, at), at.path / "client.log"), 60);
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    BOOST_REQUIRE_MESSAGE(status == 0, loop_output(at));
    run = read_run(at.path / "journal.jsonl");
    state = final_state(at.path, run);
  }
  static std::string loop_output(const run_folder& at) {
    return gradwire::loopback::read_text_if_there(at.path / "client.log").value_or("");
  }
  static const reference& get() {
    static const reference made;
    return made;
  }
};

void check(const run_folder& at, const kept_trainer& trainer, const std::string& where) {
  const reference& expected = reference::get();
  try {
    const auto run = read_run(at.path / "journal.jsonl");
    BOOST_TEST((run.losses == expected.run.losses), where << ": other losses\n" << reference::loop_output(at));
    BOOST_TEST((final_state(at.path, run) == expected.state), where << ": other weights");
  } catch (const std::exception& failed) {
    BOOST_ERROR(where << ": " << failed.what());
  }
  BOOST_TEST(trainer.output().find("damaged") == std::string::npos, where << ": " << trainer.output());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(kills)

BOOST_AUTO_TEST_CASE(the_loop_is_killed_around_a_line_of_its_journal) {
  for (const char* point : {"journal", "journal-half", "journaled"})
    for (int k = 1; k <= static_cast<int>(settings.batches); k += 2) {
      const run_folder at;
      const kept_trainer trainer(at.path, {{"COMMIT_EVERY", "1"}});
      const std::string where = std::string(point) + ":" + std::to_string(k);
      auto told = client_settings(trainer, at);
      told["CRASH_AT"] = where;
      int status = wait_for(start_role("client", told, at.path / "client.log"), 60);
      BOOST_TEST((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL), where << reference::loop_output(at));
      told.erase("CRASH_AT");
      status = wait_for(start_role("client", told, at.path / "client.log"), 60);
      BOOST_TEST(status == 0, where << reference::loop_output(at));
      const bool was_cut = reference::loop_output(at).find("was cut off, and is removed") != std::string::npos;
      BOOST_TEST(was_cut == (std::string(point) == "journal-half"), where << reference::loop_output(at));
      check(at, trainer, where);
    }
}

BOOST_AUTO_TEST_CASE(either_process_is_killed_at_any_moment) {
  // The undisturbed run's time is the first guess of how long a run takes. A machine is not always as busy as it was
  // then: the guess shrinks when a run was over before its process was to be killed, so that most runs are hit.
  double seconds = reference::get().seconds;
  const int seeds = is_long_run() ? 300 : 30;
  int kills_of_trainer = 0, kills_of_loop = 0;
  for (int seed = 1; seed <= seeds; ++seed) {
    std::mt19937_64 random(static_cast<std::uint64_t>(seed));
    const char* commit_every = seed % 3 == 0 ? "0" : seed % 3 == 1 ? "1" : "3";
    const std::string where = "seed " + std::to_string(seed) + ", commit every " + commit_every;
    const run_folder at;
    kept_trainer trainer(at.path, {{"COMMIT_EVERY", commit_every}});
    auto left = 1 + random() % 5;
    ::pid_t loop = start_role("client", client_settings(trainer, at), at.path / "client.log");
    for (;;) {
      const double moment = seconds * std::uniform_real_distribution<double>(0, 1)(random);
      int status = wait_for(loop, left > 0 ? moment : 60);
      if (status == 0) {
        if (left > 0) seconds *= 0.7;
        break;
      }
      if (status == -1 && left > 0) {
        --left;
        seconds = std::min(reference::get().seconds, 1.1 * seconds);
        if (random() % 2 == 0) {
          ++kills_of_trainer;
          trainer.kill();
          continue;
        }
        ++kills_of_loop;
        ::kill(loop, SIGKILL);
        status = wait_for(loop, 60);
        if (status == 0) break;  // it was quicker
      }
      if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        if (status == -1) ::kill(loop, SIGKILL), wait_for(loop, 60);
        BOOST_ERROR(where << ": the loop ended with " << status << ": " << reference::loop_output(at)
                          << trainer.output());
        break;
      }
      loop = start_role("client", client_settings(trainer, at), at.path / "client.log");
    }
    check(at, trainer, where);
  }
  BOOST_TEST(kills_of_trainer > seeds / 2);
  BOOST_TEST(kills_of_loop > seeds / 2);
}

BOOST_AUTO_TEST_SUITE_END()
