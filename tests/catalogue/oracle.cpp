// SPDX-License-Identifier: Apache-2.0
// Other projects' numbers: every case of tests/golden/oracle.json through the row of the catalogue that
// oracle_cases.json names. Value and gradient to tolerance · max(|number|, largest slope of the case); the tables are
// data, and a case that none names is an error. `--log_level=message` prints what was found.
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include <gradwire/gradient/gradient_metrics.hpp>

#include <cmath>
#include <iomanip>
#include <set>
#include <sstream>

#include "../support/larger.hpp"
#include "batch_file.hpp"
#include "catalogue.hpp"
#include "random_batch.hpp"

namespace {

namespace json = boost::json;

json::value read(const char* name) {
  return json::parse(catalogue::read_file(std::string(GRADWIRE_TEST_DATA "/") + name));
}
std::string text(const json::value& of) { return std::string(of.as_string()); }
double number(const json::value& of) { return of.to_number<double>(); }

std::vector<catalogue::setting> settings_of(const json::value& entry) {
  std::vector<catalogue::setting> settings;
  for (const auto& [name, value] : entry.at("set").as_object()) settings.push_back({std::string(name), number(value)});
  return settings;
}

// Relative to `scale`; NaN, which no tolerance allows, where one of the two is NaN.
double difference(double ours, double theirs, double scale) {
  return ours == theirs ? 0 : std::abs(ours - theirs) / scale;
}

// A line a case: what was compared, how far off, what is allowed and why.
void report(const json::value& entry, const std::string& row, double off) {
  std::ostringstream line;
  line << std::left << std::setw(56) << text(entry.at("case")) << std::setw(40) << row << std::setprecision(1)
       << std::scientific << off << "  allowed " << number(entry.at("tolerance")) << "  " << text(entry.at("reason"));
  BOOST_TEST_MESSAGE(line.str());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(oracle)

BOOST_AUTO_TEST_CASE(losses_are_their_sources) {
  const json::value golden = read("oracle.json"), table = read("oracle_cases.json");
  std::set<std::string> named;
  for (const json::value& entry : table.at("cases").as_array()) {
    const std::string name = text(entry.at("case"));
    named.insert(name);
    const json::value* found = nullptr;
    for (const json::value& each : golden.at("cases").as_array())
      if (text(each.at("name")) == name) found = &each;
    BOOST_REQUIRE_MESSAGE(found, "oracle.json has no case " << name);

    json::object inputs = golden.at("inputs").as_object();
    for (const auto& [key, value] : entry.at("batch").as_object()) inputs[key] = value;
    const auto batch = catalogue::read_batch(json::serialize(inputs), false);
    const auto& loss = catalogue::preset(text(entry.at("loss")));
    catalogue::require_columns(loss, batch.table);
    const auto values = catalogue::values_with(loss, settings_of(entry));
    const auto made = catalogue::make_batch(batch.table, loss.pairs);
    const auto result = loss.evaluate_with_metrics(values, made.batch);
    const auto slope = contract::in_rows(result.slope, made);

    double largest = 0, off = 0;
    const json::array& rows = found->at("grad").as_array();
    for (const json::value& row : rows)
      for (const json::value& x : row.as_array()) largest = std::max(largest, std::abs(number(x)));
    const auto differ = [&](double ours, double theirs) {
      off = larger(off, difference(ours, theirs, std::max(std::abs(theirs), largest)));
    };
    differ(result.loss, number(found->at("loss")));
    BOOST_REQUIRE(rows.size() == slope.size());
    for (std::size_t r = 0; r < rows.size(); ++r) {
      BOOST_REQUIRE(rows[r].as_array().size() == slope[r].size());
      for (std::size_t t = 0; t < slope[r].size(); ++t) differ(slope[r][t], number(rows[r].as_array()[t]));
    }
    report(entry, text(entry.at("loss")), off);
    BOOST_CHECK_MESSAGE(off <= number(entry.at("tolerance")), name << " is off by " << off);

    auto metrics = result.metrics;
    for (const auto& each : gradwire::gradient_metrics(result.slope, made.batch)) metrics.push_back(each);
    for (const auto& [ours, theirs] : entry.at("metrics").as_object()) {
      const double expected = number(found->at("metrics").at(theirs.as_string()));
      const auto metric = std::find_if(metrics.begin(), metrics.end(), [&](const auto& m) { return m.name == ours; });
      BOOST_REQUIRE_MESSAGE(metric != metrics.end(), name << ": no metric " << ours);
      BOOST_CHECK_MESSAGE(std::abs(metric->value - expected) <=
                              number(entry.at("metric_tolerance")) * std::max(std::abs(expected), 1e-1),
                          name << ": " << ours << " is " << metric->value << ", " << theirs << " is " << expected);
    }
  }
  for (const json::value& each : golden.at("cases").as_array())
    BOOST_CHECK_MESSAGE(named.count(text(each.at("name"))), "no row is named for " << text(each.at("name")));
}

BOOST_AUTO_TEST_CASE(advantages_are_their_sources) {
  const json::value golden = read("oracle.json"), table = read("oracle_cases.json");
  const json::value& given = golden.at("advantages");
  const auto batch = catalogue::read_batch(json::serialize(golden), true);
  const auto made = catalogue::make_batch(batch.table, false);
  std::set<std::string> named;
  for (const json::value& entry : table.at("advantages").as_array()) {
    const std::string name = text(entry.at("case"));
    named.insert(name);
    const auto& estimator = catalogue::estimator(text(entry.at("estimator")));
    catalogue::require_columns(estimator, batch.table);
    const auto found =
        contract::in_rows(estimator.evaluate(catalogue::values_with(estimator, settings_of(entry)), made.batch), made);
    // The first result is the advantages: a number a token, or a number for each row of the first group.
    const json::array& rows = given.at("results").at(name).as_array()[0].as_array();
    double largest = 0, off = 0;
    std::vector<std::pair<double, double>> pairs;  // ours, theirs
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const auto& mask = batch.table.token.at("weights")[r];
      for (std::size_t t = 0; t < mask.size(); ++t)
        if (rows[r].is_array())
          pairs.emplace_back(found[r][t], number(rows[r].as_array()[t]));
        else if (mask[t] != 0)
          pairs.emplace_back(found[r][t], number(rows[r]));
    }
    for (const auto& [ours, theirs] : pairs) largest = std::max(largest, std::abs(theirs));
    for (const auto& [ours, theirs] : pairs)
      off = larger(off, difference(ours, theirs, std::max(std::abs(theirs), largest)));
    report(entry, text(entry.at("estimator")), off);
    BOOST_CHECK_MESSAGE(off <= number(entry.at("tolerance")), name << " is off by " << off);
  }
  for (const auto& [name, results] : given.at("results").as_object())
    BOOST_CHECK_MESSAGE(named.count(std::string(name)), "no estimator is named for " << name);
}

BOOST_AUTO_TEST_SUITE_END()
