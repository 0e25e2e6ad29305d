// SPDX-License-Identifier: Apache-2.0
// OpenRLHF's policy losses against the numbers of OpenRLHF's own functions (tests/golden/policy_openrlhf.py).
#include <gradwire/loss/dapo.hpp>
#include <gradwire/loss/dual_clip_ppo.hpp>
#include <gradwire/loss/openrlhf/gspo.hpp>
#include <gradwire/loss/openrlhf/gspo_dual_clip.hpp>
#include <gradwire/loss/openrlhf/ppo_dual_clip_with_correction.hpp>
#include <gradwire/loss/openrlhf/ppo_with_correction.hpp>
#include <gradwire/loss/openrlhf/ppo_with_kl.hpp>
#include <gradwire/loss/ppo.hpp>

#include "policy_golden.hpp"

using namespace gradwire;

BOOST_AUTO_TEST_SUITE(policy_openrlhf)

BOOST_AUTO_TEST_CASE(the_projects_own_functions_give_the_same_numbers) {
  using namespace gradwire::openrlhf;
  golden::policy_file file("policy_openrlhf.json");
  const auto clipped = [](auto loss, double below, double above) {
    loss.clip_eps_low = offset{below}, loss.clip_eps_high = offset{above};
    return loss;
  };
  const auto base = [&](const std::string& name, auto loss, auto sample_mean) {
    file.check(name, loss);
    file.check(name + " sample_mean", sample_mean);
    file.check(name + " 0.1 0.3", clipped(loss, 0.1, 0.3));
  };
  base("ppo", openrlhf::ppo<>{}, ppo_sample_mean{});
  base("ppo_dual_clip", ppo_dual_clip<>{}, ppo_dual_clip_sample_mean{});
  file.check("ppo_dual_clip 1.5", ppo_dual_clip<>{.dual_clip = bound{1.5}});
  file.check("gspo", openrlhf::gspo{});
  file.check("gspo narrow", clipped(openrlhf::gspo{}, 3e-4, 4e-4));
  file.check("gspo_dual_clip 1.05", gspo_dual_clip{.dual_clip = bound{1.05}});
  file.check("gspo vllm", gspo_with_vllm_is{});

  const auto corrected = [&](const std::string& name, auto loss, auto sample_mean) {
    file.check("ppo " + name, loss);
    file.check("ppo " + name + " sample_mean", sample_mean);
    loss.vllm_is_truncated_threshold_low = bound{0.8}, loss.vllm_is_truncated_threshold_high = bound{1.4};
    file.check("ppo " + name + " narrow", loss);
  };
  corrected("tis", ppo_with_tis{}, ppo_with_tis_sample_mean{});
  const auto dual = [&](const std::string& name, auto loss) {
    loss.dual_clip = bound{1.5};
    loss.vllm_is_truncated_threshold_low = bound{0.8}, loss.vllm_is_truncated_threshold_high = bound{1.4};
    file.check("ppo_dual_clip " + name, loss);
  };
  dual("tis", ppo_dual_clip_with_tis{});
  dual("icepop", ppo_dual_clip_with_icepop{});
  dual("seq-mask-tis", ppo_dual_clip_with_seq_mask_tis{});
  corrected("icepop", ppo_with_icepop{}, ppo_with_icepop_sample_mean{});
  corrected("seq-mask-tis", ppo_with_seq_mask_tis{}, ppo_with_seq_mask_tis_sample_mean{});

  const auto term = [&](const std::string& name, auto mean, auto sum, auto sample_mean, auto with_ppo) {
    file.check(name, mean);
    file.check(name + " sum", sum);
    file.check(name + " sample_mean", sample_mean);
    with_ppo.init_coef = 0.05;
    file.check("ppo " + name, with_ppo);
  };
  term("kl_k1", kl_k1{}, kl_k1_sum{}, kl_k1_sample_mean{}, ppo_with_kl_k1{});
  term("kl_k2", kl_k2{}, kl_k2_sum{}, kl_k2_sample_mean{}, ppo_with_kl_k2{});
  term("kl_k3", kl_k3{}, kl_k3_sum{}, kl_k3_sample_mean{}, ppo_with_kl_k3{});

  // The papers' forms; without the clamp of the log ratio to ±20.
  file.check("ppo", gradwire::ppo{}, {"published", "holes", "one masked"});
  file.check("ppo 0.1 0.3", gradwire::dapo{.clip_low = offset{0.1}, .clip_high = offset{0.3}});
  file.check("ppo_dual_clip 1.5", gradwire::dual_clip_ppo{.cap = bound{1.5}});
}

BOOST_AUTO_TEST_SUITE_END()
