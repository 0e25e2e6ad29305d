// SPDX-License-Identifier: Apache-2.0
// The version is written once, in version.hpp: CMake reads it there, and the ABI's namespace carries its major number.
#include <gradwire/error.hpp>
#include <gradwire/version.hpp>

#include <boost/test/unit_test.hpp>
#include <string>
#include <type_traits>
#include <typeinfo>

BOOST_AUTO_TEST_SUITE(version)

BOOST_AUTO_TEST_CASE(cmake_and_the_header_agree) {
  std::string header = std::to_string(gradwire::version.major_) + "." + std::to_string(gradwire::version.minor_) + "." +
                       std::to_string(gradwire::version.patch_);
  BOOST_TEST(header == GRADWIRE_CMAKE_VERSION);
}

BOOST_AUTO_TEST_CASE(symbols_carry_the_inline_namespace) {
  static_assert(std::is_same_v<gradwire::error, gradwire::v0::error>);
  std::string expected = "N8gradwire2v" + std::to_string(GRADWIRE_VERSION_MAJOR) + "5errorE";
  BOOST_TEST(std::string(typeid(gradwire::error).name()) == expected);
}

BOOST_AUTO_TEST_SUITE_END()
