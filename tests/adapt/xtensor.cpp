// SPDX-License-Identifier: Apache-2.0
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <vector>

#include <gradwire/adapt/xtensor.hpp>
#include <gradwire/datum.hpp>

#if __has_include(<xtensor/xarray.hpp>)
#include <xtensor/xarray.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>
#else
#include <xtensor/containers/xarray.hpp>
#include <xtensor/containers/xtensor.hpp>
#include <xtensor/core/xmath.hpp>
#include <xtensor/views/xview.hpp>
#endif

#include "../datum/caught.hpp"

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using reals = std::vector<double>;

template <class Datum>
reals values_of(const Datum& d, std::string_view name) {
  const auto data = d.loss_fn_inputs[name].data;
  return reals(data.begin(), data.end());
}

token_sequence parts() { return prompt({1, 2}) + response({3, 4}); }  // 3 targets, 2 of the response

int evaluations = 0;
double counted(double x) {
  ++evaluations;
  return -x;
}

}  // namespace

#define CHECK_SAME(a, b) BOOST_TEST((a) == (b), boost::test_tools::per_element())

BOOST_AUTO_TEST_SUITE(xtensor_adapter)

BOOST_AUTO_TEST_CASE(a_lazy_expression_is_evaluated_once_into_the_column) {
  const xt::xarray<double> x{1, 2, 3};
  const auto lazy = xt::make_lambda_xfunction([](double value) { return counted(value); }, x);
  BOOST_TEST(evaluations == 0);
  const datum d{parts(), old_logprobs = lazy};
  const batch data{d};
  BOOST_TEST(evaluations == 3);
  CHECK_SAME(values_of(d, "old_logprobs"), (reals{-1, -2, -3}));
  BOOST_TEST(data.data(old_logprobs)[2] == -3);
}

BOOST_AUTO_TEST_CASE(containers_and_views_are_columns) {
  const xt::xtensor<float, 1> row{-1, -2, -3};
  const xt::xarray<double> table{{-1, -2, -3}, {-4, -5, -6}};
  CHECK_SAME(values_of(datum{parts(), old_logprobs = row}, "old_logprobs"), (reals{-1, -2, -3}));
  CHECK_SAME(values_of(datum{parts(), old_logprobs = xt::row(table, 1)}, "old_logprobs"), (reals{-4, -5, -6}));
  CHECK_SAME(values_of(datum{parts(), old_logprobs = xt::col(table, 2)}, "old_logprobs"),
             (reals{0, -3, -6}));  // the response's
  CHECK_SAME(values_of(datum{parts(), old_logprobs = xt::view(table, 1, xt::range(0, 3, 2))}, "old_logprobs"),
             (reals{0, -4, -6}));
  CHECK_SAME(values_of(datum{parts(), weights = row < -1.5f}, "weights"), (reals{0, 1, 1}));
  const xt::xtensor<int, 1> ids{7, 8};
  const datum d{prompt(ids) + response(ids + 10)};
  CHECK_SAME(values_of(d, "target_tokens"), (reals{8, 17, 18}));
}

BOOST_AUTO_TEST_CASE(an_rvalue_container_moves_and_a_view_borrows) {
  xt::xtensor<double, 1> row{-1, -2, -3};
  const void* const memory = row.data();
  const auto borrowed = (old_logprobs = gradwire::view(row));
  BOOST_TEST(borrowed.values.data == memory);
  const auto tail = xt::view(row, xt::range(1, 3));
  const auto part = (old_logprobs = gradwire::view(tail));
  BOOST_TEST(part.values.data == &row(1));
  const auto copied = (old_logprobs = row);
  BOOST_TEST(copied.values.data != memory);
  const auto moved = (old_logprobs = std::move(row));
  BOOST_TEST(moved.values.data == memory);
}

BOOST_AUTO_TEST_CASE(two_dimensions_are_candidates_in_any_storage_order) {
  const xt::xarray<int> ids{{1, 2}, {3, 4}, {5, 6}};
  const xt::xarray<double, xt::layout_type::column_major> teacher{{.1, .2}, {.3, .4}, {.5, .6}};
  const datum d{parts(), candidates = ids, candidate_teacher_logprobs = -teacher};
  CHECK_SAME(values_of(d, "target_tokens"), (reals{1, 2, 3, 4, 5, 6}));
  CHECK_SAME(values_of(d, "candidate_teacher_logprobs"), (reals{-.1, -.2, -.3, -.4, -.5, -.6}));
  const datum moved{parts(), candidates = xt::xarray<int>{{1, 2}, {3, 4}}};  // a row a response token
  CHECK_SAME(values_of(moved, "target_tokens"), (reals{0, 0, 1, 2, 3, 4}));
}

BOOST_AUTO_TEST_CASE(a_batch_takes_advantages_of_its_sequences_and_ragged_rows) {
  const batch data{group(datum{parts()}, datum{prompt({1}) + response({2})}), datum{parts()}};
  const xt::xtensor<double, 1> rewards{1, 2, 6};  // mean 3, variance (4 + 1 + 9) / 3
  const auto more = with(advantage = (rewards - xt::mean(rewards)()) / xt::stddev(rewards)(), data);
  const double deviation = std::sqrt(14. / 3);
  for (std::size_t s = 0; s < 3; ++s) BOOST_TEST(more.data(advantage)[s] == float((rewards(s) - 3) / deviation));

  const std::vector<xt::xtensor<float, 1>> rows_of_batch{{-1, -2, -3}, {-4}, {-5, -6}};
  const auto ragged = with(ref_logprobs = rows_of_batch, data);
  BOOST_TEST(ragged.column(ref_logprobs)[0][2] == -3);
  BOOST_TEST(ragged.column(ref_logprobs)[2][0] == 0);
  BOOST_TEST(ragged.column(ref_logprobs)[2][1] == -5);
  const xt::xtensor<float, 1> flat = xt::arange<float>(1, 8);  // 3 + 1 + 3 targets
  const auto from_flat = with(logprobs = -flat, data);
  BOOST_TEST(from_flat.column(logprobs)[1][0] == -4);
  BOOST_TEST(from_flat.column(logprobs)[2][2] == -7);
}

BOOST_AUTO_TEST_CASE(columns_and_rows_are_arrays_without_a_copy) {
  const datum d{parts(), old_logprobs = {-1, -2, -3}, advantage = 2,
                candidates = matrix(std::vector<int>{1, 2, 3, 4, 5, 6}, 2), candidate_logprobs = {1, 2, 3, 4, 5, 6}};
  const batch data{d, d};
  const auto row = as_xtensor(data.column(old_logprobs), 1);
  BOOST_TEST(&row(0) == data.data(old_logprobs) + 16);
  BOOST_TEST(row.size() == 3u);
  BOOST_TEST(xt::sum(row)() == -6);
  const auto advantages = as_xtensor(data.column(advantage));
  BOOST_TEST(advantages.size() == 2u);
  BOOST_TEST(&advantages(0) == data.data(advantage));
  const auto table = candidates_as_xtensor(data.column(candidate_logprobs), 1);
  BOOST_TEST(table.shape()[0] == 3u);
  BOOST_TEST(table.shape()[1] == 2u);
  for (std::size_t t = 0; t < 3; ++t) {
    for (std::size_t k = 0; k < 2; ++k) BOOST_TEST(table(t, k) == float(2 * t + k + 1));
  }
  BOOST_TEST(&table(0, 1) == data.data(candidate_logprobs) + 32 + 16);
  const auto named = as_xtensor<float>(data[0].loss_fn_inputs["old_logprobs"]);
  BOOST_TEST(&named(0) == data.data(old_logprobs));

  writable_column<float> slope(data.layout_handle(), per_token);
  auto writable = as_xtensor(slope[1]);
  writable = 2 * row;
  BOOST_TEST(slope[1][2] == -6);
}

BOOST_AUTO_TEST_CASE(a_column_is_viewed_by_its_extent) {
  const datum d{parts(), advantage = 2};
  const batch data{d};
  BOOST_TEST((caught([&] { as_xtensor(data.column(weights)); }).kind() == errc::data));
  BOOST_TEST((caught([&] { as_xtensor(data.column(advantage), 0); }).kind() == errc::data));
  BOOST_TEST((caught([&] { candidates_as_xtensor(data.column(weights), 0); }).kind() == errc::data));
}

BOOST_AUTO_TEST_CASE(lengths_and_values_are_checked_as_for_any_range) {
  const xt::xtensor<double, 1> four{-1, -2, -3, -4};
  CHECK_DATA_ERROR(caught([&] { datum{parts(), old_logprobs = 2 * four}; }), -1, -1, "old_logprobs", "4");
  const xt::xtensor<double, 1> zero{1, 0, 1};
  CHECK_DATA_ERROR(caught([&] { datum{parts(), old_logprobs = xt::log(zero)}; }), -1, 1, "old_logprobs", "-inf");
}

BOOST_AUTO_TEST_SUITE_END()
