// SPDX-License-Identifier: Apache-2.0
// The order of the system calls of a real trainer that saves, as strace sees it: what a rename makes visible was synced
// before, and the folder is synced after it. (tests/loopback/state_file.cpp holds the same order without strace.)
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "trainer_process.hpp"
#include "training_run.hpp"

namespace {

bool strace_works(const std::filesystem::path& folder) {
  const auto log = folder / "strace.txt";
  const ::pid_t made = ::fork();
  if (made == 0) {
    ::execlp("strace", "strace", "-o", log.c_str(), "-e", "trace=none", "true", static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(made, &status, 0);
  return status == 0;
}

// A line of strace's without the thread's id, which it fills up to five places.
std::string without_id(const std::string& line) {
  const auto from = line.find_first_not_of(' ', line.find(' '));
  return from == line.npos ? "" : line.substr(from);
}

// strace writes on for a moment after the process that it follows has ended; its last words are "PID +++ killed …".
std::string whole_trace(const std::filesystem::path& trace, ::pid_t process) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < limit) {
    const std::string text = gradwire::loopback::read_text(trace);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line) && !lines.eof();)
      if (std::atol(line.c_str()) == process && without_id(line).starts_with("+++ ")) return text;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  throw std::runtime_error("strace did not tell the end of process " + std::to_string(process));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(system_calls)

BOOST_AUTO_TEST_CASE(synced_before_it_is_renamed_and_the_folder_after_it) {
  const run_folder at;
  if (!strace_works(at.path)) {
    BOOST_TEST_MESSAGE("skipped: strace is not here, or may not trace");
    return;
  }
  const auto trace = at.path / "trace.txt";
  ::pid_t process = -1;
  {
    const kept_trainer trainer(at.path, {{"COMMIT_EVERY", "1"}}, {},
                               {"strace", "-D", "-f", "-y", "-s", "4096", "-e", "signal=SIGKILL", "-e",
                                "trace=write,fsync,fdatasync,rename,renameat,renameat2", "-o", trace.string()});
    process = trainer.process();
    train(trainer.endpoint(), at.path / "journal.jsonl", {});
  }
  const std::regex write_call(R"re(write\(\d+<([^>]+)>)re"),
      sync_call(R"re((?:fsync|fdatasync)\(\d+<([^>]+)>\) += 0)re"),
      rename_call(
          R"re(renameat2?\((?:AT_FDCWD|\d+)<([^>]+)>, "([^"]*)", (?:AT_FDCWD|\d+)<[^>]+>, "([^"]*)".*\) += 0)re");
  std::istringstream lines(whole_trace(trace, process));
  std::set<std::string> unsynced;              // written since their last sync
  std::map<std::string, int> folders_to_sync;  // with a new name in them
  std::set<std::string> synced;
  int renames = 0;
  std::string line;
  while (std::getline(lines, line)) {
    std::smatch found;
    const std::string call = without_id(line);
    if (std::regex_search(call, found, write_call)) {
      unsynced.insert(found[1]);
    } else if (std::regex_search(call, found, sync_call)) {
      unsynced.erase(found[1]);
      synced.insert(found[1]);
      folders_to_sync.erase(found[1]);
    } else if (call.find("rename") == 0) {
      BOOST_REQUIRE_MESSAGE(std::regex_search(call, found, rename_call), call);
      BOOST_TEST(folders_to_sync.empty(), "a folder was not synced before: " << call);
      const std::filesystem::path from = std::filesystem::path(found[1].str()) / found[2].str();
      BOOST_TEST(synced.count(from.string()) == 1U, "renamed before it was synced: " << call);
      for (const std::string& file : unsynced)
        BOOST_TEST(!file.starts_with(from.string()), "renamed with " << file << " not synced");
      folders_to_sync[(std::filesystem::path(found[1].str()) / found[3].str()).parent_path().string()] = 1;
      ++renames;
    }
  }
  BOOST_TEST(folders_to_sync.empty());
  BOOST_TEST(renames >= 12);  // a session, a model, nine operations and more, two saved states
}

BOOST_AUTO_TEST_SUITE_END()
