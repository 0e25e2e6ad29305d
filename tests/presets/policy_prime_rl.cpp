// SPDX-License-Identifier: Apache-2.0
// prime-rl's losses against the numbers of its own functions (tests/golden/policy_prime_rl.py).
#include <gradwire/loss/prime_rl/ce.hpp>
#include <gradwire/loss/prime_rl/dppo.hpp>
#include <gradwire/loss/prime_rl/ipo.hpp>
#include <gradwire/loss/prime_rl/masked_importance_sampling.hpp>
#include <gradwire/loss/prime_rl/masked_importance_sampling_sequence.hpp>
#include <gradwire/loss/prime_rl/ref_kl.hpp>

#include "policy_golden.hpp"

using namespace gradwire;

BOOST_AUTO_TEST_SUITE(policy_prime_rl)

BOOST_AUTO_TEST_CASE(its_own_functions_give_the_same_numbers) {
  golden::policy_file file("policy_prime_rl.json");
  file.check("dppo", prime_rl::dppo{});
  file.check("dppo narrow", prime_rl::dppo{.dppo_mask_low = 0.05, .dppo_mask_high = 0.02});
  file.check("dppo wide", prime_rl::dppo{.dppo_mask_low = 0.9, .dppo_mask_high = 0.6});
  file.check("dppo tau", prime_rl::dppo{.adv_tau = 0.5, .kl_tau = 0.1});
  file.check("ipo", prime_rl::ipo{});
  file.check("ipo narrow", prime_rl::ipo{.ipo_threshold = 0.03, .adv_tau = 2.0, .kl_tau = 0.0});
  file.check("ref_kl", prime_rl::ref_kl{});
  file.check("ref_kl", prime_rl::opd{});  // the batch's teacher is its reference

  file.check("ce", prime_rl::ce{});

  using token = prime_rl::masked_importance_sampling;
  using sequence = prime_rl::masked_importance_sampling_sequence;
  file.check("masked token", token{});
  file.check("masked sequence", sequence{});
  const auto narrow = [&]<class Loss>(Loss) {
    return Loss{.token_mask_low = bound{0.6},
                .token_mask_high = bound{1.6},
                .geo_mask_low = bound{0.7},
                .geo_mask_high = bound{1.2},
                .sequence_mask_low = bound{0.2},
                .sequence_mask_high = bound{4.0}};
  };
  file.check("masked token masks", narrow(token{}));
  file.check("masked sequence masks", narrow(sequence{}));
  file.check("masked token tau", token{.adv_tau = 0.5, .kl_tau = 0.3});
  file.check("masked sequence tau", sequence{.sequence_clip_high = bound{1.1}, .adv_tau = 0.5, .kl_tau = 0.3});
}

BOOST_AUTO_TEST_SUITE_END()
