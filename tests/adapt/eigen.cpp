// SPDX-License-Identifier: Apache-2.0
#include <boost/test/unit_test.hpp>

#include <vector>

#include <gradwire/adapt/eigen.hpp>
#include <gradwire/datum.hpp>

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

}  // namespace

#define CHECK_SAME(a, b) BOOST_TEST((a) == (b), boost::test_tools::per_element())

BOOST_AUTO_TEST_SUITE(eigen_adapter)

BOOST_AUTO_TEST_CASE(a_lazy_expression_is_evaluated_once_into_the_column) {
  const Eigen::ArrayXd x = Eigen::ArrayXd::LinSpaced(3, 1, 3);
  int evaluations = 0;
  const auto lazy = x.unaryExpr([&evaluations](double value) {
    ++evaluations;
    return -value;
  });
  BOOST_TEST(evaluations == 0);
  const datum d{parts(), old_logprobs = lazy};
  const batch data{d};
  BOOST_TEST(evaluations == 3);
  CHECK_SAME(values_of(d, "old_logprobs"), (reals{-1, -2, -3}));
  BOOST_TEST(data.data(old_logprobs)[2] == -3);
}

BOOST_AUTO_TEST_CASE(vectors_blocks_and_products_are_columns) {
  Eigen::Matrix<double, 2, 3> table;
  table << -1, -2, -3, -4, -5, -6;
  const Eigen::VectorXf vector = table.row(0).transpose().cast<float>();
  CHECK_SAME(values_of(datum{parts(), old_logprobs = vector}, "old_logprobs"), (reals{-1, -2, -3}));
  CHECK_SAME(values_of(datum{parts(), old_logprobs = table.row(1)}, "old_logprobs"), (reals{-4, -5, -6}));  // strided
  CHECK_SAME(values_of(datum{parts(), old_logprobs = table.col(2)}, "old_logprobs"),
             (reals{0, -3, -6}));  // the response's
  const Eigen::Vector2d factors(1, 10);
  CHECK_SAME(values_of(datum{parts(), old_logprobs = table.transpose() * factors}, "old_logprobs"),
             (reals{-41, -52, -63}));
  CHECK_SAME(values_of(datum{parts(), weights = vector.array() < -1.5f}, "weights"), (reals{0, 1, 1}));
  const Eigen::VectorXi ids = Eigen::Vector2i(7, 8);
  const datum d{prompt(ids) + response((ids.array() + 10).matrix())};
  CHECK_SAME(values_of(d, "target_tokens"), (reals{8, 17, 18}));
}

BOOST_AUTO_TEST_CASE(an_rvalue_vector_moves) {
  Eigen::VectorXd vector = Eigen::Vector3d(-1, -2, -3);
  const void* const memory = vector.data();
  const auto copied = (old_logprobs = vector);
  BOOST_TEST(copied.values.data != memory);
  const auto moved = (old_logprobs = std::move(vector));
  BOOST_TEST(moved.values.data == memory);
  CHECK_SAME(values_of(datum{parts(), moved}, "old_logprobs"), (reals{-1, -2, -3}));
}

BOOST_AUTO_TEST_CASE(a_matrix_holds_candidates_in_any_storage_order) {
  Eigen::MatrixXi ids(3, 2);  // column-major
  ids << 1, 2, 3, 4, 5, 6;
  Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> teacher(3, 2);
  teacher << .1, .2, .3, .4, .5, .6;
  const datum d{parts(), candidates = ids, candidate_teacher_logprobs = -teacher};
  CHECK_SAME(values_of(d, "target_tokens"), (reals{1, 2, 3, 4, 5, 6}));
  CHECK_SAME(values_of(d, "candidate_teacher_logprobs"), (reals{-.1, -.2, -.3, -.4, -.5, -.6}));
  const datum placed{parts(), candidates = ids.bottomRows(2)};  // a row a response token
  CHECK_SAME(values_of(placed, "target_tokens"), (reals{0, 0, 3, 4, 5, 6}));
}

BOOST_AUTO_TEST_CASE(a_batch_takes_advantages_of_its_sequences_and_ragged_rows) {
  const batch data{group(datum{parts()}, datum{prompt({1}) + response({2})}), datum{parts()}};
  const Eigen::Array3d rewards(1, 2, 6);
  const auto more = with(advantage = rewards - rewards.mean(), data);
  CHECK_SAME(reals(more.data(advantage), more.data(advantage) + 3), (reals{-2, -1, 3}));
  const std::vector<Eigen::VectorXf> ragged{Eigen::Vector3f(-1, -2, -3), Eigen::VectorXf::Constant(1, -4),
                                            Eigen::Vector2f(-5, -6)};
  const auto known = with(ref_logprobs = ragged, data);
  BOOST_TEST(known.column(ref_logprobs)[0][2] == -3);
  BOOST_TEST(known.column(ref_logprobs)[2][0] == 0);
  BOOST_TEST(known.column(ref_logprobs)[2][1] == -5);
}

BOOST_AUTO_TEST_CASE(columns_and_rows_are_maps_without_a_copy) {
  const datum d{parts(), old_logprobs = {-1, -2, -3}, advantage = 2,
                candidates = matrix(std::vector<int>{1, 2, 3, 4, 5, 6}, 2), candidate_logprobs = {1, 2, 3, 4, 5, 6}};
  const batch data{d, d};
  const auto row = as_eigen(data.column(old_logprobs), 1);
  BOOST_TEST(row.data() == data.data(old_logprobs) + 16);
  BOOST_TEST(row.size() == 3);
  BOOST_TEST(row.sum() == -6);
  BOOST_TEST(as_eigen(data.column(advantage)).data() == data.data(advantage));
  BOOST_TEST(as_eigen(data.column(advantage)).size() == 2);
  const auto table = candidates_as_eigen(data.column(candidate_logprobs), 1);
  BOOST_TEST(table.rows() == 3);
  BOOST_TEST(table.cols() == 2);
  for (int t = 0; t < 3; ++t) {
    for (int k = 0; k < 2; ++k) BOOST_TEST(table(t, k) == float(2 * t + k + 1));
  }
  BOOST_TEST(table.col(1).data() == data.data(candidate_logprobs) + 32 + 16);
  BOOST_TEST(as_eigen<float>(data[0].loss_fn_inputs["old_logprobs"]).data() == data.data(old_logprobs));

  writable_column<float> slope(data.layout_handle(), per_token);
  as_eigen(slope[1]) = 2 * row;
  BOOST_TEST(slope[1][2] == -6);
}

BOOST_AUTO_TEST_CASE(a_column_is_viewed_by_its_extent) {
  const datum d{parts(), advantage = 2};
  const batch data{d};
  BOOST_TEST((caught([&] { as_eigen(data.column(weights)); }).kind() == errc::data));
  BOOST_TEST((caught([&] { as_eigen(data.column(advantage), 0); }).kind() == errc::data));
  BOOST_TEST((caught([&] { candidates_as_eigen(data.column(weights), 0); }).kind() == errc::data));
}

BOOST_AUTO_TEST_CASE(lengths_and_values_are_checked_as_for_any_range) {
  CHECK_DATA_ERROR(caught([] {
                     datum{parts(), old_logprobs = 2 * Eigen::Array4d::Ones()};
                   }),
                   -1, -1, "old_logprobs", "4");
  CHECK_DATA_ERROR(caught([] {
                     datum{parts(), old_logprobs = Eigen::Array3d(1, 0, 1).log()};
                   }),
                   -1, 1, "old_logprobs", "-inf");
}

BOOST_AUTO_TEST_SUITE_END()
