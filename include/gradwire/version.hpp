// SPDX-License-Identifier: Apache-2.0
// The version, once. CMakeLists.txt reads it from here; the inline namespace `v0` is the ABI's name, so that two
// incompatible versions in one program fail to link instead of mixing.
#pragma once

#if __cplusplus < 202002L  // a file that is missing ends the compilation: one line instead of thousands
#include <gradwire/needs C++20: compile with -std=c++20 or later>
#endif

#define GRADWIRE_VERSION_MAJOR 0
#define GRADWIRE_VERSION_MINOR 1
#define GRADWIRE_VERSION_PATCH 0

namespace gradwire::inline v0 {

struct version_number {
  int major_ = GRADWIRE_VERSION_MAJOR;
  int minor_ = GRADWIRE_VERSION_MINOR;
  int patch_ = GRADWIRE_VERSION_PATCH;
};

inline constexpr version_number version{};

}  // namespace gradwire::inline v0
