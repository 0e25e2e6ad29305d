// SPDX-License-Identifier: Apache-2.0
// The type of members that a training shape owns: hardware, image and the linked deployment shape. They cannot be given
// a value, so that nobody believes to have chosen what the shape decides.
#pragma once

#include <concepts>
#include <type_traits>

namespace gradwire::inline v0 {
namespace platform {

struct locked {
  constexpr locked() = default;

  template <class T>
  requires(!std::same_as<std::remove_cvref_t<T>, locked>) constexpr locked(T&&) {
    static_assert(sizeof(T) == 0,
                  "the training shape owns this field, leave it out; the profile says its value, and a manual_… config "
                  "is for launches without a shape");
  }
};

}  // namespace platform
}  // namespace gradwire::inline v0
