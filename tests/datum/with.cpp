// SPDX-License-Identifier: Apache-2.0
// with(field = values, batch): shapes that are taken, what stays, what is refused.
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include <gradwire/datum.hpp>

#include "caught.hpp"

using namespace gradwire;
using namespace gradwire::fields;

inline constexpr field<"baseline", per_group> baseline{};
inline constexpr field<"temperature", per_batch> temperature{};

namespace {

using reals = std::vector<double>;
using ragged = std::vector<std::vector<float>>;
constexpr double missing = std::numeric_limits<double>::quiet_NaN();

//  sequence 0: targets 2 | 3 4      sequence 1: targets 2 | 3      sequence 2: all masked
auto make() {
  const datum a{prompt({1, 2}) + response({3, 4}), old_logprobs = {-1, -2, -3}};
  const datum b{prompt({1, 2}) + response({3}), old_logprobs = {-4, -5}};
  const datum c{prompt({1, 2}), old_logprobs = {-6}};
  return batch{group(a, b), group(c)};
}

template <class Batch, class F>
reals row(const Batch& data, F field, std::size_t s) {
  const auto values = data.column(field)[s];
  return reals(values.begin(), values.end());
}

}  // namespace

#define CHECK_SAME(a, b) BOOST_TEST((a) == (b), boost::test_tools::per_element())

BOOST_AUTO_TEST_SUITE(with_one_column_more)

BOOST_AUTO_TEST_CASE(rows_of_the_targets_and_flat_values_are_the_same) {
  const auto data = make();
  const auto by_rows = with(ref_logprobs = ragged{{1, 2, 3}, {4, 5}, {6}}, data);
  const auto flat = with(ref_logprobs = {1, 2, 3, 4, 5, 6}, data);
  for (const auto& more : {by_rows, flat}) {
    CHECK_SAME(row(more, ref_logprobs, 0), (reals{1, 2, 3}));
    CHECK_SAME(row(more, ref_logprobs, 1), (reals{4, 5}));
    CHECK_SAME(row(more, ref_logprobs, 2), (reals{6}));
    for (std::size_t t = 3; t < 16; ++t) BOOST_TEST(more.data(ref_logprobs)[t] == 0);
  }
  static_assert(!decltype(data)::has<std::remove_const_t<decltype(ref_logprobs)>>);
  static_assert(decltype(by_rows)::has<std::remove_const_t<decltype(ref_logprobs)>>);
}

BOOST_AUTO_TEST_CASE(rows_of_the_response_are_placed) {
  const datum a{prompt({1, 2}) + response({3, 4}) + prompt({5, 6}) + response({7})};
  const datum b{prompt({1, 2, 3}) + response({4})};
  const batch data{a, b};
  const auto by_rows = with(logprobs = ragged{{-3, -4, -7}, {-4}}, data);
  const auto flat = with(logprobs = {-3, -4, -7, -4}, data);
  for (const auto& more : {by_rows, flat}) {
    CHECK_SAME(row(more, logprobs, 0), (reals{0, -3, -4, 0, 0, -7}));
    CHECK_SAME(row(more, logprobs, 1), (reals{0, 0, -4}));
  }
  // Some rows of targets, some of responses.
  const auto mixed = with(logprobs = ragged{{-3, -4, -7}, {-2, -3, -4}}, data);
  CHECK_SAME(row(mixed, logprobs, 1), (reals{-2, -3, -4}));
}

BOOST_AUTO_TEST_CASE(coarser_fields_take_one_value_each_or_one_for_all) {
  const auto data = make();
  const auto more =
      with(reward = std::vector<int>{1, 2, 3}, baseline = {0.5, -0.5}, temperature = 0.7f, advantage = 2, data);
  CHECK_SAME(reals(more.data(reward), more.data(reward) + 3), (reals{1, 2, 3}));
  CHECK_SAME(reals(more.data(advantage), more.data(advantage) + 3), (reals{2, 2, 2}));
  CHECK_SAME(reals(more.data(baseline), more.data(baseline) + 2), (reals{0.5, -0.5}));
  BOOST_TEST(more.data(temperature)[0] == 0.7f);
  const auto all = with(baseline = 4, temperature = {0.25}, data);
  CHECK_SAME(reals(all.data(baseline), all.data(baseline) + 2), (reals{4, 4}));
  BOOST_TEST(all.data(temperature)[0] == 0.25);
  // Everything is visible through a datum; a group's value in each of its members.
  BOOST_TEST(more[1].loss_fn_inputs["baseline"].data[0] == 0.5);
  BOOST_TEST(more[2].loss_fn_inputs["baseline"].data[0] == -0.5);
  BOOST_TEST(more[2].loss_fn_inputs["temperature"].data[0] == double(0.7f));
}

BOOST_AUTO_TEST_CASE(a_field_that_is_there_is_replaced_and_the_old_batch_stays) {
  const auto data = make();
  const auto replaced = with(old_logprobs = ragged{{1, 2, 3}, {4, 5}, {6}}, data);
  static_assert(std::is_same_v<decltype(data), decltype(replaced)>);
  CHECK_SAME(row(replaced, old_logprobs, 1), (reals{4, 5}));
  CHECK_SAME(row(data, old_logprobs, 1), (reals{-4, -5}));
  auto changing = data;
  changing = with(old_logprobs = ragged{{7, 8, 9}, {7, 8}, {7}}, changing);  // a handle: the variable moves on
  CHECK_SAME(row(changing, old_logprobs, 2), (reals{7}));
  CHECK_SAME(row(data, old_logprobs, 2), (reals{-6}));
}

BOOST_AUTO_TEST_CASE(new_weights_have_new_sums) {
  const auto data = make();
  const auto masked = with(weights = is_token(4) || prompt_only, data);
  CHECK_SAME(row(masked, weights, 0), (reals{1, 0, 1}));
  CHECK_SAME(row(masked, weights, 1), (reals{1, 0}));
  CHECK_SAME(row(masked, weights, 2), (reals{1}));
  BOOST_TEST(masked.weight_sum()[0] == 2);
  BOOST_TEST(masked.total_weight() == 4);
  BOOST_TEST(masked.counted_sequences() == 3u);
  BOOST_TEST(data.total_weight() == 3);
  BOOST_TEST(data.counted_sequences() == 2u);
  const auto given = with(weights = ragged{{0, 0.5, 0.25}, {2}, {0}}, data);  // the second row is the response's
  CHECK_SAME(row(given, weights, 1), (reals{0, 2}));
  BOOST_TEST(given.weight_sum()[0] == 0.75);
}

BOOST_AUTO_TEST_CASE(new_weights_may_not_uncover_what_is_missing) {
  const datum a{prompt({1, 2}) + response({3, 4}), old_logprobs = {missing, -2, -3}};
  const batch data{a, a};
  CHECK_DATA_ERROR(caught([&] { with(weights = all_tokens, data); }), 0, 0, "old_logprobs", "nan");
  const datum placed{prompt({1, 2}) + response({3, 4}), old_logprobs = {-2, -3}};
  const batch more{datum{prompt({1, 2}), old_logprobs = {-1}}, placed};
  CHECK_DATA_ERROR(caught([&] { with(weights = all_tokens, more); }), 1, 0, "old_logprobs", "");
  const auto reference = with(ref_logprobs = ragged{{-1}, {-2, -3}},
                              batch{datum{prompt({1, 2})}, datum{prompt({1, 2}) + response({3, 4})}});
  CHECK_DATA_ERROR(caught([&] { with(weights = all_tokens, reference); }), 1, 0, "ref_logprobs", "");
  BOOST_CHECK_NO_THROW(with(weights = 2 * response_only, reference));
}

BOOST_AUTO_TEST_CASE(a_column_of_the_same_layout_fits_any_field_of_its_extent) {
  const auto data = make();
  writable_column<float> forward(data.layout_handle(), per_token);
  for (auto each : rows(forward)) {
    for (float& value : each) value = -1;
  }
  const column<float> finished = std::move(forward);
  const auto more = with(logprobs = finished, ref_logprobs = data.column(old_logprobs), data);
  BOOST_TEST(more.data(logprobs) == finished.data());
  CHECK_SAME(row(more, ref_logprobs, 0), (reals{-1, -2, -3}));
  // A column that is there twice would lie at the same place of its page: that one is a copy.
  BOOST_TEST(more.data(ref_logprobs) != more.data(old_logprobs));
  const auto again = with(old_logprobs = more.column(logprobs), make());  // another batch of the same lengths
  CHECK_SAME(row(again, old_logprobs, 1), (reals{-1, -1}));
  // Another value type is converted.
  const auto precise =
      with(old_logprobs = finished, batch_of<double>(datum{prompt({1, 2}) + response({3, 4})},
                                                     datum{prompt({1, 2}) + response({3})}, datum{prompt({1, 2})}));
  BOOST_TEST(precise.data(old_logprobs)[16] == -1.0);
}

BOOST_AUTO_TEST_CASE(no_two_columns_of_a_batch_agree_modulo_4096) {
  const auto data = make();
  const auto made = [&](double value) {
    writable_column<float> forward(data.layout_handle(), per_token);
    for (auto each : rows(forward)) {
      for (float& x : each) x = float(value);
    }
    return column<float>(std::move(forward));
  };
  const auto more = with(logprobs = made(1), ref_logprobs = made(2), teacher_logprobs = made(3),
                         sampler_logprobs = made(4), values = made(5), returns = made(6), data);
  const void* bases[] = {more.data(weights),      more.data(old_logprobs),     more.data(logprobs),
                         more.data(ref_logprobs), more.data(teacher_logprobs), more.data(sampler_logprobs),
                         more.data(values),       more.data(returns)};
  for (auto* a : bases) {
    for (auto* b : bases) {
      if (a != b) BOOST_TEST(reinterpret_cast<std::uintptr_t>(a) % 4096 != reinterpret_cast<std::uintptr_t>(b) % 4096);
    }
  }
  BOOST_TEST(more.data(returns)[0] == 6);
  BOOST_TEST(more.data(logprobs)[0] == 1);
}

BOOST_AUTO_TEST_CASE(candidates_come_flat_or_a_row_a_sequence) {
  const datum a{prompt({1, 2, 3}), candidates = {1, 2, 3, 4}, weights = all_tokens};
  const datum b{prompt({1, 2}), candidates = {5, 6}, weights = all_tokens};
  const batch data{a, b};
  const auto flat = with(candidate_logprobs = {1, 2, 3, 4, 5, 6}, data);
  const auto by_rows = with(candidate_logprobs = ragged{{1, 2, 3, 4}, {5, 6}}, data);
  for (const auto& more : {flat, by_rows}) {
    CHECK_SAME(
        reals(more.column(candidate_logprobs).plane(0, 1).begin(), more.column(candidate_logprobs).plane(0, 1).end()),
        (reals{2, 4}));
    BOOST_TEST(more.column(candidate_logprobs).plane(1, 0)[0] == 5);
  }
  CHECK_DATA_ERROR(caught([&] {
                     with(candidate_logprobs = ragged{{1, 2, 3}, {5, 6}}, data);
                   }),
                   0, -1, "candidate_logprobs", "3");
  CHECK_DATA_ERROR(caught([&] { with(candidate_logprobs = {1, 2, 3, 4}, data); }), -1, -1, "candidate_logprobs", "4");
  CHECK_DATA_ERROR(caught([&] {
                     with(candidate_logprobs = ragged{{1, missing, 3, 4}, {5, 6}}, data);
                   }),
                   0, 0, "candidate_logprobs", "nan");
  CHECK_DATA_ERROR(caught([] { with(candidate_logprobs = {1, 2}, make()); }), -1, -1, "candidate_logprobs", "");
}

BOOST_AUTO_TEST_CASE(wrong_shapes_are_refused_by_name) {
  const auto data = make();
  CHECK_DATA_ERROR(caught([&] { with(ref_logprobs = ragged{{1, 2, 3}, {4, 5}}, data); }), -1, -1, "ref_logprobs", "2");
  BOOST_TEST(says(caught([&] {
                    with(ref_logprobs = ragged{{1, 2, 3}, {4, 5}}, data);
                  }),
                  "2 rows, but the batch has 3 sequences"));
  CHECK_DATA_ERROR(caught([&] {
                     with(ref_logprobs = ragged{{1, 2, 3}, {4, 5, 6}, {7}}, data);
                   }),
                   1, -1, "ref_logprobs", "3");
  CHECK_DATA_ERROR(caught([&] { with(ref_logprobs = {1, 2, 3, 4, 5}, data); }), -1, -1, "ref_logprobs", "5");
  BOOST_TEST(says(caught([&] {
                    with(ref_logprobs = {1, 2, 3, 4, 5}, data);
                  }),
                  "5 values, but the batch has 6 targets"));
  CHECK_DATA_ERROR(caught([&] { with(reward = {1, 2}, data); }), -1, -1, "reward", "2");
  BOOST_TEST(says(caught([&] { with(reward = {1, 2}, data); }), "2 values, but the batch has 3 sequences"));
  BOOST_TEST(says(caught([&] { with(baseline = {1, 2, 3}, data); }), "3 values, but the batch has 2 groups"));
  BOOST_TEST(says(caught([&] { with(temperature = {1, 2}, data); }), "2 values, but the batch has 1 value"));
}

BOOST_AUTO_TEST_CASE(values_must_be_finite_where_they_count) {
  const auto data = make();
  CHECK_DATA_ERROR(caught([&] {
                     with(ref_logprobs = ragged{{0, 1, 2}, {0, float(missing)}, {0}}, data);
                   }),
                   1, 1, "ref_logprobs", "nan");
  BOOST_CHECK_NO_THROW(
      with(ref_logprobs = ragged{{float(missing), 1, 2}, {float(missing), 1}, {float(missing)}}, data));
  CHECK_DATA_ERROR(caught([&] { with(reward = {1, missing, 2}, data); }), 1, -1, "reward", "nan");
  BOOST_CHECK_NO_THROW(with(reward = {1, 2, missing}, data));  // sequence 2 is masked
  CHECK_DATA_ERROR(caught([&] { with(baseline = {missing, 0}, data); }), 0, -1, "baseline", "nan");
  BOOST_CHECK_NO_THROW(with(baseline = {0, missing}, data));
  CHECK_DATA_ERROR(caught([&] { with(temperature = missing, data); }), -1, -1, "temperature", "nan");
  CHECK_DATA_ERROR(caught([&] {
                     with(weights = ragged{{0, 1, 1}, {0, float(missing)}, {0}}, data);
                   }),
                   1, 1, "weights", "nan");
  CHECK_DATA_ERROR(caught([&] { with(weights = missing * response_only, data); }), 0, 1, "weights", "nan");
  CHECK_DATA_ERROR(caught([&] { with(reward = {1., 1e39, 1.}, data); }), 1, -1, "reward", "1e+39");
}

BOOST_AUTO_TEST_CASE(a_column_of_another_batch_must_have_its_shape) {
  const auto data = make();
  const batch other{datum{prompt({1, 2, 3})}, datum{prompt({1, 2, 3})}, datum{prompt({1, 2})}};
  const auto thrown = caught([&] { with(values = other.column(weights), data); });
  BOOST_TEST((thrown.kind() == errc::data));
  const batch same_groups{group(datum{prompt({1, 2, 3, 4})}, datum{prompt({1, 2, 3, 4})}),
                          group(datum{prompt({1, 2})})};
  CHECK_DATA_ERROR(caught([&] { with(values = same_groups.column(weights), data); }), 1, -1, "values", "3");
  BOOST_TEST(says(caught([&] { with(values = same_groups.column(weights), data); }),
                  "the column has 3 targets, but the batch 2"));
  const auto rewarded = with(reward = 1, data);
  BOOST_TEST(says(caught([&] { with(values = rewarded.column(reward), data); }),
                  "the field is per token, but the column per sequence"));
  BOOST_TEST(says(caught([&] { with(values = column<float>(), data); }), "an empty column"));
}

BOOST_AUTO_TEST_SUITE_END()
