// SPDX-License-Identifier: Apache-2.0
// The one main of every test program: each folder of tests/ is linked with it into one executable.
#define BOOST_TEST_MODULE gradwire
#include <boost/test/unit_test.hpp>
