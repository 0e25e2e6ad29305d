// SPDX-License-Identifier: Apache-2.0
// The client of a whole lifecycle is killed at 50 random points (500 with GRADWIRE_LONG=1): at a moment, or before,
// within or after a line of its journal; up to three times in one run. The process that is started in its place finds
// jobs, deployment and snapshots again, comes to the same last loss as a run that was not disturbed, and leaves nothing.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include <gradwire/loopback/files/text_file.hpp>
#include <gradwire/loopback/platform.hpp>
#include <gradwire/platform/lifecycle_journal.hpp>

#include "../crash/trainer_process.hpp"
#include "../support/long_run.hpp"
#include "../support/temporary_folder.hpp"

using namespace gradwire;

namespace {

struct one_run {
  temporary_folder folder{folder_in_memory()};
  loopback::platform hosted = loopback::start_platform(options());

  static loopback::platform_options options() {
    loopback::platform_options chosen;
    chosen.threads = 1;
    chosen.delays.promotion = 0;  // a model is there when its promotion was carried out
    return chosen;
  }
  ::pid_t start(const std::string& crash_at = "") const {
    role_settings told{{"URL", hosted.endpoint().url},
                       {"TOKEN", hosted.endpoint().token},
                       {"JOURNAL", (folder.path / "lifecycle.jsonl").string()},
                       {"RESULT", (folder.path / "result").string()}};
    if (!crash_at.empty()) told["CRASH_AT"] = crash_at;
    return start_role("client", told, folder.path / "client.log");
  }
  std::string output() const { return loopback::read_text_if_there(folder.path / "client.log").value_or(""); }
  std::string result() const { return loopback::read_text_if_there(folder.path / "result").value_or(""); }
  std::size_t lines() const {
    const std::string text = loopback::read_text_if_there(folder.path / "lifecycle.jsonl").value_or("");
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
};

struct undisturbed {
  std::string result;
  std::size_t lines = 0;
  double seconds = 0;

  undisturbed() {
    const one_run at;
    const auto begun = std::chrono::steady_clock::now();
    const int status = wait_for(at.start(), 120);
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    BOOST_REQUIRE_MESSAGE(status == 0, at.output());
    result = at.result();
    lines = at.lines();
    BOOST_REQUIRE(!result.empty());
  }
};

void check(const one_run& at, const undisturbed& expected, const std::string& where) {
  BOOST_TEST(at.result() == expected.result, where << ": another last loss\n" << at.output());
  const auto counts = at.hosted.counts();
  BOOST_TEST(at.hosted.jobs().empty(), where << ": " << at.hosted.jobs().size() << " jobs are left");
  BOOST_TEST(at.hosted.deployments().empty(), where << ": a deployment is left");
  BOOST_TEST(counts.jobs_created == 2, where << ": " << counts.jobs_created << " jobs were made\n" << at.output());
  BOOST_TEST(counts.deployments_created == 1, where);
  BOOST_TEST(counts.promotions == 1, where << ": promoted " << counts.promotions << " times\n" << at.output());
  const platform::lifecycle_journal journal((at.folder.path / "lifecycle.jsonl").string());
  const auto state = journal.state();
  BOOST_TEST(state.closed, where);
  auto loads = at.hosted.hot_loads(state[platform::part::deployment].id);
  BOOST_TEST(static_cast<std::int64_t>(loads.size()) == counts.hot_loads, where << ": " << loads.size() << " and "
                                                                                << counts.hot_loads << "\n"
                                                                                << at.output());
  std::sort(loads.begin(), loads.end());
  BOOST_TEST((std::adjacent_find(loads.begin(), loads.end()) == loads.end()), where << ": a snapshot was loaded twice");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(platform_kills)

BOOST_AUTO_TEST_CASE(the_client_is_killed_at_random_points_of_its_lifecycle) {
  const undisturbed expected;
  double seconds = expected.seconds;
  const int wanted = is_long_run() ? 500 : 50;
  int kills = 0;
  for (int seed = 1; kills < wanted && seed <= 4 * wanted; ++seed) {
    std::mt19937_64 random(static_cast<std::uint64_t>(seed));
    const one_run at;
    std::string where = "seed " + std::to_string(seed);
    for (auto left = 1 + random() % 3; left > 0; --left) {
      const bool at_a_line = random() % 2 == 0;
      std::string point;
      if (at_a_line) {
        constexpr const char* points[] = {"journal", "journal-half", "journaled"};
        point = std::string(points[random() % 3]) + ":" + std::to_string(1 + random() % expected.lines);
      }
      const double moment = seconds * std::uniform_real_distribution<double>(0.02, 1)(random);
      where += at_a_line ? ", " + point : ", after " + std::to_string(moment) + " s";
      const ::pid_t client = at.start(point);
      int status = wait_for(client, at_a_line ? 120 : moment);
      if (status == -1) {
        ::kill(client, SIGKILL);
        status = wait_for(client, 60);
        BOOST_REQUIRE_MESSAGE(!at_a_line, where << ": it hangs\n" << at.output());
      }
      if (status == 0) {  // it was over before its point
        if (!at_a_line) seconds *= 0.9;
        break;
      }
      BOOST_REQUIRE_MESSAGE((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL),
                            where << ": the client ended by itself\n"
                                  << at.output());
      ++kills;
    }
    // A process that was not killed has finished; one more finds that there is nothing to do.
    const ::pid_t last = at.start();
    const int status = wait_for(last, 120);
    if (status == -1) ::kill(last, SIGKILL), wait_for(last, 60);
    BOOST_TEST(status == 0, where << "\n" << at.output());
    check(at, expected, where);
  }
  BOOST_TEST(kills >= wanted);
  BOOST_TEST_MESSAGE(kills << " kills");
}

BOOST_AUTO_TEST_SUITE_END()
