// SPDX-License-Identifier: Apache-2.0
// TRL's policy losses against the numbers of TRL's own functions (tests/golden/policy_trl.py).
#include <gradwire/loss/cispo.hpp>
#include <gradwire/loss/gmpo.hpp>
#include <gradwire/loss/parts/substitute.hpp>
#include <gradwire/loss/sapo.hpp>
#include <gradwire/loss/trl/cispo.hpp>
#include <gradwire/loss/trl/cispo_vllm.hpp>
#include <gradwire/loss/trl/dapo_vllm.hpp>
#include <gradwire/loss/trl/dr_grpo.hpp>
#include <gradwire/loss/trl/dr_grpo_with_sequence_mask.hpp>
#include <gradwire/loss/trl/gmpo.hpp>
#include <gradwire/loss/trl/grpo.hpp>
#include <gradwire/loss/trl/grpo_off_policy_mask.hpp>
#include <gradwire/loss/trl/grpo_sequence_level.hpp>
#include <gradwire/loss/trl/grpo_vllm.hpp>
#include <gradwire/loss/trl/grpo_without_kl.hpp>
#include <gradwire/loss/trl/luspo.hpp>
#include <gradwire/loss/trl/luspo_with_sequence_mask.hpp>
#include <gradwire/loss/trl/rloo.hpp>
#include <gradwire/loss/trl/sapo.hpp>
#include <gradwire/loss/trl/sapo_with_sequence_mask.hpp>
#include <gradwire/loss/trl/vespo.hpp>
#include <gradwire/loss/trl/vespo_vllm.hpp>

#include "policy_golden.hpp"

using namespace gradwire;

BOOST_AUTO_TEST_SUITE(policy_trl)

BOOST_AUTO_TEST_CASE(the_trainers_own_functions_give_the_same_numbers) {
  golden::policy_file file("policy_trl.json");

  file.check("grpo", trl::grpo{});
  file.check("grpo", trl::grpo_without_kl{});
  file.check("bnpo", trl::bnpo{});
  file.check("dapo", trl::dapo{});
  file.check("dapo", trl::dapo_without_kl{});
  file.check("dr_grpo", trl::dr_grpo{.max_completion_length = 16});
  file.check("grpo beta", trl::grpo{.beta = 0.04});
  file.check("dapo beta delta",
             trl::dapo{.epsilon = offset{0.1}, .epsilon_high = offset{0.28}, .delta = bound{1.5}, .beta = 0.1});
  file.check("grpo delta inside", trl::grpo{.delta = bound{1.1}});
  file.check("grpo delta inside", trl::grpo_without_kl{.delta = bound{1.1}});
  file.check("dapo bias-corrected", trl::dapo{.beta = 0.1, .use_bias_correction_kl = true});
  file.check("dr_grpo beta", trl::dr_grpo{.beta = 0.1, .max_completion_length = 9});

  file.check("grpo sequence", trl::grpo_sequence_level{});
  file.check("grpo sequence", trl::grpo_sequence_level_without_kl{});
  file.check("dapo sequence", trl::dapo_sequence_level{});
  file.check("grpo sequence bias-corrected",
             trl::grpo_sequence_level{
                 .epsilon = offset{0.01}, .epsilon_high = offset{0.02}, .beta = 0.1, .use_bias_correction_kl = true});
  file.check("dr_grpo sequence", trl::dr_grpo_sequence_level{.max_completion_length = 16});
  file.check("luspo", trl::luspo{});
  file.check("luspo narrow", trl::luspo{.epsilon = offset{2e-3}, .epsilon_high = offset{2.5e-3}});
  file.check("grpo sequence_token", trl::grpo_sequence_token_level{.beta = 0.04});
  file.check("dapo sequence_token", trl::dapo_sequence_token_level{.beta = 0.04});

  file.check("cispo", trl::cispo{});
  file.check("cispo 5", trl::cispo{.epsilon_high = bound{5.0}});
  file.check("cispo beta sequence", trl::cispo_sequence_level{.epsilon_high = bound{1.2}, .beta = 0.1});
  file.check("sapo", trl::sapo{});
  file.check(
      "sapo 2 3 beta",
      trl::sapo{.sapo_temperature_pos = 2.0, .sapo_temperature_neg = 3.0, .beta = 0.1, .use_bias_correction_kl = true});
  file.check("sapo sequence", trl::sapo_sequence_level{});
  file.check("vespo", trl::vespo{});
  file.check("vespo others", trl::vespo{.vespo_k_pos = 1.0,
                                        .vespo_lambda_pos = 0.5,
                                        .vespo_k_neg = 2.0,
                                        .vespo_lambda_neg = 1.0,
                                        .beta = 0.05,
                                        .use_bias_correction_kl = true});

  const bound low{0.6}, high{1.4};
  const auto three = [&]<class Grpo, class Dapo, class Cispo>(const std::string& mode, Grpo, Dapo, Cispo) {
    file.check("grpo " + mode, Grpo{});
    file.check("dapo " + mode, Dapo{});
    file.check("dapo " + mode + " bounds",
               Dapo{.beta = 0.04, .vllm_importance_sampling_clip_min = low, .vllm_importance_sampling_clip_max = high});
    file.check("cispo " + mode, Cispo{.epsilon_high = bound{1.5}});
  };
  three("token_truncate", trl::grpo_with_token_truncate{}, trl::dapo_with_token_truncate{},
        trl::cispo_with_token_truncate{});
  three("token_mask", trl::grpo_with_token_mask{}, trl::dapo_with_token_mask{}, trl::cispo_with_token_mask{});
  three("sequence_truncate", trl::grpo_with_sequence_truncate{}, trl::dapo_with_sequence_truncate{},
        trl::cispo_with_sequence_truncate{});
  three("sequence_mask", trl::grpo_with_sequence_mask{}, trl::dapo_with_sequence_mask{},
        trl::cispo_with_sequence_mask{});
  file.check("vespo token_truncate", trl::vespo_with_token_truncate{});
  file.check("vespo token_mask", trl::vespo_with_token_mask{});
  file.check("vespo token_truncate bounds", trl::vespo_with_token_truncate{.vllm_importance_sampling_clip_min = low,
                                                                           .vllm_importance_sampling_clip_max = high});
  file.check("vespo token_mask bounds", trl::vespo_with_token_mask{.vllm_importance_sampling_clip_min = low,
                                                                   .vllm_importance_sampling_clip_max = high});
  file.check("grpo sequence sequence_mask", trl::grpo_sequence_level_with_sequence_mask{});
  file.check("bnpo sequence_mask", trl::bnpo_with_sequence_mask{});
  file.check("dr_grpo sequence_mask", trl::dr_grpo_with_sequence_mask{.beta = 0.04, .max_completion_length = 16});
  file.check("sapo sequence_mask", trl::sapo_with_sequence_mask{});
  file.check("sapo sequence_mask bounds", trl::sapo_with_sequence_mask{.beta = 0.1,
                                                                       .use_bias_correction_kl = true,
                                                                       .vllm_importance_sampling_clip_min = low,
                                                                       .vllm_importance_sampling_clip_max = high});
  file.check("luspo sequence_mask", trl::luspo_with_sequence_mask{});
  file.check("dapo sequence sequence_mask", trl::dapo_sequence_level_with_sequence_mask{});
  file.check("dapo per token", per_token_advantage(trl::dapo{}));
  file.check("dapo sequence per token", per_token_advantage(trl::dapo_sequence_level{}));
  file.check("dapo token_truncate off-policy",
             trl::dapo_with_token_truncate{.beta = 0.04, .off_policy_mask_threshold = 0.05});

  file.check("grpo off-policy", trl::grpo_with_off_policy_mask{});
  file.check("dapo off-policy", trl::dapo_with_off_policy_mask{});
  file.check("grpo off-policy narrow", trl::grpo_with_off_policy_mask{.beta = 0.04, .off_policy_mask_threshold = 0.01});
  file.check("dapo off-policy narrow", trl::dapo_with_off_policy_mask{.beta = 0.04, .off_policy_mask_threshold = 0.01});
  file.check("grpo off-policy of old", trl::grpo_with_off_policy_mask_of_old{.off_policy_mask_threshold = 0.01});
  file.check("dapo off-policy of old", trl::dapo_with_off_policy_mask_of_old{.off_policy_mask_threshold = 0.01});

  file.check("gmpo", trl::gmpo{});
  file.check("gmpo others", trl::gmpo{.epsilon = 0.1, .epsilon_high = 0.2, .beta = 0.1});
  file.check("rloo", trl::rloo{});
  file.check("rloo others", trl::rloo{.epsilon = offset{0.5}, .epsilon_high = offset{3.0}});

  file.check("dapo sequence", trl::bnpo_sequence_level{});  // one micro-batch
  // The papers' forms, which do not count all-masked sequences.
  file.check("cispo 5", cispo{.clip_high = offset{4}});
  file.check("sapo", sapo{}, {"published", "holes", "wide"});
  file.check("gmpo", gmpo{}, {"published", "holes", "wide"});
}

BOOST_AUTO_TEST_SUITE_END()
