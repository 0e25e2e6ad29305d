// SPDX-License-Identifier: Apache-2.0
// Every row of the catalogue is explained, and what is printed is true: the formula and the derivative are read from
// the text and evaluated on random batches, at the row's defaults and with every parameter moved.
#include <gradwire/gradient/explain.hpp>

#include <boost/test/unit_test.hpp>

#include "../gradient/printed_formula.hpp"
#include "../support/larger.hpp"
#include "random_batch.hpp"

namespace {

using catalogue::preset_row;
namespace formula = gradwire::formula;

std::vector<double> moved(const preset_row& row) {
  std::vector<double> values = catalogue::defaults(row);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const catalogue::kind what = row.parameters[i].what;
    if (what == catalogue::kind::flag)
      values[i] = 1 - values[i];
    else if (what != catalogue::kind::integer)
      values[i] = values[i] == 0 ? 0.3 : values[i] * 0.9;
  }
  return values;
}

// How far the text is from the engine, relative to the largest slope; -1 where the engine itself has no finite answer.
double distance(const preset_row& row, const std::vector<double>& values, const std::string& text, unsigned seed) {
  const auto made = catalogue::make_batch(contract::random_batch(seed), row.pairs);
  gradwire::evaluation<double> expected;
  try {
    expected = row.evaluate(values, made.batch);
  } catch (const gradwire::error&) {
    return -1;  // weights of its own that do not add up
  }
  const auto columns = formula::table_of(made.batch);
  const gradwire::extent level = row.variable->level;
  double largest = 0, worst = 0;
  bool finite = std::isfinite(expected.loss);
  columns.for_each(level, [&](std::size_t e) {
    finite = finite && std::isfinite(expected.slope.data()[e]);
    largest = std::max(largest, std::abs(expected.slope.data()[e]));
  });
  if (!finite || largest == 0) return -1;
  printed::reader read(columns, {});
  read.section(text, "formula");
  read.section(text, "derivative");
  const auto& slope = read[std::string("dL/d") + row.variable->name];
  if (slope.level != level) throw std::runtime_error("the derivative has another extent than the field");
  columns.for_each(
      level, [&](std::size_t e) { worst = larger(worst, std::abs(expected.slope.data()[e] - slope.x[e]) / largest); });
  return larger(worst, std::abs(read["L"].x[0] - expected.loss) / (largest + std::abs(expected.loss)));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(explained_rows)

BOOST_AUTO_TEST_CASE(every_printed_derivative_is_the_slope) {
  int compared = 0;
  for (const preset_row& row : catalogue::presets()) {
    int of_row = 0;
    for (const auto& values : {catalogue::defaults(row), moved(row)}) {
      gradwire::explain_options options;
      options.name = row.name;
      options.variable = row.variable->name;
      options.passes = row.passes;
      const auto explained = gradwire::explain(row.reflect(values), options);
      const std::string text = explained.text();
      BOOST_TEST_CONTEXT(row.name << "\n" << text) {
        // More where a narrow mask leaves nothing of most batches.
        for (unsigned seed = 1; seed <= 3 || (of_row == 0 && seed < 100); ++seed) {
          double off = -1;
          BOOST_CHECK_NO_THROW(off = distance(row, values, text, seed));
          BOOST_TEST(off <= 1e-10);
          of_row += off >= 0;
        }
        for (const auto* lines : {&explained.lines().formula(), &explained.lines().derivative()})
          for (const auto& line : *lines) BOOST_TEST(line.text.size() < 300u);  // three printed lines
        const std::string page = explained.markdown();
        BOOST_TEST(std::count(page.begin(), page.end(), '{') == std::count(page.begin(), page.end(), '}'));
      }
    }
    BOOST_TEST(of_row > 0, row.name << ": no batch has a finite gradient that is not 0");
    compared += of_row;
  }
  BOOST_TEST(compared > 0);
}

BOOST_AUTO_TEST_SUITE_END()
