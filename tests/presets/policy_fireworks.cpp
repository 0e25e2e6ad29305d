// SPDX-License-Identifier: Apache-2.0
// Fireworks' client-side RL losses against the numbers of the cookbook's own functions
// (tests/golden/policy_fireworks.py).
#include <gradwire/loss/fireworks/cispo.hpp>
#include <gradwire/loss/fireworks/dapo.hpp>
#include <gradwire/loss/fireworks/dro.hpp>
#include <gradwire/loss/fireworks/grpo.hpp>
#include <gradwire/loss/fireworks/gspo.hpp>
#include <gradwire/loss/fireworks/igpo.hpp>
#include <gradwire/loss/fireworks/importance_sampling.hpp>
#include <gradwire/loss/fireworks/reinforce.hpp>
#include <gradwire/loss/parts/substitute.hpp>

#include "policy_golden.hpp"

using namespace gradwire;
using namespace gradwire::fireworks;

BOOST_AUTO_TEST_SUITE(policy_fireworks)

BOOST_AUTO_TEST_CASE(the_cookbooks_own_functions_give_the_same_numbers) {
  golden::policy_file file("policy_fireworks.json");
  const auto four = [&]<class Loss, class Sequence>(const std::string& name, Loss, Sequence) {
    file.check(name, Loss{});
    file.check(name + " tis sequence", Sequence{});
    file.check(name + " icepop", Loss{.icepop_threshold = bound{1.5}});
    file.check(name + " cap", Loss{.tis_cap = bound{1.2}});
  };
  four("grpo", fireworks::grpo{}, grpo_with_tis_sequence{});
  four("dapo", dapo{}, dapo_with_tis_sequence{});
  four("gspo", fireworks::gspo{}, gspo_with_tis_sequence{});
  four("cispo", cispo{}, cispo_with_tis_sequence{});
  four("importance_sampling", importance_sampling{}, importance_sampling_with_tis_sequence{});
  four("dro", dro{}, dro_with_tis_sequence{});
  file.check("gspo", gspo_after_prompt{});  // every sequence that counts starts with an unmasked token
  file.check("gspo after prompt", gspo_after_prompt{});

  file.check("grpo per token", per_token_advantage(fireworks::grpo{}));
  file.check("grpo others", fireworks::grpo{.kl_beta = 0.1, .eps_clip = offset{0.1}, .eps_clip_high = offset{0.4}});
  file.check(
      "dapo others",
      dapo{.eps_clip = offset{0.1}, .eps_clip_high = offset{0.5}, .eps_clip_c = bound{1.6}, .ratio_log_cap = 0.9});
  file.check("dapo dual", dapo{.eps_clip_c = bound{3.0}});
  file.check(
      "gspo others",
      fireworks::gspo{.clip_ratio_low = offset{0.01}, .clip_ratio_high = offset{0.02}, .seq_ratio_log_cap = 0.1});
  file.check("cispo others", cispo{.eps_low = offset{0.5}, .eps_high = offset{2.0}, .ratio_log_cap = 0.5});
  file.check("importance_sampling others", importance_sampling{.ratio_log_cap = 0.5});
  file.check("dro others", dro{.beta = 0.7});
  file.check("reinforce", reinforce{});
  file.check("reinforce", reinforce_without_kl{});
  file.check("reinforce beta", reinforce{.kl_beta = 0.3});
  file.check("igpo", igpo{});
  file.check("igpo others", igpo{.kl_beta = 0.2, .eps_clip = offset{0.05}});
}

BOOST_AUTO_TEST_SUITE_END()
