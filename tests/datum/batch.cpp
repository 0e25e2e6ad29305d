// SPDX-License-Identifier: Apache-2.0
// Layout of a batch (alignment, padding, stagger), groups and roles, sums of weights, and what is refused.
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <limits>
#include <list>
#include <random>
#include <type_traits>
#include <vector>

#include <gradwire/datum.hpp>

#include "caught.hpp"

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using reals = std::vector<double>;
constexpr double missing = std::numeric_limits<double>::quiet_NaN();

// `targets` targets, the first of them the prompt's, with recognisable values.
datum_of<old_logprobs, advantage> sample(int number, std::size_t targets) {
  std::vector<int> answer(targets - 1, number);
  std::vector<double> sampled(targets);
  for (std::size_t t = 0; t < targets; ++t) sampled[t] = -number - 0.001 * double(t + 1);
  return datum{prompt({1, 2}) + response(answer), old_logprobs = sampled, advantage = number};
}

// Every promise about where values lie.
template <class Batch>
void check_layout(const Batch& data) {
  using T = typename Batch::value_type;
  const layout& shape = data.shape();
  BOOST_REQUIRE(shape.offset.size() == shape.sequences());
  BOOST_REQUIRE(shape.length.size() == shape.sequences());
  BOOST_REQUIRE(shape.role.size() == shape.sequences());
  BOOST_REQUIRE(shape.group_begin.size() == shape.groups() + 1);
  std::size_t tokens = 0, padded = 0;
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    BOOST_TEST(shape.offset[s] == padded);
    BOOST_TEST(shape.offset[s] % 16 == 0u);
    BOOST_TEST(shape.length[s] == data.target_tokens(s).size());
    BOOST_TEST(shape.length[s] == data.input_tokens(s).size());
    tokens += shape.length[s];
    padded += (shape.length[s] + 15) / 16 * 16;
  }
  BOOST_TEST(shape.tokens() == tokens);
  BOOST_TEST(shape.padded() == padded);
  BOOST_TEST(shape.group_begin[0] == 0u);
  BOOST_TEST(shape.group_begin[shape.groups()] == shape.sequences());
  for (std::size_t g = 0; g < shape.groups(); ++g) BOOST_TEST(shape.group_begin[g] < shape.group_begin[g + 1]);

  const auto zero_bytes = [](const void* from, const void* to) {
    for (auto* byte = static_cast<const unsigned char*>(from); byte != to; ++byte) {
      if (*byte) return false;
    }
    return true;
  };
  const auto per_token_column = [&](const T* values) {
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(values) % 64 == 0u);
    for (std::size_t s = 0; s < shape.sequences(); ++s) {
      const std::size_t next = s + 1 < shape.sequences() ? shape.offset[s + 1] : shape.padded();
      BOOST_TEST(zero_bytes(values + shape.offset[s] + shape.length[s], values + next));
    }
    BOOST_TEST(
        zero_bytes(values + shape.padded(), reinterpret_cast<const unsigned char*>(values + shape.padded()) + 64));
  };
  per_token_column(data.data(weights));
  per_token_column(data.data(old_logprobs));
  const T* advantages = data.data(advantage);
  BOOST_TEST(reinterpret_cast<std::uintptr_t>(advantages) % 64 == 0u);
  BOOST_TEST(zero_bytes(advantages + shape.sequences(),
                        reinterpret_cast<const unsigned char*>(advantages + shape.sequences()) + 64));

  const void* bases[] = {data.data(weights), data.data(old_logprobs), advantages};
  for (auto* a : bases) {
    for (auto* b : bases) {
      if (a != b) BOOST_TEST(reinterpret_cast<std::uintptr_t>(a) % 4096 != reinterpret_cast<std::uintptr_t>(b) % 4096);
    }
  }
}

}  // namespace

#define CHECK_SAME(a, b) BOOST_TEST((a) == (b), boost::test_tools::per_element())

BOOST_AUTO_TEST_SUITE(batches)

BOOST_AUTO_TEST_CASE(rows_are_ragged_contiguous_and_padded_to_lane_blocks) {
  const batch data{group(sample(1, 3), sample(2, 16)), group(sample(3, 17)), group(sample(4, 1), sample(5, 33))};
  static_assert(std::is_same_v<decltype(data)::value_type, float>);
  check_layout(data);
  const layout& shape = data.shape();
  CHECK_SAME(std::vector<std::size_t>(shape.offset.begin(), shape.offset.end()),
             (std::vector<std::size_t>{0, 16, 32, 64, 80}));
  CHECK_SAME(std::vector<std::size_t>(shape.length.begin(), shape.length.end()),
             (std::vector<std::size_t>{3, 16, 17, 1, 33}));
  CHECK_SAME(std::vector<std::size_t>(shape.group_begin.begin(), shape.group_begin.end()),
             (std::vector<std::size_t>{0, 2, 3, 5}));
  BOOST_TEST(shape.tokens() == 70u);
  BOOST_TEST(shape.padded() == 128u);
  BOOST_TEST(shape.candidates() == 0u);
  BOOST_TEST(data.data(old_logprobs)[32 + 16] == -3.017f);
  BOOST_TEST(data.data(old_logprobs)[80] == -5.001f);
  BOOST_TEST(data.data(advantage)[3] == 4);
  BOOST_TEST(data.data(weights)[16] == 0);
  BOOST_TEST(data.data(weights)[17] == 1);
}

BOOST_AUTO_TEST_CASE(random_batches_keep_the_layout_in_float_and_double) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<
        datum_group<field_list<std::remove_const_t<decltype(old_logprobs)>, std::remove_const_t<decltype(advantage)>>>>
        groups;
    std::vector<std::size_t> lengths;
    for (unsigned g = 0; g < 1 + random() % 5; ++g) {
      std::vector<datum_of<old_logprobs, advantage>> members;
      for (unsigned i = 0; i < 1 + random() % 4; ++i) {
        lengths.push_back(1 + random() % 70);
        members.push_back(sample(int(lengths.size()), lengths.back()));
      }
      groups.push_back(group(members));
    }
    const batch data{groups};
    const auto precise = batch_of<double>(groups);
    check_layout(data);
    check_layout(precise);
    BOOST_TEST(data.shape().groups() == groups.size());
    for (std::size_t s = 0; s < lengths.size(); ++s) {
      BOOST_TEST(data.shape().length[s] == lengths[s]);
      for (std::size_t t = 0; t < lengths[s]; ++t) {
        const double expected = -double(s + 1) - 0.001 * double(t + 1);
        BOOST_TEST(precise.data(old_logprobs)[precise.shape().offset[s] + t] == expected);
        BOOST_TEST(data.data(old_logprobs)[data.shape().offset[s] + t] == float(expected));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(fourteen_columns_lie_at_fourteen_places_of_their_pages) {
  for (unsigned a = 0; a < 14; ++a) {
    for (unsigned b = 0; b < a; ++b) {
      const std::size_t apart = (detail::stagger(a) - detail::stagger(b)) % 4096;
      BOOST_TEST(apart >= 256u);  // 4 cache lines at least, either way around the page
      BOOST_TEST(4096 - apart >= 256u);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_batch_is_made_from_datums_groups_or_ranges_of_them) {
  const auto a = sample(1, 2), b = sample(2, 3);
  const auto groups_of = [](const auto& data) {
    return std::vector<std::size_t>(data.shape().group_begin.begin(), data.shape().group_begin.end());
  };
  using begins = std::vector<std::size_t>;
  CHECK_SAME(groups_of(batch{a, b, a}), (begins{0, 1, 2, 3}));
  CHECK_SAME(groups_of(batch{group(a, b), a}), (begins{0, 2, 3}));
  CHECK_SAME(groups_of(batch{a, group(a, b)}), (begins{0, 1, 3}));
  CHECK_SAME(groups_of(batch{std::vector{a, b}}), (begins{0, 1, 2}));
  CHECK_SAME(groups_of(batch{std::vector{group(a, b), group(b)}}), (begins{0, 2, 3}));
  CHECK_SAME(groups_of(batch{group(std::vector{a, b, b})}), (begins{0, 3}));
  const std::list<decltype(group(a))> listed{group(a), group(b, a)};
  CHECK_SAME(groups_of(batch_of<float>(listed)), (begins{0, 1, 3}));
  const batch data{a};
  const batch copy{data};
  static_assert(std::is_same_v<decltype(data), decltype(copy)>);
}

BOOST_AUTO_TEST_CASE(datums_with_the_same_columns_in_another_order_share_a_batch) {
  const datum other{prompt({1, 2}) + response({3}), advantage = 9, old_logprobs = {-1, -2}};
  const batch data{group(sample(1, 2), other), group(other, sample(2, 2)), other};
  BOOST_TEST(data.data(advantage)[1] == 9);
  BOOST_TEST(data.data(old_logprobs)[16] == -1);
  BOOST_TEST(data.data(advantage)[2] == 9);
  BOOST_TEST(data.data(advantage)[3] == 2);
  BOOST_TEST(data.data(advantage)[4] == 9);
}

BOOST_AUTO_TEST_CASE(a_pair_is_chosen_and_rejected_in_either_order) {
  const auto c = sample(1, 2), r = sample(2, 3);
  const batch data{group(chosen(c), rejected(r)), group(rejected(r), chosen(c)), group(c, r)};
  const layout& shape = data.shape();
  CHECK_SAME(std::vector<int>(shape.role.begin(), shape.role.end()),
             (std::vector<int>{chosen_role, rejected_role, rejected_role, chosen_role, no_role, no_role}));
  BOOST_TEST(shape.length[0] == 2u);
  BOOST_TEST(shape.length[2] == 3u);
  static_assert(chosen_role == 1 && rejected_role == 2 && no_role == 0);
}

BOOST_AUTO_TEST_CASE(weights_are_summed_in_double_per_sequence_and_over_the_batch) {
  const datum a{prompt({1, 2}) + response({3, 4}), weights = {0.5, 0, -0.25}};
  const datum b{prompt({1, 2, 3}), weights = {0, 0}};
  const datum c{prompt({1}) + response({2, 3})};
  const batch data{a, b, c};
  BOOST_TEST(data.weight_sum()[0] == 0.25);
  BOOST_TEST(data.weight_sum()[1] == 0);
  BOOST_TEST(data.weight_sum()[2] == 2);
  BOOST_TEST(data.weight_count()[0] == 2);
  BOOST_TEST(data.weight_count()[1] == 0);
  BOOST_TEST(data.weight_count()[2] == 2);
  BOOST_TEST(data.total_weight() == 2.25);
  BOOST_TEST(data.total_count() == 4);
  BOOST_TEST(data.counted_sequences() == 2u);
}

BOOST_AUTO_TEST_CASE(candidates_are_stored_in_planes) {
  const std::vector<std::vector<int>> ids{{1, 2, 3}, {4, 5, 6}};
  const datum a{prompt({1, 2, 3}), candidates = ids, candidate_logprobs = {10, 11, 12, 20, 21, 22},
                weights = all_tokens};
  const datum b{prompt({1, 2}), candidates = {7, 8, 9}, candidate_logprobs = {30, 31, 32}, weights = all_tokens};
  const batch data{group(a, b)};
  BOOST_TEST(data.shape().candidates() == 3u);
  BOOST_TEST(data.shape().padded() == 32u);
  const float* values = data.data(candidate_logprobs);
  const float expected[3][3] = {{10, 20, 30}, {11, 21, 31}, {12, 22, 32}};
  for (std::size_t k = 0; k < 3; ++k) {
    BOOST_TEST(values[k * 32 + 0] == expected[k][0]);
    BOOST_TEST(values[k * 32 + 1] == expected[k][1]);
    BOOST_TEST(values[k * 32 + 16] == expected[k][2]);
    for (std::size_t t = 2; t < 16; ++t) BOOST_TEST(values[k * 32 + t] == 0);
    for (std::size_t t = 17; t < 32; ++t) BOOST_TEST(values[k * 32 + t] == 0);
    BOOST_TEST(data.column(candidate_logprobs).plane(1, k)[0] == expected[k][2]);
  }
  CHECK_SAME(std::vector<int>(data.candidate_tokens(0).begin(), data.candidate_tokens(0).end()),
             (std::vector<int>{1, 2, 3, 4, 5, 6}));
  CHECK_SAME(std::vector<int>(data.target_tokens(0).begin(), data.target_tokens(0).end()), (std::vector<int>{2, 3}));
}

BOOST_AUTO_TEST_CASE(everything_a_batch_shows_is_const) {
  using type = decltype(batch{sample(1, 2)});
  static_assert(std::is_same_v<decltype(std::declval<type&>().data(weights)), const float*>);
  static_assert(std::is_same_v<decltype(std::declval<type&>().shape()), const layout&>);
  static_assert(std::is_same_v<decltype(std::declval<type&>().weight_sum()), const double*>);
  static_assert(std::is_same_v<decltype(std::declval<type&>().column(weights)[0]), std::span<const float>>);
  static_assert(std::is_same_v<decltype(rows_of(weights, std::declval<type&>())[0]), std::span<const float>>);
  static_assert(type::has<std::remove_const_t<decltype(weights)>> &&
                type::has<std::remove_const_t<decltype(advantage)>> &&
                !type::has<std::remove_const_t<decltype(reward)>>);
}

BOOST_AUTO_TEST_CASE(a_ragged_view_shows_rows_of_their_real_lengths) {
  const batch data{sample(1, 3), sample(2, 20)};
  const auto view_of_rows = rows_of(old_logprobs, data);
  BOOST_TEST(view_of_rows.size() == 2u);
  BOOST_TEST(view_of_rows.tokens() == 23u);
  std::size_t s = 0;
  for (const auto row : view_of_rows) {
    BOOST_TEST(row.size() == data.shape().length[s]);
    BOOST_TEST(row.data() == data.data(old_logprobs) + data.shape().offset[s]);
    ++s;
  }
  writable_column<float> slope(data.layout_handle(), per_token);
  for (auto row : rows(slope)) {
    for (float& value : row) value = 2;
  }
  const column<float> finished = std::move(slope);
  BOOST_TEST(finished.size() == data.shape().padded());
  BOOST_TEST(finished[1][19] == 2);
  BOOST_TEST(finished.data()[3] == 0);  // between the rows
}

BOOST_AUTO_TEST_CASE(nothing_is_too_little) {
  const std::vector<datum_of<old_logprobs, advantage>> no_datums;
  const std::vector<decltype(group(sample(1, 2)))> no_groups;
  CHECK_DATA_ERROR(caught([&] { batch{no_datums}; }), -1, -1, "", "0");
  CHECK_DATA_ERROR(caught([&] { batch{no_groups}; }), -1, -1, "", "0");
  BOOST_TEST(says(caught([&] { batch{no_datums}; }), "an empty batch; it takes at least one datum"));
  BOOST_TEST(says(caught([&] { batch{group(sample(1, 2)), group(no_datums)}; }), "group 1 is empty"));
}

BOOST_AUTO_TEST_CASE(an_error_names_the_datum) {
  const auto too_large = [](double value, auto name) {
    const datum fine{prompt({1, 2}) + response({3}), name = {1, 2}};
    const datum bad{prompt({1, 2}) + response({3}), name = {1, value}};
    return caught([&] { batch{fine, group(fine, bad)}; });
  };
  CHECK_DATA_ERROR(too_large(1e300, old_logprobs), 2, 1, "old_logprobs", "1e+300");
  BOOST_TEST(says(too_large(-1e39, values), "datum 2, values, token 1: -1e+39 does not fit into a float"));
  CHECK_DATA_ERROR(too_large(1e300, weights), 2, 1, "weights", "1e+300");
  BOOST_CHECK_NO_THROW(batch_of<double>(datum{prompt({1, 2}) + response({3}), old_logprobs = {1, 1e300}}));

  // A borrowed column changed after the datum was made.
  std::vector<double> borrowed{-1, -2};
  const datum changed{prompt({1, 2}) + response({3}), old_logprobs = view(borrowed)};
  borrowed[1] = missing;
  CHECK_DATA_ERROR(caught([&] { batch{changed}; }), 0, 1, "old_logprobs", "nan");

  const datum three{prompt({1, 2}), candidates = {1, 2, 3}}, two{prompt({1, 2}), candidates = {1, 2}};
  CHECK_DATA_ERROR(caught([&] { batch{three, two}; }), 1, -1, "candidates", "2");
}

BOOST_AUTO_TEST_CASE(whole_numbers_stay_whole) {
  const auto with_id = [](auto id) { return datum{prompt({1, 2}), prompt_id = id}; };
  BOOST_TEST(batch{with_id(16777216)}.data(prompt_id)[0] == 16777216);
  CHECK_DATA_ERROR(caught([&] { batch{with_id(1), with_id(16777217)}; }), 1, -1, "prompt_id", "16777217");
  BOOST_TEST(
      says(caught([&] { batch{with_id(16777217)}; }), "is not exact as a float; make the batch with batch_of<double>"));
  BOOST_TEST(batch_of<double>(with_id(16777217)).data(prompt_id)[0] == 16777217);
  CHECK_DATA_ERROR(caught([] {
                     batch{datum{prompt({1, 2, 3}), values = std::vector<int>{5, 16777217}}};
                   }),
                   0, 1, "values", "16777217");

  // what names a part, given as a number of any kind: 2^24 and 2^24 + 1 are one float
  CHECK_DATA_ERROR(caught([&] { batch{with_id(16777216.0), with_id(16777217.0)}; }), 1, -1, "prompt_id", "16777217");
  BOOST_TEST(batch{with_id(16777218.0)}.data(prompt_id)[0] == 16777218);
  BOOST_TEST(batch{with_id(0.1)}.data(prompt_id)[0] == 0.1f);
  const batch both{with_id(1), with_id(2)};
  const auto exact = batch_of<double>(with_id(16777217), with_id(2));
  CHECK_DATA_ERROR(caught([&] { with(micro_batch = reals{1, 33554433}, both); }), 1, -1, "micro_batch", "33554433");
  CHECK_DATA_ERROR(caught([&] { with(datum_id = reals{123456789013, 1}, both); }), 0, -1, "datum_id", "123456789013");
  CHECK_DATA_ERROR(caught([&] { with(micro_batch = exact.column(prompt_id), both); }), 0, -1, "micro_batch",
                   "16777217");
  BOOST_TEST(with(reward = reals{16777217, 1}, both).data(reward)[0] ==
             16777216);  // a number like any other is rounded
}

BOOST_AUTO_TEST_SUITE_END()
