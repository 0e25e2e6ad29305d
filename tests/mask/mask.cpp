// SPDX-License-Identifier: Apache-2.0
// Masks, worked out by hand on one conversation:
//
//   tokens    1 2 3 | 4 5 | 6 | 7 5 8 | 9
//   roles     p p p   r r   p   r r r   r        the last two parts are one turn
//   targets     2 3   4 5   6   7 5 8   9
//   position    0 1   2 3   4   5 6 7   8        length 9
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <set>
#include <vector>

#include <gradwire/datum.hpp>

#include "../datum/caught.hpp"

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using reals = std::vector<double>;

token_sequence parts() {
  return prompt({1, 2, 3}) + response({4, 5}) + prompt({6}) + response({7, 5, 8}) + response({9});
}

template <class Mask>
reals evaluated(const token_sequence& tokens, const Mask& mask) {
  const datum d{tokens, weights = mask};
  const auto data = d.loss_fn_inputs["weights"].data;
  return reals(data.begin(), data.end());
}
template <class Mask>
reals evaluated(const Mask& mask) {
  return evaluated(parts(), mask);
}

struct fading {  // a mask of one's own
  using mask_tag = void;
  double half_life = 1;
  double operator()(const token_context& token) const { return 1 / (1 + double(token.position) / half_life); }
};

}  // namespace

#define CHECK_SAME(a, b) BOOST_TEST((a) == (b), boost::test_tools::per_element())

BOOST_AUTO_TEST_SUITE(mask_expressions)

BOOST_AUTO_TEST_CASE(by_role_and_turn) {
  CHECK_SAME(evaluated(all_tokens), (reals{1, 1, 1, 1, 1, 1, 1, 1, 1}));
  CHECK_SAME(evaluated(response_only), (reals{0, 0, 1, 1, 0, 1, 1, 1, 1}));
  CHECK_SAME(evaluated(prompt_only), (reals{1, 1, 0, 0, 1, 0, 0, 0, 0}));
  CHECK_SAME(evaluated(last_turn), (reals{0, 0, 0, 0, 0, 1, 1, 1, 1}));
  CHECK_SAME(evaluated(turn(0)), (reals{0, 0, 1, 1, 0, 0, 0, 0, 0}));
  CHECK_SAME(evaluated(turn(1)), evaluated(last_turn));
  CHECK_SAME(evaluated(turn(-2)), evaluated(turn(0)));
  CHECK_SAME(evaluated(turn(2)), reals(9, 0));
  CHECK_SAME(evaluated(turn(-3)), reals(9, 0));
  CHECK_SAME(evaluated(part(0)), (reals{1, 1, 0, 0, 0, 0, 0, 0, 0}));
  CHECK_SAME(evaluated(part(-1)), (reals{0, 0, 0, 0, 0, 0, 0, 0, 1}));
  CHECK_SAME(evaluated(part(3)), (reals{0, 0, 0, 0, 0, 1, 1, 1, 0}));
}

BOOST_AUTO_TEST_CASE(a_prompt_without_an_answer_has_no_turn) {
  CHECK_SAME(evaluated(prompt({1, 2}) + prompt({3}), last_turn), (reals{0, 0}));
  CHECK_SAME(evaluated(response({1}) + prompt({2, 3}), last_turn), (reals{0, 0}));  // its only token is no target
}

BOOST_AUTO_TEST_CASE(by_token) {
  CHECK_SAME(evaluated(is_token(5)), (reals{0, 0, 0, 1, 0, 0, 1, 0, 0}));
  CHECK_SAME(evaluated(is_token(9, 2, 100)), (reals{1, 0, 0, 0, 0, 0, 0, 0, 1}));
  CHECK_SAME(evaluated(is_token(std::vector<int>{8, 4, 8})), (reals{0, 0, 1, 0, 0, 0, 0, 1, 0}));
  CHECK_SAME(evaluated(is_token(std::set<std::int64_t>{6})), (reals{0, 0, 0, 0, 1, 0, 0, 0, 0}));
  CHECK_SAME(evaluated(is_token(std::vector<int>{})), reals(9, 0));
  CHECK_SAME(evaluated(token_id >= 7), (reals{0, 0, 0, 0, 0, 1, 0, 1, 1}));
  CHECK_DATA_ERROR(caught([] { is_token(-1); }), -1, -1, "weights", "-1");
  CHECK_DATA_ERROR(caught([] { is_token(3, -2); }), -1, -1, "weights", "-2");
}

BOOST_AUTO_TEST_CASE(by_position) {
  CHECK_SAME(evaluated(position < 2), (reals{1, 1, 0, 0, 0, 0, 0, 0, 0}));
  CHECK_SAME(evaluated(position >= length - 2), (reals{0, 0, 0, 0, 0, 0, 0, 1, 1}));
  CHECK_SAME(evaluated(2 > position), evaluated(position < 2));
  CHECK_SAME(evaluated(position != 4), (reals{1, 1, 1, 1, 0, 1, 1, 1, 1}));
  CHECK_SAME(evaluated(position % 3 == 0), (reals{1, 0, 0, 1, 0, 0, 1, 0, 0}));
  CHECK_SAME(evaluated(2 * position + 1 <= length), (reals{1, 1, 1, 1, 1, 0, 0, 0, 0}));
  CHECK_SAME(evaluated(length > 8), reals(9, 1));
  CHECK_SAME(evaluated(position < length / 2), (reals{1, 1, 1, 1, 0, 0, 0, 0, 0}));
  // Inside a part, counted in its own tokens: the first token of the sequence is at 0 and no target.
  CHECK_SAME(evaluated(part_position == 0), (reals{0, 0, 1, 0, 1, 1, 0, 0, 1}));
  CHECK_SAME(evaluated(part_position == part_length - 1), (reals{0, 1, 0, 1, 1, 0, 0, 1, 1}));
  BOOST_TEST((caught([] { evaluated(position % (length - 9) == 0); }).kind() == errc::data));
}

BOOST_AUTO_TEST_CASE(joined) {
  CHECK_SAME(evaluated(last_turn && !is_token(5)), (reals{0, 0, 0, 0, 0, 1, 0, 1, 1}));
  CHECK_SAME(evaluated(turn(0) || is_token(9)), (reals{0, 0, 1, 1, 0, 0, 0, 0, 1}));
  CHECK_SAME(evaluated(!(response_only || position < 1)), (reals{0, 1, 0, 0, 1, 0, 0, 0, 0}));
}

BOOST_AUTO_TEST_CASE(weighed) {
  CHECK_SAME(evaluated(0.5 * response_only), (reals{0, 0, .5, .5, 0, .5, .5, .5, .5}));
  CHECK_SAME(evaluated(0.25 * response_only + 0.5 * last_turn), (reals{0, 0, .25, .25, 0, .75, .75, .75, .75}));
  CHECK_SAME(evaluated(last_turn * 2 + prompt_only), (reals{1, 1, 0, 0, 1, 2, 2, 2, 2}));
  CHECK_SAME(evaluated(all_tokens - 0.5 * prompt_only), (reals{.5, .5, 1, 1, .5, 1, 1, 1, 1}));
  CHECK_SAME(evaluated(0.5 * response_only * is_token(5)), (reals{0, 0, 0, .5, 0, 0, .5, 0, 0}));
  CHECK_SAME(evaluated(3 * (turn(0) && is_token(4))), (reals{0, 0, 3, 0, 0, 0, 0, 0, 0}));
}

BOOST_AUTO_TEST_CASE(one_s_own) {
  CHECK_SAME(evaluated(fading{2} * (position < 3)), (reals{1, 1 / 1.5, 1 / 2., 0, 0, 0, 0, 0, 0}));
  CHECK_SAME(evaluated([](const token_context& token) { return token.token % 2 == 0; }),
             (reals{1, 0, 1, 0, 1, 0, 0, 1, 0}));
  CHECK_SAME(evaluated(mask_by([](const token_context& token) { return token.token > 4; }) && turn(0)),
             (reals{0, 0, 0, 1, 0, 0, 0, 0, 0}));
  BOOST_TEST((caught([] { evaluated(fading{0}); }).details().token == 0));  // 0 / 0
}

BOOST_AUTO_TEST_CASE(on_targets_that_are_given_apart) {
  const datum d{model_input({1, 2, 3}), target_tokens = {7, 8, 9}, weights = is_token(8) || position == 0};
  const auto data = d.loss_fn_inputs["weights"].data;
  CHECK_SAME(reals(data.begin(), data.end()), (reals{1, 1, 0}));
  const datum e{model_input({1, 2}), target_tokens = {7, 8}, weights = part_position == 0 && last_turn};
  CHECK_SAME(reals({e.loss_fn_inputs["weights"].data[0], e.loss_fn_inputs["weights"].data[1]}), (reals{1, 0}));
}

BOOST_AUTO_TEST_CASE(masks_know_what_they_are_at_compile_time) {
  static_assert(mask_expression<decltype(response_only)> && mask_expression<decltype(0.5 * response_only)>);
  static_assert(!mask_expression<decltype(position)> && mask_expression<decltype(position < 3)>);
  static_assert((position < 3)(token_context{.position = 2}));
  static_assert((0.5 * response_only)(token_context{.role = part_role::response}) == 0.5);
  static_assert(sizeof(response_only && !prompt_only) == 1);
}

BOOST_AUTO_TEST_SUITE_END()
