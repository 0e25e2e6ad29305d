// SPDX-License-Identifier: Apache-2.0
// Extreme data, asked of every row of the catalogue: log ratios of ±700, numbers that are none at unmasked tokens,
// groups of one and groups with equal rewards. (At masked tokens, and all-masked sequences and batches: contract.cpp.)
// What comes out is finite, or the culprit is the token that was made extreme.
#include <gradwire/gradient/culprit.hpp>

#include <boost/test/unit_test.hpp>

#include "contract.hpp"

namespace {

using namespace contract;

bool is_finite(const answer& found) {
  bool all = std::isfinite(found.loss);
  for (const auto& row : found.slope)
    for (double x : row) all = all && std::isfinite(x);
  return all;
}
bool has_nan(const answer& found) {
  bool any = std::isnan(found.loss);
  for (const auto& row : found.slope)
    for (double x : row) any = any || std::isnan(x);
  return any;
}

// "" where the culprit that a user is told of is the token, its sequence or its group.
std::string wrongly_named(const subject& loss, const catalogue::made_batch& made,
                          const gradwire::evaluation<double>& found, std::size_t row, std::size_t token) {
  const auto culprit =
      gradwire::find_culprit(loss.tree, found.loss, found.slope, loss.row.variable->name, gradwire::at(made.batch));
  if (!culprit) return "nothing is named";
  const auto& begin = made.batch.shape().group_begin;
  const auto s = static_cast<std::size_t>(std::find(made.row.begin(), made.row.end(), row) - made.row.begin());
  const auto g = static_cast<std::size_t>(std::upper_bound(begin.begin(), begin.end(), s) - begin.begin()) - 1;
  const auto is = [](std::int64_t named, std::size_t place) {
    return named < 0 || named == static_cast<std::int64_t>(place);
  };
  const bool right = culprit->datum >= 0 ? is(culprit->datum, s) && is(culprit->token, token) : is(culprit->group, g);
  return right ? "" : culprit->text();
}

// Log ratios of ±700, and of ±740, whose ratio overflows in double as that of ±90 does in float: an overflow may show
// as an infinity that is traced to its token, never as NaN; at A = 0 not at all. Where the ratio itself overflows, the
// slope of a KL term may be ∞ − ∞: traced too.
std::string far_ratios(const subject& loss, unsigned seed) {
  for (double by : {700.0, -700.0, 740.0, -740.0})
    for (double advantage : {1.0, -1.0, 0.0}) {
      batch_table table = random_batch(seed);
      set_advantage(table, std::vector<double>(table.rows(), advantage));
      const std::size_t r = 4;  // one row, so that no infinity meets its opposite
      std::size_t t = 0;
      while (table.token["weights"][r][t] == 0) ++t;
      table.token["logprobs"][r][t] = by > 0 ? -0.1 : -0.1 + by;
      for (const char* each : {"old_logprobs", "sampler_logprobs", "ref_logprobs", "teacher_logprobs"})
        table.token[each][r][t] = by > 0 ? -0.1 - by : -0.1;
      for (auto& [name, column] : table.candidate) column[r][t][1] = -750;  // of probability 0
      const std::string where = " at a log ratio of " + text(by) + ", A = " + text(advantage);
      try {
        const auto made = catalogue::make_batch(table, loss.row.pairs);
        const auto came = loss.row.evaluate(loss.values, made.batch);
        const answer found{came.loss, in_rows(came.slope, made)};
        if (has_nan(found) && (loss.is_policy_loss() || std::abs(by) == 700)) return "NaN" + where;
        if (!is_finite(found))
          if (const auto off = wrongly_named(loss, made, came, r, t); !off.empty()) return off + where;
        if (advantage == 0 && loss.is_policy_loss() && !loss.rest.has_terms() && !loss.breaks(rule::zero_advantage) &&
            (found.loss != 0 || found.largest() != 0))
          return "not 0" + where;
      } catch (const gradwire::error& e) {
        return e.what() + where;
      }
    }
  return "";
}

// The place of a value in the memory of a batch.
template <class... Fs>
double* place_of(gradwire::field_list<Fs...>, const catalogue::full_batch& batch, std::string_view name, std::size_t s,
                 std::size_t t, std::size_t k) {
  double* found = nullptr;
  const auto look = [&](auto field) {
    if (name != field.info.name) return;
    const auto& shape = batch.shape();
    const std::size_t plane = field.level == gradwire::extent::candidate ? k * shape.padded() : 0;
    const std::size_t element = field.level == gradwire::extent::sequence ? s : plane + shape.offset[s] + t;
    found = const_cast<double*>(batch.data(field)) + element;
  };
  (look(Fs{}), ...);
  return found;
}

// One number that is none, in each column that is read, at an unmasked token. The data refuse it by column and token.
// Written into the batch behind their back it is the culprit wherever loss or gradient is not finite; a comparison with
// it may drop the token instead.
std::string not_numbers(const subject& loss, unsigned seed, std::size_t& culprits) {
  const batch_table table = random_batch(seed);
  const std::size_t r = 4, k = 1;
  std::size_t t = 0;
  while (table.token.at("weights")[r][t] == 0) ++t;
  for (const auto* field : loss.row.fields)
    for (double poison : {not_a_number, -infinity, infinity}) {
      const std::string name = field->name;
      const std::string where = " with " + text(poison) + " in " + name;
      batch_table poisoned = table;
      if (table.token.count(name)) {
        poisoned.token[name][r][t] = poison;
      } else if (table.candidate.count(name)) {
        poisoned.candidate[name][r][t][k] = poison;
      } else {
        poisoned.sequence[name][r] = poison;
      }
      try {
        catalogue::make_batch(poisoned, loss.row.pairs);
        return "the data are taken" + where;
      } catch (const gradwire::error& e) {
        const bool of_token = field->level != gradwire::extent::sequence;
        if (e.details().column != name || (of_token && e.details().token != static_cast<std::int64_t>(t)))
          return e.what() + where;
      }
      const auto made = catalogue::make_batch(table, loss.row.pairs);
      const auto s = static_cast<std::size_t>(std::find(made.row.begin(), made.row.end(), r) - made.row.begin());
      *place_of(catalogue::all_fields{}, made.batch, name, s, t, k) = poison;
      try {
        const auto came = loss.row.evaluate(loss.values, made.batch);
        if (is_finite({came.loss, in_rows(came.slope, made)})) continue;
        ++culprits;
        if (const auto off = wrongly_named(loss, made, came, r, t); !off.empty()) return off + where;
      } catch (const gradwire::error& e) {
        if (e.kind() != gradwire::errc::data) return e.what() + where;
      }
    }
  return "";
}

batch_table every_group_of_one(unsigned seed) {
  batch_table table = random_batch(seed);
  for (std::size_t r = 0; r < table.rows(); ++r) {
    table.group[r] = static_cast<long>(r);
    table.sequence["micro_batch"][r] = table.sequence["prompt_id"][r] = static_cast<double>(r);
  }
  return table;
}
batch_table every_reward_equal(unsigned seed) {
  batch_table table = random_batch(seed);
  for (double& x : table.sequence["reward"]) x = 0.1;
  for (auto& row : table.token["token_reward"])
    for (double& x : row) x = 0.1;
  return table;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(extremes)

BOOST_AUTO_TEST_CASE(far_ratios_make_no_nan) {
  for (const preset_row& row : catalogue::presets()) {
    const std::string found = far_ratios(subject(row), 7);
    BOOST_CHECK_MESSAGE(found.empty(), row.name << ": " << found);
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_number_is_found) {
  std::size_t culprits = 0;
  for (const preset_row& row : catalogue::presets()) {
    const std::string found = not_numbers(subject(row), 8, culprits);
    BOOST_CHECK_MESSAGE(found.empty(), row.name << ": " << found);
  }
  BOOST_TEST(culprits > 2 * catalogue::presets().size());
}

// All-masked rows and an all-masked batch: an estimator finds a number for every token. (What it gives to masked ones
// is its source's affair, no loss reads it. Losses: contract.cpp.)
BOOST_AUTO_TEST_CASE(masked_rows_make_no_nan) {
  for (const auto& row : catalogue::estimators())
    for (bool all : {false, true}) {
      batch_table table = random_batch(6);
      for (std::size_t r = 0; r < table.rows(); ++r)
        if (all || r == 3 || r == 5) mask_row(table, r);  // 3 is its group
      const auto made = catalogue::make_batch(table, false);
      const answer found{0, in_rows(row.evaluate(catalogue::defaults(row), made.batch), made)};
      BOOST_CHECK_MESSAGE(is_finite(found), row.name << " is not finite with masked rows");
    }
}

BOOST_AUTO_TEST_CASE(groups_of_one_and_equal_rewards_stay_finite) {
  using table_of = batch_table (*)(unsigned);
  for (const auto& [what, make] : {std::pair<const char*, table_of>{"groups of one", every_group_of_one},
                                   std::pair<const char*, table_of>{"equal rewards", every_reward_equal}}) {
    for (const preset_row& row : catalogue::presets())
      BOOST_CHECK_MESSAGE(is_finite(subject(row)(make(3))), row.name << " is not finite on " << what);
    for (const auto& row : catalogue::estimators()) {
      const auto made = catalogue::make_batch(make(3), false);
      const answer found{0, in_rows(row.evaluate(catalogue::defaults(row), made.batch), made)};
      BOOST_CHECK_MESSAGE(is_finite(found), row.name << " is not finite on " << what);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
