// SPDX-License-Identifier: Apache-2.0
// The end of a run as a state machine that owns neither socket, clock nor file: reference job, deployment, policy job,
// one after the other, and only what the run made: a part for which that is not known is looked at first. What cannot be
// deleted stops nothing and is named in the end; the journal keeps it, so that closing again goes on with it.
#pragma once

#include <array>
#include <exception>
#include <string>

#include <gradwire/platform/lifecycle_opening.hpp>
#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {
namespace platform {

class lifecycle_closing {
 public:
  explicit lifecycle_closing(lifecycle_state state) : state_(std::move(state)) {}

  GRADWIRE_DECL lifecycle_actions begin();
  GRADWIRE_DECL lifecycle_actions on_found(part of, found what, bool is_marked);
  GRADWIRE_DECL lifecycle_actions on_removed(part of);
  GRADWIRE_DECL lifecycle_actions on_failed(part of, const std::exception_ptr& failure);

  const lifecycle_state& state() const noexcept { return state_; }

 private:
  GRADWIRE_DECL void write(lifecycle_actions& out, lifecycle_event event);
  GRADWIRE_DECL void next(lifecycle_actions& out);

  lifecycle_state state_;
  std::array<std::string, 3> troubles_{};
  std::exception_ptr first_{};
};

}  // namespace platform
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform/impl/lifecycle_closing.hpp>
#endif
