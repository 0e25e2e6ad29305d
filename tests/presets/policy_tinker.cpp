// SPDX-License-Identifier: Apache-2.0
// The losses of Tinker's API, as Tinker and as TuFT default them, against the numbers of TuFT's own functions
// (tests/golden/policy_tinker.py).
#include <gradwire/loss/tinker/cispo.hpp>
#include <gradwire/loss/tinker/cross_entropy.hpp>
#include <gradwire/loss/tinker/dro.hpp>
#include <gradwire/loss/tinker/importance_sampling.hpp>
#include <gradwire/loss/tinker/ppo.hpp>
#include <gradwire/loss/tuft/cispo.hpp>
#include <gradwire/loss/tuft/cross_entropy.hpp>
#include <gradwire/loss/tuft/dro.hpp>
#include <gradwire/loss/tuft/importance_sampling.hpp>
#include <gradwire/loss/tuft/ppo.hpp>

#include "policy_golden.hpp"

using namespace gradwire;

BOOST_AUTO_TEST_SUITE(policy_tinker)

BOOST_AUTO_TEST_CASE(an_open_servers_own_functions_give_the_same_numbers) {
  golden::policy_file file("policy_tinker.json");
  file.check("cross_entropy", tinker::cross_entropy{});
  file.check("cross_entropy", tuft::cross_entropy{});
  file.check("importance_sampling", tinker::importance_sampling{});
  file.check("importance_sampling", tuft::importance_sampling{});
  file.check("tinker/ppo", tinker::ppo{});
  file.check("tinker/cispo", tinker::cispo{});
  file.check("tinker/dro", tinker::dro{});
  file.check("tuft/ppo", tuft::ppo{});
  file.check("tuft/cispo", tuft::cispo{});
  file.check("tuft/dro", tuft::dro{});
  file.check("ppo others", tinker::ppo{.clip_low_threshold = bound{0.5}, .clip_high_threshold = bound{3.0}});
  file.check("cispo others", tuft::cispo{.clip_low_threshold = bound{0.7}, .clip_high_threshold = bound{1.05}});
  file.check("dro others", tuft::dro{.beta = 1.5});
}

BOOST_AUTO_TEST_SUITE_END()
