// SPDX-License-Identifier: Apache-2.0
// Advantage estimators and reward shaping against the projects that they are named after; numbers and the script that
// made them by running those projects' code are in tests/golden (advantages.py).
#include <functional>
#include <gradwire/advantage/fireworks/grpo.hpp>
#include <gradwire/advantage/fireworks/igpo.hpp>
#include <gradwire/advantage/fireworks/opd.hpp>
#include <gradwire/advantage/open_instruct/grpo.hpp>
#include <gradwire/advantage/openrlhf/gae.hpp>
#include <gradwire/advantage/openrlhf/group.hpp>
#include <gradwire/advantage/openrlhf/reinforce.hpp>
#include <gradwire/advantage/parts/kl_reward.hpp>
#include <gradwire/advantage/prime_rl/grpo.hpp>
#include <gradwire/advantage/prime_rl/grpo_with_length_penalty.hpp>
#include <gradwire/advantage/prime_rl/max_rl.hpp>
#include <gradwire/advantage/skyrl/gae.hpp>
#include <gradwire/advantage/skyrl/grpo.hpp>
#include <gradwire/advantage/skyrl/maxrl.hpp>
#include <gradwire/advantage/skyrl/reinforce_plus_plus.hpp>
#include <gradwire/advantage/skyrl/rloo.hpp>
#include <gradwire/advantage/slime/group.hpp>
#include <gradwire/advantage/slime/opd.hpp>
#include <gradwire/advantage/slime/ppo.hpp>
#include <gradwire/advantage/slime/reinforce_plus_plus.hpp>
#include <gradwire/advantage/tinker/centered.hpp>
#include <gradwire/advantage/tinker/opd.hpp>
#include <gradwire/advantage/trl/grpo.hpp>
#include <gradwire/advantage/trl/rloo.hpp>
#include <gradwire/advantage/verl/gae.hpp>
#include <gradwire/advantage/verl/gpg.hpp>
#include <gradwire/advantage/verl/grpo.hpp>
#include <gradwire/advantage/verl/grpo_passk.hpp>
#include <gradwire/advantage/verl/opo.hpp>
#include <gradwire/advantage/verl/optimal_token_baseline.hpp>
#include <gradwire/advantage/verl/optimal_token_baseline_with_tis.hpp>
#include <gradwire/advantage/verl/reinforce_plus_plus.hpp>
#include <gradwire/advantage/verl/remax.hpp>
#include <gradwire/advantage/verl/rloo.hpp>

#include "advantage_case.hpp"

namespace {

using c = const golden::golden_case&;
using golden::by;
using golden::returns_by;
namespace adv = gradwire::advantages;

bool flag(c x, const char* name) { return x.parameters.at(name) != 0; }
double number(c x, const char* name) { return x.parameters.at(name); }

const std::map<std::string, golden::estimate>& estimators() {
  static const std::map<std::string, golden::estimate> all{
      {"verl::grpo",
       by([](c x) { return adv::verl::grpo{.norm_adv_by_std_in_grpo = flag(x, "norm_adv_by_std_in_grpo")}; })},
      {"verl::grpo_vectorized", by([](c x) {
         return adv::verl::grpo_vectorized{.norm_adv_by_std_in_grpo = flag(x, "norm_adv_by_std_in_grpo")};
       })},
      {"verl::grpo_passk",
       by([](c x) { return adv::verl::grpo_passk{.norm_adv_by_std_in_grpo = flag(x, "norm_adv_by_std_in_grpo")}; })},
      {"verl::rloo", by([](c) { return adv::verl::rloo{}; })},
      {"verl::rloo_vectorized", by([](c) { return adv::verl::rloo_vectorized{}; })},
      {"verl::opo", by([](c) { return adv::verl::opo{}; })},
      {"verl::gpg", by([](c) { return adv::verl::gpg{}; })},
      {"verl::reinforce_plus_plus_baseline", by([](c) { return adv::verl::reinforce_plus_plus_baseline{}; })},
      {"verl::reinforce_plus_plus", by([](c x) { return adv::verl::reinforce_plus_plus{number(x, "gamma")}; })},
      {"verl::remax", by([](c) { return adv::verl::remax{}; })},
      {"verl::gae", by([](c x) {
         return adv::verl::gae{number(x, "gamma"), number(x, "lam")};
       })},
      {"verl::gae returns", returns_by([](c x) {
         return adv::verl::gae{number(x, "gamma"), number(x, "lam")};
       })},
      {"verl::optimal_token_baseline",
       by([](c x) { return adv::verl::optimal_token_baseline{.handle_zero_tail = flag(x, "handle_zero_tail")}; })},
      {"verl::tir_optimal_token_baseline",
       by([](c x) { return adv::verl::tir_optimal_token_baseline{.handle_zero_tail = flag(x, "handle_zero_tail")}; })},
      {"verl::optimal_token_baseline_with_tis", by([](c x) {
         return adv::verl::optimal_token_baseline_with_tis{.rollout_is_threshold = number(x, "rollout_is_threshold")};
       })},
      {"skyrl::grpo", by([](c x) { return adv::skyrl::grpo{.grpo_norm_by_std = flag(x, "grpo_norm_by_std")}; })},
      {"skyrl::rloo", by([](c) { return adv::skyrl::rloo{}; })},
      {"skyrl::maxrl", by([](c) { return adv::skyrl::maxrl{}; })},
      {"skyrl::reinforce_plus_plus", by([](c x) { return adv::skyrl::reinforce_plus_plus{number(x, "gamma")}; })},
      {"skyrl::gae", by([](c x) {
         return adv::skyrl::gae{number(x, "gamma"), number(x, "lambd")};
       })},
      {"skyrl::gae returns", returns_by([](c x) {
         return adv::skyrl::gae{number(x, "gamma"), number(x, "lambd")};
       })},
      {"trl::grpo", by([](c) { return adv::trl::grpo{}; })},
      {"trl::grpo_by_batch", by([](c) { return adv::trl::grpo_by_batch{}; })},
      {"trl::grpo_unscaled", by([](c) { return adv::trl::grpo_unscaled{}; })},
      {"trl::rloo", by([](c x) {
         return adv::trl::rloo{number(x, "beta"), flag(x, "normalize_advantages")};
       })},
      {"trl::rloo_without_kl", by([](c x) { return adv::trl::rloo_without_kl{flag(x, "normalize_advantages")}; })},
      {"openrlhf::group_norm", by([](c) { return adv::openrlhf::group_norm{}; })},
      {"openrlhf::rloo", by([](c) { return adv::openrlhf::rloo{}; })},
      {"openrlhf::dr_grpo", by([](c) { return adv::openrlhf::dr_grpo{}; })},
      {"openrlhf::reinforce_baseline", by([](c) { return adv::openrlhf::reinforce_baseline{}; })},
      {"openrlhf::reinforce", by([](c x) {
         return adv::openrlhf::reinforce{number(x, "gamma"), flag(x, "no_std_norm")};
       })},
      {"openrlhf::reinforce of kl_shaped",
       [](c x) {
         const auto data = golden::advantage_batch(x);
         const auto shaped =
             gradwire::with(gradwire::fields::token_reward = adv::kl_shaped(data, number(x, "coefficient")), data);
         return golden::rows_of(adv::openrlhf::reinforce{}(shaped));
       }},
      {"openrlhf::gae", by([](c x) {
         return adv::openrlhf::gae{number(x, "gamma"), number(x, "lambd"), flag(x, "no_std_norm")};
       })},
      {"openrlhf::gae returns", returns_by([](c x) {
         return adv::openrlhf::gae{number(x, "gamma"), number(x, "lambd"), flag(x, "no_std_norm")};
       })},
      {"slime::grpo", by([](c x) { return adv::slime::grpo{flag(x, "grpo_std_normalization")}; })},
      {"slime::reinforce_plus_plus_baseline",
       by([](c x) { return adv::slime::reinforce_plus_plus_baseline{flag(x, "normalize_advantages")}; })},
      {"slime::reinforce_plus_plus", by([](c x) {
         return adv::slime::reinforce_plus_plus{number(x, "gamma"), flag(x, "normalize_advantages")};
       })},
      {"slime::ppo", by([](c x) {
         return adv::slime::ppo{number(x, "gamma"), number(x, "lambd"), flag(x, "normalize_advantages")};
       })},
      {"open_instruct::standard", by([](c) { return adv::open_instruct::standard{}; })},
      {"open_instruct::centered", by([](c) { return adv::open_instruct::centered{}; })},
      {"prime_rl::grpo", by([](c) { return adv::prime_rl::grpo{}; })},
      {"prime_rl::grpo_with_length_penalty", by([](c x) {
         return adv::prime_rl::grpo_with_length_penalty{number(x, "num_output_tokens_weight"),
                                                        number(x, "num_input_tokens_weight"),
                                                        number(x, "num_turns_weight")};
       })},
      {"prime_rl::max_rl", by([](c) { return adv::prime_rl::max_rl{}; })},
      {"tinker::centered", by([](c) { return adv::tinker::centered{}; })},
      {"tinker::centered_with_kl", by([](c x) {
         return adv::tinker::centered_with_kl{number(x, "kl_penalty_coef"), number(x, "kl_discount_factor")};
       })},
      {"tinker::opd", by([](c x) {
         return adv::tinker::opd{number(x, "kl_penalty_coef"), number(x, "kl_discount_factor")};
       })},
      {"fireworks::grpo", by([](c) { return adv::fireworks::grpo{}; })},
      {"fireworks::igpo", by([](c x) { return adv::fireworks::igpo{.gamma = number(x, "gamma")}; })},
      {"soft_overlong",
       [](c x) {
         const auto shaping = adv::soft_overlong(adv::response_length, number(x, "max_length"), number(x, "cache"));
         return golden::rows_of_formula(shaping, golden::advantage_batch(x));
       }},
      {"soft_overlong_unbounded",
       [](c x) {
         return golden::rows_of_formula(
             adv::soft_overlong_unbounded(adv::response_length, number(x, "max_length"), number(x, "cache")),
             golden::advantage_batch(x));
       }},
  };
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(estimators_of_projects)

BOOST_AUTO_TEST_CASE(they_reproduce_the_projects_they_are_named_after) {
  const auto cases = golden::read_with_batches("advantages.json");
  BOOST_TEST(cases.size() >= 200u);
  std::map<std::string, int> times;
  for (const golden::golden_case& each : cases) {
    const auto found = estimators().find(each.loss);
    BOOST_REQUIRE_MESSAGE(found != estimators().end(), each.name << ": no estimator " << each.loss);
    golden::check_advantages(each, found->second(each));
    ++times[each.loss];
  }
  for (const auto& [name, each] : estimators()) BOOST_TEST(times[name] > 0, name << " has no case");
}

// Fireworks' on-policy distillation is Tinker's without a discount; slime's adds the same to an advantage, with the
// logprobs of the policy in the place of the engine's.
BOOST_AUTO_TEST_CASE(on_policy_distillation_has_one_form) {
  using namespace gradwire::fields;
  int times = 0;
  for (golden::golden_case each : golden::read_with_batches("advantages.json")) {
    if (each.loss != "tinker::opd" || number(each, "kl_discount_factor") != 0) continue;
    ++times;
    const double coefficient = number(each, "kl_penalty_coef");
    const auto data = golden::advantage_batch(each);
    golden::check_advantages(each, golden::advantages_of(adv::fireworks::opd{coefficient}, data));
    golden::row given;
    for (std::size_t s = 0; s < each.slope.size(); ++s) {
      given.push_back(0.5 * static_cast<double>(s) - 0.75);
      for (double& a : each.slope[s]) a += given[s];
    }
    const auto of_policy = gradwire::with(advantage = given, old_logprobs = data.column(sampler_logprobs), data);
    golden::check_advantages(each, golden::advantages_of(adv::slime::opd{coefficient}, of_policy));
  }
  BOOST_TEST(times == 3);
}

BOOST_AUTO_TEST_SUITE_END()
