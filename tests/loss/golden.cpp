// SPDX-License-Identifier: Apache-2.0
// The losses against PyTorch's float64 autograd and against numbers that other projects' own code gave. The files and the
// scripts that made them are in tests/golden.
#include <gradwire/loss/dpo.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/gspo.hpp>
#include <gradwire/loss/gspo_token.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/loss/topk_distillation.hpp>

#include "golden_case.hpp"

using namespace gradwire;
using namespace gradwire::fields;
using golden::batch_of_case;
using golden::check_case;
using golden::golden_case;

namespace {

template <class F>
using type = std::remove_const_t<F>;
using logprobs_t = type<decltype(logprobs)>;
using old_t = type<decltype(old_logprobs)>;
using ref_t = type<decltype(ref_logprobs)>;
using advantage_t = type<decltype(advantage)>;
using token_advantage_t = type<decltype(token_advantage)>;
using candidates_t = type<decltype(candidate_logprobs)>;
using teacher_t = type<decltype(candidate_teacher_logprobs)>;

// GRPO without a KL term, as it is written when there is no reference: what is left of grpo at beta = 0.
auto clipped_policy(double clip) {
  auto ratio = let<"ratio">(exp(logprobs - old_logprobs));
  return std::pair{-min(ratio * advantage, clamp(ratio, 1 - clip, 1 + clip) * advantage),
                   metric<"out_of_band_frac">(mean_over_all_tokens(abs(ratio - 1) > clip))};
}

void check_grpo(const golden_case& c) {
  const double clip = c.parameter("clip"), beta = c.parameter("beta"), scale = c.parameter("scale", 1);
  if (beta != 0) {
    BOOST_REQUIRE(c.option("reduction").empty());
    return check_case(c, grpo{.clip = offset{clip}, .beta = beta}, logprobs,
                      batch_of_case<logprobs_t, old_t, ref_t, advantage_t>(c));
  }
  const auto data = batch_of_case<logprobs_t, old_t, advantage_t>(c);
  const auto [x, clipped] = clipped_policy(clip);
  const auto reduction = c.option("reduction");
  if (reduction.empty())
    check_case(c, objective(scale * mean_over_sequences(mean_over_tokens(x)), clipped), logprobs, data);
  else if (reduction == "mean_over_all_tokens")
    check_case(c, objective(scale * mean_over_all_tokens(x), clipped), logprobs, data);
  else if (reduction == "mean_over_sequences(sum_over_tokens)")
    check_case(c, objective(scale * mean_over_sequences(sum_over_tokens(x)), clipped), logprobs, data);
  else
    BOOST_FAIL(c.name << ": no such reduction: " << reduction);
}

void check_any(const golden_case& c) {
  const double scale = c.parameter("scale", 1);
  if (c.loss == "sft_nll") {
    const auto data = batch_of_case<logprobs_t>(c);
    if (c.option("reduction") == "sum")
      check_case(c, sft_nll_sum{}, logprobs, data);
    else
      check_case(c, sft_nll{}, logprobs, data);
  } else if (c.loss == "grpo") {
    check_grpo(c);
  } else if (c.loss == "gspo") {
    if (c.option("form") != "token")
      check_case(c, scale * gspo{.clip = offset{c.parameter("clip")}}(), logprobs,
                 batch_of_case<logprobs_t, old_t, advantage_t>(c));
    else if (c.token.count("token_advantage") != 0)
      check_case(c, gspo_token{.clip = offset{c.parameter("clip")}}, logprobs,
                 batch_of_case<logprobs_t, old_t, token_advantage_t>(c));
    else
      check_case(c, gspo_token{.clip = offset{c.parameter("clip")}}, logprobs, [&] {
        const auto data = batch_of_case<logprobs_t, old_t, advantage_t>(c);
        golden::rows spread;  // the sequence's advantage at each of its tokens
        for (std::size_t s = 0; s < data.size(); ++s)
          spread.emplace_back(data.shape().length[s], c.sequence.at("advantage")[s]);
        return with(token_advantage = spread, data);
      }());
  } else if (c.loss == "dpo") {
    check_case(c, dpo{.beta = c.parameter("beta"), .label_smoothing = c.parameter("label_smoothing")}, logprobs,
               batch_of_case<logprobs_t, ref_t>(c));
  } else if (c.loss == "topk_distillation") {
    check_case(c, topk_distillation{}, candidate_logprobs, batch_of_case<candidates_t, teacher_t>(c));
  } else if (c.loss == "formula") {
    const auto data = batch_of_case<logprobs_t, ref_t>(c);
    const auto kind = c.option("expression");
    if (kind == "k1")
      check_case(c, scale * sum_over_all_tokens(allow<lint::k1_as_loss>(k1(logprobs, ref_logprobs))), logprobs, data);
    else if (kind == "k2")
      check_case(c, scale * sum_over_all_tokens(k2(logprobs, ref_logprobs)), logprobs, data);
    else if (kind == "k3")
      check_case(c, scale * sum_over_all_tokens(k3(logprobs, ref_logprobs)), logprobs, data);
    else
      BOOST_FAIL(c.name << ": no such expression: " << kind);
  } else {
    BOOST_FAIL(c.name << ": no such loss: " << c.loss);
  }
}

void check_file(const char* file, std::size_t at_least) {
  const auto cases = golden::read(file);
  BOOST_TEST(cases.size() >= at_least);
  for (const auto& c : cases) check_any(c);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(golden_losses)

BOOST_AUTO_TEST_CASE(sft_nll_is_pytorchs) { check_file("sft_nll.json", 6); }
BOOST_AUTO_TEST_CASE(grpo_is_pytorchs) { check_file("grpo.json", 6); }
BOOST_AUTO_TEST_CASE(gspo_is_pytorchs) { check_file("gspo.json", 6); }
BOOST_AUTO_TEST_CASE(dpo_is_pytorchs) { check_file("dpo.json", 6); }
BOOST_AUTO_TEST_CASE(topk_distillation_is_pytorchs) { check_file("topk_distillation.json", 3); }
BOOST_AUTO_TEST_CASE(other_projects_numbers_are_reproduced) { check_file("vectors.json", 15); }

BOOST_AUTO_TEST_SUITE_END()
