// SPDX-License-Identifier: Apache-2.0
// The trainer ends itself at every point there is, each time that the point is reached in a short run (C01 to C06). The
// run goes on with the trainer that is started in its place, and comes to the same weights, optimizer and losses, bit
// for bit, as a run that was not disturbed.
#include <boost/test/unit_test.hpp>

#include "../support/long_run.hpp"
#include "trainer_process.hpp"
#include "training_run.hpp"

namespace {

struct reference {
  run_result run;
  std::string state;

  reference() {
    const run_folder at;
    const kept_trainer trainer(at.path, {{"COMMIT_EVERY", "1"}});
    run = train(trainer.endpoint(), at.path / "journal.jsonl", {});
    state = final_state(at.path, run);
  }
  static const reference& get() {
    static const reference made;
    return made;
  }
};

enum class going_back : unsigned char { allowed, never };

// False when the point was not reached any more.
bool run_with_crash(const std::string& point, int k, const std::string& commit_every, going_back expectation) {
  const reference& expected = reference::get();
  const run_folder at;
  const kept_trainer trainer(at.path, {{"COMMIT_EVERY", commit_every}},
                             {{"CRASH_AT", point + ":" + std::to_string(k)}});
  const std::string where = point + ":" + std::to_string(k) + ", commit every " + commit_every;
  try {
    const auto run = train(trainer.endpoint(), at.path / "journal.jsonl", {});
    BOOST_TEST((run.losses == expected.run.losses), where << ": other losses");
    BOOST_TEST((final_state(at.path, run) == expected.state), where << ": other weights");
    if (expectation == going_back::never)
      BOOST_TEST(run.notices.empty(), where << ": went back: " << (run.notices.empty() ? "" : run.notices.front()));
  } catch (const std::exception& failed) {
    BOOST_ERROR(where << ": " << failed.what() << "\n" << trainer.output());
  }
  BOOST_TEST(trainer.deaths() <= 1, where << ": " << trainer.output());
  BOOST_TEST(trainer.output().find("damaged") == std::string::npos, where << ": " << trainer.output());
  return trainer.deaths() > 0;
}

// Each time that the point is reached, or every `stride`-th time unless this is a long run. How often it was reached.
int crash_everywhere(const std::string& point, const std::string& commit_every, int stride = 1,
                     going_back expectation = going_back::allowed) {
  if (is_long_run()) stride = 1;
  int k = 1;
  while (run_with_crash(point, k, commit_every, expectation)) k += stride;
  return k - 1;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(points)

BOOST_AUTO_TEST_CASE(the_run_is_the_same_each_time) {
  const reference again;
  BOOST_TEST((again.run.losses == reference::get().run.losses));
  BOOST_TEST((again.state == reference::get().state));
  BOOST_TEST(again.run.losses.size() == 3U);
  BOOST_TEST(again.state.size() > 10'000U);
}

// Where every result is written down before it is told, a request that was not applied is sent again, and one that was
// applied is recognised: nobody has to go back.
BOOST_AUTO_TEST_CASE(a_request_was_read_and_not_yet_applied) {
  BOOST_TEST(crash_everywhere("request_read", "1", 1, going_back::never) >= 9);
  BOOST_TEST(crash_everywhere("request_read", "0", 3) >= 9);
}

BOOST_AUTO_TEST_CASE(applied_in_memory_and_not_kept) {
  BOOST_TEST(crash_everywhere("applied", "1") >= 10);
  BOOST_TEST(crash_everywhere("applied", "0", 3) >= 9);
}

BOOST_AUTO_TEST_CASE(kept_and_not_told) { BOOST_TEST(crash_everywhere("kept", "1", 1, going_back::never) >= 10); }

BOOST_AUTO_TEST_CASE(acknowledged_and_not_fetched) {
  BOOST_TEST(crash_everywhere("finished", "1", 1, going_back::never) >= 10);
  BOOST_TEST(crash_everywhere("finished", "0", 4) >= 8);
  BOOST_TEST(crash_everywhere("answered", "1", 7) >= 10);
}

BOOST_AUTO_TEST_CASE(within_a_write) {
  BOOST_TEST(crash_everywhere("write", "1", 37) >= 100);
  BOOST_TEST(crash_everywhere("half", "1", 37) >= 100);
  BOOST_TEST(crash_everywhere("most", "1", 37) >= 100);
}

BOOST_AUTO_TEST_CASE(around_sync_and_rename) {
  BOOST_TEST(crash_everywhere("sync", "1", 9) >= 30);
  BOOST_TEST(crash_everywhere("rename", "1", 2) >= 12);
  BOOST_TEST(crash_everywhere("renamed", "1", 2) >= 12);
}

BOOST_AUTO_TEST_SUITE_END()
