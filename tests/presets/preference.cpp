// SPDX-License-Identifier: Apache-2.0
// Preference, SFT, value and reward-model losses against the projects that they are named after; numbers and the script
// that made them by running those projects' code are in tests/golden (preference.py).
#include <functional>
#include <gradwire/gradient/gradient.hpp>
#include <gradwire/loss/cpo.hpp>
#include <gradwire/loss/dft.hpp>
#include <gradwire/loss/dpo.hpp>
#include <gradwire/loss/fireworks/dpo.hpp>
#include <gradwire/loss/fireworks/orpo.hpp>
#include <gradwire/loss/fireworks/sft.hpp>
#include <gradwire/loss/ipo.hpp>
#include <gradwire/loss/kto.hpp>
#include <gradwire/loss/open_instruct/dpo.hpp>
#include <gradwire/loss/open_instruct/dpo_reference_free.hpp>
#include <gradwire/loss/open_instruct/simpo.hpp>
#include <gradwire/loss/openrlhf/dpo.hpp>
#include <gradwire/loss/openrlhf/kto.hpp>
#include <gradwire/loss/openrlhf/reward.hpp>
#include <gradwire/loss/openrlhf/sft.hpp>
#include <gradwire/loss/openrlhf/value.hpp>
#include <gradwire/loss/orpo.hpp>
#include <gradwire/loss/simpo.hpp>
#include <gradwire/loss/skyrl/cross_entropy.hpp>
#include <gradwire/loss/skyrl/value.hpp>
#include <gradwire/loss/slime/sft.hpp>
#include <gradwire/loss/slime/value.hpp>
#include <gradwire/loss/tinker/cross_entropy.hpp>
#include <gradwire/loss/tinker/dpo.hpp>
#include <gradwire/loss/trl/bco.hpp>
#include <gradwire/loss/trl/cpo.hpp>
#include <gradwire/loss/trl/cpo_ipo.hpp>
#include <gradwire/loss/trl/dpo.hpp>
#include <gradwire/loss/trl/dpo_aot.hpp>
#include <gradwire/loss/trl/dpo_discopop.hpp>
#include <gradwire/loss/trl/dpo_divergence.hpp>
#include <gradwire/loss/trl/dpo_sft.hpp>
#include <gradwire/loss/trl/dpo_smoothed.hpp>
#include <gradwire/loss/trl/dpo_wpo.hpp>
#include <gradwire/loss/trl/kto.hpp>
#include <gradwire/loss/trl/orpo.hpp>
#include <gradwire/loss/trl/reward.hpp>
#include <gradwire/loss/trl/sft.hpp>
#include <gradwire/loss/trl/simpo.hpp>
#include <gradwire/loss/verl/value.hpp>

#include "upstream_case.hpp"

using namespace gradwire;
using golden::golden_case;

namespace {

template <class F>
using type = std::remove_const_t<F>;

auto pairs_of(golden_case c) {
  c.pairs = true;
  return golden::batch_of_case<
      type<decltype(fields::logprobs)>, type<decltype(fields::ref_logprobs)>, type<decltype(fields::sum_pi_squared)>,
      type<decltype(fields::desirable)>, type<decltype(fields::micro_batch)>, type<decltype(fields::score)>,
      type<decltype(fields::values)>, type<decltype(fields::old_values)>, type<decltype(fields::returns)>>(c);
}

// The loss of a case, from its parameters.
using run = std::function<void(const golden_case&)>;
template <class Make>
run by(Make make) {
  return [make](const golden_case& c) { golden::check_upstream(c, make(c), fields::logprobs, pairs_of(c)); };
}
template <class Field, class Make>
run by(Field variable, Make make) {
  return [make, variable](const golden_case& c) { golden::check_upstream(c, make(c), variable, pairs_of(c)); };
}
double beta(const golden_case& c) { return c.parameters.at("beta"); }
double smoothing(const golden_case& c) { return c.parameters.at("label_smoothing"); }

const std::map<std::string, run>& presets() {
  using c = const golden_case&;
  static const std::map<std::string, run> all{
      {"trl::dpo", by([](c x) { return trl::dpo{.beta = beta(x)}; })},
      {"trl::dpo_hinge", by([](c x) { return trl::dpo_hinge{.beta = beta(x)}; })},
      {"trl::dpo_ipo", by([](c x) { return trl::dpo_ipo{.beta = beta(x)}; })},
      {"trl::dpo_nca_pair", by([](c x) { return trl::dpo_nca_pair{.beta = beta(x)}; })},
      {"trl::dpo_bco_pair", by([](c x) { return trl::dpo_bco_pair{.beta = beta(x)}; })},
      {"trl::dpo_sppo_hard", by([](c x) { return trl::dpo_sppo_hard{.beta = beta(x)}; })},
      {"trl::dpo_apo_zero", by([](c x) { return trl::dpo_apo_zero{.beta = beta(x)}; })},
      {"trl::dpo_apo_down", by([](c x) { return trl::dpo_apo_down{.beta = beta(x)}; })},
      {"trl::dpo_sigmoid_norm", by([](c x) { return trl::dpo_sigmoid_norm{.beta = beta(x)}; })},
      {"trl::dpo_robust", by([](c x) { return trl::dpo_robust{.beta = beta(x), .label_smoothing = smoothing(x)}; })},
      {"trl::dpo_exo_pair",
       by([](c x) { return trl::dpo_exo_pair{.beta = beta(x), .label_smoothing = smoothing(x)}; })},
      {"trl::dpo_aot", by([](c x) { return trl::dpo_aot{.beta = beta(x), .label_smoothing = smoothing(x)}; })},
      {"trl::dpo_aot_unpaired",
       by([](c x) { return trl::dpo_aot_unpaired{.beta = beta(x), .label_smoothing = smoothing(x)}; })},
      {"trl::dpo_discopop",
       by([](c x) { return trl::dpo_discopop{.beta = beta(x), .discopop_tau = x.parameters.at("discopop_tau")}; })},
      {"trl::dpo_with_forward_kl", by([](c x) { return trl::dpo_with_forward_kl{.beta = beta(x)}; })},
      {"trl::dpo_with_js_divergence", by([](c x) { return trl::dpo_with_js_divergence{.beta = beta(x)}; })},
      {"trl::dpo_with_alpha_divergence", by([](c x) {
         return trl::dpo_with_alpha_divergence{.beta = beta(x),
                                               .f_alpha_divergence_coef = x.parameters.at("f_alpha_divergence_coef")};
       })},
      {"trl::dpo_with_wpo", by([](c x) { return trl::dpo_with_wpo{.beta = beta(x)}; })},
      {"trl::dpo_sft", by([](c) { return trl::dpo_sft{}; })},
      {"trl::dpo + 0.5 dpo_sft + 0.25 dpo_bco_pair", by([](c x) {
         return trl::dpo{.beta = beta(x)}() + 0.5 * trl::dpo_sft{}() + 0.25 * trl::dpo_bco_pair{.beta = beta(x)}();
       })},
      {"trl::kto", by([](c x) {
         return trl::kto{beta(x), x.parameters.at("desirable_weight"), x.parameters.at("undesirable_weight"),
                         x.parameters.at("kl")};
       })},
      {"trl::kto_apo_zero_unpaired", by([](c x) {
         return trl::kto_apo_zero_unpaired{beta(x), x.parameters.at("desirable_weight"),
                                           x.parameters.at("undesirable_weight")};
       })},
      {"trl::bco", by([](c x) { return trl::bco{.beta = beta(x), .delta = x.parameters.at("delta")}; })},
      {"trl::cpo", by([](c x) { return trl::cpo{.beta = beta(x), .cpo_alpha = x.parameters.at("cpo_alpha")}; })},
      {"trl::cpo_hinge", by([](c x) {
         return trl::cpo_hinge{beta(x), x.parameters.at("cpo_alpha")};
       })},
      {"trl::cpo_ipo", by([](c x) {
         return trl::cpo_ipo{beta(x), x.parameters.at("cpo_alpha")};
       })},
      {"trl::cpo_ipo_of_sums", by([](c x) {
         return trl::cpo_ipo_of_sums{beta(x), x.parameters.at("cpo_alpha")};
       })},
      {"trl::simpo", by([](c x) {
         return trl::simpo{
             .beta = beta(x), .simpo_gamma = x.parameters.at("simpo_gamma"), .cpo_alpha = x.parameters.at("cpo_alpha")};
       })},
      {"trl::orpo", by([](c x) { return trl::orpo{.beta = beta(x)}; })},
      {"trl::dft", by([](c) { return trl::dft{}; })},
      {"trl::reward", by(fields::score,
                         [](c x) {
                           return trl::reward{x.parameters.at("margin"), x.parameters.at("center_rewards_coefficient")};
                         })},
      {"openrlhf::dpo", by([](c x) {
         return openrlhf::dpo{beta(x), smoothing(x)};
       })},
      {"openrlhf::ipo", by([](c x) { return openrlhf::ipo{.beta = beta(x)}; })},
      {"openrlhf::kto", by([](c x) {
         return openrlhf::kto{beta(x), x.parameters.at("desirable_weight"), x.parameters.at("undesirable_weight"),
                              x.parameters.at("kl")};
       })},
      {"openrlhf::vanilla_kto", by([](c x) { return openrlhf::vanilla_kto{.beta = beta(x)}; })},
      {"openrlhf::sft", by([](c) { return openrlhf::sft{}; })},
      {"openrlhf::sft_sample_mean", by([](c) { return openrlhf::sft_sample_mean{}; })},
      {"openrlhf::value", by(fields::values, [](c x) { return openrlhf::value{x.parameters.at("clip_eps")}; })},
      {"openrlhf::value_unclipped", by(fields::values, [](c) { return openrlhf::value_unclipped{}; })},
      {"openrlhf::reward", by(fields::score, [](c x) { return openrlhf::reward{x.parameters.at("margin")}; })},
      {"open_instruct::dpo", by([](c x) {
         return open_instruct::dpo{beta(x), smoothing(x)};
       })},
      {"open_instruct::dpo_norm", by([](c x) {
         return open_instruct::dpo_norm{beta(x), smoothing(x)};
       })},
      {"open_instruct::dpo_reference_free", by([](c x) {
         return open_instruct::dpo_reference_free{beta(x), smoothing(x)};
       })},
      {"open_instruct::simpo", by([](c x) {
         return open_instruct::simpo{beta(x), x.parameters.at("gamma_beta_ratio"), smoothing(x)};
       })},
      {"fireworks::dpo", by([](c x) { return fireworks::dpo{.beta = beta(x)}; })},
      {"fireworks::dpo_in_microbatches", by([](c x) { return fireworks::dpo_in_microbatches{.beta = beta(x)}; })},
      {"fireworks::orpo", by([](c x) { return fireworks::orpo{x.parameters.at("orpo_lambda")}; })},
      {"fireworks::batch_sft", by([](c) { return fireworks::batch_sft{}; })},
      {"fireworks::weighted_sft", by([](c) { return fireworks::weighted_sft{}; })},
      {"fireworks::weighted_sft_in_microbatches", by([](c) { return fireworks::weighted_sft_in_microbatches{}; })},
      {"tinker::dpo", by([](c x) { return tinker::dpo{x.parameters.at("dpo_beta")}; })},
      {"tinker::cross_entropy", by([](c) { return tinker::cross_entropy{}; })},
      {"verl::value", by(fields::values, [](c x) { return verl::value{x.parameters.at("cliprange_value")}; })},
      {"verl::value_seq_mean_token_sum",
       by(fields::values, [](c x) { return verl::value_seq_mean_token_sum{x.parameters.at("cliprange_value")}; })},
      {"skyrl::value", by(fields::values, [](c x) { return skyrl::value{x.parameters.at("value_clip")}; })},
      {"slime::value", by(fields::values, [](c x) { return slime::value{x.parameters.at("value_clip")}; })},
      {"slime::sft", by([](c) { return slime::sft{}; })},
  };
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(preference)

BOOST_AUTO_TEST_CASE(presets_reproduce_the_projects_they_are_named_after) {
  const auto cases = golden::read_with_batches("preference_cases.json");
  BOOST_TEST(cases.size() >= 134u);
  std::map<std::string, int> times;
  for (const golden_case& c : cases) {
    const auto found = presets().find(c.loss);
    BOOST_REQUIRE_MESSAGE(found != presets().end(), c.name << ": no preset " << c.loss);
    found->second(c);
    ++times[c.loss];
  }
  for (const auto& [name, each] : presets()) BOOST_TEST(times[name] > 0, name << " has no case");
}

// The papers' forms differ from a source's by a name, a default or a divisor: stated here.
BOOST_AUTO_TEST_CASE(paper_forms_equal_the_sources_that_follow_them) {
  for (const golden_case& c : golden::read_with_batches("preference_cases.json")) {
    if (c.loss == "openrlhf::dpo") golden::check_upstream(c, dpo{beta(c), smoothing(c)}, fields::logprobs, pairs_of(c));
    if (c.loss == "openrlhf::ipo") golden::check_upstream(c, ipo{beta(c)}, fields::logprobs, pairs_of(c));
    if (c.loss == "trl::cpo")
      golden::check_upstream(c, cpo{beta(c), c.parameters.at("cpo_alpha")}, fields::logprobs, pairs_of(c));
    if (c.loss == "trl::dft") golden::check_upstream(c, dft{}, fields::logprobs, pairs_of(c));
    if (c.loss == "slime::sft") golden::check_upstream(c, fireworks::sft_recipe{}, fields::logprobs, pairs_of(c));
    if (c.loss == "open_instruct::simpo")  // γ = β·(γ/β)
      golden::check_upstream(c, simpo{beta(c), beta(c) * c.parameters.at("gamma_beta_ratio")}, fields::logprobs,
                             pairs_of(c));
  }
}

// kto is trl::kto with the batch's own KL, whose gradient does not count; orpo is trl::orpo with the NLL of each pair.
BOOST_AUTO_TEST_CASE(kto_and_orpo_of_the_papers) {
  using namespace fields;
  const auto make = [](std::vector<double> l, std::vector<double> r, double good) {
    return datum{prompt(std::vector<int>(l.size() + 1, 7)), weights = {1, 1}, logprobs = l, ref_logprobs = r,
                 desirable = good};
  };
  const auto a = make({-1.0, -0.5}, {-1.25, -1.0}, 1), b = make({-2.0, -0.25}, {-1.5, -0.5}, 0);
  const auto data = batch_of<double>(group(chosen(a), rejected(b)));
  const double u_a = 0.75, u_b = -0.25, z = (u_a + u_b) / 2;  // log ratios, their mean 0.25
  const auto sigma = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto found = evaluate(kto{.beta = 0.5, .desirable_weight = 2}, wrt(logprobs), at(data));
  BOOST_TEST(found.loss == (2 * (1 - sigma(0.5 * (u_a - z))) + (1 - sigma(0.5 * (z - u_b)))) / 2,
             boost::test_tools::tolerance(1e-14));
  const double slope_a = -2 * 0.5 * sigma(0.5 * (u_a - z)) * sigma(-0.5 * (u_a - z)) / 2;  // z is detached
  BOOST_TEST(found.slope[0][1] == slope_a, boost::test_tools::tolerance(1e-14));
  const double p_c = -0.75, p_j = -1.125;
  const auto log_odds = [](double p) { return p - std::log(1 - std::exp(p)); };
  const double odds = log_odds(p_c) - log_odds(p_j);
  BOOST_TEST(evaluate(orpo{.odds_weight = 0.3}, wrt(logprobs), at(data)).loss == -p_c - 0.3 * std::log(sigma(odds)),
             boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_SUITE_END()
