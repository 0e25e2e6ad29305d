// SPDX-License-Identifier: Apache-2.0
// CRC32C by the processor's instruction and by the table: the same numbers, and one layout in every file of a program.
#include <boost/test/unit_test.hpp>
#include <random>
#include <string>
#include <type_traits>

#include <gradwire/wire/crc32c.hpp>

using namespace gradwire;

static_assert(sizeof(crc32c_sum) == 4 && std::is_trivially_copyable_v<crc32c_sum>);

BOOST_AUTO_TEST_SUITE(checksums)

BOOST_AUTO_TEST_CASE(the_standards_number_from_either) {
  const std::string text = "123456789";
  const auto* const at = reinterpret_cast<const unsigned char*>(text.data());
  BOOST_TEST(crc32c(text) == 0xE3069283U);
  BOOST_TEST(~detail::crc32c_by_table(~0U, at, text.size()) == 0xE3069283U);
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) BOOST_TEST(~detail::crc32c_by_instruction(~0U, at, text.size()) == 0xE3069283U);
#endif
}

BOOST_AUTO_TEST_CASE(any_length_from_any_place_in_any_pieces) {
  std::mt19937 random(1);
  std::string text(300, '\0');
  for (char& c : text) c = static_cast<char>(random());
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t length = 0; length < 200; ++length) {
      const std::string_view part = std::string_view(text).substr(from, length);
      const auto* const at = reinterpret_cast<const unsigned char*>(part.data());
      const std::uint32_t expected = ~detail::crc32c_by_table(~0U, at, length);
      crc32c_sum pieces;
      pieces.add(part.substr(0, length / 3));
      pieces.add(part.substr(length / 3));
      BOOST_REQUIRE(crc32c(part) == expected);
      BOOST_REQUIRE(pieces.value() == expected);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
