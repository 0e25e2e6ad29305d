// SPDX-License-Identifier: Apache-2.0
// verl's policy losses against the numbers of verl's own functions (tests/golden/policy_verl.py).
#include <gradwire/loss/cispo.hpp>
#include <gradwire/loss/dr_grpo.hpp>
#include <gradwire/loss/parts/substitute.hpp>
#include <gradwire/loss/reinforce.hpp>
#include <gradwire/loss/verl/bypass_ppo_clip.hpp>
#include <gradwire/loss/verl/cispo_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/verl/clip_cov_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/verl/dppo_kl_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/verl/dppo_tv_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/verl/dro_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/verl/geo_mean.hpp>
#include <gradwire/loss/verl/gpg_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/verl/gspo_with_tis.hpp>
#include <gradwire/loss/verl/kl_cov_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/verl/reinforce.hpp>
#include <gradwire/loss/verl/sapo_with_tis.hpp>
#include <gradwire/loss/verl/vanilla_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/verl/vanilla_with_icepop.hpp>
#include <gradwire/loss/verl/vanilla_with_kl.hpp>
#include <gradwire/loss/verl/vanilla_with_rs_k1.hpp>
#include <gradwire/loss/verl/vanilla_with_rs_k2_k3.hpp>
#include <gradwire/loss/verl/vanilla_with_tis_normalized.hpp>

#include "policy_golden.hpp"

using namespace gradwire;

BOOST_AUTO_TEST_SUITE(policy_verl)

BOOST_AUTO_TEST_CASE(the_projects_own_functions_give_the_same_numbers) {
  using namespace gradwire::verl;
  golden::policy_file file("policy_verl.json");
  const auto normed = [&](const std::string& name, auto norm) {
    file.check(name, norm);  // L: the padded width
    norm.loss_scale_factor = 16;
    file.check(name + " 16", norm);
  };
  const auto all = [&](const std::string& name, auto token_mean, auto token_sum, auto both_mean, auto norm,
                       auto... by_batch) {
    file.check(name, token_mean);
    file.check(name + " seq-mean-token-sum", token_sum);
    file.check(name + " seq-mean-token-mean", both_mean);
    normed(name + " seq-mean-token-sum-norm", norm);
    (normed(name + " seq-mean-token-sum-norm by batch", by_batch), ...);
  };

  all("vanilla", vanilla<>{}, vanilla_seq_mean_token_sum{}, vanilla_seq_mean_token_mean{},
      vanilla_seq_mean_token_sum_norm{}, vanilla_seq_mean_token_sum_norm_by_batch{});
  file.check("vanilla 0.1 0.3 1.5",
             vanilla<>{.clip_ratio_low = offset{0.1}, .clip_ratio_high = offset{0.3}, .clip_ratio_c = bound{1.5}});
  file.check("vanilla token-sum", vanilla_token_sum{});
  file.check("vanilla per token", per_token_advantage(vanilla<>{}));
  file.check("gspo per token", per_token_advantage(verl::gspo{}));
  file.check("clip_cov per token",
             per_token_advantage(clip_cov<>{.clip_cov_ratio = 1, .clip_cov_lb = 1e-2, .clip_cov_ub = 0.5}));
  file.check("gspo", verl::gspo{});
  file.check("gspo narrow", verl::gspo{.clip_ratio_low = offset{3e-4}, .clip_ratio_high = offset{4e-4}});
  file.check("sapo", verl::sapo{});
  file.check("sapo 2 3", verl::sapo{.tau_pos = 2, .tau_neg = 3});
  all("gpg", gpg<>{}, gpg_seq_mean_token_sum{}, gpg_seq_mean_token_mean{}, gpg_seq_mean_token_sum_norm{},
      gpg_seq_mean_token_sum_norm_by_batch{});
  const auto band = [](auto loss) {  // clip_cov_ratio 1: every eligible token is dropped
    loss.clip_cov_ratio = 1, loss.clip_cov_lb = 1e-2, loss.clip_cov_ub = 0.5;
    return loss;
  };
  all("clip_cov", band(clip_cov<>{}), band(clip_cov_seq_mean_token_sum{}), band(clip_cov_seq_mean_token_mean{}),
      band(clip_cov_seq_mean_token_sum_norm{}), band(clip_cov_seq_mean_token_sum_norm_by_batch{}));
  file.check("clip_cov standard band", clip_cov<>{.clip_cov_ratio = 1});
  all("kl_cov", kl_cov<>{}, kl_cov_seq_mean_token_sum{}, kl_cov_seq_mean_token_mean{}, kl_cov_seq_mean_token_sum_norm{},
      kl_cov_seq_mean_token_sum_norm_by_batch{});
  file.check("kl_cov 0.5", kl_cov<>{.kl_cov_ratio = 0.5, .ppo_kl_coef = 1});
  file.check("geo_mean", geo_mean{});
  file.check("geo_mean 0.4 0.5", geo_mean{.clip_ratio_low = offset{0.4}, .clip_ratio_high = offset{0.5}});
  all("cispo", verl::cispo<>{}, cispo_seq_mean_token_sum{}, cispo_seq_mean_token_mean{},
      cispo_seq_mean_token_sum_norm{}, cispo_seq_mean_token_sum_norm_by_batch{});
  file.check("cispo wide", verl::cispo<>{.clip_ratio_low = offset{1}, .clip_ratio_high = offset{4}});
  all("dppo_tv", dppo_tv<>{}, dppo_tv_seq_mean_token_sum{}, dppo_tv_seq_mean_token_mean{},
      dppo_tv_seq_mean_token_sum_norm{});
  file.check("dppo_tv narrow", dppo_tv<>{.clip_ratio_low = 0.05, .clip_ratio_high = 0.02, .clip_ratio_c = bound{1.1}});
  all("dppo_kl", dppo_kl<>{}, dppo_kl_seq_mean_token_sum{}, dppo_kl_seq_mean_token_mean{},
      dppo_kl_seq_mean_token_sum_norm{});
  file.check("dppo_kl narrow", dppo_kl<>{.clip_ratio_low = 0.05, .clip_ratio_high = 0.02, .clip_ratio_c = bound{1.1}});
  const auto tied = [](auto loss) {
    loss.dro_beta = 0.05;
    return loss;
  };
  all("dro", tied(dro<>{}), tied(dro_seq_mean_token_sum{}), tied(dro_seq_mean_token_mean{}),
      tied(dro_seq_mean_token_sum_norm{}));

  file.check("vanilla tis_token", vanilla_with_tis_token{});
  file.check("vanilla tis_token 1.2", vanilla_with_tis_token{.rollout_is_threshold = bound{1.2}});
  file.check("vanilla tis_sequence", vanilla_with_tis_sequence{});
  file.check("vanilla tis_sequence 5", vanilla_with_tis_sequence{.rollout_is_threshold = bound{5}});
  file.check("vanilla tis_token normalized", vanilla_with_tis_token_normalized{});
  file.check("vanilla tis_sequence normalized", vanilla_with_tis_sequence_normalized{});
  file.check("vanilla icepop", vanilla_with_icepop{});
  file.check("gspo tis_token", gspo_with_tis_token{});
  file.check("sapo tis_token", sapo_with_tis_token{});
  file.check("gspo tis_sequence", gspo_with_tis_sequence{});
  file.check("sapo tis_sequence", sapo_with_tis_sequence{});
  file.check("vanilla seq-mean-token-sum tis_token", vanilla_seq_mean_token_sum_with_tis_token{});
  file.check("vanilla seq-mean-token-sum tis_sequence", vanilla_seq_mean_token_sum_with_tis_sequence{});
  file.check("vanilla seq-mean-token-mean tis_token", vanilla_seq_mean_token_mean_with_tis_token{});
  file.check("vanilla seq-mean-token-mean tis_sequence", vanilla_seq_mean_token_mean_with_tis_sequence{});
  const auto between = [](auto loss, double lower, double upper) {
    loss.rollout_rs_threshold_lower = bound{lower}, loss.rollout_rs_threshold_upper = bound{upper};
    return loss;
  };
  file.check("vanilla token_k1", between(vanilla_with_token_k1{}, 0.7, 1.6));
  file.check("vanilla seq_sum_k1", between(vanilla_with_seq_sum_k1{}, 0.3, 3));
  file.check("vanilla seq_mean_k1", between(vanilla_with_seq_mean_k1{}, 0.7, 1.6));
  file.check("vanilla token_k2", vanilla_with_token_k2{.rollout_rs_threshold = 0.05});
  file.check("vanilla token_k3", vanilla_with_token_k3{.rollout_rs_threshold = 0.04});
  file.check("vanilla seq_sum_k2", vanilla_with_seq_sum_k2{.rollout_rs_threshold = 0.4});
  file.check("vanilla seq_sum_k3", vanilla_with_seq_sum_k3{.rollout_rs_threshold = 0.5});
  file.check("vanilla seq_mean_k2", vanilla_with_seq_mean_k2{.rollout_rs_threshold = 0.1});
  file.check("vanilla seq_mean_k3", vanilla_with_seq_mean_k3{.rollout_rs_threshold = 0.118});
  file.check("vanilla seq_max_k2", vanilla_with_seq_max_k2{.rollout_rs_threshold = 0.35});
  file.check("vanilla seq_max_k3", vanilla_with_seq_max_k3{.rollout_rs_threshold = 0.45});
  file.check("reinforce", verl::reinforce<>{});
  file.check("reinforce token-mean", reinforce_token_mean{});
  file.check("reinforce tis_token", reinforce_with_tis_token{});
  file.check("reinforce tis_sequence", reinforce_with_tis_sequence{});
  file.check("reinforce seq-mean-token-sum tis_token", reinforce_seq_mean_token_sum_with_tis_token{});
  file.check("reinforce seq-mean-token-sum tis_sequence", reinforce_seq_mean_token_sum_with_tis_sequence{});
  file.check("bypass ppo_clip", bypass_ppo_clip{});

  file.check("kl_k1", kl_k1{});
  file.check("kl_k1 sum", kl_k1_sum{});
  file.check("kl_abs", kl_abs{});
  file.check("kl_abs sum", kl_abs_sum{});
  file.check("kl_k2", kl_k2{});
  file.check("kl_k2 sum", kl_k2_sum{});
  file.check("kl_k3", kl_k3{});
  file.check("kl_k3 sum", kl_k3_sum{});
  file.check("kl_k3_plus", kl_k3_plus{});
  file.check("kl_k3_plus sum", kl_k3_plus_sum{});
  file.check("vanilla kl_k1", vanilla_with_kl_k1{.kl_loss_coef = 0.05});
  file.check("vanilla kl_abs", vanilla_with_kl_abs{.kl_loss_coef = 0.05});
  file.check("vanilla kl_k2", vanilla_with_kl_k2{.kl_loss_coef = 0.05});
  file.check("vanilla kl_k3", vanilla_with_kl_k3{.kl_loss_coef = 0.05});
  file.check("vanilla kl_k3_plus", vanilla_with_kl_k3_plus{.kl_loss_coef = 0.05});
  file.check("vanilla seq-mean-token-sum kl_k1", vanilla_seq_mean_token_sum_with_kl_k1{.kl_loss_coef = 0.05});
  file.check("vanilla seq-mean-token-sum kl_k3", vanilla_seq_mean_token_sum_with_kl_k3{.kl_loss_coef = 0.05});
  file.check("vanilla seq-mean-token-mean kl_k1", vanilla_seq_mean_token_mean_with_kl_k1{.kl_loss_coef = 0.05});
  file.check("vanilla seq-mean-token-mean kl_k3", vanilla_seq_mean_token_mean_with_kl_k3{.kl_loss_coef = 0.05});

  // The papers' forms.
  file.check("cispo wide", gradwire::cispo{});
  file.check("gpg seq-mean-token-sum", gradwire::reinforce{});
  file.check("vanilla seq-mean-token-sum", gradwire::dr_grpo{}, {"one masked"});  // where no ratio is above c
}

BOOST_AUTO_TEST_SUITE_END()
