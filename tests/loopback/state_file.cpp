// SPDX-License-Identifier: Apache-2.0
// The files that keep a trainer's state: what a crash, a power cut, a full disk or a flipped bit may do to them.
#include <sys/resource.h>
#include <sys/wait.h>

#include <boost/test/unit_test.hpp>
#include <csignal>
#include <fstream>
#include <random>

#include <gradwire/loopback/files/state_file.hpp>

#include "../support/temporary_folder.hpp"
#include "forgetful_files.hpp"

using namespace gradwire;
using loopback::detail::state_folder;

namespace {

std::string slurp(const std::filesystem::path& path) { return loopback::read_text(path); }

void spill(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

// What a new program finds there; "" for nothing, "refused: …" where nothing but damage is left.
std::string found(const std::filesystem::path& folder, const std::string& name, std::string* notice = nullptr) {
  std::vector<std::string> notices;
  std::string text;
  try {
    text = state_folder(folder).read(name, notices).value_or("");
  } catch (const error& refused) {
    text = std::string("refused: ") + refused.what();
  }
  if (notice) *notice = notices.empty() ? "" : notices.at(0);
  return text;
}

::mode_t mode_of(const std::filesystem::path& path) {
  struct ::stat info {};
  BOOST_REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_SUITE(state_file)

BOOST_AUTO_TEST_CASE(crc32c_of_the_standard) {
  // RFC 3720, B.4, and the check value that catalogues of checksums give.
  BOOST_TEST(crc32c("123456789") == 0xE3069283U);
  BOOST_TEST(crc32c(std::string(32, '\0')) == 0x8A9136AAU);
  BOOST_TEST(crc32c(std::string(32, '\xFF')) == 0x62A8AB43U);
  std::string rising;
  for (int i = 0; i < 32; ++i) rising += static_cast<char>(i);
  BOOST_TEST(crc32c(rising) == 0x46DD794EU);
  crc32c_sum pieces;
  for (const char c : rising) pieces.add(&c, 1);
  BOOST_TEST(pieces.value() == 0x46DD794EU);
}

BOOST_AUTO_TEST_CASE(the_last_two_are_kept_and_the_newest_is_read) {
  const temporary_folder at;
  {
    state_folder folder(at.path / "state");
    for (int i = 1; i <= 5; ++i) folder.write("m:1", {"number ", std::to_string(i)});
  }
  BOOST_TEST(found(at.path / "state", "m:1") == "number 5");
  BOOST_TEST(found(at.path / "state", "other") == "");
  const auto a = slurp(at.path / "state" / "m:1.a"), b = slurp(at.path / "state" / "m:1.b");
  BOOST_TEST(a.substr(48) == "number 5");
  BOOST_TEST(b.substr(48) == "number 4");
  BOOST_TEST(mode_of(at.path / "state") == 0700U);
  BOOST_TEST(mode_of(at.path / "state" / "m:1.a") == 0600U);
}

BOOST_AUTO_TEST_CASE(a_flipped_byte_is_noticed_wherever_it_is) {
  const temporary_folder at;
  std::string body;
  std::mt19937 random(5);
  for (int i = 0; i < 10'000; ++i) body += static_cast<char>(random());
  {
    state_folder folder(at.path);
    folder.write("m", {"old " + body});
    folder.write("m", {"new " + body});
  }
  const auto newest = at.path / "m.b";
  const std::string good = slurp(newest);
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < 48; ++i) places.push_back(i);
  for (int i = 0; i < 100; ++i) places.push_back(48 + random() % (good.size() - 48));
  for (const std::size_t place : places) {
    std::string bad = good;
    bad[place] = static_cast<char>(bad[place] ^ (1 << (place % 8)));
    spill(newest, bad);
    std::string notice;
    BOOST_TEST(found(at.path, "m", &notice).substr(0, 4) == "old ", "byte " << place);
    BOOST_TEST(contains(notice, "m.b is damaged: "), notice);
    BOOST_TEST(contains(notice, "generation 1, is used"), notice);
  }
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{47}, std::size_t{48}, good.size() / 2, good.size() - 1}) {
    spill(newest, good.substr(0, size));
    BOOST_TEST(found(at.path, "m").substr(0, 4) == "old ", "cut at " << size);
  }
  spill(newest, good + "x");
  BOOST_TEST(found(at.path, "m").substr(0, 4) == "old ");
  spill(at.path / "m.a", "");
  const std::string refused = found(at.path, "m");
  BOOST_TEST(contains(refused, "m.a is damaged: it has 0 bytes, less than a header"), refused);
  BOOST_TEST(contains(refused, "m.b is damaged: it has 10005 bytes of content where 10004 were written"), refused);
}

BOOST_AUTO_TEST_CASE(after_a_fall_back_the_damaged_one_is_replaced) {
  const temporary_folder at;
  {
    state_folder folder(at.path);
    folder.write("m", {"one"});
    folder.write("m", {"two"});
  }
  spill(at.path / "m.b", "rubbish");
  {
    std::vector<std::string> notices;
    state_folder folder(at.path);
    BOOST_TEST(*folder.read("m", notices) == "one");
    folder.write("m", {"three"});
  }
  BOOST_TEST(slurp(at.path / "m.a").substr(48) == "one");
  BOOST_TEST(found(at.path, "m") == "three");
}

// Also what carries this process' own number: in a container that is started again, the one before had it too.
BOOST_AUTO_TEST_CASE(what_a_dead_program_left_is_removed_and_a_living_one_is_not_joined) {
  const temporary_folder at;
  const ::pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  ::waitpid(gone, nullptr, 0);
  std::filesystem::create_directory(at.path / "state");
  const auto left = at.path / "state" / ("m.a.tmp-" + std::to_string(gone));
  const auto mine = at.path / "state" / ("m.a.tmp-" + std::to_string(::getpid()));
  spill(left, "half");
  spill(mine, "half");
  const state_folder first(at.path / "state");
  BOOST_TEST(!std::filesystem::exists(left));
  BOOST_TEST(!std::filesystem::exists(mine));
  BOOST_CHECK_EXCEPTION(state_folder(at.path / "state"), error,
                        [](const error& e) { return contains(e.what(), "in use by another trainer"); });
}

BOOST_AUTO_TEST_CASE(links_are_not_followed) {
  const temporary_folder at;
  std::filesystem::create_directory(at.path / "elsewhere");
  spill(at.path / "victim", "precious");
  std::filesystem::create_directory_symlink(at.path / "elsewhere", at.path / "link");
  BOOST_CHECK_THROW(state_folder(at.path / "link"), error);
  state_folder folder(at.path / "state");
  std::filesystem::create_symlink(at.path / "victim", at.path / "state" / ("m.a.tmp-" + std::to_string(::getpid())));
  BOOST_CHECK_THROW(folder.write("m", {"evil"}), error);
  std::filesystem::create_symlink(at.path / "victim", at.path / "state" / "n.a");
  std::vector<std::string> notices;
  BOOST_CHECK_THROW(folder.read("n", notices), error);
  BOOST_TEST(slurp(at.path / "victim") == "precious");
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_507_and_the_old_state_stays) {
  const temporary_folder at;
  state_folder folder(at.path);
  folder.write("m", {"good"});
  ::rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  const ::rlimit small{4096, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const std::string large(100'000, 'x');
  int status = 0;
  std::string sentence;
  try {
    folder.write("m", {large});
  } catch (const error& full) {
    status = full.details().http_status;
    sentence = full.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  BOOST_TEST(status == 507);
  BOOST_TEST(contains(sentence, "File too large"), sentence);
  BOOST_TEST(std::distance(std::filesystem::directory_iterator(at.path), {}) == 1);
  folder.write("m", {"better"});
  std::vector<std::string> notices;
  BOOST_TEST(*folder.read("m", notices) == "better");
  BOOST_TEST(notices.empty());
}

// Every moment of a write, with everything forgotten that was not synced: what is found is whole, and it is what was
// acknowledged last or what was being written.
BOOST_AUTO_TEST_CASE(a_power_cut_at_any_moment_loses_nothing_that_was_acknowledged) {
  for (const bool names_survive : {false, true}) {
    std::size_t cuts = 0;
    for (std::size_t moment = 0;; ++moment) {
      const temporary_folder at, after;
      forgetful_files disk(at.path);
      std::string acknowledged;
      bool finished = false;
      try {
        const forgetful_files::in_place used(disk, moment);
        state_folder folder(at.path);
        for (const char* text : {"first", "second", "third", "fourth"}) {
          folder.write("m", {text, std::string(200, '.')});
          acknowledged = text;
        }
        finished = true;
      } catch (const forgetful_files::power_cut&) {
      }
      disk.restore_to(after.path, names_survive);
      const std::string there = found(after.path, "m");
      const std::string next = acknowledged.empty()       ? "first"
                               : acknowledged == "first"  ? "second"
                               : acknowledged == "second" ? "third"
                                                          : "fourth";
      const std::string text = there.substr(0, there.find('.'));
      BOOST_TEST((text == acknowledged || text == next), "cut " << moment << ": " << text << " after " << acknowledged);
      if (!there.empty()) BOOST_TEST(there.size() == text.size() + 200);
      if (finished) break;
      ++cuts;
    }
    BOOST_TEST(cuts >= 4U * 6U);  // open, three writes, sync, rename, sync: at least six moments a write
  }
}

BOOST_AUTO_TEST_CASE(write_sync_rename_sync) {
  const temporary_folder at;
  forgetful_files disk(at.path);
  const forgetful_files::in_place used(disk, ~std::size_t{0});
  state_folder folder(at.path);
  disk.calls.clear();
  folder.write("m", {"text"});
  const std::vector<std::string> expected{"open m.a.tmp",  "write m.a.tmp",      "write m.a.tmp", "sync m.a.tmp",
                                          "close m.a.tmp", "rename m.a.tmp m.a", "sync ."};
  BOOST_TEST(disk.calls == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
