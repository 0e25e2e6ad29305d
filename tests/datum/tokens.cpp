// SPDX-License-Identifier: Apache-2.0
// Tokens, targets and default weights, worked out by hand: the model reads tokens 0 … n-2, target t is token t + 1.
#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <list>
#include <utility>
#include <vector>

#include <gradwire/datum.hpp>

#include "caught.hpp"

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using ids = std::vector<std::int32_t>;
using reals = std::vector<double>;

template <class Datum>
ids inputs(const Datum& d) {
  return ids(d.model_input.begin(), d.model_input.end());
}

template <class Datum>
ids targets(const Datum& d) {
  const std::span<const std::int32_t> all = d.loss_fn_inputs["target_tokens"].data;
  return ids(all.begin(), all.end());
}

template <class Datum>
reals weights_of(const Datum& d) {
  const auto data = d.loss_fn_inputs["weights"].data;
  return reals(data.begin(), data.end());
}

struct exchange {  // what a user's own code may hold
  ids prompt, response;
};

}  // namespace

#define CHECK_SAME(a, b) BOOST_TEST((a) == (b), boost::test_tools::per_element())

BOOST_AUTO_TEST_SUITE(tokens)

//  tokens    10 11 12 | 20 21 22
//  inputs    10 11 12   20 21
//  targets      11 12   20 21 22
//  weights       0  0    1  1  1
BOOST_AUTO_TEST_CASE(one_turn_is_shifted_by_one) {
  const datum d{prompt({10, 11, 12}) + response({20, 21, 22})};
  CHECK_SAME(inputs(d), (ids{10, 11, 12, 20, 21}));
  CHECK_SAME(targets(d), (ids{11, 12, 20, 21, 22}));
  CHECK_SAME(weights_of(d), (reals{0, 0, 1, 1, 1}));
  BOOST_TEST(d.size() == 5u);
}

//  tokens    1 2 | 3 4 | 5 | 6 | 7 8
//  roles     p p   r r   p   r   p p
//  targets     2   3 4   5   6   7 8
//  weights     0   1 1   0   1   0 0
BOOST_AUTO_TEST_CASE(several_turns_in_any_order) {
  const datum d{prompt({1, 2}) + response({3, 4}) + prompt({5}) + response({6}) + prompt({7, 8})};
  CHECK_SAME(inputs(d), (ids{1, 2, 3, 4, 5, 6, 7}));
  CHECK_SAME(targets(d), (ids{2, 3, 4, 5, 6, 7, 8}));
  CHECK_SAME(weights_of(d), (reals{0, 1, 1, 0, 1, 0, 0}));
}

BOOST_AUTO_TEST_CASE(the_first_token_is_never_a_target_even_of_a_response) {
  const datum d{response({5, 6, 7})};
  CHECK_SAME(targets(d), (ids{6, 7}));
  CHECK_SAME(weights_of(d), (reals{1, 1}));
  const datum e{prompt({}) + response({5, 6}) + prompt({}) + response({}) + prompt({7})};
  CHECK_SAME(targets(e), (ids{6, 7}));
  CHECK_SAME(weights_of(e), (reals{1, 0}));
}

BOOST_AUTO_TEST_CASE(datums_of_one_and_of_three_turns_have_one_type) {
  const datum one{prompt({1, 2}) + response({3}), advantage = 1};
  const datum three{prompt({1}) + response({2}) + prompt({3}) + response({4}) + prompt({5}) + response({6}),
                    advantage = 2};
  static_assert(std::is_same_v<decltype(one), decltype(three)>);
  const batch data{one, three};
  BOOST_TEST(data.size() == 2u);
}

BOOST_AUTO_TEST_CASE(turns_takes_a_run_time_number_of_sums_pairs_or_objects) {
  const ids expected_inputs{1, 2, 3, 4, 5}, expected_targets{2, 3, 4, 5, 6};
  const reals expected_weights{0, 1, 0, 1, 1};
  const auto check = [&](const auto& d) {
    CHECK_SAME(inputs(d), expected_inputs);
    CHECK_SAME(targets(d), expected_targets);
    CHECK_SAME(weights_of(d), expected_weights);
  };
  check(datum{turns(std::vector{prompt({1, 2}) + response({3}), prompt({4}) + response({5, 6})})});
  const std::list<token_sequence> listed{prompt({1, 2}) + response({3}), prompt({4}) + response({5, 6})};
  check(datum{turns(listed)});
  check(datum{turns(std::vector<exchange>{{{1, 2}, {3}}, {{4}, {5, 6}}})});
  const std::vector<std::pair<ids, std::vector<std::int64_t>>> pairs{{{1, 2}, {3}}, {{4}, {5, 6}}};
  check(datum{turns(pairs)});
  check(datum{prompt({1, 2}) + response({3}) + turns(std::vector<exchange>{{{4}, {5, 6}}})});
}

BOOST_AUTO_TEST_CASE(a_sum_can_grow_in_a_loop_and_be_used_again) {
  token_sequence conversation = prompt({1});
  for (int i = 2; i < 4; ++i) conversation += response(std::vector<int>{i});
  const token_sequence twice = conversation + conversation;
  conversation += conversation;
  for (const auto& parts : {twice, conversation}) {
    const datum d{parts};
    CHECK_SAME(inputs(d), (ids{1, 2, 3, 1, 2}));
    CHECK_SAME(weights_of(d), (reals{1, 1, 0, 1, 1}));
  }
}

BOOST_AUTO_TEST_CASE(every_integer_type_is_a_token_id) {
  const std::uint8_t bytes[] = {1, 255};
  const std::array<std::uint16_t, 1> shorts{65535};
  const datum d{prompt(bytes) + prompt(shorts) + response(std::vector<std::uint32_t>{2147483647u}) +
                response(std::vector<std::int64_t>{7}) + response(std::vector<std::uint64_t>{8}) +
                response(std::vector<std::int8_t>{9}) + response(std::vector<short>{10})};
  CHECK_SAME(inputs(d), (ids{1, 255, 65535, 2147483647, 7, 8, 9}));
  CHECK_SAME(targets(d), (ids{255, 65535, 2147483647, 7, 8, 9, 10}));
}

BOOST_AUTO_TEST_CASE(explicit_targets_are_not_shifted_and_weigh_1) {
  const datum d{model_input({1, 2, 3}), target_tokens = {2, 3, 9}};
  CHECK_SAME(inputs(d), (ids{1, 2, 3}));
  CHECK_SAME(targets(d), (ids{2, 3, 9}));
  CHECK_SAME(weights_of(d), (reals{1, 1, 1}));
  const datum e{model_input(std::vector<int>{1}), weights = {0.5}, target_tokens = std::vector<std::int64_t>{2}};
  CHECK_SAME(weights_of(e), (reals{0.5}));
  // Targets of one's own for tokens that come as parts: the parts then only give the weights.
  const datum own{prompt({1, 2}) + response({3, 4}), target_tokens = {7, 8, 9}};
  CHECK_SAME(inputs(own), (ids{1, 2, 3}));
  CHECK_SAME(targets(own), (ids{7, 8, 9}));
  CHECK_SAME(weights_of(own), (reals{0, 1, 1}));
}

BOOST_AUTO_TEST_CASE(too_few_tokens) {
  CHECK_DATA_ERROR(caught([] { datum{prompt({}) + response({})}; }), -1, -1, "tokens", "0");
  CHECK_DATA_ERROR(caught([] { datum{prompt({}) + response({3})}; }), -1, -1, "tokens", "1");
  CHECK_DATA_ERROR(caught([] { datum{token_sequence()}; }), -1, -1, "tokens", "0");
  BOOST_TEST(says(caught([] { datum{prompt({5})}; }), "a datum of 1 token has no target; it takes at least 2"));
  CHECK_DATA_ERROR(caught([] { datum{model_input(ids()), target_tokens = ids()}; }), -1, -1, "model_input", "0");
}

BOOST_AUTO_TEST_CASE(a_bad_token_id_is_named_by_its_place_in_the_sequence) {
  CHECK_DATA_ERROR(caught([] { datum{prompt({1, 2, 3}) + response({4, -5})}; }), -1, 4, "tokens", "-5");
  CHECK_DATA_ERROR(caught([] { datum{prompt(ids{-1, 2})}; }), -1, 0, "tokens", "-1");
  CHECK_DATA_ERROR(caught([] { datum{prompt({1, 2147483648})}; }), -1, 1, "tokens", "2147483648");
  CHECK_DATA_ERROR(caught([] { datum{prompt(std::vector<unsigned>{1, 4294967295u})}; }), -1, 1, "tokens", "4294967295");
  CHECK_DATA_ERROR(caught([] { datum{model_input({1, -2}), target_tokens = {3, 4}}; }), -1, 1, "model_input", "-2");
  CHECK_DATA_ERROR(caught([] { datum{model_input({1, 2}), target_tokens = {3, -4}}; }), -1, 1, "target_tokens", "-4");
  BOOST_TEST(says(caught([] { datum{prompt({1, -7})}; }), "token 1: the token id -7 is negative"));
  BOOST_TEST(says(caught([] { datum{prompt({1, 2147483648})}; }), "2147483648 is above 2147483647, the largest int32"));
  BOOST_CHECK_THROW((datum{prompt(std::vector<std::uint64_t>{1, ~0ull})}), error);
}

BOOST_AUTO_TEST_CASE(explicit_targets_have_the_input_s_length) {
  CHECK_DATA_ERROR(caught([] { datum{model_input({1, 2, 3}), target_tokens = {2, 3}}; }), -1, -1, "target_tokens", "2");
  CHECK_DATA_ERROR(caught([] {
                     datum{model_input({1, 2, 3}), target_tokens = {2, 3, 4, 5}};
                   }),
                   -1, -1, "target_tokens", "4");
  BOOST_TEST(says(caught([] {
                    datum{model_input({1, 2}), target_tokens = {2}};
                  }),
                  "1 target tokens for 2 input tokens"));
}

BOOST_AUTO_TEST_SUITE_END()
