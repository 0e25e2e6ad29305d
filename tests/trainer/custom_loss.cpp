// SPDX-License-Identifier: Apache-2.0
// forward_backward_custom against the embedded trainer: the gradient that the model gets is the loss's.
#include <cmath>
#include <limits>
#include <stdexcept>

#include "spy.hpp"

#include <gradwire/loss/dpo.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/gspo.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/loss/topk_distillation.hpp>

using namespace spying;
using namespace gradwire::fields;

namespace {

const auto tiny_loss = boost::test_tools::tolerance(1e-5);

template <class Batch>
double nothing_to_learn(const Batch&, ragged_view<const float>, ragged_view<float>) {
  return 3;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(custom_loss)

BOOST_AUTO_TEST_CASE(the_gradient_of_the_sum_is_the_servers_cross_entropy) {
  bench b;
  auto other = b.another();
  const auto data = supervised();
  BOOST_TEST(largest_difference(b.trainer.forward(data).result().logprobs, other.forward(data).result().logprobs) ==
             0.0);

  const auto by_server = b.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
  const auto by_formula = other.forward_backward_custom(data, sft_nll_sum{}).result();
  BOOST_TEST(by_formula.loss == by_server.loss, tiny_loss);
  BOOST_TEST(largest_difference(by_formula.logprobs, by_server.logprobs) == 0.0);
  BOOST_TEST(by_formula.metric("loss:sum") == by_formula.loss);
  // the server's number for the surrogate Σ −logprob·w with w = −slope = 1 where counted: the same sum
  BOOST_TEST(by_formula.metric("surrogate_loss:sum") == by_server.loss, tiny_loss);
  BOOST_TEST(by_formula.tokens == 17u);           // (3+4-1) + (4+1-1) + (2+6-1) targets
  BOOST_TEST(by_formula.counted_tokens == 11.0);  // 4 + 1 + 6 response tokens

  const auto a = b.trainer.optim_step(linear_step).result();
  const auto c = other.optim_step(linear_step).result();
  BOOST_TEST(a.metric("grad_norm") > 0.1);
  BOOST_TEST(a.metric("grad_norm") == c.metric("grad_norm"), tiny_loss);
  const auto after_server = b.trainer.forward(data).result();
  const auto after_formula = other.forward(data).result();
  BOOST_TEST(largest_difference(after_server.logprobs, after_formula.logprobs) < 1e-5);
  BOOST_TEST(largest_difference(after_server.logprobs, by_server.logprobs) > 1e-3);  // it moved at all
}

BOOST_AUTO_TEST_CASE(a_mean_is_the_sum_over_the_weights) {
  bench b;
  auto other = b.another();
  const auto data = supervised();
  const auto sum = b.trainer.forward_backward_custom(data, sft_nll_sum{}).result();
  const auto mean = other.forward_backward_custom(data, sft_nll{}).result();
  BOOST_TEST(mean.loss * 11 == sum.loss, tiny_loss);
  BOOST_TEST(other.optim_step(linear_step).result().metric("grad_norm") * 11 ==
                 b.trainer.optim_step(linear_step).result().metric("grad_norm"),
             tiny_loss);
}

BOOST_AUTO_TEST_CASE(a_bare_formula_and_a_sum_of_formulas_are_losses) {
  bench b;
  const auto data = supervised();
  const auto one = b.trainer.forward_backward_custom(data, sum_over_all_tokens(-logprobs)).result();
  const auto two = b.trainer.forward_backward_custom(data, sft_nll_sum{}() + 0.5 * sft_nll_sum{}()).result();
  BOOST_TEST(two.loss == 1.5 * one.loss, tiny_loss);
}

BOOST_AUTO_TEST_CASE(group_losses_with_metrics_from_reference_and_old_logprobs) {
  bench b;
  auto reference = b.service.create_reference_client(b.trainer).result();
  const auto plain = supervised();
  const auto now = b.trainer.forward(plain).result();
  const auto with_old = with(old_logprobs = now, advantage = std::vector<double>{1, -1, 0.5}, plain);
  const auto data = with(ref_logprobs = reference.forward(with_old).result(), with_old);
  for (int i = 0; i < 3; ++i) {
    auto step = b.trainer.forward_backward_custom(data, grpo{.beta = 0.02});
    auto optim = b.trainer.optim_step({.learning_rate = 1e-3});
    const auto& s = step.result();
    BOOST_TEST(std::isfinite(s.loss));
    BOOST_TEST(optim.result().metric("grad_norm") > 0);
    if (i == 0) {
      BOOST_TEST(s.loss == -(1 - 1 + 0.5) / 3, tiny_loss);  // ratio 1, no KL: minus the mean advantage
      BOOST_TEST(s.metric("kl") == 0);
    } else {
      BOOST_TEST(s.metric("kl") > 0);
    }
  }
  BOOST_TEST(std::isfinite(b.trainer.forward_backward_custom(data, gspo{}).result().loss));
}

BOOST_AUTO_TEST_CASE(preference_pairs) {
  bench b;
  auto reference = b.service.create_reference_client(b.trainer).result();
  batch pairs{group(chosen(sequence({1, 2, 3}, {10, 11})), rejected(sequence({1, 2, 3}, {12, 13, 14}))),
              group(chosen(sequence({4, 5}, {20})), rejected(sequence({4, 5}, {21, 22})))};
  const auto data = with(ref_logprobs = reference.forward(pairs).result(), pairs);
  const auto first = b.trainer.forward_backward_custom(data, dpo{}).result();
  BOOST_TEST(first.loss == std::log(2.0), tiny_loss);  // log ratio 0: -log sigmoid(0)
  b.trainer.optim_step({.learning_rate = 1e-2}).result();
  const auto second = b.trainer.forward_backward_custom(data, dpo{}).result();
  BOOST_TEST(second.loss < first.loss - 0.01);
}

BOOST_AUTO_TEST_CASE(distillation_over_candidates) {
  bench b;
  const std::vector<int> q{1, 2, 3}, a{4, 5};
  // 4 targets (2, 3, 4, 5), K = 3 candidates each
  const std::vector<std::vector<int>> ids{{2, 90, 91}, {3, 92, 93}, {4, 94, 95}, {5, 96, 97}};
  const std::vector<std::vector<float>> teacher{{-0.1f, -3, -4}, {-0.5f, -2, -3}, {-0.2f, -2, -5}, {-1, -1, -2}};
  datum d{prompt(q) + response(a), candidates = ids, candidate_teacher_logprobs = teacher};
  batch data{d};
  const auto before = b.trainer.forward_backward_custom(data, topk_distillation{}).result();
  // the loss by hand from the logprobs that came back: targets 2 and 3 (tokens 4 and 5) count
  double expected = 0;
  for (std::size_t t : {2u, 3u}) {
    double total = 0, cross = 0;
    for (std::size_t k = 0; k < 3; ++k) total += std::exp(static_cast<double>(teacher[t][k]));
    for (std::size_t k = 0; k < 3; ++k)
      cross -=
          std::exp(static_cast<double>(teacher[t][k])) / total * static_cast<double>(before.logprobs.plane(0, k)[t]);
    expected += cross / 2;
  }
  BOOST_TEST(before.loss == expected, tiny_loss);
  for (int i = 0; i < 5; ++i) {
    if (i > 0) b.trainer.forward_backward_custom(data, topk_distillation{}).result();
    b.trainer.optim_step({.learning_rate = 1e-2}).result();
  }
  const auto after = b.trainer.forward(data).result();
  BOOST_TEST(after.logprobs.plane(0, 0)[2] > before.logprobs.plane(0, 0)[2] + 0.1f);
}

BOOST_AUTO_TEST_CASE(a_batch_of_double_gives_the_same_gradient) {
  bench b;
  auto other = b.another();
  const auto single = supervised();
  const auto twice =
      batch_of<double>(group(sequence({72, 105, 33}, {65, 66, 67, 68}), sequence({50, 43, 50, 61}, {52})),
                       group(sequence({1, 2}, {3, 4, 5, 6, 7, 8})));
  const auto x = b.trainer.forward_backward_custom(single, sft_nll{}).result();
  const auto y = other.forward_backward_custom(twice, sft_nll{}).result();
  BOOST_TEST(x.loss == y.loss, boost::test_tools::tolerance(1e-6));
  BOOST_TEST(b.trainer.optim_step(linear_step).result().metric("grad_norm") ==
                 other.optim_step(linear_step).result().metric("grad_norm"),
             tiny_loss);
}

BOOST_AUTO_TEST_CASE(a_plain_function_is_called_once_with_the_data_the_logprobs_and_room_for_gradients) {
  bench b;
  auto other = b.another();
  const auto data = supervised();
  int calls = 0;
  std::thread::id where;
  auto by_function = b.trainer.forward_backward_custom(
      data, [&](const auto& seen, ragged_view<const float> lp, ragged_view<float> gradients) {
        ++calls;
        where = std::this_thread::get_id();
        double loss = 0;
        BOOST_TEST(seen.size() == 3u);
        for (std::size_t s = 0; s < lp.size(); ++s) {
          for (std::size_t t = 0; t < lp[s].size(); ++t) {
            BOOST_TEST(gradients[s][t] == 0);
            if (seen[s].loss_fn_inputs["weights"].data[t] == 0) continue;
            loss -= static_cast<double>(lp[s][t]) / 11;
            gradients[s][t] = -1.0f / 11;
          }
        }
        return custom_value{loss, {{"calls", 1.0 * calls}}};
      });
  const auto by_formula = other.forward_backward_custom(data, sft_nll{}).result();
  BOOST_TEST(by_function.result().loss == by_formula.loss, tiny_loss);
  BOOST_TEST(by_function.result().metric("calls") == 1);
  BOOST_TEST(calls == 1);
  BOOST_TEST((where != std::this_thread::get_id()));
  BOOST_TEST(b.trainer.optim_step(linear_step).result().metric("grad_norm") ==
                 other.optim_step(linear_step).result().metric("grad_norm"),
             tiny_loss);
}

BOOST_AUTO_TEST_CASE(a_function_may_be_given_by_its_name) {
  bench b;
  const auto data = supervised();
  BOOST_TEST(
      b.trainer.forward_backward_custom(data, nothing_to_learn<std::remove_const_t<decltype(data)>>).result().loss ==
      3);
}

BOOST_AUTO_TEST_CASE(an_exception_of_the_loss_arrives_unchanged_and_nothing_is_sent_back) {
  struct my_failure : std::runtime_error {
    int code = 17;
    my_failure() : std::runtime_error("my own words") {}
  };
  bench b;
  const auto data = supervised();
  auto step = b.trainer.forward_backward_custom(
      data, [](const auto&, ragged_view<const float>, ragged_view<float>) -> double { throw my_failure(); });
  auto optim = b.trainer.optim_step();
  try {
    step.result();
    BOOST_ERROR("nothing thrown");
  } catch (const my_failure& e) {
    BOOST_TEST(e.code == 17);
    BOOST_TEST(e.what() == "my own words");
  }
  must_fail(errc::closed, {"optim_step", "my own words"}, [&] { optim.result(); });
  BOOST_TEST(b.net->count("/optim_step") == 0u);
  BOOST_TEST(b.net->count("/forward_backward") == 1u);  // the forward
  // nothing is lost: the same calls without the mistake
  BOOST_TEST(b.trainer.forward_backward_custom(data, sft_nll{}).result().loss > 0);
  BOOST_TEST(b.trainer.optim_step().result().metric("step") == 1);
}

BOOST_AUTO_TEST_CASE(numbers_that_are_not_finite_are_named_and_nothing_is_sent_back) {
  bench b;
  const auto data = supervised();
  const auto with_gradient = [&](float value, std::size_t s, std::size_t t) {
    return b.trainer.forward_backward_custom(data,
                                             [=](const auto&, ragged_view<const float>, ragged_view<float> gradients) {
                                               gradients[s][t] = value;
                                               return 1.0;
                                             });
  };
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto e = must_fail(errc::data, {"datum 2", "token 3", "nothing was sent back"},
                             [&] { with_gradient(bad, 2, 3).result(); });
    BOOST_TEST(e.details().datum == 2);
    BOOST_TEST(e.details().token == 3);
    BOOST_TEST(e.details().value.find(std::isnan(bad) ? "nan" : "inf") != std::string::npos);
    must_fail(errc::closed, {}, [&] { b.trainer.optim_step().result(); });
  }
  must_fail(errc::data, {"value of the loss", "nan"}, [&] {
    b.trainer
        .forward_backward_custom(data,
                                 [](const auto&, ragged_view<const float>, ragged_view<float>) { return std::nan(""); })
        .result();
  });
  // of a formula the sub-expression where it began, with what went in
  const auto named =
      must_fail(errc::data, {"datum 0", "token 2", "log(logprobs)", "where logprobs = -", "nothing was sent"},
                [&] { b.trainer.forward_backward_custom(data, mean_over_all_tokens(-log(logprobs))).result(); });
  BOOST_TEST(named.details().datum == 0);
  BOOST_TEST(named.details().token == 2);
  // finite as double, infinite as the wire's float
  const auto twice = batch_of<double>(sequence({1, 2, 3}, {4, 5}));
  must_fail(errc::data, {"1e+39", "does not fit", "datum 0", "token 3"}, [&] {
    b.trainer
        .forward_backward_custom(twice,
                                 [](const auto&, ragged_view<const double>, ragged_view<double> gradients) {
                                   gradients[0][3] = 1e39;
                                   return 1.0;
                                 })
        .result();
  });
  for (const auto& e : b.net->log()) BOOST_TEST(!e.target.ends_with("/optim_step"));
  BOOST_TEST(b.net->count("/forward_backward") == 5u);  // five forwards, no backward
  // where the weight is 0 it is not looked at, and nothing of it reaches the model
  BOOST_TEST(with_gradient(std::numeric_limits<float>::quiet_NaN(), 2, 0).result().loss == 1.0);
}

BOOST_AUTO_TEST_CASE(json_and_protobuf_give_the_same) {
  auto as_json = quick();
  as_json.wire = wire_format::json;
  bench b({}, as_json), c;
  const auto data = supervised();
  const auto x = b.trainer.forward_backward_custom(data, sft_nll{}).result();
  const auto y = c.trainer.forward_backward_custom(data, sft_nll{}).result();
  BOOST_TEST(x.loss == y.loss);
  BOOST_TEST(largest_difference(x.logprobs, y.logprobs) == 0.0);
  BOOST_TEST(b.trainer.optim_step(linear_step).result().metric("grad_norm") ==
             c.trainer.optim_step(linear_step).result().metric("grad_norm"));
  BOOST_TEST(b.net->count("/api/v1/forward") == 1u);
  for (const auto& e : b.net->log()) BOOST_TEST(e.content_type.find("protobuf") == std::string::npos);
  bool any = false;
  for (const auto& e : c.net->log()) any = any || e.content_type == "application/x-protobuf";
  BOOST_TEST(any);
}

BOOST_AUTO_TEST_CASE(parts_that_accumulate_are_one_batch) {
  bench b;
  auto in_parts = b.another(), by_step = b.another();
  const auto whole = supervised();
  batch first{group(sequence({72, 105, 33}, {65, 66, 67, 68}), sequence({50, 43, 50, 61}, {52}))};
  batch second{group(sequence({1, 2}, {3, 4, 5, 6, 7, 8}))};

  const auto one = b.trainer.forward_backward_custom(whole, sft_nll{}).result();
  const auto before = b.net->count("/forward_backward");
  const auto parts = in_parts.forward_backward_custom(accumulate(first, second), sft_nll{}).result();
  BOOST_TEST(b.net->count("/forward_backward") == before + 4);  // each part forward and back
  BOOST_TEST(parts.loss == one.loss,
             boost::test_tools::tolerance(1e-6));  // the forwards may differ by float's rounding
  BOOST_TEST(parts.tokens == one.tokens);
  BOOST_TEST(largest_difference(parts.logprobs, one.logprobs) < 1e-6);
  // two calls of their own have two denominators: not the same gradient, and that is why accumulate() is there
  by_step.forward_backward_custom(first, sft_nll{}).result();
  by_step.forward_backward_custom(second, sft_nll{}).result();

  const double norm = b.trainer.optim_step(linear_step).result().metric("grad_norm");
  BOOST_TEST(in_parts.optim_step(linear_step).result().metric("grad_norm") == norm, tiny_loss);
  BOOST_TEST(std::abs(by_step.optim_step(linear_step).result().metric("grad_norm") - norm) > 0.01 * norm);
  const auto after = b.trainer.forward(whole).result();
  BOOST_TEST(largest_difference(in_parts.forward(whole).result().logprobs, after.logprobs) < 1e-5);
}

BOOST_AUTO_TEST_CASE(calls_with_sums_accumulate_on_the_trainer) {
  bench b;
  auto other = b.another();
  const auto whole = supervised();
  batch first{group(sequence({72, 105, 33}, {65, 66, 67, 68}), sequence({50, 43, 50, 61}, {52}))};
  batch second{group(sequence({1, 2}, {3, 4, 5, 6, 7, 8}))};
  auto all = b.trainer.forward_backward_custom(whole, sft_nll_sum{});
  auto x = other.forward_backward_custom(first, sft_nll_sum{});
  auto y = other.forward_backward(second, server_loss::cross_entropy{});
  auto step = b.trainer.optim_step(linear_step), step_of_two = other.optim_step(linear_step);
  BOOST_TEST(step.result().metric("grad_norm") == step_of_two.result().metric("grad_norm"), tiny_loss);
  BOOST_TEST(x.result().loss + y.result().loss == all.result().loss, tiny_loss);
}

BOOST_AUTO_TEST_SUITE_END()
