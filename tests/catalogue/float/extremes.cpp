// SPDX-License-Identifier: Apache-2.0
// Every loss in float: what double gives to float's precision, and log ratios of ±90, where a ratio overflows: an
// infinity is traced to its token, and nothing is NaN.
#include <gradwire/gradient/culprit.hpp>

#include <boost/test/unit_test.hpp>

#include "../contract.hpp"
#include "float_rows.hpp"

namespace {

using namespace contract;

struct float_batch {
  std::vector<std::size_t> row;
  float_catalogue::full_batch batch;

  float_batch(const batch_table& table, bool pairs)
      : batch(gradwire::batch_of<float>(catalogue::make_groups(table, pairs, row))) {}
};

std::string far_ratios(const float_catalogue::preset_row& row, const subject& loss) {
  for (double by : {90.0, -90.0})
    for (double advantage : {1.0, -1.0, 0.0}) {
      batch_table table = random_batch(7);
      set_advantage(table, std::vector<double>(table.rows(), advantage));
      const std::size_t r = 4;  // one row, so that no infinity meets its opposite
      std::size_t t = 0;
      while (table.token["weights"][r][t] == 0) ++t;
      table.token["logprobs"][r][t] = by > 0 ? -0.1 : -0.1 + by;
      for (const char* each : {"old_logprobs", "sampler_logprobs", "ref_logprobs", "teacher_logprobs"})
        table.token[each][r][t] = by > 0 ? -0.1 - by : -0.1;
      for (auto& [name, column] : table.candidate) column[r][t][1] = -120;  // of probability 0
      const std::string where = " at a log ratio of " + text(by) + ", A = " + text(advantage);
      const float_batch made(table, loss.row.pairs);
      const auto found = row.evaluate(made.batch);
      bool nan = std::isnan(found.loss), finite = std::isfinite(found.loss), nothing = found.loss == 0;
      const auto look = [&](float x) {
        nan = nan || std::isnan(x);
        finite = finite && std::isfinite(x);
        nothing = nothing && x == 0;
      };
      for (const auto& values : in_rows(found.slope, made.row))
        for (float x : values) look(x);
      if (nan && loss.is_policy_loss()) return "NaN" + where;  // the slope of a KL term may be ∞ − ∞
      if (advantage == 0 && loss.is_policy_loss() && !loss.rest.has_terms() && !loss.breaks(rule::zero_advantage) &&
          !nothing)
        return "not 0" + where;
      if (finite) continue;
      const auto culprit =
          gradwire::find_culprit(loss.tree, found.loss, found.slope, loss.row.variable->name, gradwire::at(made.batch));
      if (!culprit) return "nothing is named" + where;
      if (culprit->datum < 0) continue;  // of a pair, a group or the batch
      if (made.row[static_cast<std::size_t>(culprit->datum)] != r ||
          (culprit->token >= 0 && culprit->token != static_cast<std::int64_t>(t)))
        return culprit->text() + where;
    }
  return "";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(losses_in_float)

BOOST_AUTO_TEST_CASE(they_are_those_in_double) {
  BOOST_TEST(float_catalogue::presets().size() == catalogue::presets().size());
  for (const auto& row : float_catalogue::presets()) {
    const subject loss(catalogue::preset(row.name));
    const batch_table table = random_batch(11);
    const float_batch made(table, loss.row.pairs);
    const auto found = row.evaluate(made.batch);
    answer single{found.loss, {}};
    for (const auto& values : in_rows(found.slope, made.row)) single.slope.emplace_back(values.begin(), values.end());
    const std::string off = compare(loss(table), single, 2e-5);
    BOOST_CHECK_MESSAGE(off.empty(), row.name << ": " << off);
  }
}

BOOST_AUTO_TEST_CASE(far_ratios_make_no_nan) {
  for (const auto& row : float_catalogue::presets()) {
    const std::string found = far_ratios(row, subject(catalogue::preset(row.name)));
    BOOST_CHECK_MESSAGE(found.empty(), row.name << ": " << found);
  }
}

BOOST_AUTO_TEST_SUITE_END()
