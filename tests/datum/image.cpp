// SPDX-License-Identifier: Apache-2.0
// Pictures as parts of a datum: the positions they take, their weight, and what is refused. Worked out by hand.
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <gradwire/datum.hpp>

#include "caught.hpp"

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using ids = std::vector<std::int32_t>;
using reals = std::vector<double>;

const std::string png = "\x89PNG";

template <class Datum>
reals values_of(const Datum& d, const char* name) {
  const auto data = d.loss_fn_inputs[name].data;
  return reals(data.begin(), data.end());
}

// tokens: 5 6 [3 positions] 7 | 8 9      targets: 6 . . . 7 8 9
token_sequence with_picture() { return prompt({5, 6}) + image(png, "png", 3) + prompt({7}) + response({8, 9}); }

}  // namespace

BOOST_AUTO_TEST_SUITE(pictures)

BOOST_AUTO_TEST_CASE(a_picture_takes_its_positions_without_targets) {
  const datum d{with_picture()};
  BOOST_TEST(d.size() == 7u);
  BOOST_TEST(values_of(d, "target_tokens") == (reals{6, 0, 0, 0, 7, 8, 9}), boost::test_tools::per_element());
  BOOST_TEST(values_of(d, "weights") == (reals{0, 0, 0, 0, 0, 1, 1}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(no_mask_gives_a_picture_a_weight) {
  const datum d{with_picture(), weights = prompt_only};
  BOOST_TEST(values_of(d, "weights") == (reals{1, 0, 0, 0, 1, 0, 0}), boost::test_tools::per_element());
  const datum all{with_picture(), weights = position < 7};
  BOOST_TEST(values_of(all, "weights") == (reals{1, 0, 0, 0, 1, 1, 1}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_given_weight_there_is_a_mistake) {
  const datum fine{with_picture(), weights = reals{1, 0, 0, 0, 0.5, 1, 1}};
  BOOST_TEST(values_of(fine, "weights")[4] == 0.5);
  CHECK_DATA_ERROR(caught([] {
                     datum d{with_picture(), weights = reals{1, 0, 2, 0, 1, 1, 1}};
                   }),
                   -1, 2, "weights", "2");
}

BOOST_AUTO_TEST_CASE(columns_of_the_response_find_their_place_behind_it) {
  const datum d{with_picture(), old_logprobs = reals{-1, -2}};
  BOOST_TEST(values_of(d, "logprobs") == (reals{0, 0, 0, 0, 0, -1, -2}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_picture_may_come_first_and_bytes_have_any_type) {
  const std::vector<std::byte> bytes{std::byte{1}, std::byte{2}};
  const datum d{image(bytes, "jpeg", 2) + image(std::vector<unsigned char>{3}, "png", 1) + response({7})};
  BOOST_TEST(d.size() == 3u);
  BOOST_TEST(values_of(d, "target_tokens") == (reals{0, 0, 7}), boost::test_tools::per_element());
  BOOST_TEST(values_of(d, "weights") == (reals{0, 0, 1}), boost::test_tools::per_element());
  const auto& pictures = d.core().tokens->images;
  BOOST_REQUIRE(pictures.size() == 2u);
  BOOST_TEST(std::string(pictures[0].format) == "jpeg");
  BOOST_TEST(pictures[1].begin == 2u);
  BOOST_TEST(static_cast<const unsigned char*>(pictures[0].bytes.data)[1] == 2);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_is_refused) {
  BOOST_TEST(says(caught([] { datum d{prompt({1}) + image(png, "png", 2)}; }), "the last part is an image"));
  BOOST_TEST(says(caught([] { image(png, "gif", 2); }), "\"png\" or \"jpeg\""));
  BOOST_TEST(says(caught([] { image(png, "png", 0); }), "at least 1"));
  BOOST_TEST(says(caught([] { image(std::string(), "png", 1); }), "without bytes"));
}

BOOST_AUTO_TEST_CASE(batches_know_the_positions) {
  const batch data{datum{with_picture()}, datum{prompt({1}) + response({2})}};
  BOOST_TEST(data[0].loss_fn_inputs["weights"].shape[0] == 7u);
  BOOST_TEST(data[1].loss_fn_inputs["weights"].shape[0] == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
