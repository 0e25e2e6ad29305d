// SPDX-License-Identifier: Apache-2.0
// What a trainer that was killed while it saved has left: gone when the next one starts, whatever its number was.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include <gradwire/loopback/files/staged_directory.hpp>
#include <gradwire/loopback/service/checkpoint_store.hpp>

#include "../support/temporary_folder.hpp"

using namespace gradwire;
namespace filesystem = std::filesystem;

namespace {

filesystem::path begun_by(::pid_t pid, const filesystem::path& in) {
  const auto folder = in / (".a.partial-" + std::to_string(pid) + "-1-2");
  filesystem::create_directories(folder);
  return folder;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(left_over)

BOOST_AUTO_TEST_CASE(a_process_is_known_by_more_than_its_number) {
  const temporary_folder at;
  const loopback::staged_directory own(at.path / "b", false);  // still being written
  const auto same_number = begun_by(::getpid(), at.path), alive = begun_by(::getppid(), at.path);
  loopback::remove_left_over(at.path);
  BOOST_TEST(!filesystem::exists(same_number));
  BOOST_TEST(filesystem::exists(alive));
  BOOST_TEST(filesystem::exists(own.file("")));
}

BOOST_AUTO_TEST_CASE(every_kind_of_checkpoint) {
  const temporary_folder at;
  const ::pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  ::waitpid(gone, nullptr, 0);
  std::vector<filesystem::path> all;
  for (const char* kind : {"weights", "sampler_weights", "external_weights"})
    all.push_back(begun_by(gone, at.path / "run" / kind));
  const loopback::detail::checkpoint_store store(at.path);
  for (const auto& each : all) BOOST_TEST(!filesystem::exists(each), each);
}

BOOST_AUTO_TEST_SUITE_END()
