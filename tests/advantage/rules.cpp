// SPDX-License-Identifier: Apache-2.0
// What every advantage estimator owes: exactly 0 for equal rewards, the documented choice for a group of one, nothing
// from masked tokens; and shaped rewards as arguments.
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
#include <gradwire/advantage/skyrl/grpo.hpp>
#include <gradwire/advantage/skyrl/maxrl.hpp>
#include <gradwire/advantage/skyrl/rloo.hpp>
#include <gradwire/advantage/slime/group.hpp>
#include <gradwire/advantage/slime/opd.hpp>
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
#include <gradwire/advantage/verl/reinforce_plus_plus.hpp>
#include <gradwire/advantage/verl/remax.hpp>
#include <gradwire/advantage/verl/rloo.hpp>
#include <limits>

#include "advantage_case.hpp"

using namespace gradwire;
using namespace gradwire::fields;
namespace adv = gradwire::advantages;
using golden::advantages_of;

namespace {

struct sample {
  double reward = 0;
  std::vector<double> mask{1, 1, 0};
  double at_masked = 0;  // what stands at masked tokens in every column
};

auto datum_of(const sample& x) {
  std::vector<double> column(x.mask.size());
  for (std::size_t t = 0; t < column.size(); ++t)
    column[t] = x.mask[t] != 0 ? -0.25 * static_cast<double>(t + 1) : x.at_masked;
  return datum{prompt(std::vector<int>(x.mask.size() + 1, 7)),
               weights = x.mask,
               logprobs = column,
               reward = x.reward,
               values = column,
               old_logprobs = column,
               ref_logprobs = column,
               sampler_logprobs = column,
               teacher_logprobs = column,
               sum_pi_squared = column,
               information_gain = column,
               token_reward = column,
               reward_baseline = 0.5,
               advantage = x.reward};
}
using datum_type = decltype(datum_of({}));

auto batch_with(const std::vector<std::vector<sample>>& groups) {
  std::vector<decltype(group(std::vector<datum_type>{}))> made;
  for (const auto& each : groups) {
    std::vector<datum_type> members;
    for (const sample& x : each) members.push_back(datum_of(x));
    made.push_back(group(members));
  }
  return batch_of<double>(made);
}

template <class F>
void for_group_estimators(F f) {
  f("verl::grpo", adv::verl::grpo{});
  f("verl::grpo_vectorized", adv::verl::grpo_vectorized{});
  f("verl::grpo_passk", adv::verl::grpo_passk{});
  f("verl::rloo", adv::verl::rloo{});
  f("verl::rloo_vectorized", adv::verl::rloo_vectorized{});
  f("verl::opo", adv::verl::opo{});
  f("verl::gpg", adv::verl::gpg{});
  f("verl::reinforce_plus_plus_baseline", adv::verl::reinforce_plus_plus_baseline{});
  f("skyrl::grpo", adv::skyrl::grpo{});
  f("skyrl::rloo", adv::skyrl::rloo{});
  f("skyrl::maxrl", adv::skyrl::maxrl{});
  f("trl::grpo", adv::trl::grpo{});
  f("trl::grpo_by_batch", adv::trl::grpo_by_batch{});
  f("trl::grpo_unscaled", adv::trl::grpo_unscaled{});
  f("trl::rloo_without_kl", adv::trl::rloo_without_kl{});
  f("trl::rloo_without_kl, normalised", adv::trl::rloo_without_kl{.normalize_advantages = true});
  f("openrlhf::group_norm", adv::openrlhf::group_norm{});
  f("openrlhf::rloo", adv::openrlhf::rloo{});
  f("openrlhf::dr_grpo", adv::openrlhf::dr_grpo{});
  f("openrlhf::reinforce_baseline", adv::openrlhf::reinforce_baseline{});
  f("slime::grpo", adv::slime::grpo{});
  f("slime::reinforce_plus_plus_baseline", adv::slime::reinforce_plus_plus_baseline{});
  f("open_instruct::standard", adv::open_instruct::standard{});
  f("open_instruct::centered", adv::open_instruct::centered{});
  f("prime_rl::grpo", adv::prime_rl::grpo{});
  f("prime_rl::max_rl", adv::prime_rl::max_rl{});
  f("tinker::centered", adv::tinker::centered{});
  f("tinker::centered_with_kl", adv::tinker::centered_with_kl{});
  f("fireworks::grpo", adv::fireworks::grpo{});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(estimator_rules)

// 0.1 + 0.1 + 0.1 is not 0.3: a mean that is off by an ulp, over a spread that is 0 but for ε, would be an advantage.
BOOST_AUTO_TEST_CASE(equal_rewards_are_exactly_no_advantage) {
  const sample x{.reward = 0.1}, longer{.reward = 0.1, .mask = {1, 1, 1}};
  const auto data = batch_with({{x, longer, x}, {x, x, longer, x, x, x, x}});
  for_group_estimators([&](const char* name, const auto& estimator) {
    for (const auto& row : advantages_of(estimator, data))
      for (const double a : row) BOOST_TEST(a == 0, name << ": " << a);
  });
}

BOOST_AUTO_TEST_CASE(a_group_of_one_is_what_the_header_says) {
  const auto alone = batch_with({{{.reward = 0.75}}});
  const auto check = [&](const auto& estimator, double expected) {
    const double found = advantages_of(estimator, alone)[0][0];
    BOOST_TEST(found == expected, "found " << found << " for " << expected);
  };
  const double raw = 0.75;
  check(adv::verl::grpo{}, raw / (1 + 1e-6));
  check(adv::verl::grpo{.norm_adv_by_std_in_grpo = false}, raw);
  check(adv::verl::grpo_vectorized{}, raw / (1 + 1e-6));
  check(adv::verl::grpo_passk{}, 0);
  check(adv::verl::rloo{}, raw);
  check(adv::verl::rloo_vectorized{}, 0);
  check(adv::verl::opo{}, raw);
  check(adv::verl::gpg{}, raw);
  check(adv::skyrl::grpo{}, raw / (1 + 1e-6));
  check(adv::skyrl::rloo{}, 0);
  check(adv::skyrl::maxrl{}, raw);
  check(adv::trl::grpo{}, 0);
  check(adv::trl::grpo_by_batch{}, 0);
  check(adv::trl::rloo_without_kl{}, 0);
  check(adv::openrlhf::group_norm{}, 0);
  check(adv::openrlhf::rloo{}, 0);
  check(adv::slime::grpo{}, 0);
  check(adv::open_instruct::standard{}, 0);
  check(adv::prime_rl::max_rl{}, 0);
  check(adv::tinker::centered{}, 0);
  check(adv::fireworks::grpo{}, 0);
}

BOOST_AUTO_TEST_CASE(masked_tokens_change_nothing) {
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  const auto made = [](double at_masked) {
    const std::vector<double> hole{1, 0, 1, 1}, tail{1, 1, 0, 0};
    return batch_with({{{1.0, hole, at_masked}, {0.25, tail, at_masked}, {0.5, hole, at_masked}},
                       {{0.0, tail, at_masked}, {0.75, hole, at_masked}}});
  };
  const auto clean = made(0), spoilt = made(nan);
  const auto check = [&](const char* name, const auto& estimator) {
    const auto a = advantages_of(estimator, clean), b = advantages_of(estimator, spoilt);
    for (std::size_t s = 0; s < a.size(); ++s)
      for (std::size_t t = 0; t < a[s].size(); ++t)
        if (clean.data(weights)[clean.shape().offset[s] + t] != 0)
          BOOST_TEST(a[s][t] == b[s][t], name << ' ' << s << ' ' << t);
  };
  for_group_estimators(check);
  check("trl::rloo", adv::trl::rloo{});
  check("verl::gae", adv::verl::gae{.gamma = 0.9, .lam = 0.8});
  check("verl::remax", adv::verl::remax{});
  check("verl::reinforce_plus_plus", adv::verl::reinforce_plus_plus{.gamma = 0.9});
  check("verl::optimal_token_baseline", adv::verl::optimal_token_baseline{});
  check("openrlhf::gae", adv::openrlhf::gae{.gamma = 0.9, .lambd = 0.8});
  check("openrlhf::reinforce", adv::openrlhf::reinforce{.gamma = 0.9});
  check("prime_rl::grpo_with_length_penalty", adv::prime_rl::grpo_with_length_penalty{});
  check("tinker::opd", adv::tinker::opd{.kl_discount_factor = 0.9});
  check("fireworks::igpo", adv::fireworks::igpo{});
  check("fireworks::opd", adv::fireworks::opd{});
  check("slime::opd", adv::slime::opd{});
}

// max 3 tokens with a cache of 2: 1 token costs nothing, 3 cost 1.
BOOST_AUTO_TEST_CASE(shaped_rewards_are_an_argument) {
  const auto data = batch_with({{{.reward = 1, .mask = {1, 0, 0}}, {.reward = 1, .mask = {1, 1, 1}}}});
  const auto shaped = reward + adv::soft_overlong(adv::response_length, 3, 2);
  const auto found = golden::rows_of_formula(adv::tinker::centered{}(shaped), data);
  BOOST_TEST(found[0][0] == 0.5);
  BOOST_TEST(found[1][2] == -0.5);
}

BOOST_AUTO_TEST_CASE(the_kl_coefficient_follows_its_target) {
  adv::adaptive_kl kl{.coefficient = 0.2, .target = 0.1, .horizon = 1000};
  kl.update(0.11, 100);  // 10 % above: 1 + 0.1·100/1000
  BOOST_TEST(kl.coefficient == 0.2 * 1.01, boost::test_tools::tolerance(1e-14));
  kl.update(5, 100);  // far above counts as 20 %
  BOOST_TEST(kl.coefficient == 0.2 * 1.01 * 1.02, boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_SUITE_END()
