// SPDX-License-Identifier: Apache-2.0
// What makes inf or NaN is found where it is made, with the numbers that went in; what does not reach the loss is not.
#include <gradwire/gradient/culprit.hpp>
#include <gradwire/loss.hpp>
#include <gradwire/loss/grpo.hpp>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using doubles = std::vector<double>;
using rows_of_doubles = std::vector<doubles>;
constexpr double inf = std::numeric_limits<double>::infinity();
const double not_a_number = std::numeric_limits<double>::quiet_NaN();

// Two datums of three and two targets, ids 101 102 103 | 201 202; the first target of each is masked.
template <class T>
auto two_rows() {
  datum a{prompt({100, 101, 102, 103}), weights = {0.0, 1.0, 1.0}, old_logprobs = {-1.0, -1.0, -1.0},
          ref_logprobs = {-1.0, -1.0, -1.0}, advantage = 1.0};
  datum b{prompt({200, 201, 202}), weights = {0.0, 1.0}, old_logprobs = {-1.0, -1.0}, ref_logprobs = {-1.0, -1.0},
          advantage = -1.0};
  return batch_of<T>(group(chosen(a), rejected(b)));
}

// What a trainer sends is shared as it is, finite or not.
template <class Batch>
auto known(const Batch& data, const rows_of_doubles& now) {
  writable_column<typename Batch::value_type> column(data.layout_handle(), extent::token);
  for (std::size_t s = 0; s < now.size(); ++s)
    for (std::size_t t = 0; t < now[s].size(); ++t) column[s][t] = static_cast<typename Batch::value_type>(now[s][t]);
  return with(logprobs = gradwire::column<typename Batch::value_type>(std::move(column)), data);
}

const auto token_ratio = exp(logprobs - old_logprobs);
const auto log_ratio = sum_over_tokens(logprobs - old_logprobs);
const auto sequence_margin = mean_over_pairs(-log_sigmoid(chosen(log_ratio) - rejected(log_ratio)));

}  // namespace

BOOST_AUTO_TEST_SUITE(culprit_of_a_loss)

BOOST_AUTO_TEST_CASE(a_finite_loss_has_none) {
  const auto data = known(two_rows<double>(), {{-1, -2, -3}, {-1, -2}});
  BOOST_TEST(!find_culprit(grpo{}, at(data)).has_value());
  const auto masked = known(two_rows<double>(), {{not_a_number, -2, -3}, {inf, -2}});
  BOOST_TEST(!find_culprit(grpo{}, at(masked)).has_value());
  BOOST_TEST(!find_culprit(sequence_margin, at(masked)).has_value());
}

BOOST_AUTO_TEST_CASE(an_overflow_is_named_with_what_went_in) {
  const auto data = known(two_rows<double>(), {{-1, -2, -3}, {-1, 799}});
  const auto found = find_culprit(mean_over_all_tokens(token_ratio * advantage), at(data));
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(!found->in_gradient);
  BOOST_TEST(found->datum == 1);
  BOOST_TEST(found->token == 1);
  BOOST_TEST(found->token_id == 202);
  BOOST_TEST(found->expression == "exp(logprobs - old_logprobs)");
  BOOST_TEST(found->value == inf);
  BOOST_REQUIRE(found->operands.size() == 3u);
  BOOST_TEST(found->operands[0].expression == "logprobs - old_logprobs");
  BOOST_TEST(found->operands[0].value == 800.0);
  BOOST_TEST(found->operands[1].expression == "logprobs");
  BOOST_TEST(found->operands[1].value == 799.0);
  BOOST_TEST(found->operands[2].value == -1.0);
  BOOST_TEST(found->loss == -inf);
  BOOST_TEST(found->text() ==
             "datum 1, token 1 (id 202): exp(logprobs - old_logprobs) is inf\n  where logprobs - old_logprobs = 800, "
             "logprobs = 799, old_logprobs = -1,\n  so the loss is -inf\n");
}

// 0·inf: the NaN appears in the product, but the product's operand was the first to leave the numbers.
BOOST_AUTO_TEST_CASE(nan_from_zero_times_infinity_is_traced_to_the_infinity) {
  const auto data = known(with(advantage = doubles{1.0, 0.0}, two_rows<double>()), {{-1, -2, -3}, {-1, 799}});
  const auto found = find_culprit(mean_over_all_tokens(token_ratio * advantage), at(data));
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(std::isnan(found->loss));
  BOOST_TEST(found->expression == "exp(logprobs - old_logprobs)");
  BOOST_TEST(found->token_id == 202);
}

BOOST_AUTO_TEST_CASE(the_logarithm_of_a_negative_number_is_named) {
  const auto data = known(two_rows<double>(), {{-1, 2, 3}, {-1, -1}});
  const auto found = find_culprit(mean_over_all_tokens(let<"entropy">(log(logprobs)) * advantage), at(data));
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(found->expression == "log(logprobs)");
  BOOST_TEST(std::isnan(found->value));
  BOOST_TEST(found->datum == 1);
  BOOST_TEST(found->token == 1);
  BOOST_TEST(found->what() == "log(logprobs) is nan where logprobs = -1");
}

// A batch refuses what is not finite at an unmasked token; a sum over positions reads the masked ones too.
BOOST_AUTO_TEST_CASE(a_column_that_is_not_finite_is_itself_the_culprit) {
  const auto data = known(two_rows<double>(), {{-1, -2, -3}, {-inf, -2}});
  const auto found = find_culprit(mean_over_sequences(sum_over_positions(-logprobs)), at(data));
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(found->expression == "logprobs");
  BOOST_TEST(found->token_id == 201);
  BOOST_TEST(found->what() == "logprobs is -inf");
  // exp(−inf) is 0: nothing to find
  BOOST_TEST(!find_culprit(mean_over_sequences(sum_over_positions(exp(logprobs))), at(data)).has_value());
}

BOOST_AUTO_TEST_CASE(the_branch_that_is_not_taken_is_innocent) {
  const auto data = known(two_rows<double>(), {{-1, -2, 900}, {-1, 1}});
  auto chosen_by_where = where(logprobs < 0, log(logprobs), where(logprobs > 100, token_ratio, logprobs));
  const auto found = find_culprit(mean_over_all_tokens(chosen_by_where), at(data));
  BOOST_REQUIRE(found.has_value());
  // log(-2) at token 1 comes first in the order of evaluation, exp(901) at token 2 is there too
  BOOST_TEST(std::isnan(found->loss));
  BOOST_TEST(found->expression == "log(logprobs)");
  BOOST_TEST(found->token_id == 102);
  const auto only = find_culprit(
      mean_over_all_tokens(where(logprobs > 100, 0.0 * logprobs, where(logprobs < 0, token_ratio, log(logprobs - 1)))),
      at(data));
  BOOST_REQUIRE(only.has_value());
  BOOST_TEST(only->expression == "log(logprobs - 1)");  // log 0 at datum 1; exp(901) was not taken
  BOOST_TEST(only->datum == 1);
  BOOST_TEST(only->value == -inf);
}

BOOST_AUTO_TEST_CASE(values_of_sequences_and_pairs_are_named_too) {
  const auto data = known(two_rows<double>(), {{-1, 300, 500}, {-1, -2}});
  auto sequence_ratio = let<"sequence_ratio">(exp(sum_over_tokens(logprobs - old_logprobs)));
  const auto found = find_culprit(mean_over_sequences(sequence_ratio), at(data));
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST((found->level == extent::sequence));
  BOOST_TEST(found->datum == 0);
  BOOST_TEST(found->token == -1);
  BOOST_TEST(found->operands[0].value == 802.0);
  const auto pair = find_culprit(mean_over_pairs(exp(chosen(log_ratio) - rejected(log_ratio))), at(data));
  BOOST_REQUIRE(pair.has_value());
  BOOST_TEST((pair->level == extent::group));
  BOOST_TEST(pair->group == 0);
  BOOST_TEST(pair->datum == -1);
  BOOST_TEST(pair->operands[0].value == 803.0);
  BOOST_TEST(pair->where() == "group 0");
}

// e^90 = 1.2e39 is inf in float and a number in double.
BOOST_AUTO_TEST_CASE(a_float_batch_is_searched_in_float) {
  const rows_of_doubles now{{-1, -2, -3}, {-1, 89}};
  const auto found = find_culprit(mean_over_all_tokens(token_ratio * advantage), at(known(two_rows<float>(), now)));
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(found->expression == "exp(logprobs - old_logprobs)");
  BOOST_TEST(found->value == inf);
  BOOST_TEST(found->operands[0].value == 90.0);
  BOOST_TEST(!find_culprit(mean_over_all_tokens(token_ratio * advantage), at(known(two_rows<double>(), now))).has_value());
}

// √(l − old) at l = old: the value is 0, the slope 1/0.
BOOST_AUTO_TEST_CASE(a_gradient_that_is_not_finite_is_traced_forwards) {
  const auto data = known(two_rows<double>(), {{-1, 0, 3}, {-1, -1}});
  const auto found = find_culprit(mean_over_all_tokens(2 * sqrt(logprobs - old_logprobs)), at(data));
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(found->in_gradient);
  BOOST_TEST(found->expression == "sqrt(logprobs - old_logprobs)");
  BOOST_TEST(found->value == inf);
  BOOST_TEST(found->datum == 1);
  BOOST_TEST(found->token_id == 202);
  BOOST_TEST(found->operands[0].value == 0.0);
  BOOST_TEST(found->text() ==
             "datum 1, token 1 (id 202): the slope of sqrt(logprobs - old_logprobs) is inf\n  where logprobs - "
             "old_logprobs = 0, logprobs = -1, old_logprobs = -1,\n  so dL/d(logprobs) is not finite\n");
  // the same after a product with 0 (0·inf) and at the level of sequences
  const auto zero = known(with(advantage = doubles{1.0, 0.0}, two_rows<double>()), {{-1, 0, 3}, {-1, -1}});
  const auto product = find_culprit(mean_over_all_tokens(sqrt(logprobs - old_logprobs) * advantage), at(zero));
  BOOST_REQUIRE(product.has_value());
  BOOST_TEST(product->expression == "sqrt(logprobs - old_logprobs)");
  const auto sequence = find_culprit(mean_over_sequences(sqrt(sum_over_tokens(logprobs - old_logprobs))), at(data));
  BOOST_REQUIRE(sequence.has_value());
  BOOST_TEST(sequence->in_gradient);
  BOOST_TEST((sequence->level == extent::sequence));
  BOOST_TEST(sequence->datum == 1);
}

BOOST_AUTO_TEST_CASE(it_throws_a_typed_error_that_names_the_place) {
  const auto good = known(two_rows<double>(), {{-1, -2, -3}, {-1, -2}});
  const auto fine = value_and_gradient(grpo{}, wrt(logprobs), at(good));
  BOOST_CHECK_NO_THROW(throw_if_not_finite(grpo{}, wrt(logprobs), at(good), fine.loss, fine.slope));
  const auto data = known(two_rows<double>(), {{-1, -2, -3}, {-1, 799}});
  const auto bad = value_and_gradient(grpo{}, wrt(logprobs), at(data));  // advantage −1, r = e^800: unbounded
  try {
    throw_if_not_finite(grpo{}, wrt(logprobs), at(data), bad.loss, bad.slope);
    BOOST_ERROR("nothing thrown");
  } catch (const error& e) {
    BOOST_TEST((e.kind() == errc::data));
    BOOST_TEST(e.details().datum == 1);
    BOOST_TEST(e.details().token == 1);
    BOOST_TEST(e.details().column == "exp(logprobs - old_logprobs)");
    BOOST_TEST(e.details().value == "inf");
    BOOST_TEST(std::string(e.what()) ==
               "gradwire: datum 1, token 1 (id 202): exp(logprobs - old_logprobs) is inf where logprobs - old_logprobs "
               "= 800, logprobs = 799, old_logprobs = -1, so the loss is inf");
  }
}

BOOST_AUTO_TEST_CASE(candidates_are_named) {
  datum d{prompt({7, 11, 12}), weights = {1.0, 1.0}, candidates = matrix(std::vector<int>{11, 21, 12, 22}, 2),
          candidate_logprobs = matrix(doubles{-1, -2, -3, 4}, 2)};
  const auto found = find_culprit(mean_over_all_tokens(sum_over_candidates(log(-candidate_logprobs))),
                                  wrt(candidate_logprobs), at(batch_of<double>(d)));
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(found->token == 1);
  BOOST_TEST(found->candidate == 1);
  BOOST_TEST(found->token_id == 22);
}

BOOST_AUTO_TEST_SUITE_END()
