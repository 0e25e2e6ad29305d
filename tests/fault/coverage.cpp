// SPDX-License-Identifier: Apache-2.0
// No row of the table of faults is missing here. T, K and C rows have programs of their own (security, crash).
#include <iostream>

#include "scene.hpp"

using namespace faults;

BOOST_AUTO_TEST_CASE(every_row_of_the_table_has_a_case) {
  const std::pair<char, int> table[] = {{'N', 24}, {'H', 23}, {'B', 16}, {'I', 9}, {'S', 6}, {'G', 12}, {'F', 10}};
  int there = 0, wanted = 0;
  std::string missing;
  for (const auto& [letter, rows] : table) {
    for (int i = 1; i <= rows; ++i, ++wanted) {
      const std::string id = letter + std::string(i < 10 ? "0" : "") + std::to_string(i);
      if (cases_that_are_there().contains(id)) {
        ++there;
      } else {
        missing += " " + id;
      }
    }
  }
  std::cout << "rows of the table of faults with a case: " << there << " of " << wanted << "\n";
  BOOST_TEST(there == wanted, "missing:" << missing);
}
