// SPDX-License-Identifier: Apache-2.0
// SkyRL's policy losses against the numbers of SkyRL's own functions (tests/golden/policy_skyrl.py).
#include <gradwire/loss/dr_grpo.hpp>
#include <gradwire/loss/parts/substitute.hpp>
#include <gradwire/loss/skyrl/cispo_anchor_rollout.hpp>
#include <gradwire/loss/skyrl/cispo_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/skyrl/cispo_with_tis_token.hpp>
#include <gradwire/loss/skyrl/clip_cov_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/skyrl/dppo_kl_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/skyrl/dppo_tv_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/skyrl/dual_clip_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/skyrl/dual_clip_with_kl.hpp>
#include <gradwire/loss/skyrl/dual_clip_with_tis_sequence.hpp>
#include <gradwire/loss/skyrl/dual_clip_with_tis_token.hpp>
#include <gradwire/loss/skyrl/gspo_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/skyrl/gspo_with_kl.hpp>
#include <gradwire/loss/skyrl/importance_sampling.hpp>
#include <gradwire/loss/skyrl/kl_cov_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/skyrl/regular_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/skyrl/regular_seq_mean_token_sum_norm_with_tis_token.hpp>
#include <gradwire/loss/skyrl/regular_with_kl.hpp>
#include <gradwire/loss/skyrl/regular_with_outlier.hpp>
#include <gradwire/loss/skyrl/regular_with_sequence_mask_geometric.hpp>
#include <gradwire/loss/skyrl/regular_with_sequence_mask_product.hpp>
#include <gradwire/loss/skyrl/regular_with_tis_token_with_sequence_mask_geometric.hpp>
#include <gradwire/loss/skyrl/regular_with_tis_token_with_token_mask.hpp>
#include <gradwire/loss/skyrl/regular_with_token_mask.hpp>
#include <gradwire/loss/skyrl/rollout_is_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/skyrl/sapo_seq_mean_token_sum_norm.hpp>
#include <gradwire/loss/skyrl/sapo_with_tis_token.hpp>
#include <gradwire/loss/skyrl/with_tis_sequence.hpp>
#include <gradwire/loss/skyrl/with_tis_token.hpp>
#include <gradwire/loss/trl/grpo.hpp>

#include "policy_golden.hpp"

using namespace gradwire;

BOOST_AUTO_TEST_SUITE(policy_skyrl)

BOOST_AUTO_TEST_CASE(the_projects_own_functions_give_the_same_numbers) {
  using namespace gradwire::skyrl;
  golden::policy_file file("policy_skyrl.json");
  const auto by_length = [&](const std::string& name, auto loss) {
    loss.max_seq_len = 16;
    file.check(name + " seq_mean_token_sum_norm", loss);
  };

  file.check("regular", regular<>{});
  file.check("regular token_mean_legacy", regular_token_mean_legacy{});
  file.check("regular sequence_mean", regular_sequence_mean{});
  file.check("regular prompt_mean", regular_prompt_mean{});
  by_length("regular", regular_seq_mean_token_sum_norm{});
  file.check("regular 0.1 0.3", regular<>{.eps_clip_low = offset{0.1}, .eps_clip_high = offset{0.3}});

  file.check("dual_clip", skyrl::dual_clip<>{});
  file.check("dual_clip token_mean_legacy", dual_clip_token_mean_legacy{});
  file.check("dual_clip sequence_mean", dual_clip_sequence_mean{});
  file.check("dual_clip prompt_mean", dual_clip_prompt_mean{});
  by_length("dual_clip", dual_clip_seq_mean_token_sum_norm{});
  file.check("dual_clip 0.1 0.3 1.5",
             skyrl::dual_clip<>{.eps_clip_low = offset{0.1}, .eps_clip_high = offset{0.3}, .clip_ratio_c = bound{1.5}});

  file.check("gspo", skyrl::gspo<>{});
  file.check("gspo token_mean", gspo_token_mean{});
  file.check("gspo token_mean_legacy", gspo_token_mean_legacy{});
  file.check("gspo prompt_mean", gspo_prompt_mean{});
  by_length("gspo", gspo_seq_mean_token_sum_norm{});
  file.check("gspo narrow", skyrl::gspo<>{.eps_clip_low = offset{3e-4}, .eps_clip_high = offset{4e-4}});

  file.check("sapo", skyrl::sapo<>{});
  file.check("sapo token_mean", sapo_token_mean{});
  file.check("sapo token_mean_legacy", sapo_token_mean_legacy{});
  file.check("sapo prompt_mean", sapo_prompt_mean{});
  by_length("sapo", sapo_seq_mean_token_sum_norm{});
  file.check("sapo 2 3", skyrl::sapo<>{.tau_pos = 2, .tau_neg = 3});

  file.check("cispo", skyrl::cispo<>{});
  file.check("cispo token_mean_legacy", cispo_token_mean_legacy{});
  file.check("cispo sequence_mean", cispo_sequence_mean{});
  file.check("cispo prompt_mean", cispo_prompt_mean{});
  by_length("cispo", cispo_seq_mean_token_sum_norm{});
  file.check("cispo narrow", skyrl::cispo<>{.cispo_eps_clip_low = offset{0.2}, .cispo_eps_clip_high = offset{0.3}});
  file.check("cispo rollout", cispo_anchor_rollout<>{});
  file.check("cispo rollout sequence_mean",
             cispo_anchor_rollout_sequence_mean{.cispo_eps_clip_low = offset{0.5}, .cispo_eps_clip_high = offset{0.5}});

  file.check("rollout_is", rollout_is<>{});
  file.check("rollout_is token_mean_legacy", rollout_is_token_mean_legacy{});
  file.check("rollout_is sequence_mean", rollout_is_sequence_mean{});
  file.check("rollout_is prompt_mean", rollout_is_prompt_mean{});
  by_length("rollout_is", rollout_is_seq_mean_token_sum_norm{});
  file.check("rollout_is 0.5 1.5", rollout_is<>{.eps_clip_low = offset{0.5}, .eps_clip_high = offset{1.5}});

  file.check("dppo_tv", dppo_tv<>{});
  file.check("dppo_tv token_mean_legacy", dppo_tv_token_mean_legacy{});
  file.check("dppo_tv sequence_mean", dppo_tv_sequence_mean{});
  file.check("dppo_tv prompt_mean", dppo_tv_prompt_mean{});
  by_length("dppo_tv", dppo_tv_seq_mean_token_sum_norm{});
  file.check("dppo_tv narrow", dppo_tv<>{.delta_low = 0.05, .delta_high = 0.02});
  file.check("dppo_kl", dppo_kl<>{});
  file.check("dppo_kl token_mean_legacy", dppo_kl_token_mean_legacy{});
  file.check("dppo_kl sequence_mean", dppo_kl_sequence_mean{});
  file.check("dppo_kl prompt_mean", dppo_kl_prompt_mean{});
  by_length("dppo_kl", dppo_kl_seq_mean_token_sum_norm{});
  file.check("dppo_kl narrow", dppo_kl<>{.delta_low = 0.05, .delta_high = 0.02});

  const auto band = [](auto loss) {  // clip_ratio 1: every eligible token is dropped
    loss.clip_ratio = 1, loss.clip_cov_lb = 1e-3, loss.clip_cov_ub = 0.05;
    return loss;
  };
  file.check("clip_cov", band(clip_cov<>{}));
  file.check("clip_cov token_mean_legacy", band(clip_cov_token_mean_legacy{}));
  file.check("clip_cov sequence_mean", band(clip_cov_sequence_mean{}));
  file.check("clip_cov prompt_mean", band(clip_cov_prompt_mean{}));
  by_length("clip_cov", band(clip_cov_seq_mean_token_sum_norm{}));
  file.check("clip_cov standard band", clip_cov<>{.clip_ratio = 1});
  file.check("kl_cov", kl_cov<>{});
  file.check("kl_cov token_mean_legacy", kl_cov_token_mean_legacy{});
  file.check("kl_cov sequence_mean", kl_cov_sequence_mean{});
  file.check("kl_cov prompt_mean", kl_cov_prompt_mean{});
  by_length("kl_cov", kl_cov_seq_mean_token_sum_norm{});
  file.check("kl_cov 0.5", kl_cov<>{.kl_cov_frac = 0.5, .ppo_kl_coef = 0.1});
  file.check("importance_sampling", importance_sampling<>{});
  file.check("importance_sampling token_mean", importance_sampling_token_mean{});

  file.check("regular tis_token", regular_with_tis_token{});
  file.check("regular tis_token 1.2", regular_with_tis_token{.token_tis_ratio_clip_high = bound{1.2}});
  file.check("regular tis_sequence", regular_with_tis_sequence{});
  file.check("regular tis_sequence 1.5", regular_with_tis_sequence{.sequence_tis_ratio_clip_high = bound{1.5}});
  file.check("gspo tis_token", gspo_with_tis_token{});
  file.check("gspo tis_sequence", gspo_with_tis_sequence{});
  file.check("regular per token", per_token_advantage(regular<>{}));
  file.check("regular sequence_mean tis_token", regular_sequence_mean_with_tis_token{});
  file.check("regular sequence_mean tis_sequence", regular_sequence_mean_with_tis_sequence{});
  file.check("regular seq_mean_token_sum_norm tis_token",
             regular_seq_mean_token_sum_norm_with_tis_token{.max_seq_len = 16});
  file.check("dual_clip tis_token", dual_clip_with_tis_token{});
  file.check("dual_clip tis_sequence", dual_clip_with_tis_sequence{});
  file.check("sapo tis_token", sapo_with_tis_token{});
  file.check("cispo tis_token", cispo_with_tis_token{});
  file.check("regular token_mask", regular_with_token_mask{});
  file.check("regular token_mask 0.8 1.1", regular_with_token_mask{.token_mask_is_threshold_low = bound{0.8},
                                                                   .token_mask_is_threshold_high = bound{1.1}});
  file.check("regular geometric", regular_with_sequence_mask_geometric{});
  file.check("regular geometric 0.7 1.3",
             regular_with_sequence_mask_geometric{.geo_mask_low = bound{0.7}, .geo_mask_high = bound{1.3}});
  file.check("regular product", regular_with_sequence_mask_product{});
  file.check("regular product 0.1 20",
             regular_with_sequence_mask_product{.product_mask_low = bound{0.1}, .product_mask_high = bound{20}});
  file.check("regular outlier", regular_with_outlier{});
  file.check("regular outlier 0.3 3", regular_with_outlier{.outlier_token_is_threshold_low = bound{0.3},
                                                           .outlier_token_is_threshold_high = bound{3}});

  file.check("regular tis_token token_mask", regular_with_tis_token_with_token_mask{});
  file.check("regular tis_token geometric", regular_with_tis_token_with_sequence_mask_geometric{
                                                .geo_mask_low = bound{0.7}, .geo_mask_high = bound{1.3}});

  file.check("kl_k1", kl_k1{});
  file.check("kl_k1 sum", kl_k1_sum{});
  file.check("kl_abs", kl_abs{});
  file.check("kl_abs sum", kl_abs_sum{});
  file.check("kl_k2", kl_k2{});
  file.check("kl_k2 sum", kl_k2_sum{});
  file.check("kl_k3", kl_k3{});
  file.check("kl_k3 sum", kl_k3_sum{});
  file.check("regular kl_k1", regular_with_kl_k1{.kl_loss_coef = 0.05});
  file.check("regular kl_abs", regular_with_kl_abs{.kl_loss_coef = 0.05});
  file.check("regular kl_k2", regular_with_kl_k2{.kl_loss_coef = 0.05});
  file.check("regular kl_k3", regular_with_kl_k3{.kl_loss_coef = 0.05});
  file.check("regular sequence_mean kl_k1", regular_sequence_mean_with_kl_k1{.kl_loss_coef = 0.05});
  file.check("regular sequence_mean kl_k3", regular_sequence_mean_with_kl_k3{.kl_loss_coef = 0.05});
  file.check("gspo kl_k1", gspo_with_kl_k1{.kl_loss_coef = 0.05});
  file.check("gspo kl_k3", gspo_with_kl_k3{.kl_loss_coef = 0.05});
  file.check("dual_clip kl_k1", dual_clip_with_kl_k1{.kl_loss_coef = 0.05});
  file.check("dual_clip kl_k3", dual_clip_with_kl_k3{.kl_loss_coef = 0.05});

  // Others of the same value: the paper's dr_grpo, whose divisor has no L and no all-masked sequences, and TRL's bnpo,
  // which has metrics of its own.
  file.check("regular seq_mean_token_sum_norm", 1.0 / 16 * dr_grpo{}(), {"published"});
  const auto clipped = clip_frac(ratio(fields::logprobs, fields::old_logprobs), fields::advantage, 0.8, 1.2);
  file.check("regular token_mean_legacy", objective_with(trl::bnpo_of_micro_batches{}().loss, clipped));
}

BOOST_AUTO_TEST_SUITE_END()
