// SPDX-License-Identifier: Apache-2.0
// Distillation losses against the projects that they are named after; numbers and the script that made them by running
// those projects' code are in tests/golden (distillation.py).
#include <gradwire/gradient/gradient.hpp>
#include <gradwire/loss/fireworks/opd.hpp>
#include <gradwire/loss/fireworks/sdft.hpp>
#include <gradwire/loss/jsd.hpp>
#include <gradwire/loss/tinker/opd.hpp>
#include <gradwire/loss/tinker/sdft.hpp>
#include <gradwire/loss/topk_distillation.hpp>
#include <gradwire/loss/trl/gkd.hpp>

#include "upstream_case.hpp"

using namespace gradwire;
using namespace gradwire::fields;
using golden::golden_case;

namespace {

template <class F>
using type = std::remove_const_t<F>;

template <class Loss>
void check_candidates(const golden_case& c, const Loss& loss) {
  golden::check_upstream(
      c, loss, candidate_logprobs,
      golden::batch_of_case<type<decltype(candidate_logprobs)>, type<decltype(candidate_teacher_logprobs)>>(c));
}
template <class Loss>
void check_samples(const golden_case& c, const Loss& loss) {
  golden::check_upstream(c, loss, logprobs,
                         golden::batch_of_case<type<decltype(logprobs)>, type<decltype(sampler_logprobs)>,
                                               type<decltype(teacher_logprobs)>>(c));
}

void check_any(const golden_case& c) {
  const auto parameter = [&](const char* name) { return c.parameters.at(name); };
  if (c.loss == "trl::gkd")
    check_candidates(c, trl::gkd{.beta = parameter("beta"), .temperature = parameter("temperature")});
  else if (c.loss == "jsd")
    check_candidates(c, jsd{.beta = parameter("beta")});
  else if (c.loss == "topk_distillation")
    check_candidates(c, topk_distillation{});
  else if (c.loss == "fireworks::sdft")
    check_candidates(c, fireworks::sdft{});
  else if (c.loss == "tinker::sdft")
    check_candidates(c, tinker::sdft{});
  else if (c.loss == "fireworks::opd")
    check_samples(c, fireworks::opd{.loss_scale = parameter("loss_scale")});
  else if (c.loss == "tinker::opd")
    check_samples(c, tinker::opd{.kl_penalty_coef = parameter("kl_penalty_coef")});
  else
    BOOST_FAIL(c.name << ": no preset " << c.loss);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(distillation)

BOOST_AUTO_TEST_CASE(presets_reproduce_the_projects_they_are_named_after) {
  const auto cases = golden::read_with_batches("distillation_cases.json");
  BOOST_TEST(cases.size() >= 36u);
  for (const golden_case& c : cases) check_any(c);
}

// One candidate renormalised is certain: no divergence, no gradient.
BOOST_AUTO_TEST_CASE(one_candidate_is_certain) {
  const std::vector<std::vector<double>> student{{-1.25}}, teacher{{-0.5}};
  const auto data =
      batch_of<double>(datum{prompt(std::vector<int>{1, 2}), candidates = std::vector<std::vector<int>>{{0}},
                             weights = {1.0}, candidate_logprobs = student, candidate_teacher_logprobs = teacher});
  for (const double beta : {0.0, 0.3, 1.0}) {
    const auto found = value_and_gradient(jsd{.beta = beta}, wrt(candidate_logprobs), at(data));
    BOOST_TEST(golden::size_of(found.loss) <= 1e-15);
    BOOST_TEST(golden::size_of(found.slope.plane(0, 0)[0]) <= 1e-15);
  }
}

// The student's candidates may all be far in the tail: the shift by the largest keeps the exponentials in range.
BOOST_AUTO_TEST_CASE(candidates_far_in_the_tail) {
  const auto make = [](double shift) {
    const std::vector<std::vector<double>> student{{-1.0 + shift, -2.0 + shift}}, teacher{{-0.5, -1.5}};
    return batch_of<double>(datum{prompt(std::vector<int>{1, 2}), candidates = std::vector<std::vector<int>>{{0, 1}},
                                  weights = {1.0}, candidate_logprobs = student, candidate_teacher_logprobs = teacher});
  };
  const auto near = value_and_gradient(jsd{.beta = 0.25}, wrt(candidate_logprobs), at(make(0)));
  const auto far = value_and_gradient(jsd{.beta = 0.25}, wrt(candidate_logprobs), at(make(-2048)));
  BOOST_TEST(near.loss == far.loss);
  BOOST_TEST(near.slope.plane(0, 0)[0] == far.slope.plane(0, 0)[0]);
}

BOOST_AUTO_TEST_SUITE_END()
