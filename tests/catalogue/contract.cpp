// SPDX-License-Identifier: Apache-2.0
// The contract of a loss, asked of every row of the catalogue. Which rule applies is read off the formula (what it
// reads, how it is summed); a preset that declares to break a rule must be caught breaking it.
#include <gradwire/gradient/check_gradient.hpp>
#include <gradwire/gradient/explain_words.hpp>

#include <boost/test/unit_test.hpp>
#include <map>

#include "chunks.hpp"
#include "contract.hpp"

namespace {

using namespace contract;

// ---- the rules ------------------------------------------------------------------------------------------------------

// At logprobs = old = sampler (= ref) the slope is −A times a weight that is the reduction's: positive, the same for
// every token of a row, and neither the advantages' nor the logprobs' business.
verdict on_policy_identity(const subject& loss, unsigned seed) {
  if (!loss.is_policy_loss()) return {};
  std::vector<answer> weights;
  for (unsigned round = 0; round < 3; ++round) {
    batch_table table = random_batch(seed);
    random_numbers random(seed + 17 * (round + 1));
    for (std::size_t r = 0; r < table.rows(); ++r)
      for (std::size_t t = 0; t < table.lengths[r]; ++t) {
        const double logprob = random(-2.5, -0.1);
        for (const char* each : {"logprobs", "old_logprobs", "sampler_logprobs", "ref_logprobs", "teacher_logprobs"})
          table.token[each][r][t] = logprob;
      }
    std::vector<double> advantages;
    for (std::size_t r = 0; r < table.rows(); ++r) advantages.push_back((random.below(2) ? 1 : -1) * random(0.3, 1.5));
    set_advantage(table, advantages);
    answer weight = minus(loss(table), loss.terms_without_advantage(table));
    for (std::size_t r = 0; r < table.rows(); ++r)
      for (std::size_t t = 0; t < table.lengths[r]; ++t) {
        double& w = weight.slope[r][t];
        w /= -advantages[r];
        if (table.token["weights"][r][t] == 0) {
          if (w != 0) return "a masked token has the slope " + text(w);
        } else if (!(w > 0)) {
          return "slope / −A = " + text(w) + " at row " + std::to_string(r) + ", token " + std::to_string(t);
        }
      }
    weight.loss = 0;
    weights.push_back(std::move(weight));
    if (round > 0)
      if (const auto off = compare(weights[0], weights[round], 1e-9); !off.empty())
        return "slope / −A depends on the advantages or the logprobs: " + off;
  }
  const batch_table table = random_batch(seed);
  for (std::size_t r = 0; r < table.rows(); ++r) {
    double first = 0;
    for (std::size_t t = 0; t < table.lengths[r]; ++t) {
      const double w = weights[0].slope[r][t];
      if (w == 0) continue;
      if (first == 0) first = w;
      if (!(std::abs(w - first) <= 1e-9 * first)) return "slope / −A differs within row " + std::to_string(r);
    }
  }
  return "";
}

// ---- the rules of losses and estimators alike -----------------------------------------------------------------------

template <class Row>
std::string permuted(const Row& row, unsigned seed) {
  const batch_table table = row.table(seed);
  const answer straight = row(table);
  answer moved{straight.loss, {}};
  rows order;
  for (std::size_t r = 0; r < table.rows(); ++r) {
    order.push_back((5 * r + 3) % table.rows());
    moved.slope.push_back(straight.slope[order[r]]);
  }
  return compare(moved, row(some_rows(table, order)), 1e-12);
}

template <class Row>
std::string padded(const Row& row, unsigned seed) {
  const batch_table table = row.table(seed);
  batch_table longer = table;
  random_numbers random(seed);
  answer straight = row(table);
  for (std::size_t r = 0; r < table.rows(); ++r) {
    const std::size_t more = 1 + random.below(3);
    longer.lengths[r] += more;
    for (auto& [name, column] : longer.token)
      for (std::size_t i = 0; i < more; ++i) column[r].push_back(name == "weights" ? 0 : value_for(name, random));
    for (auto& [name, column] : longer.candidate)
      for (std::size_t i = 0; i < more; ++i) column[r].push_back(column[r].front());
    if (row.per_token()) straight.slope[r].resize(straight.slope[r].size() / table.lengths[r] * longer.lengths[r], 0.0);
  }
  return compare(straight, row(longer), 1e-13);
}

template <class Row>
std::string poisoned(const Row& row, unsigned seed) {
  const batch_table table = row.table(seed);
  const answer straight = row(table);
  for (double poison : {not_a_number, infinity, -infinity, -3.5}) {
    batch_table other = table;
    for (std::size_t r = 0; r < table.rows(); ++r)
      for (std::size_t t = 0; t < table.lengths[r]; ++t) {
        if (table.token.at("weights")[r][t] != 0) continue;
        for (auto& [name, column] : other.token)
          if (name != "weights") column[r][t] = poison;
        for (auto& [name, column] : other.candidate)
          for (double& x : column[r][t]) x = poison;
      }
    if (const auto off = compare(straight, row(other), 0); !off.empty())
      return text(poison) + " at masked tokens: " + off;
  }
  return "";
}

// Rows in another order, whole groups and pairs, and rows within them.
verdict permutation_invariance(const subject& loss, unsigned seed) { return permuted(loss, seed); }
// Masked tokens appended, whatever they hold.
verdict padding_invariance(const subject& loss, unsigned seed) { return padded(loss, seed); }
// NaN and infinities at masked tokens change no bit.
verdict mask_isolation(const subject& loss, unsigned seed) { return poisoned(loss, seed); }

// L(cA) = c·L(A).
verdict scale(const subject& loss, unsigned seed) {
  if (!loss.is_policy_loss()) return {};
  const double factor = 3.5;
  batch_table table = random_batch(seed);
  const answer rest = loss.terms_without_advantage(table);
  answer once = minus(loss(table), rest);
  for (double& a : table.sequence["advantage"]) a *= factor;
  for (auto& row : table.token["token_advantage"])
    for (double& a : row) a *= factor;
  const answer scaled = minus(loss(table), rest);
  once.loss *= factor;
  for (auto& row : once.slope)
    for (double& x : row) x *= factor;
  return compare(once, scaled, 1e-11);
}

// A = 0: the slope is that of the terms that read no advantage, 0 where there are none.
verdict zero_advantage(const subject& loss, unsigned seed) {
  if (!loss.is_policy_loss()) return {};
  batch_table table = random_batch(seed);
  set_advantage(table, std::vector<double>(table.rows(), 0.0));
  const answer rest = loss.terms_without_advantage(table);
  const answer found = loss(table);
  if (!loss.rest.has_terms() && found.largest() != 0) return "a slope of " + text(found.largest());
  if (!loss.rest.has_terms() && found.loss != 0) return "a loss of " + text(found.loss);
  return compare(rest, found, 1e-11);
}

// A row without any unmasked token has the slope 0, whatever it holds; a batch of such rows is 0 and has no metrics.
verdict empty(const subject& loss, unsigned seed) {
  batch_table table = random_batch(seed);
  for (std::size_t r : {2, 3}) {  // a pair
    mask_row(table, r);
    for (auto& [name, column] : table.token)
      if (is_logprob(name))
        for (double& x : column[r]) x = not_a_number;
  }
  const answer some = loss(table);
  if (!std::isfinite(some.loss)) return "with two masked rows the loss is " + text(some.loss);
  if (!std::isfinite(some.largest())) return "with two masked rows a slope is not finite";
  for (std::size_t r : {2, 3})
    for (double x : some.slope[r])
      if (x != 0) return "a masked row has the slope " + text(x);
  for (std::size_t r = 0; r < table.rows(); ++r) mask_row(table, r);
  const auto made = catalogue::make_batch(table, loss.row.pairs);
  const auto none = loss.row.evaluate_with_metrics(loss.values, made.batch);
  if (none.loss != 0) return "a masked batch has the loss " + text(none.loss);
  for (const auto& row : in_rows(none.slope, made))
    for (double x : row)
      if (x != 0) return "a masked batch has the slope " + text(x);
  if (!none.metrics.empty()) return "a masked batch has the metric " + std::string(none.metrics[0].name);
  return "";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(contract_of_losses)

BOOST_AUTO_TEST_CASE(there_are_losses_and_their_names_differ) {
  std::vector<std::string_view> all;
  for (const auto& row : catalogue::presets()) all.push_back(row.name);
  BOOST_TEST(all.size() > 100U);
  std::sort(all.begin(), all.end());
  BOOST_TEST((std::adjacent_find(all.begin(), all.end()) == all.end()));
}

BOOST_AUTO_TEST_CASE(a_loss_is_found_by_the_other_names_that_its_comment_gives) {
  BOOST_TEST(catalogue::preset("verl::ppo").name == "verl::vanilla");
  BOOST_TEST(catalogue::preset("verl::dual_clip").name == "verl::vanilla");
  BOOST_TEST(catalogue::preset("skyrl::ppo").name == "skyrl::regular");
  BOOST_CHECK_THROW(catalogue::preset("verl::dual"), gradwire::error);  // a whole name only
}

BOOST_AUTO_TEST_CASE(every_loss_keeps_the_contract_or_breaks_it_as_it_says) {
  const std::pair<rule, verdict (*)(const subject&, unsigned)> rules[] = {
      {rule::on_policy_identity, on_policy_identity},
      {rule::permutation_invariance, permutation_invariance},
      {rule::padding_invariance, padding_invariance},
      {rule::mask_isolation, mask_isolation},
      {rule::scale, scale},
      {rule::zero_advantage, zero_advantage},
      {rule::empty, empty},
      {rule::chunk_invariance, chunk_invariance}};
  std::map<rule, std::size_t> held;
  for (const preset_row& row : catalogue::presets()) {
    const subject loss(row);
    for (const auto& [which, check] : rules) {
      const bool declared = loss.breaks(which);
      std::string found;
      bool applies = false;
      for (unsigned seed = 1; seed <= 3 && found.empty(); ++seed) {
        try {
          const verdict one = check(loss, seed);
          applies = applies || one.has_value();
          found = one.value_or("");
        } catch (const gradwire::error& e) {
          applies = true;
          found = e.what();
        }
      }
      const std::string_view name = formula::name_of(which);
      if (declared) {
        BOOST_CHECK_MESSAGE(!found.empty(), row.name << " says that it breaks the rule " << name
                                                     << (applies ? ", and keeps it" : ", which is not asked of it"));
      } else {
        BOOST_CHECK_MESSAGE(found.empty(), row.name << " breaks the rule " << name << ": " << found);
        held[which] += applies;
      }
    }
  }
  for (const auto& [which, check] : rules)
    BOOST_TEST(held[which] > 100U, formula::name_of(which) << " is asked of " << held[which] << " losses only");
}

// Two columns that a golden file fills with the same numbers are told apart by what a row says that it reads.
BOOST_AUTO_TEST_CASE(the_columns_are_those_of_the_name) {
  constexpr const char* expected[][3] = {{"prompt_mean", "prompt_id", "micro_batch"},
                                         {"token_mean_legacy", "micro_batch", "prompt_id"},
                                         {"prime_rl::opd", "teacher_logprobs", "ref_logprobs"}};
  for (const auto& [part, read, other] : expected) {
    int rows_of_name = 0;
    for (const preset_row& row : catalogue::presets()) {
      if (row.name.find(part) == std::string_view::npos) continue;
      ++rows_of_name;
      BOOST_TEST(reads(row, read), row.name << " does not read " << read);
      BOOST_TEST(!reads(row, other), row.name << " reads " << other);
    }
    BOOST_TEST(rows_of_name > 0, "no row is called " << part);
  }
}

// Advantages per token: the same for each token of a row, they give what one a row gives, and their gradient is right
// where they differ.
BOOST_AUTO_TEST_CASE(advantages_may_be_per_token) {
  for (const preset_row& row : catalogue::presets()) {
    if (!reads(row, "advantage")) continue;
    const subject loss(row);
    const auto formula = catalogue::with_token_advantage(loss.tree);
    batch_table table = random_batch(4);
    const auto made = catalogue::make_batch(table, row.pairs);
    const auto found = catalogue::interpret(formula, *row.variable, made.batch);
    const std::string off = compare({found.loss, in_rows(found.slope, made)}, loss(table), 1e-11);
    BOOST_CHECK_MESSAGE(off.empty(), row.name << ": " << off);
    random_numbers random(9);
    for (auto& each : table.token["token_advantage"])
      for (double& a : each) a = random(-1.5, 1.5);
    const auto differing = catalogue::make_batch(table, row.pairs);
    const auto result = catalogue::interpret(formula, *row.variable, differing.batch);
    const auto check = gradwire::check_gradient(formula, result.loss, result.slope, row.variable->name,
                                                gradwire::at(differing.batch), {.step = 1e-4});
    BOOST_CHECK_MESSAGE(check.ok(), row.name << ": " << check.text());
  }
}

// Σ g·logprob with g held fixed has the gradient g. A trainer's server computes −Σ weight·logprob, so the weights −g
// give g back, whatever their signs.
BOOST_AUTO_TEST_CASE(what_is_sent_to_a_trainer_has_the_gradient_of_the_loss) {
  batch_table table = random_batch(5);
  const answer direct = subject(catalogue::preset("grpo"))(table);
  for (std::size_t r = 0; r < table.rows(); ++r)
    for (std::size_t t = 0; t < table.lengths[r]; ++t) table.token["weights"][r][t] = -direct.slope[r][t];
  answer again = subject(catalogue::preset("sft_nll_sum"))(table);
  again.loss = direct.loss;
  const std::string off = compare(direct, again, 1e-14);
  BOOST_TEST(off.empty(), off);
}

BOOST_AUTO_TEST_CASE(parts_that_are_accumulated_are_one_batch) {
  for (const preset_row& row : catalogue::presets())
    for (unsigned seed = 1; seed <= 2; ++seed) {
      const std::string found = joined_parts(subject(row), seed);
      BOOST_CHECK_MESSAGE(found.empty(), row.name << ": " << found);
    }
}

BOOST_AUTO_TEST_CASE(gradients_are_those_of_finite_differences) {
  for (const preset_row& row : catalogue::presets()) {
    const auto values = catalogue::defaults(row);
    for (unsigned seed = 1; seed <= 2; ++seed) {
      const auto made = catalogue::make_batch(random_batch(seed), row.pairs);
      const auto found = row.evaluate(values, made.batch);
      const auto check = gradwire::check_gradient(row.reflect(values), found.loss, found.slope, row.variable->name,
                                                  gradwire::at(made.batch), {.step = 1e-4});
      BOOST_CHECK_MESSAGE(check.ok(), row.name << ": " << check.text());
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

struct estimator {
  const catalogue::estimator_row& row;
  std::vector<double> values = catalogue::defaults(row);

  bool per_token() const { return true; }
  batch_table table(unsigned seed) const {
    batch_table made = random_batch(seed);
    made.token.erase("token_reward");  // the reward of the row falls on its last token
    return made;
  }
  answer operator()(const batch_table& table) const {
    const auto made = catalogue::make_batch(table, false);
    return {0, in_rows(row.evaluate(values, made.batch), made)};
  }
};

void set_group(batch_table& table, long group, const std::vector<double>& rewards) {
  for (std::size_t r = 0, i = 0; r < table.rows(); ++r)
    if (table.group[r] == group) table.sequence["reward"][r] = rewards[i++];
}

// Advantages that compare within a group only (they read the reward alone, and neither a constant added to the group's
// rewards nor another group's rewards change them) are exactly 0 where the rewards of the group are equal.
verdict equal_rewards(const estimator& of, unsigned seed) {
  if (of.row.fields.size() != 1 || !reads(of.row, "reward")) return {};
  batch_table table = of.table(seed);
  set_group(table, 0, {0.25, 1.5, -0.5});  // of powers of two, so that adding one is exact
  const answer first = of(table);
  batch_table shifted = table;
  set_group(shifted, 0, {1.25, 2.5, 0.5});
  set_group(shifted, 2, {3, 1, 4, 1});
  const answer second = of(shifted);
  for (std::size_t r = 0; r < table.rows(); ++r)
    for (std::size_t t = 0; table.group[r] == 0 && t < table.lengths[r]; ++t)
      if (std::abs(first.slope[r][t] - second.slope[r][t]) > 1e-9) return {};
  for (double reward : {0.1, 1e-9, 0.7, 1e6 + 0.1}) {
    set_group(table, 0, {reward, reward, reward});
    const answer found = of(table);
    for (std::size_t r = 0; r < table.rows(); ++r)
      for (double x : found.slope[r])
        if (table.group[r] == 0 && x != 0) return "rewards of " + text(reward) + " give an advantage of " + text(x);
  }
  return "";
}

// Groups of one are in every table.
verdict finite(const estimator& of, unsigned seed) {
  for (const auto& row : of(of.table(seed)).slope)
    for (double x : row)
      if (!std::isfinite(x)) return "an advantage is " + text(x);
  return "";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(contract_of_estimators)

BOOST_AUTO_TEST_CASE(every_estimator_keeps_the_contract_or_breaks_it_as_it_says) {
  std::size_t equal = 0;
  for (const auto& row : catalogue::estimators()) {
    const estimator of{row};
    std::pair<rule, verdict> found[] = {{rule::permutation_invariance, ""},
                                        {rule::padding_invariance, ""},
                                        {rule::mask_isolation, ""},
                                        {rule::equal_rewards, {}}};
    for (unsigned seed = 1; seed <= 3; ++seed) {
      const auto add = [](verdict& to, const verdict& one) {
        if (one && (!to || to->empty())) to = one;
      };
      add(found[0].second, permuted(of, seed));
      add(found[1].second, padded(of, seed));
      add(found[2].second, poisoned(of, seed));
      add(found[3].second, equal_rewards(of, seed));
      BOOST_CHECK_MESSAGE(finite(of, seed)->empty(), row.name << ": " << *finite(of, seed));
    }
    equal += found[3].second.has_value();
    for (const auto& [which, one] : found) {
      const std::string_view name = formula::name_of(which);
      if (declares(row, which))
        BOOST_CHECK_MESSAGE(one && !one->empty(),
                            row.name << " says that it breaks the rule " << name << ", and does not");
      else
        BOOST_CHECK_MESSAGE(!one || one->empty(), row.name << " breaks the rule " << name << ": " << one.value_or(""));
    }
  }
  BOOST_TEST(equal > 10U);
}

BOOST_AUTO_TEST_SUITE_END()
