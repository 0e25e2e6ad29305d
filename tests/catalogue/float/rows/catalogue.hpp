// SPDX-License-Identifier: Apache-2.0
// For the generated index: what it says of the catalogue is said of the float one.
#pragma once

#include "../float_rows.hpp"

#define catalogue float_catalogue
