// SPDX-License-Identifier: Apache-2.0
// Metrics against numbers that are worked out by hand, from the engine and from the formula's tree; most on ratios of 2
// and ½. (Metrics that other projects report too: golden.cpp and tests/presets.)
#include <gradwire/gradient/interpret.hpp>
#include <gradwire/loss.hpp>
#include <gradwire/loss/fireworks/dro.hpp>
#include <gradwire/loss/fireworks/sdft.hpp>
#include <gradwire/loss/parts/surrogate.hpp>
#include <gradwire/loss/prime_rl/ref_kl.hpp>
#include <gradwire/loss/reinforce.hpp>
#include <gradwire/loss/slime/value.hpp>
#include <gradwire/loss/tinker/sdft.hpp>
#include <gradwire/loss/trl/dpo_wpo.hpp>
#include <gradwire/loss/trl/reward.hpp>
#include <gradwire/loss/trl/vespo.hpp>
#include <gradwire/loss/verl/gpg.hpp>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <initializer_list>
#include <string_view>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using doubles = std::vector<double>;
const double ln2 = std::log(2.0);

struct expected_metric {
  std::string_view name;
  double value = 0;
};

bool is_near(double found, double expected, double tolerance) {
  return std::abs(found - expected) <= tolerance * std::max(1.0, std::abs(expected));
}

// What the loss reports, and that it reports it whichever way it is evaluated.
template <class Loss, class Variable, class Batch>
void check(const Loss& loss, Variable variable, const Batch& data, std::initializer_list<expected_metric> expected,
           double tolerance = 1e-14) {
  const auto found = evaluate(loss, wrt(variable), at(data)).metrics;
  const formula::interpreter run(reflect(loss), formula::table_of(data));
  const auto& names = run.formula().metrics;
  for (const expected_metric& each : expected) {
    std::size_t i = 0, k = 0;
    while (i < found.size() && found[i].name != each.name) ++i;
    while (k < names.size() && names[k].name != each.name) ++k;
    BOOST_REQUIRE_MESSAGE(i < found.size() && k < names.size() && run.has_metric(k), "no metric " << each.name);
    BOOST_TEST(is_near(found[i].value, each.value, tolerance),
               each.name << " is " << found[i].value << " for " << each.value);
    BOOST_TEST(is_near(run.metric(k), each.value, tolerance),
               each.name << " of the tree is " << run.metric(k) << " for " << each.value);
  }
}

// Two tokens with logprob − old = ln 2 and −ln 2, and old − sampler = ln 4 and −ln 2; a masked one far from both.
auto one_sequence(double a) {
  const doubles old{-1, -1.5, -0.5};
  return datum{prompt(std::vector<int>(4, 7)),
               weights = {1, 1, 0},
               logprobs = doubles{old[0] + ln2, old[1] - ln2, -9},
               old_logprobs = old,
               sampler_logprobs = doubles{old[0] - 2 * ln2, old[1] + ln2, -7},
               ref_logprobs = doubles{old[0], old[1], -3},
               advantage = a};
}

template <class Data>
auto alone(const Data& one) {
  return batch_of<double>(group(one));
}

// A loss that needs nothing, so that the metrics can be any.
template <class... Metrics>
auto reporting(const Metrics&... each) {
  return objective_with(token_sum(-logprobs), each...);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(metrics_by_hand)

BOOST_AUTO_TEST_CASE(of_a_ratio) {
  const auto data = alone(one_sequence(1));
  const auto r = ratio(logprobs, old_logprobs);
  check(reporting(drift_metrics(logprobs, old_logprobs)), logprobs, data,
        {{"approx_kl_k1", 0},     // −(ln 2 − ln 2)/2
         {"approx_kl_k3", 0.25},  // (2 − 1 − ln 2 + ½ − 1 + ln 2)/2
         {"ratio_mean", 1.25},
         {"ratio_std", 0.75},
         {"ratio_max", 2},
         {"ratio_min", 0.5}});
  check(reporting(clip_metrics(r, advantage, 0.8, 1.2), dual_clip_frac(r, advantage, 0.8, 1.5)), logprobs, data,
        {{"clip_frac", 0.5}, {"out_of_band_frac", 1}, {"dual_clip_frac", 0}});
  check(reporting(clip_metrics(r, advantage, 0.4, 1.2), dual_clip_frac(r, advantage, 0.4, 1.5)), logprobs,
        alone(one_sequence(-1)), {{"clip_frac", 0}, {"out_of_band_frac", 0.5}, {"dual_clip_frac", 0.5}});
}

BOOST_AUTO_TEST_CASE(of_a_truncated_weight) {
  const auto data = alone(one_sequence(1));
  const auto r = ratio(logprobs, old_logprobs);
  check(reporting(tis_metrics(min(r, 2.0), r, 2)), logprobs, data,
        {{"tis_mean", 1.25}, {"ess", 1.5625 / 2.125}, {"tis_cap_frac", 0}});
  const auto weight = tis_token(old_logprobs, sampler_logprobs, 2);  // ρ = 4 and ½
  check(reporting(tis_metrics(weight, rho(old_logprobs, sampler_logprobs), 2)), logprobs, data,
        {{"tis_mean", 1.25}, {"ess", 1.5625 / 2.125}, {"tis_cap_frac", 0.5}});
  check(reporting(dropped_frac(token_ratio_mask(old_logprobs, sampler_logprobs, 0.5 - 1e-9, 3))), logprobs, data,
        {{"dropped_frac", 0.5}});
}

BOOST_AUTO_TEST_CASE(of_the_mismatch_to_the_engine) {
  check(reporting(mismatch_metrics(old_logprobs, sampler_logprobs)), logprobs, alone(one_sequence(1)),
        {{"logp_absdiff_mean", 1.5 * ln2},
         {"logp_absdiff_std", 0.5 * ln2},
         {"logp_absdiff_max", 2 * ln2},
         {"chi2_token", 7.125}});  // (16 + ¼)/2 − 1
}

BOOST_AUTO_TEST_CASE(of_single_losses) {
  const auto data = alone(one_sequence(1));
  check(reinforce{}, logprobs, data, {{"entropy_est", 1.25}});          // (1 − ln 2 + 1.5 + ln 2)/2
  check(verl::gpg<>{}, logprobs, data, {{"entropy_est", 1.25}}, 1e-8);  // there 1e-8 is added to the divisor
  check(prime_rl::ref_kl<>{}, logprobs,
        alone(datum{prompt(std::vector<int>(4, 7)), weights = {1, 1, 0}, logprobs = doubles{-1, -2, -9},
                    sampler_logprobs = doubles{-1, -2, -9}, ref_logprobs = doubles{-0.5, -1.25, -3}}),
        {{"ref_kl", 0.625}});  // ref − logprob: ½ and ¾

  // ½·β·d², d = ± ln 2 in the one sequence; nothing where the advantage is 0.
  const auto two = batch_of<double>(group(one_sequence(1), one_sequence(0)));
  check(fireworks::dro<>{.beta = 0.05}, logprobs, two, {{"dro_quad_penalty", 0.0125 * ln2 * ln2}});
}

// φ = exp(λ + k·S − λ·e^S) of each sequence; S = ln 2, k = 2, λ = 3 where A ≥ 0, k = 3, λ = 2 where A < 0.
BOOST_AUTO_TEST_CASE(of_vespo) {
  const auto make = [](double a) {
    return datum{prompt(std::vector<int>(4, 7)),         weights = {1, 1, 0},
                 logprobs = doubles{-1 + ln2, -1.5, -9}, old_logprobs = doubles{-1, -1.5, -2},
                 ref_logprobs = doubles{-1, -1.5, -2},   advantage = a};
  };
  check(trl::vespo{}, logprobs, batch_of<double>(group(make(1), make(-1))),
        {{"phi_mean", (4 * std::exp(-3.0) + 8 * std::exp(-2.0)) / 2}, {"kl", (ln2 - 0.5) / 2}});
}

BOOST_AUTO_TEST_CASE(of_scores_values_and_pairs) {
  const auto scored = [](double s) {
    return datum{prompt(std::vector<int>{1, 2}), weights = {1}, logprobs = {-1}, score = s};
  };
  check(trl::reward{}, score,
        batch_of<double>(group(chosen(scored(3)), rejected(scored(1))), group(chosen(scored(-2)), rejected(scored(0)))),
        {{"mean_reward", 0.5}, {"margin", 0}, {"accuracy", 0.5}});

  const auto valued = [](doubles now) {
    return datum{prompt(std::vector<int>(4, 7)), weights = {1, 1, 0}, values = now, old_values = doubles{0.5, 0.5, 0},
                 returns = doubles{1, 1, 0}};
  };
  check(slime::value{}, values, batch_of<double>(group(valued({0.8, 0.6, 5}), valued({0.6, 0.4, 5}))),
        {{"value_clipfrac", 0.25}});  // ½ of the first sequence, nothing of the second

  const auto drawn = [](doubles now, doubles squares) {
    return datum{prompt(std::vector<int>{1, 2, 3}), weights = {1, 1}, logprobs = now, ref_logprobs = doubles{-1, -1},
                 sum_pi_squared = squares};
  };
  check(trl::dpo_with_wpo<>{}, logprobs,
        batch_of<double>(group(chosen(drawn({-1, -2}, {0.5, 0.25})), rejected(drawn({-0.5, -0.5}, {0.5, 0.5})))),
        {{"weight", std::exp(-2 + 2.5 * ln2)}});  // means (−3 + 3·ln 2)/2 and −½ + ln 2
}

// A teacher with ½, ½ and one with ¾, ¼ of what two candidates have together.
BOOST_AUTO_TEST_CASE(of_a_teacher) {
  using table = std::vector<doubles>;
  const auto data = alone(datum{prompt(std::vector<int>{1, 2, 3}), weights = {1, 1},
                                candidates = std::vector<std::vector<int>>{{4, 5}, {4, 5}},
                                candidate_logprobs = table{{-1, -2}, {-0.5, -3}},
                                candidate_teacher_logprobs = table{{-1, -1}, {-0.5, -0.5 - std::log(3.0)}}});
  const double expected = (ln2 + 2 * ln2 - 0.75 * std::log(3.0)) / 2;
  check(tinker::sdft{}, candidate_logprobs, data, {{"teacher_entropy", expected}});
  check(fireworks::sdft{}, candidate_logprobs, data, {{"sdft_teacher_topk_entropy", expected}});
}

BOOST_AUTO_TEST_SUITE_END()
