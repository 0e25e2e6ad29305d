// SPDX-License-Identifier: Apache-2.0
// slime's policy losses against the numbers of slime's own functions (tests/golden/policy_slime.py).
#include <gradwire/loss/parts/substitute.hpp>
#include <gradwire/loss/slime/ppo_dual_clip.hpp>
#include <gradwire/loss/slime/with_icepop.hpp>
#include <gradwire/loss/slime/with_kl.hpp>
#include <gradwire/loss/slime/with_opsm.hpp>
#include <gradwire/loss/slime/with_opsm_with_tis.hpp>
#include <gradwire/loss/slime/with_tis.hpp>

#include "policy_golden.hpp"

using namespace gradwire;

BOOST_AUTO_TEST_SUITE(policy_slime)

BOOST_AUTO_TEST_CASE(the_projects_own_functions_give_the_same_numbers) {
  using namespace gradwire::slime;
  golden::policy_file file("policy_slime.json");
  const auto clipped = [](auto loss, double below, double above) {
    loss.eps_clip = offset{below}, loss.eps_clip_high = offset{above};
    return loss;
  };
  const auto cut = [](auto loss) {
    loss.tis_clip_low = bound{0.5}, loss.tis_clip = bound{1.2};
    return loss;
  };
  const auto base = [&](const std::string& name, auto loss, auto per_token) {
    file.check(name, loss);
    file.check(name + " per_token", per_token);
    file.check(name + " 0.1 0.3", clipped(loss, 0.1, 0.3));
  };
  base("ppo", slime::ppo<>{}, ppo_per_token{});
  base("ppo_dual_clip", ppo_dual_clip<>{}, ppo_dual_clip_per_token{});
  base("gspo", slime::gspo<>{}, gspo_per_token{});
  base("cispo", slime::cispo<>{}, cispo_per_token{});
  file.check("ppo 0.3", slime::ppo<>{.eps_clip = offset{0.3}});
  file.check("ppo_dual_clip 1.5", ppo_dual_clip<>{.eps_clip_c = bound{1.5}});
  file.check("gspo narrow", clipped(slime::gspo<>{}, 3e-4, 4e-4));
  file.check("cispo canonical", clipped(slime::cispo<>{}, 1, 4));

  const auto corrected = [&](const std::string& name, auto tis, auto icepop, auto opsm) {
    file.check(name + " tis", tis);
    file.check(name + " tis 0.5 1.2", cut(tis));
    file.check(name + " icepop", icepop);
    file.check(name + " icepop 0.5 1.2", cut(icepop));
    file.check(name + " opsm", opsm);
    opsm.opsm_delta = 0.1;
    file.check(name + " opsm 0.1", opsm);
  };
  corrected("ppo", ppo_with_tis{}, ppo_with_icepop{}, ppo_with_opsm{});
  corrected("gspo", gspo_with_tis{}, gspo_with_icepop{}, gspo_with_opsm{});
  corrected("cispo", cispo_with_tis{}, cispo_with_icepop{}, cispo_with_opsm{});

  file.check("ppo kl k1", ppo_with_kl_k1{.kl_loss_coef = 0.05});
  file.check("ppo kl k2", ppo_with_kl_k2{.kl_loss_coef = 0.05});
  file.check("ppo kl k3", ppo_with_kl_k3{.kl_loss_coef = 0.05});
  file.check("ppo kl low_var_kl", ppo_with_kl_low_var{.kl_loss_coef = 0.05});
  file.check("ppo kl low_var_kl unbiased", ppo_with_kl_low_var_unbiased{.kl_loss_coef = 0.05});
  file.check("gspo kl k1", gspo_with_kl_k1{.kl_loss_coef = 0.05});
  file.check("gspo kl low_var_kl", gspo_with_kl_low_var{.kl_loss_coef = 0.05});
  file.check("cispo kl k1", cispo_with_kl_k1{.kl_loss_coef = 0.05});
  file.check("cispo kl low_var_kl", cispo_with_kl_low_var{.kl_loss_coef = 0.05});
  file.check("ppo per token", per_token_advantage(slime::ppo<>{}));
  file.check("gspo per token", per_token_advantage(slime::gspo<>{}));
  file.check("ppo opsm per token", per_token_advantage(ppo_with_opsm{.opsm_delta = 0.01}));
  const auto narrow = [&](auto loss) {
    loss.opsm_delta = 0.01;
    return cut(loss);
  };
  file.check("ppo opsm tis", narrow(ppo_with_opsm_with_tis{}));
  file.check("gspo opsm tis", narrow(gspo_with_opsm_with_tis{}));
  const auto term = [&](const std::string& name, auto mean, auto per_token, auto unbiased) {
    file.check("kl " + name, mean);
    file.check("kl " + name + " per_token", per_token);
    file.check("kl " + name + " unbiased", unbiased);
  };
  term("k1", kl_k1{}, kl_k1_per_token{}, kl_k1_unbiased{});
  term("k2", kl_k2{}, kl_k2_per_token{}, kl_k2_unbiased{});
  term("k3", kl_k3{}, kl_k3_per_token{}, kl_k3_unbiased{});
  term("low_var_kl", kl_low_var{}, kl_low_var_per_token{}, kl_low_var_unbiased{});
  file.check("kl low_var_kl clamped", kl_low_var{});
}

BOOST_AUTO_TEST_SUITE_END()
