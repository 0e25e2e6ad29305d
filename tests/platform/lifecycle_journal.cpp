// SPDX-License-Identifier: Apache-2.0
// The journal of a lifecycle: every fact comes back as it was written, and a file that is cut at any byte still names
// everything that a whole line named.
#include <boost/test/unit_test.hpp>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/platform/lifecycle_journal.hpp>

#include "../support/temporary_folder.hpp"

using namespace gradwire;
using namespace gradwire::platform;

namespace {

std::vector<lifecycle_event> whole_life() {
  const auto policy = part::policy_job;
  return {
      {.what = lifecycle_fact::begun, .id = "0a1b2c3d", .path = "https://example.test \"quoted\" \\ shape\n"},
      {.what = lifecycle_fact::resolved, .of = policy, .id = "accounts/f/trainingShapes/s/versions/1"},
      {.what = lifecycle_fact::creating, .of = policy, .id = "gradwire-0a1b2c3d-policy", .type = "ours"},
      {.what = lifecycle_fact::created, .of = policy, .id = "gradwire-0a1b2c3d-policy"},
      {.what = lifecycle_fact::creating, .of = part::deployment, .id = "rollouts", .type = "ours"},
      {.what = lifecycle_fact::attached, .of = part::reference_job, .id = "older"},
      {.what = lifecycle_fact::model, .of = policy, .id = "run:train:0"},
      {.what = lifecycle_fact::saving, .id = "step-0-aa", .type = "base", .step = 0},
      {.what = lifecycle_fact::saved, .id = "tinker://r/step-0-aa", .type = "base", .step = 0},
      {.what = lifecycle_fact::loading, .id = "tinker://r/step-0-aa", .type = "base", .step = 0},
      {.what = lifecycle_fact::loaded, .id = "tinker://r/step-0-aa"},
      {.what = lifecycle_fact::saving, .id = "step-4-bb", .type = "delta", .step = 4},
      {.what = lifecycle_fact::saved, .id = "tinker://r/step-4-bb", .type = "delta", .step = 4},
      {.what = lifecycle_fact::loading,
       .id = "tinker://r/step-4-bb",
       .type = "delta",
       .previous = "tinker://r/step-0-aa",
       .step = 4},
      {.what = lifecycle_fact::unloaded, .id = "tinker://r/step-4-bb"},
      {.what = lifecycle_fact::state, .id = "", .path = "tinker://r/weights/step-4", .step = 4},
      {.what = lifecycle_fact::promoting, .id = "my-model", .path = "tinker://r/step-0-aa"},
      {.what = lifecycle_fact::promoted, .id = "my-model"},
      {.what = lifecycle_fact::closing, .id = "0a1b2c3d"},
      {.what = lifecycle_fact::deleting, .of = part::deployment, .id = "rollouts"},
      {.what = lifecycle_fact::deleted, .of = part::deployment, .id = "rollouts"},
  };
}

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string what_of(const std::filesystem::path& file) {
  try {
    lifecycle_journal journal(file.string());
  } catch (const error& said) {
    BOOST_TEST((said.kind() == errc::config));
    return said.what();
  }
  return "";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(lifecycle_journals)

BOOST_AUTO_TEST_CASE(every_fact_comes_back) {
  for (const lifecycle_event& event : whole_life()) {
    std::string line = lifecycle_journal::line_of(event);
    BOOST_REQUIRE(line.back() == '\n');
    line.pop_back();
    BOOST_TEST((lifecycle_journal::parse(line) == event), line);
    for (std::size_t at = 0; at < line.size(); at += 7) {
      std::string damaged = line;
      damaged[at] = static_cast<char>(damaged[at] ^ 1);
      BOOST_TEST(!lifecycle_journal::parse(damaged).has_value(), damaged);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_file_adds_up_to_the_state) {
  const temporary_folder folder;
  const auto file = folder.path / "new" / "lifecycle.jsonl";
  lifecycle_state expected;
  {
    lifecycle_journal journal(file.string());
    for (const auto& event : whole_life()) {
      journal.write(event);
      expected.apply(event);
    }
    BOOST_TEST((journal.state() == expected));
    BOOST_TEST(what_of(file).find("is written by another program") != std::string::npos);
  }
  const lifecycle_journal again(file.string());
  BOOST_TEST((again.state() == expected));
  BOOST_TEST(again.notices().empty());
  const lifecycle_state state = again.state();
  BOOST_TEST(state.owes(part::policy_job));
  BOOST_TEST(!state.owes(part::reference_job));  // was there before
  BOOST_TEST(!state.owes(part::deployment));     // is deleted
  BOOST_TEST(state.loaded.name == "tinker://r/step-0-aa");
  BOOST_TEST(state.saved.name == "tinker://r/step-4-bb");
  BOOST_TEST(state.step == 4);
}

BOOST_AUTO_TEST_CASE(cut_at_any_byte_the_whole_lines_count) {
  const temporary_folder folder(folder_in_memory());
  std::string all;
  for (const auto& event : whole_life()) all += lifecycle_journal::line_of(event);
  for (std::size_t length = 0; length <= all.size(); ++length) {
    const auto file = folder.path / "lifecycle.jsonl";
    std::ofstream(file, std::ios::binary | std::ios::trunc) << all.substr(0, length);
    lifecycle_state expected;
    std::size_t end = 0;
    for (const auto& event : whole_life()) {
      end += lifecycle_journal::line_of(event).size();
      if (end <= length) expected.apply(event);
    }
    {
      lifecycle_journal journal(file.string());
      BOOST_REQUIRE((journal.state() == expected));
      const bool was_cut = length > 0 && all[length - 1] != '\n';
      BOOST_REQUIRE(journal.notices().size() == (was_cut ? 1U : 0U));
      journal.write({.what = lifecycle_fact::closed, .id = "0a1b2c3d"});
    }
    BOOST_REQUIRE(lifecycle_journal(file.string()).state().closed);
  }
}

BOOST_AUTO_TEST_CASE(a_damaged_line_is_no_journal_to_go_on_from) {
  const temporary_folder folder;
  const auto file = folder.path / "lifecycle.jsonl";
  {
    lifecycle_journal journal(file.string());
    for (const auto& event : whole_life()) journal.write(event);
  }
  std::string text = text_of(file);
  text[text.find("gradwire-0a")] = 'G';
  std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
  BOOST_TEST(what_of(file).find("line 3; what the run has made may not be known") != std::string::npos);
  std::ofstream(file, std::ios::binary | std::ios::trunc) << "dear diary";
  BOOST_TEST(what_of(file).find("has no line of a run in it") != std::string::npos);
  BOOST_TEST(text_of(file) == "dear diary");
}

BOOST_AUTO_TEST_CASE(what_is_no_file_is_no_journal) {
  BOOST_TEST(what_of("/dev/full").find("/dev/full is no regular file") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
