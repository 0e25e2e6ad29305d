// SPDX-License-Identifier: Apache-2.0
// The fuzz targets as plain tests: every seed, every input under old_crashes/TARGET, and mutations of them.
#include "../support/long_run.hpp"
#include "fuzz.hpp"
#include "mutate.hpp"

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace {

std::string escaped(std::string_view input) {
  static const char digits[] = "0123456789abcdef";
  std::string text;
  for (const char c : input) {
    if (c >= 0x20 && c < 0x7f && c != '\\') {
      text += c;
    } else {
      text += "\\x";
      text += digits[static_cast<unsigned char>(c) >> 4];
      text += digits[static_cast<unsigned char>(c) & 15];
    }
  }
  return text;
}

std::vector<std::string> inputs_of(const fuzz::target& target) {
  std::vector<std::string> inputs = target.seeds();
  const auto folder = std::filesystem::path(GRADWIRE_TEST_DATA).parent_path() / "fuzz" / "old_crashes" / target.name;
  if (std::filesystem::is_directory(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      std::ifstream file(entry.path(), std::ios::binary);
      inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  }
  return inputs;
}

void run(const fuzz::target& target, const std::string& input) {
  try {
    target.run(input);
  } catch (const std::exception& problem) {
    BOOST_ERROR("fuzz target " << target.name << ": " << problem.what() << "\n  input: " << escaped(input));
  }
}

void run_all(const std::string& name) {
  for (const fuzz::target& target : fuzz::targets()) {
    if (target.name != name) continue;
    const std::vector<std::string> inputs = inputs_of(target);
    BOOST_TEST(!inputs.empty());
    for (const std::string& input : inputs) run(target, input);
    run(target, "");
    fuzz::mutator mutator(1);
    const unsigned runs = target.runs * (is_long_run() ? 20 : 1);
    for (unsigned i = 0; i < runs; ++i) run(target, mutator.mutated(inputs));
    return;
  }
  BOOST_ERROR("there is no fuzz target " << name);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(fuzz_corpus)

BOOST_DATA_TEST_CASE(corpus,
                     boost::unit_test::data::make({"response", "json_reply", "proto_fwdbwd", "datum", "server_request",
                                                   "checkpoint", "retry", "url_env"}),
                     name) {
  run_all(name);
}

BOOST_AUTO_TEST_SUITE_END()
