// SPDX-License-Identifier: Apache-2.0
// The error that a call throws, for looking at its kind, its place and its sentence.
#pragma once

#include <string>
#include <string_view>

#include <boost/test/unit_test.hpp>

#include <gradwire/error.hpp>

template <class Call>
gradwire::error caught(Call&& call) {
  try {
    call();
  } catch (const gradwire::error& thrown) {
    return thrown;
  }
  BOOST_FAIL("nothing was thrown");
  throw 0;  // BOOST_FAIL does not return
}

inline bool says(const gradwire::error& thrown, std::string_view text) {
  const bool found = std::string_view(thrown.what()).find(text) != std::string_view::npos;
  if (!found) BOOST_TEST_MESSAGE("the sentence is: " << thrown.what());
  return found;
}

// Everything about the place at once: -1 and "" mean that the error does not name it.
#define CHECK_DATA_ERROR(thrown, datum_index, token_position, column_name, printed_value) \
  do {                                                                                    \
    const gradwire::error error_at_hand = (thrown);                                       \
    BOOST_TEST_MESSAGE(error_at_hand.what());                                             \
    BOOST_TEST((error_at_hand.kind() == gradwire::errc::data));                           \
    BOOST_TEST(error_at_hand.details().datum == (datum_index));                           \
    BOOST_TEST(error_at_hand.details().token == (token_position));                        \
    BOOST_TEST(error_at_hand.details().column == (column_name));                          \
    BOOST_TEST(error_at_hand.details().value == (printed_value));                         \
  } while (false)
