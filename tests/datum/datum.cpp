// SPDX-License-Identifier: Apache-2.0
// Columns of a datum: where their values land, and what is refused.
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include <gradwire/datum.hpp>

#include "caught.hpp"

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using reals = std::vector<double>;
constexpr double missing = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();

template <class Datum>
reals values_of(const Datum& d, std::string_view name) {
  const auto data = d.loss_fn_inputs[name].data;
  return reals(data.begin(), data.end());
}

// Five targets, of which tokens 12, 20, 21 … : prompt 2, response 2, prompt 1, response 1.
token_sequence parts() { return prompt({10, 11}) + response({20, 21}) + prompt({12}) + response({22}); }

}  // namespace

#define CHECK_SAME(a, b) BOOST_TEST((a) == (b), boost::test_tools::per_element())

BOOST_AUTO_TEST_SUITE(datums)

//  targets        11 | 20 21 | 12 | 22
//  of a response       x  x          x
BOOST_AUTO_TEST_CASE(a_column_has_the_length_of_the_targets_or_of_the_response) {
  const datum whole{parts(), old_logprobs = {-1, -2, -3, -4, -5}};
  CHECK_SAME(values_of(whole, "old_logprobs"), (reals{-1, -2, -3, -4, -5}));
  const datum placed{parts(), old_logprobs = {-2, -3, -5}};
  CHECK_SAME(values_of(placed, "old_logprobs"), (reals{0, -2, -3, 0, -5}));
  const datum floats{parts(), old_logprobs = std::vector<float>{-2, -3, -5}, weights = {1, 2, 3}};
  CHECK_SAME(values_of(floats, "old_logprobs"), (reals{0, -2, -3, 0, -5}));
  CHECK_SAME(values_of(floats, "weights"), (reals{0, 1, 2, 0, 3}));
  static_assert(std::is_same_v<decltype(whole), decltype(floats)>);
}

BOOST_AUTO_TEST_CASE(a_prompt_of_one_token_has_as_many_targets_as_response_tokens) {
  const datum d{prompt({1}) + response({2, 3}), old_logprobs = {-2, -3}};
  CHECK_SAME(values_of(d, "logprobs"), (reals{-2, -3}));
}

BOOST_AUTO_TEST_CASE(a_sequence_has_one_value_of_a_per_sequence_field) {
  const datum d{parts(), advantage = 0.7, reward = std::vector<float>{2}, prompt_id = 12};
  CHECK_SAME(values_of(d, "advantage"), reals{0.7});
  CHECK_SAME(values_of(d, "reward"), reals{2});
  CHECK_SAME(values_of(d, "prompt_id"), reals{12});
  CHECK_DATA_ERROR(caught([] { datum{parts(), advantage = {1, 2, 3, 4, 5}}; }), -1, -1, "advantage", "5");
  BOOST_TEST(says(caught([] { datum{parts(), advantage = {1, 2}}; }), "such as token_advantage"));
}

BOOST_AUTO_TEST_CASE(the_order_of_the_columns_does_not_matter) {
  const datum first{parts(), old_logprobs = {-2, -3, -5}, advantage = 1};
  const datum second{parts(), advantage = 2, weights = response_only, old_logprobs = {-4, -5, -6}};
  std::vector<datum_of<old_logprobs, advantage>> all{first};
  all.push_back(second);
  CHECK_SAME(values_of(all[1], "old_logprobs"), (reals{0, -4, -5, 0, -6}));
  CHECK_SAME(values_of(all[1], "advantage"), reals{2});
  const datum_of<advantage, old_logprobs> third{parts(), old_logprobs = {-7, -8, -9}, advantage = 3};
  CHECK_SAME(values_of(third, "old_logprobs"), (reals{0, -7, -8, 0, -9}));
}

BOOST_AUTO_TEST_CASE(a_wrong_length_says_which_of_the_two_it_nearly_is) {
  const auto with_values = [](std::size_t n) {
    return caught([n] { datum{parts(), old_logprobs = std::vector<double>(n, -1)}; });
  };
  CHECK_DATA_ERROR(with_values(0), -1, -1, "old_logprobs", "0");
  CHECK_DATA_ERROR(with_values(9), -1, -1, "old_logprobs", "9");
  BOOST_TEST(says(with_values(2),
                  "2 values, but the datum has 5 targets and 3 response tokens; that is 1 fewer than the "
                  "response tokens"));
  BOOST_TEST(says(with_values(4), "that is 1 fewer than the targets and as many more than the response tokens"));
  BOOST_TEST(says(with_values(6), "one more than the targets: the first token of a sequence is never a target"));
  BOOST_TEST(says(with_values(9), "that is 4 more than the targets"));
  BOOST_TEST(says(caught([] {
                    datum{prompt({1, 2}), values = {1.0, 2.0, 3.0}};
                  }),
                  "3 values, but the datum has 1 target; "));
  CHECK_DATA_ERROR(caught([] { datum{parts(), weights = {1, 2}}; }), -1, -1, "weights", "2");
}

BOOST_AUTO_TEST_CASE(a_response_that_opens_the_sequence_has_one_token_that_is_no_target) {
  const auto opening = [](std::size_t n) {
    datum{response({1, 2, 3}) + prompt({4, 5}) + response({6}), old_logprobs = std::vector<float>(n, -1),
          weights = response_only};
  };
  CHECK_DATA_ERROR(caught([&] { opening(4); }), -1, -1, "old_logprobs", "4");
  BOOST_TEST(says(caught([&] { opening(4); }), "starts with a response token, which is never a target"));
  BOOST_CHECK_NO_THROW(opening(5));
}

BOOST_AUTO_TEST_CASE(values_for_the_response_only_must_cover_every_weighted_token) {
  const auto thrown = caught([] { datum{parts(), old_logprobs = {-2, -3, -5}, weights = {0, 1, 1, 0.5, 1}}; });
  CHECK_DATA_ERROR(thrown, -1, 3, "old_logprobs", "");
  BOOST_TEST(says(thrown, "values for the response tokens only"));
  BOOST_CHECK_NO_THROW((datum{parts(), old_logprobs = {-2, -3, -5}, weights = {0, 1, 1, 0, 0}}));
  BOOST_CHECK_NO_THROW((datum{parts(), old_logprobs = {-1, -2, -3, -4, -5}, weights = {0, 1, 1, 0.5, 1}}));
}

BOOST_AUTO_TEST_CASE(a_value_must_be_finite_only_where_its_weight_is_not_0) {
  CHECK_DATA_ERROR(caught([] {
                     datum{parts(), old_logprobs = {-1, -2, missing, -4, -5}};
                   }),
                   -1, 2, "old_logprobs", "nan");
  CHECK_DATA_ERROR(caught([] { datum{parts(), old_logprobs = {-2, -inf, -5}}; }), -1, 2, "old_logprobs", "-inf");
  CHECK_DATA_ERROR(caught([] {
                     datum{parts(), token_advantage = std::vector<float>{1, 1, 1, 1, float(inf)}};
                   }),
                   -1, 4, "token_advantage", "inf");
  BOOST_TEST(says(caught([] {
                    datum{parts(), values = {0, missing, 0, 0, 0}};
                  }),
                  "the value is nan where the weight is not 0"));
  // Tokens 0 and 3 are the prompt's.
  const datum d{parts(), old_logprobs = {missing, -2, -3, inf, -5}};
  BOOST_TEST(values_of(d, "logprobs")[3] == inf);
  BOOST_CHECK_NO_THROW(
      (datum{parts(), old_logprobs = {missing, -2, missing, missing, -5}, weights = {0, 1, 0, 0, -1}}));
}

BOOST_AUTO_TEST_CASE(a_sequence_value_must_be_finite_unless_every_token_is_masked) {
  CHECK_DATA_ERROR(caught([] { datum{parts(), advantage = missing}; }), -1, -1, "advantage", "nan");
  CHECK_DATA_ERROR(caught([] {
                     datum{parts(), advantage = -inf, weights = {0, 0, 0, 0, 2}};
                   }),
                   -1, -1, "advantage", "-inf");
  BOOST_CHECK_NO_THROW((datum{parts(), advantage = missing, weights = {0, 0, 0, 0, 0}}));
}

BOOST_AUTO_TEST_CASE(a_weight_is_finite_everywhere) {
  CHECK_DATA_ERROR(caught([] { datum{parts(), weights = {1, 1, missing, 1, 1}}; }), -1, 2, "weights", "nan");
  CHECK_DATA_ERROR(caught([] { datum{parts(), weights = (1 / 0.) * response_only}; }), -1, 1, "weights", "inf");
  const datum d{parts(), weights = {-1, 0.5, 0, 2, 1e-30}};  // any sign is a weight
  CHECK_SAME(values_of(d, "weights"), (reals{-1, 0.5, 0, 2, 1e-30}));
}

BOOST_AUTO_TEST_CASE(candidates_are_k_ids_a_target_or_a_response_token) {
  const std::vector<std::vector<int>> rows{{1, 2}, {3, 4}, {5, 6}, {7, 8}, {9, 10}};
  const std::vector<std::vector<float>> teacher{{.1f, .2f}, {.3f, .4f}, {.5f, .6f}, {.7f, .8f}, {.9f, 1.f}};
  const datum d{parts(), candidates = rows, candidate_teacher_logprobs = teacher};
  const auto ids = d.loss_fn_inputs["target_tokens"];
  BOOST_TEST(ids.dtype == "int64");
  BOOST_TEST((ids.shape == tensor_shape{5, 2}));
  CHECK_SAME(reals(ids.data.begin(), ids.data.end()), (reals{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  const auto values = d.loss_fn_inputs["candidate_teacher_logprobs"];
  BOOST_TEST((values.shape == tensor_shape{5, 2}));
  BOOST_TEST(values.data[6] == double(.7f));

  // One row a response token: targets 1, 2 and 4.
  const std::vector<std::vector<std::int64_t>> answer{{1, 2}, {3, 4}, {5, 6}};
  const datum e{parts(), candidate_teacher_logprobs = {1., 2., 3., 4., 5., 6.}, candidates = answer};
  CHECK_SAME(values_of(e, "target_tokens"), (reals{0, 0, 1, 2, 3, 4, 0, 0, 5, 6}));
  CHECK_SAME(values_of(e, "candidate_teacher_logprobs"), (reals{0, 0, 1, 2, 3, 4, 0, 0, 5, 6}));
  CHECK_SAME(values_of(e, "weights"), (reals{0, 1, 1, 0, 1}));

  // Flat, row-major.
  const datum f{parts(), candidates = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}};
  BOOST_TEST((f.loss_fn_inputs["target_tokens"].shape == tensor_shape{5, 2}));
  const datum g{parts(), candidates = {1, 2, 3}};  // 3 divides by the response only
  BOOST_TEST((g.loss_fn_inputs["target_tokens"].shape == tensor_shape{5, 1}));
  const std::vector<int> fifteen(15, 1);
  const datum h{parts(), candidates = matrix(fifteen, 5)};  // 15 is 5 rows of 3 or 3 rows of 5
  BOOST_TEST((h.loss_fn_inputs["target_tokens"].shape == tensor_shape{5, 5}));
}

BOOST_AUTO_TEST_CASE(explicit_targets_may_be_k_a_token) {
  const datum d{model_input({1, 2}), target_tokens = std::vector<std::vector<int>>{{5, 6, 7}, {8, 9, 10}},
                candidate_logprobs = {-1, -2, -3, -4, -5, -6}};
  BOOST_TEST((d.loss_fn_inputs["target_tokens"].shape == tensor_shape{2, 3}));
  CHECK_SAME(values_of(d, "target_tokens"), (reals{5, 6, 7, 8, 9, 10}));
  CHECK_SAME(values_of(d, "logprobs"), (reals{-1, -2, -3, -4, -5, -6}));
  const datum flat{model_input({1, 2}), target_tokens = {5, 6, 7, 8, 9, 10}};
  BOOST_TEST((flat.loss_fn_inputs["target_tokens"].shape == tensor_shape{2, 3}));
  // A mask sees the first candidate.
  const datum masked{model_input({1, 2}), target_tokens = {5, 6, 8, 9}, weights = is_token(8)};
  CHECK_SAME(values_of(masked, "weights"), (reals{0, 1}));
}

BOOST_AUTO_TEST_CASE(candidates_that_do_not_fit) {
  CHECK_DATA_ERROR(caught([] { datum{parts(), candidates = {1, 2, 3, 4}}; }), -1, -1, "candidates", "4");
  CHECK_DATA_ERROR(caught([] { datum{parts(), candidates = std::vector<int>(15, 1)}; }), -1, -1, "candidates", "15");
  BOOST_TEST(
      says(caught([] {
             datum{parts(), candidates = std::vector<int>(15, 1)};
           }),
           "15 values can be 3 candidates a target or 5 a response token; say which with matrix(values, candidates)"));
  CHECK_DATA_ERROR(caught([] {
                     datum{parts(), candidates = std::vector<std::vector<int>>{{1, 2}, {3}}};
                   }),
                   -1, 1, "candidates", "1");
  CHECK_DATA_ERROR(caught([] {
                     datum{parts(), candidates = std::vector<std::vector<int>>{}};
                   }),
                   -1, -1, "candidates", "");
  CHECK_DATA_ERROR(caught([] {
                     datum{parts(), candidates = matrix(std::vector<int>(8, 1), 2)};
                   }),
                   -1, -1, "candidates", "4");
  CHECK_DATA_ERROR(caught([] {
                     datum{parts(), candidates = matrix(std::vector<int>(7, 1), 2)};
                   }),
                   -1, -1, "candidates", "7");
  CHECK_DATA_ERROR(caught([] { datum{parts(), candidates = {1, 2, 3, -4, 5}}; }), -1, 3, "candidates", "-4");
  CHECK_DATA_ERROR(caught([] {
                     datum{parts(), candidate_logprobs = {1, 2, 3, 4, 5}};
                   }),
                   -1, -1, "candidate_logprobs", "");
  CHECK_DATA_ERROR(caught([] {
                     datum{parts(), candidates = matrix(std::vector<int>(10, 1), 2), candidate_logprobs = {1, 2, 3}};
                   }),
                   -1, -1, "candidate_logprobs", "3");
  // Token 2, candidate 1.
  const auto thrown = caught([] {
    datum{parts(), candidates = matrix(std::vector<int>(10, 1), 2),
          candidate_logprobs = {0, missing, 0, 0, 0, missing, 0, 0, 0, 0}};
  });
  CHECK_DATA_ERROR(thrown, -1, 2, "candidate_logprobs", "nan");
  BOOST_TEST(says(thrown, "at candidate 1"));
}

BOOST_AUTO_TEST_SUITE_END()
