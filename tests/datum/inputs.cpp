// SPDX-License-Identifier: Apache-2.0
// data[i].loss_fn_inputs["weights"].data, as the user's page has it.
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gradwire/datum.hpp>

#include "caught.hpp"

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using reals = std::vector<double>;

auto make() {
  const datum a{prompt({1, 2}) + response({3, 4}), old_logprobs = {-1, -2, -3}, advantage = 0.5};
  const datum b{prompt({5}) + response({6}), old_logprobs = {-4}, advantage = -0.5};
  return batch{group(a, b)};
}

}  // namespace

#define CHECK_SAME(a, b) BOOST_TEST((a) == (b), boost::test_tools::per_element())

BOOST_AUTO_TEST_SUITE(loss_fn_inputs_by_name)

BOOST_AUTO_TEST_CASE(weights_read_as_on_the_user_s_page) {
  const auto data = make();
  const auto found = data[0].loss_fn_inputs["weights"];
  CHECK_SAME(reals(found.data.begin(), found.data.end()), (reals{0, 1, 1}));
  BOOST_TEST(found.dtype == "float32");
  BOOST_TEST((found.shape == tensor_shape{3}));
  BOOST_TEST(found.name == "weights");
  double trained = 0;
  for (double weight : data[1].loss_fn_inputs["weights"].data) trained += weight;
  BOOST_TEST(trained == 1);
}

BOOST_AUTO_TEST_CASE(a_batch_is_a_range_of_its_datums) {
  const auto data = make();
  double trained = 0;
  std::size_t seen = 0;
  for (const auto& each : data) {
    BOOST_TEST(each.model_input.data() == data[seen++].model_input.data());
    for (double weight : each.loss_fn_inputs["weights"].data) trained += weight;
  }
  BOOST_TEST(seen == 2u);
  BOOST_TEST(trained == 3);
}

BOOST_AUTO_TEST_CASE(every_column_is_there_by_its_wire_name) {
  const auto data = make();
  const auto inputs = data[0].loss_fn_inputs;
  std::vector<std::string> names;
  for (const auto& each : inputs) names.emplace_back(each.name);
  CHECK_SAME(names, (std::vector<std::string>{"target_tokens", "weights", "logprobs", "advantages"}));
  BOOST_TEST(inputs.size() == 4u);
  const auto targets = inputs["target_tokens"];
  BOOST_TEST(targets.dtype == "int64");
  CHECK_SAME(reals(targets.data.begin(), targets.data.end()), (reals{2, 3, 4}));
  BOOST_TEST(inputs["advantages"].data[0] == 0.5);
  BOOST_TEST((inputs["advantages"].shape == tensor_shape{1}));
  BOOST_TEST(data[1].loss_fn_inputs["advantage"].data[0] == -0.5);  // the field's own name finds it too
  BOOST_TEST(data[1].model_input[0] == 5);
  BOOST_TEST(data[1].size() == 1u);
}

// old_logprobs is "logprobs" on the wire, and so is the field logprobs.
BOOST_AUTO_TEST_CASE(a_field_s_own_name_goes_before_another_field_s_wire_name) {
  const auto data = make();
  BOOST_TEST(data[0].loss_fn_inputs["logprobs"].data[2] == -3);
  const auto known = with(logprobs = {-10, -20, -30, -40}, data);
  BOOST_TEST(known[0].loss_fn_inputs["logprobs"].data[2] == -30);
  BOOST_TEST(known[0].loss_fn_inputs["old_logprobs"].data[2] == -3);
  const auto both = with(token_advantage = {1, 2, 3, 4}, data);
  BOOST_TEST(both[0].loss_fn_inputs["advantages"].data[0] == 0.5);  // the first in the order of the fields
  BOOST_TEST(both[0].loss_fn_inputs["token_advantage"].data[1] == 2);
}

BOOST_AUTO_TEST_CASE(stored_values_are_seen_without_a_copy) {
  const auto data = make();
  const std::span<const float> sampled = data[0].loss_fn_inputs["old_logprobs"].data;
  BOOST_TEST(sampled.data() == data.data(old_logprobs));
  BOOST_TEST(sampled.size() == 3u);
  const auto targets = data[1].loss_fn_inputs["target_tokens"].data.as<std::int32_t>();
  BOOST_TEST(targets.data() == data.target_tokens(1).data());
  BOOST_TEST((caught([&] { data[0].loss_fn_inputs["weights"].data.as<double>(); }).kind() == errc::data));
  const auto precise = batch_of<double>(datum{prompt({1, 2}) + response({3})});
  BOOST_TEST(precise[0].loss_fn_inputs["weights"].data.as<double>().data() == precise.data(weights));
}

BOOST_AUTO_TEST_CASE(candidates_are_seen_row_major) {
  const datum d{prompt({1, 2, 3}), candidates = {1, 2, 3, 4}, candidate_logprobs = {10, 11, 20, 21},
                weights = all_tokens};
  const batch data{d, d};
  const auto check = [](const auto& inputs) {
    const auto found = inputs["candidate_logprobs"];
    BOOST_TEST((found.shape == tensor_shape{2, 2}));
    CHECK_SAME(reals(found.data.begin(), found.data.end()), (reals{10, 11, 20, 21}));
    const auto ids = inputs["target_tokens"];
    BOOST_TEST((ids.shape == tensor_shape{2, 2}));
    CHECK_SAME(reals(ids.data.begin(), ids.data.end()), (reals{1, 2, 3, 4}));
  };
  check(d.loss_fn_inputs);
  check(data[0].loss_fn_inputs);
  check(data[1].loss_fn_inputs);
  BOOST_TEST((caught([&] { data[0].loss_fn_inputs["logprobs"].data.as<float>(); }).kind() == errc::data));
}

BOOST_AUTO_TEST_CASE(a_missing_name_lists_those_that_are_there) {
  const auto data = make();
  BOOST_TEST(data[0].loss_fn_inputs.contains("weights"));
  BOOST_TEST(!data[0].loss_fn_inputs.contains("mask"));
  const auto thrown = caught([&] { data[0].loss_fn_inputs.at("mask"); });
  CHECK_DATA_ERROR(thrown, -1, -1, "", "mask");
  BOOST_TEST(says(thrown,
                  "there is no loss input \"mask\"; there are target_tokens, weights, old_logprobs (on the wire: "
                  "logprobs), advantage (on the wire: advantages)"));
  BOOST_TEST(says(caught([&] { data[0].loss_fn_inputs["mask"]; }), "there is no loss input"));
}

BOOST_AUTO_TEST_SUITE_END()
