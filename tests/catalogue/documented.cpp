// SPDX-License-Identifier: Apache-2.0
// The batch file in docs/evaluate_loss.md and what the page says that comes of it (numbers of a formula in Python).
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include <cmath>

#include "batch_file.hpp"
#include "catalogue.hpp"

namespace {

// The n-th block of JSON below a heading.
std::string block(const std::string& page, const char* heading, int n) {
  std::size_t at = page.find(heading);
  for (int i = 0; i <= n && at != std::string::npos; ++i) at = page.find("```json\n", at + 1);
  BOOST_REQUIRE_NE(at, std::string::npos);
  return page.substr(at + 8, page.find("```", at + 8) - at - 8);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_first_file_of_the_page_gives_the_numbers_of_the_page) {
  const std::string page = catalogue::read_file(GRADWIRE_TEST_DATA "/../../docs/evaluate_loss.md");
  const auto read = catalogue::read_batch(block(page, "## A first file", 0), false);
  BOOST_TEST(read.ignored.empty());
  std::string said = block(page, "## A first file", 1);
  for (std::size_t at; (at = said.find("\xE2\x80\xA6")) != std::string::npos;) said.erase(at, 3);  // {…}
  const auto expected = boost::json::parse(said);
  const auto& loss = catalogue::preset(std::string_view(expected.at("loss").as_string()));
  std::vector<catalogue::setting> settings;
  for (const auto& [name, value] : expected.at("parameters").as_object())
    if (value.is_number()) settings.push_back({std::string(name), value.to_number<double>()});
  catalogue::require_columns(loss, read.table);
  const auto made = catalogue::make_batch(read.table, loss.pairs);
  const auto found = loss.evaluate(catalogue::values_with(loss, settings), made.batch);
  BOOST_TEST(std::abs(found.loss - expected.at("value").to_number<double>()) < 1e-14);
  BOOST_TEST(expected.at("wrt").as_string() == loss.variable->name);
  const auto& rows = expected.at("gradient").as_array();
  BOOST_REQUIRE_EQUAL(rows.size(), made.row.size());
  for (std::size_t s = 0; s < made.row.size(); ++s) {
    const auto& row = rows[made.row[s]].as_array();
    BOOST_REQUIRE_EQUAL(row.size(), found.slope[s].size());
    for (std::size_t t = 0; t < row.size(); ++t)
      BOOST_TEST(std::abs(found.slope[s][t] - row[t].to_number<double>()) < 1e-14);
  }
}

// What is quoted ends where JSON says; what Python writes for values that are none is read outside of it only.
BOOST_AUTO_TEST_CASE(a_text_may_end_in_a_backslash) {
  const auto read = catalogue::read_batch(
      R"({"group": ["a\\", "NaN", "a\\", "\"-Infinity"], "logprobs": [[NaN], [-Infinity], [-1], [Infinity]]})", false);
  BOOST_TEST((read.table.group == std::vector<long>{0, 1, 0, 2}));
  const auto& logprobs = read.table.token.at("logprobs");
  BOOST_TEST(std::isnan(logprobs[0][0]));
  BOOST_TEST(logprobs[1][0] == -logprobs[3][0]);
  BOOST_TEST(std::isinf(logprobs[3][0]));
}
