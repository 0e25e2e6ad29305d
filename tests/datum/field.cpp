// SPDX-License-Identifier: Apache-2.0
#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include <gradwire/datum.hpp>

using namespace gradwire;
using namespace gradwire::fields;

inline constexpr field<"entropy", per_token> entropy{};  // a user's column is one line
inline constexpr field<"margin", per_sequence, "margins"> margin{};

namespace {

template <class F>
void check_field(F, std::string_view name, std::string_view wire_name, extent level) {
  BOOST_TEST(F::name.view() == name);
  BOOST_TEST(F::wire_name.view() == wire_name);
  BOOST_TEST((F::level == level));
  BOOST_TEST(std::string_view(F::info.name) == name);
  BOOST_TEST(std::string_view(F::info.wire_name) == wire_name);
  BOOST_TEST((F::info.level == level));
  static_assert(std::is_empty_v<F>);
  static_assert(std::is_void_v<typename F::expression_tag>);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(field_names)

BOOST_AUTO_TEST_CASE(extents_are_ordered_from_fine_to_coarse) {
  static_assert(per_candidate < per_token && per_token < per_sequence && per_sequence < per_group &&
                per_group < per_batch);
  BOOST_TEST(std::string_view(to_string(per_candidate)) == "per candidate");
  BOOST_TEST(std::string_view(to_string(per_batch)) == "per batch");
}

BOOST_AUTO_TEST_CASE(a_fixed_string_is_a_text_in_a_type) {
  constexpr fixed_string text("ratio");
  static_assert(text == fixed_string("ratio"));
  static_assert(!(text == fixed_string("ratia")) && !(text == fixed_string("rat")));
  static_assert(text.size() == 5);
  BOOST_TEST(text.view() == "ratio");
  BOOST_TEST(std::string_view(text.c_str()) == "ratio");
}

// The keys that servers' built-in losses read: target_tokens, weights, logprobs, advantages.
BOOST_AUTO_TEST_CASE(the_standard_fields_have_the_wire_s_names) {
  check_field(logprobs, "logprobs", "logprobs", per_token);
  check_field(old_logprobs, "old_logprobs", "logprobs", per_token);
  check_field(sampler_logprobs, "sampler_logprobs", "sampler_logprobs", per_token);
  check_field(ref_logprobs, "ref_logprobs", "ref_logprobs", per_token);
  check_field(teacher_logprobs, "teacher_logprobs", "teacher_logprobs", per_token);
  check_field(weights, "weights", "weights", per_token);
  check_field(token_advantage, "token_advantage", "advantages", per_token);
  check_field(values, "values", "values", per_token);
  check_field(old_values, "old_values", "old_values", per_token);
  check_field(returns, "returns", "returns", per_token);
  check_field(advantage, "advantage", "advantages", per_sequence);
  check_field(reward, "reward", "reward", per_sequence);
  check_field(desirable, "desirable", "desirable", per_sequence);
  check_field(micro_batch, "micro_batch", "micro_batch", per_sequence);
  check_field(prompt_id, "prompt_id", "prompt_id", per_sequence);
  check_field(candidate_logprobs, "candidate_logprobs", "logprobs", per_candidate);
  check_field(candidate_teacher_logprobs, "candidate_teacher_logprobs", "candidate_teacher_logprobs", per_candidate);
}

BOOST_AUTO_TEST_CASE(a_user_s_field_is_one_line) {
  check_field(entropy, "entropy", "entropy", per_token);
  check_field(margin, "margin", "margins", per_sequence);
}

BOOST_AUTO_TEST_CASE(values_keep_their_kind_and_numbers) {
  const auto as_doubles = [](const numbers& given) {
    std::vector<double> result;
    for (std::size_t i = 0; i < given.size; ++i) result.push_back(detail::value_at(given, i));
    return result;
  };
  const std::vector<double> expected{1, 2, 3};
  BOOST_TEST(as_doubles((entropy = std::vector<float>{1, 2, 3}).values) == expected, boost::test_tools::per_element());
  BOOST_TEST(as_doubles((entropy = std::vector<double>{1, 2, 3}).values) == expected, boost::test_tools::per_element());
  BOOST_TEST(as_doubles((entropy = std::array<std::int8_t, 3>{1, 2, 3}).values) == expected,
             boost::test_tools::per_element());
  BOOST_TEST(as_doubles((entropy = std::vector<std::uint16_t>{1, 2, 3}).values) == expected,
             boost::test_tools::per_element());
  BOOST_TEST(as_doubles((entropy = std::vector<std::int64_t>{1, 2, 3}).values) == expected,
             boost::test_tools::per_element());
  BOOST_TEST(as_doubles((entropy = std::vector<std::uint64_t>{1, 2, 3}).values) == expected,
             boost::test_tools::per_element());
  const unsigned array[] = {1, 2, 3};
  BOOST_TEST(as_doubles((entropy = array).values) == expected, boost::test_tools::per_element());
  BOOST_TEST(as_doubles((entropy = std::span(array)).values) == expected, boost::test_tools::per_element());
  BOOST_TEST(as_doubles((entropy = {1.0, 2.0, 3.0}).values) == expected, boost::test_tools::per_element());
  const bool truths[] = {true, false};
  BOOST_TEST(detail::value_at((entropy = truths).values, 0) == 1);
  BOOST_TEST(detail::value_at((entropy = truths).values, 1) == 0);
  BOOST_TEST((margin = 0.5f).values.value == 0.5);
}

BOOST_AUTO_TEST_SUITE_END()
