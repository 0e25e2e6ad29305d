// SPDX-License-Identifier: Apache-2.0
// open-instruct's losses against the numbers of its own functions (tests/golden/policy_open_instruct.py).
#include <gradwire/loss/open_instruct/cispo.hpp>
#include <gradwire/loss/open_instruct/cispo_without_rho.hpp>
#include <gradwire/loss/open_instruct/dapo.hpp>
#include <gradwire/loss/open_instruct/dapo_without_rho.hpp>

#include "policy_golden.hpp"

using namespace gradwire;

BOOST_AUTO_TEST_SUITE(policy_open_instruct)

BOOST_AUTO_TEST_CASE(its_own_functions_give_the_same_numbers) {
  golden::policy_file file("policy_open_instruct.json");
  const auto both = [&]<class Loss, class Sequence, class Tv, class Without>(const std::string& name, Loss, Sequence,
                                                                             Tv, Without) {
    file.check(name, Loss{});
    for (int estimator : {0, 1, 3})
      file.check(name + " estimator " + std::to_string(estimator), Loss{.beta = 0.1, .kl_estimator = estimator});
    file.check(name + " denominator", Loss{.clip_higher = offset{0.1}, .loss_denominator = 7.0});
    file.check(name + " masks", Loss{.rho_clamp_lower_bound = bound{0.5},
                                     .rho_clamp_upper_bound = bound{0},
                                     .rho_mask_lower_bound = bound{0.4},
                                     .rho_mask_upper_bound = bound{1.5}});
    file.check(name + " sequence", Sequence{.rho_clamp_lower_bound = bound{0.95},
                                            .rho_clamp_upper_bound = bound{1.1},
                                            .rho_mask_lower_bound = bound{0.8},
                                            .rho_mask_upper_bound = bound{1.2}});
    file.check(name + " sequence defaults", Sequence{});
    file.check(name + " tv", Tv{.rho_mask_lower_bound = bound{0.1}, .rho_mask_upper_bound = bound{1.01}});
    file.check(name + " tv low", Tv{.rho_mask_lower_bound = bound{0.5}});
    file.check(name + " without rho", Without{});
    file.check(name + " without rho, others", Without{.clip_higher = offset{0.05}, .beta = 0.2, .kl_estimator = 3});
  };
  using namespace open_instruct;
  both("dapo", dapo{}, dapo_with_rho_sequence{}, dapo_with_rho_tv{}, dapo_without_rho{});
  both("cispo", cispo{}, cispo_with_rho_sequence{}, cispo_with_rho_tv{}, cispo_without_rho{});
  file.check("dapo clip", dapo{.clip_lower = offset{0.1}, .clip_higher = offset{0.3}});
}

BOOST_AUTO_TEST_SUITE_END()
