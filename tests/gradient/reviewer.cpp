// SPDX-License-Identifier: Apache-2.0
// What the compiler as a reviewer lets pass, and what it sees in a formula's type. What it refuses, with its sentences,
// is in tests/compile_fail.
#include <gradwire/loss/dpo.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/gspo.hpp>
#include <gradwire/loss/sft_nll.hpp>

#include "differences.hpp"

using namespace gradwire;
using namespace gradwire::fields;
using differences::make_batch;

namespace {

template <class E>
constexpr role role_of(const E&) {
  return formula::role_of<E>;
}
template <class A, class B>
constexpr bool is_refused(const A&, const B&) {
  return formula::is_role_difference<decltype(std::declval<A>() - std::declval<B>())>;
}
template <class L>
constexpr bool ends_in_a_mean(const L&) {
  return formula::is_normalised<L>;
}
template <class L>
constexpr bool is_idle(const L&) {
  return formula::has_idle_term<L, std::remove_const_t<decltype(logprobs)>>;
}
template <class L>
constexpr bool uses_k1(const L&) {
  return formula::has_k1<L, std::remove_const_t<decltype(logprobs)>>;
}
template <class X>
constexpr auto mean(const X& x) {
  return mean_over_sequences(mean_over_tokens(x));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(reviewer)

BOOST_AUTO_TEST_CASE(roles_of_logprobs_survive_what_keeps_them_logprobs) {
  static_assert(role_of(logprobs) == role::current);
  static_assert(role_of(candidate_teacher_logprobs) == role::teacher);
  static_assert(role_of(let<"old">(stop_gradient(old_logprobs))) == role::old);
  static_assert(role_of(sum_over_tokens(ref_logprobs)) == role::reference);
  static_assert(role_of(mean_over_tokens(sampler_logprobs)) == role::sampler);
  static_assert(role_of(mean_over_all_tokens(logprobs)) == role::current);
  static_assert(role_of(chosen(sum_over_tokens(logprobs))) == role::current);
  static_assert(role_of(as_role<role::old>(sampler_logprobs)) == role::old);
  static_assert(role_of(max_over_candidates(candidate_logprobs)) == role::none);
  static_assert(role_of(logprobs - old_logprobs) == role::none);
  static_assert(role_of(2 * logprobs) == role::none);
  static_assert(role_of(advantage) == role::none);
}

BOOST_AUTO_TEST_CASE(differences_that_belong_together_pass) {
  static_assert(!is_refused(logprobs, old_logprobs) && !is_refused(logprobs, sampler_logprobs));
  static_assert(!is_refused(logprobs, ref_logprobs) && !is_refused(logprobs, teacher_logprobs));
  static_assert(!is_refused(old_logprobs, sampler_logprobs) && !is_refused(teacher_logprobs, sampler_logprobs));
  static_assert(!is_refused(sampler_logprobs, ref_logprobs));
  static_assert(!is_refused(logprobs, stop_gradient(logprobs)) && !is_refused(old_logprobs, old_logprobs));
  static_assert(!is_refused(sum_over_tokens(logprobs), sum_over_tokens(old_logprobs)));
  static_assert(!is_refused(logprobs, mean_over_all_tokens(logprobs)));
  static_assert(!is_refused(logprobs, advantage) && !is_refused(advantage, logprobs));
  static_assert(!is_refused(candidate_logprobs, log(sum_over_candidates(exp(candidate_logprobs)))));
  static_assert(!is_refused(candidate_logprobs, max_over_candidates(candidate_logprobs)));

  static_assert(is_refused(old_logprobs, logprobs) && is_refused(ref_logprobs, logprobs));
  static_assert(is_refused(sampler_logprobs, old_logprobs) && is_refused(sampler_logprobs, teacher_logprobs));
  static_assert(is_refused(old_logprobs, ref_logprobs) && is_refused(teacher_logprobs, ref_logprobs));
  static_assert(is_refused(sum_over_tokens(old_logprobs), sum_over_tokens(ref_logprobs)));
  static_assert(is_refused(let<"a">(ref_logprobs), stop_gradient(old_logprobs)));
  static_assert(!is_refused(as_role<role::current>(old_logprobs), ref_logprobs));
}

BOOST_AUTO_TEST_CASE(what_is_allowed_changes_no_number) {
  const auto data = make_batch(1);
  const auto value = [&](const auto& loss) { return value_and_gradient(loss, wrt(logprobs), at(data)); };
  const auto plain = value(mean(exp(-(logprobs - old_logprobs))));
  const auto around = value(mean(exp(allow<lint::role_difference>(old_logprobs - logprobs))));
  const auto operand = value(mean(exp(allow<lint::role_difference>(old_logprobs) - logprobs)));
  const auto stated = value(mean(exp(as_role<role::none>(old_logprobs) - logprobs)));
  BOOST_TEST(plain.loss == around.loss);
  BOOST_TEST(plain.loss == operand.loss);
  BOOST_TEST(plain.loss == stated.loss);
  for (std::size_t s = 0; s < data.size(); ++s)
    for (std::size_t t = 0; t < data.shape().length[s]; ++t) {
      BOOST_TEST(plain.slope[s][t] == around.slope[s][t]);
      BOOST_TEST(plain.slope[s][t] == stated.slope[s][t]);
    }
  const auto first = value(mean(allow<lint::k1_as_loss>(k1(logprobs, ref_logprobs))));
  BOOST_TEST(first.loss == value(mean(logprobs - as_role<role::teacher>(ref_logprobs))).loss);
  const auto idle = value(mean(logprobs + allow<lint::no_gradient>(reward)));
  BOOST_TEST(idle.loss == value(mean(logprobs + 0 * logprobs + reward * (1 + 0 * logprobs))).loss,
             boost::test_tools::tolerance(1e-14));
  // k1 is free in metrics and behind stop_gradient
  const auto measured = evaluate(objective(mean(stop_gradient(k1(logprobs, old_logprobs)) * logprobs),
                                           metric<"k1">(mean_over_all_tokens(k1(logprobs, old_logprobs)))),
                                 wrt(logprobs), at(data));
  BOOST_TEST(measured.metrics.size() == 1u);
}

BOOST_AUTO_TEST_CASE(k1_is_seen_where_its_slope_reaches_the_loss_as_it_is) {
  constexpr auto d = k1(logprobs, ref_logprobs);
  static_assert(uses_k1(mean(d)) && uses_k1(mean(0.1 * let<"kl">(d))) && uses_k1(mean(-advantage * d)));
  static_assert(uses_k1(mean(clamp(d, -10, 10))) && uses_k1(mean(where(advantage > 0, d, 0))));
  static_assert(uses_k1(mean_over_sequences(sum_over_tokens(d)) + mean(exp(logprobs))));
  static_assert(!uses_k1(mean(abs(d))) && !uses_k1(mean(square(d))) && !uses_k1(mean(exp(d))));
  static_assert(!uses_k1(mean(exp(logprobs - old_logprobs) * d)));  // its gradient is that of the reverse KL
  static_assert(!uses_k1(mean(stop_gradient(d) * logprobs)) && !uses_k1(mean(allow<lint::k1_as_loss>(d))));
  static_assert(!uses_k1(mean(value_of(d).gradient_of(k2(logprobs, ref_logprobs)))));
  static_assert(uses_k1(mean(value_of(exp(d)).gradient_of(d))));
  static_assert(!uses_k1(mean(allow<lint::k1_as_loss>(clamp(d, -10, 10)))));
}

BOOST_AUTO_TEST_CASE(a_term_without_a_gradient_is_found_among_the_addends) {
  constexpr auto policy = -advantage * exp(logprobs - old_logprobs);
  constexpr auto dead = stop_gradient(logprobs) - ref_logprobs;
  static_assert(is_idle(mean(policy + 0.1 * dead)) && is_idle(mean(policy) - 0.1 * mean(let<"kl">(dead))));
  static_assert(is_idle(mean(policy + reward)) && is_idle(mean(policy) + mean_over_sequences(reward)));
  static_assert(is_idle(0.5 * (mean(policy) + mean(2 * k3(stop_gradient(logprobs), ref_logprobs)))));
  static_assert(!is_idle(mean(policy)) && !is_idle(mean(policy + 0.1 * k3(logprobs, ref_logprobs))));
  static_assert(!is_idle(mean(policy + 0.1)) && !is_idle(1 - mean(policy)));
  static_assert(!is_idle(mean(policy + allow<lint::no_gradient>(0.1 * dead))));
  static_assert(!is_idle(mean(logprobs - ref_logprobs)));  // one thing
  static_assert(!is_idle(mean_over_sequences(-log_sigmoid(mean_over_tokens(logprobs) - reward))));
  static_assert(!is_idle(mean(policy) + 0.5 * mean(square(values - returns))));  // a critic's term, learned elsewhere
  static_assert(!is_idle(grpo{}().loss) && !is_idle(gspo{}().loss) && !is_idle(dpo{}().loss) &&
                !is_idle(as_objective(sft_nll{}).loss));
}

BOOST_AUTO_TEST_CASE(a_loss_is_normalised_when_every_term_ends_in_a_mean) {
  static_assert(ends_in_a_mean(grpo{}().loss) && ends_in_a_mean(gspo{}().loss) && ends_in_a_mean(dpo{}().loss));
  static_assert(ends_in_a_mean(as_objective(sft_nll{}).loss) && !ends_in_a_mean(as_objective(sft_nll_sum{}).loss));
  static_assert(!ends_in_a_mean(sum_over_all_tokens(logprobs)) &&
                ends_in_a_mean(-0.1 * mean_over_all_tokens(logprobs)));
  static_assert(!ends_in_a_mean(mean_over_all_tokens(logprobs) + sum_over_all_tokens(logprobs)));
  static_assert(!ends_in_a_mean(sum_over_sequences(mean_over_tokens(logprobs))));
  static_assert(ends_in_a_mean(mean_over_sequences(sum_over_tokens(logprobs))));
  static_assert(ends_in_a_mean(sum_over_all_tokens(logprobs) / (terminals::sequence_count * 512.0)));
  static_assert(ends_in_a_mean(sum_over_all_tokens(logprobs) * (1 / terminals::total_count)));
  static_assert(ends_in_a_mean(sum_over_all_tokens(logprobs * (0.5 / terminals::total_count))));
  static_assert(!ends_in_a_mean(sum_over_all_tokens(logprobs) / 512.0));
  static_assert(!ends_in_a_mean(sum_over_all_tokens(logprobs) / sum_over_all_tokens(exp(logprobs))));
  static_assert(ends_in_a_mean(mean_over_all_tokens(logprobs, exp(old_logprobs))));
  static_assert(ends_in_a_mean(mean_over_parts(micro_batch, mean_over_tokens_within(micro_batch, logprobs))));
  static_assert(ends_in_a_mean(mean_over_groups(sum_over_group(mean_over_tokens(logprobs)))));
}

BOOST_AUTO_TEST_SUITE_END()
