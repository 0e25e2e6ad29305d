// SPDX-License-Identifier: Apache-2.0
// What the tests of the lifecycle's state machines have in common.
#pragma once

#include <boost/test/unit_test.hpp>

#include <exception>
#include <string>

#include <gradwire/error.hpp>
#include <gradwire/platform/lifecycle_closing.hpp>
#include <gradwire/platform/lifecycle_opening.hpp>

namespace acting {

using namespace gradwire;
using namespace gradwire::platform;

using kind = lifecycle_action::kind;

inline std::exception_ptr trouble(errc what, const std::string& sentence) {
  return std::make_exception_ptr(error(what, sentence));
}

// "write creating policy_job, create policy_job, …"
inline std::string text_of(const lifecycle_actions& actions) {
  constexpr const char* names[] = {"write",   "resolve", "look",   "create", "revive", "wait",
                                   "connect", "inspect", "remove", "finish", "fail"};
  std::string text;
  for (const lifecycle_action& each : actions) {
    if (!text.empty()) text += ", ";
    text += names[static_cast<unsigned>(each.what)];
    if (each.what == kind::write) text += " " + std::string(name_of(each.event.what));
    if (each.of) text += std::string(" ") + to_string(*each.of);
  }
  return text;
}

inline lifecycle_state begun() {
  lifecycle_state state;
  state.apply({.what = lifecycle_fact::begun, .id = "0a1b2c3d"});
  return state;
}

inline std::string what(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& said) {
    return said.what();
  }
}

// Resolved shapes; the actions that follow.
inline lifecycle_actions resolved(lifecycle_opening& opening) {
  static_cast<void>(opening.begin());
  static_cast<void>(opening.on_resolved(part::policy_job, "accounts/f/trainingShapes/s/versions/1"));
  return opening.on_resolved(part::reference_job, "accounts/f/trainingShapes/r/versions/1");
}

}  // namespace acting
