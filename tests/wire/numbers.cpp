// SPDX-License-Identifier: Apache-2.0
// Numbers between JSON text and columns: every finite float and double comes back bit for bit, whatever its bits.
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>

#include <gradwire/wire/json_document.hpp>
#include <gradwire/wire/json_numbers.hpp>

using namespace gradwire;
using namespace gradwire::wire;

BOOST_AUTO_TEST_SUITE(numbers)

template <class T, class Bits>
void round_trip_of_random_bits() {
  std::mt19937_64 random(7);
  std::vector<T> values;
  for (int i = 0; i < 100'000; ++i) {
    const T value = std::bit_cast<T>(static_cast<Bits>(random()));
    if (std::isfinite(value)) values.push_back(value);
  }
  for (const T edge : {T(0), -T(0), std::numeric_limits<T>::min(), std::numeric_limits<T>::denorm_min(),
                       std::numeric_limits<T>::max(), std::numeric_limits<T>::lowest(), T(0.1)})
    values.push_back(edge);
  std::string text;
  BOOST_TEST(append_numbers<T>(text, std::span<const T>(values), nonfinite::refuse) == values.size());
  std::vector<T> read;
  BOOST_TEST(read_numbers(text, read).why == nullptr);
  BOOST_REQUIRE(read.size() == values.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    if (std::bit_cast<Bits>(read[i]) != std::bit_cast<Bits>(values[i])) BOOST_FAIL("value " << i << " changed");
}

BOOST_AUTO_TEST_CASE(floats) { round_trip_of_random_bits<float, std::uint32_t>(); }
BOOST_AUTO_TEST_CASE(doubles) { round_trip_of_random_bits<double, std::uint64_t>(); }

BOOST_AUTO_TEST_CASE(integers) {
  const std::vector<std::int64_t> values{0, -1, std::numeric_limits<std::int64_t>::min(),
                                         std::numeric_limits<std::int64_t>::max(), 9007199254740993};
  std::string text;
  append_numbers<std::int64_t>(text, std::span<const std::int64_t>(values), nonfinite::refuse);
  BOOST_TEST(text == "0,-1,-9223372036854775808,9223372036854775807,9007199254740993");
  std::vector<std::int64_t> read;
  BOOST_TEST(read_numbers(text, read).why == nullptr);
  BOOST_TEST(read == values, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_double_column_is_written_with_the_digits_of_float) {
  const std::vector<double> values{0.1, 1.0 / 3};
  std::string text;
  append_numbers<float>(text, std::span<const double>(values), nonfinite::refuse);
  BOOST_TEST(text == "0.1,0.33333334");
}

// The shortest digits that mean the largest float are those of a larger number, which a reader of doubles may refuse.
BOOST_AUTO_TEST_CASE(the_largest_float_has_all_its_digits) {
  constexpr float most = std::numeric_limits<float>::max();
  const std::vector<float> values{most, -most, std::nextafter(most, 0.0F)};
  std::string text;
  BOOST_TEST(append_numbers<float>(text, std::span<const float>(values), nonfinite::refuse) == 3);
  BOOST_TEST(text == "3.4028234663852886e+38,-3.4028234663852886e+38,3.4028233e+38");
  std::vector<double> wide;
  BOOST_TEST(read_numbers(text, wide).why == nullptr);
  for (const double value : wide) BOOST_TEST(std::abs(value) <= static_cast<double>(most));
}

BOOST_AUTO_TEST_CASE(not_finite_is_refused_or_null) {
  const std::vector<float> values{1, NAN, INFINITY};
  std::string text;
  BOOST_TEST(append_numbers<float>(text, std::span<const float>(values), nonfinite::refuse) == 1);
  text.clear();
  BOOST_TEST(append_numbers<float>(text, std::span<const float>(values), nonfinite::null) == 3);
  BOOST_TEST(text == "1,null,null");
  std::vector<float> read;
  BOOST_TEST(read_numbers(text, read).why == nullptr);
  BOOST_TEST((read.size() == 3 && read[0] == 1 && std::isnan(read[1]) && std::isnan(read[2])));
}

BOOST_AUTO_TEST_CASE(a_double_overflows_as_a_float_but_may_vanish) {
  std::vector<float> read;
  BOOST_TEST(read_numbers("1e300", read).why != nullptr);
  BOOST_TEST(read_numbers("1e-300, -1e-300", read).why == nullptr);
  BOOST_TEST((read.size() == 2 && read[0] == 0 && read[1] == 0));
  std::vector<double> wide;
  BOOST_TEST(read_numbers("1e400", wide).why != nullptr);
}

BOOST_AUTO_TEST_CASE(integers_of_the_column_only) {
  std::vector<std::int32_t> read;
  BOOST_TEST(read_numbers("2147483647,-2147483648, 3.0, 1e2", read).why == nullptr);
  BOOST_TEST(read == (std::vector<std::int32_t>{2147483647, -2147483647 - 1, 3, 100}),
             boost::test_tools::per_element());
  for (const char* bad : {"2147483648", "-2147483649", "1.5", "null", "99999999999999999999", "1e10"}) {
    std::vector<std::int32_t> none;
    BOOST_TEST(read_numbers(bad, none).why != nullptr, bad);
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_a_json_number_is_named_with_its_index) {
  for (const char* bad :
       {"1,,2", "1,", ",1", "1 2", "inf", "nan", "+1", ".5", "1.", "01", "-", "0x10", "1e", "null1", "tru", "1;2"}) {
    std::vector<double> read;
    BOOST_TEST(read_numbers(bad, read).why != nullptr, bad);
  }
  std::vector<double> read;
  const auto fault = read_numbers("1, 2, x3, 4", read);
  BOOST_TEST(fault.index == 2);
  BOOST_TEST(fault.text == "x3");
}

BOOST_AUTO_TEST_CASE(documents) {
  const std::string text = R"({"a[b":[1 , 2],"t":{"x":[null,-1e5],"y":[[1,2],["]"]]},"e":"q\"\u00e9[","a[b":3})";
  const json_document document(text);
  const auto& root = document.root();
  BOOST_TEST(document.find(root, "a[b")->text == "3");  // the last of two
  const auto* t = document.find(root, "t");
  BOOST_REQUIRE(t != nullptr);
  BOOST_TEST((document.find(*t, "x")->kind == json_kind::numbers));
  BOOST_TEST(document.find(*t, "x")->text == "null,-1e5");
  const auto* y = document.find(*t, "y");
  BOOST_TEST((y->kind == json_kind::array));
  BOOST_TEST((document.first(*y)->kind == json_kind::numbers));
  BOOST_TEST(document.first(*document.next(*document.first(*y)))->text == "]");
  BOOST_TEST(document.find(root, "e")->text == "q\"\xc3\xa9[");
}

BOOST_AUTO_TEST_CASE(what_is_no_json_is_a_decode_error) {
  const std::string good = R"({"a":[1,2,{"b":"[x"}],"c":[[]],"d":-1.5e3,"e":true})";
  BOOST_CHECK_NO_THROW(json_document{good});
  for (std::size_t length = 0; length < good.size(); ++length)
    BOOST_CHECK_EXCEPTION(json_document{std::string_view(good).substr(0, length)}, error,
                          [](const error& e) { return e.kind() == errc::decode; });
  for (const std::string bad : {"{}x", "{}{}", "[1]]", "{\"a\":[1}", "\"\xff\"", "[\"a\" \"b\"]", "nul", "{a:1}"})
    BOOST_CHECK_THROW(json_document{bad}, error);
}

BOOST_AUTO_TEST_CASE(depth_and_size_are_limited) {
  BOOST_CHECK_NO_THROW(json_document{std::string(32, '[') + std::string(32, ']')});
  BOOST_CHECK_THROW(json_document{std::string(33, '[') + std::string(33, ']')}, error);
  BOOST_CHECK_THROW(json_document{std::string(1'000'000, '[')}, error);
  BOOST_CHECK_THROW((json_document{"[{},{},{},{}]", {.max_nodes = 4}}), error);
}

BOOST_AUTO_TEST_SUITE_END()
