// SPDX-License-Identifier: Apache-2.0
// How lifecycle_closing.hpp works.
#pragma once

#include <string>
#include <utility>

#include <gradwire/platform/impl/lifecycle_text.hpp>
#include <gradwire/platform/lifecycle_closing.hpp>

namespace gradwire::inline v0 {
namespace platform {

GRADWIRE_DECL void lifecycle_closing::write(lifecycle_actions& out, lifecycle_event event) {
  state_.apply(event);
  out.push_back({.what = detail::action_kind::write, .of = event.of, .id = event.id, .event = std::move(event)});
}

GRADWIRE_DECL lifecycle_actions lifecycle_closing::begin() {
  lifecycle_actions out;
  if (!state_.closed && !state_.closing) write(out, {.what = lifecycle_fact::closing, .id = state_.run});
  next(out);
  return out;
}

GRADWIRE_DECL lifecycle_actions lifecycle_closing::on_found(part of, found what, bool is_marked) {
  lifecycle_actions out;
  const lifecycle_fact fact = what == found::absent ? lifecycle_fact::refused
                              : is_marked           ? lifecycle_fact::created
                                                    : lifecycle_fact::attached;
  write(out, {.what = fact, .of = of, .id = state_[of].id});
  next(out);
  return out;
}

GRADWIRE_DECL lifecycle_actions lifecycle_closing::on_removed(part of) {
  lifecycle_actions out;
  write(out, {.what = lifecycle_fact::deleted, .of = of, .id = state_[of].id});
  next(out);
  return out;
}

GRADWIRE_DECL lifecycle_actions lifecycle_closing::on_failed(part of, const std::exception_ptr& failure) {
  lifecycle_actions out;
  if (!first_) first_ = failure;
  troubles_[static_cast<std::size_t>(of)] = detail::sentence_of(failure);
  next(out);
  return out;
}

GRADWIRE_DECL void lifecycle_closing::next(lifecycle_actions& out) {
  for (const part each : detail::order_of_deletion) {
    if (!state_.owes(each) || !troubles_[static_cast<std::size_t>(each)].empty()) continue;
    if (detail::may_be_anybodys(state_, each)) {
      out.push_back({.what = detail::action_kind::look, .of = each, .id = state_[each].id});
      return;
    }
    if (state_[each].is != presence::going)
      write(out, {.what = lifecycle_fact::deleting, .of = each, .id = state_[each].id});
    out.push_back(detail::removal_of(state_, each));
    return;
  }
  if (const std::string left = detail::left_of(state_, troubles_); !left.empty()) {
    out.push_back({.what = detail::action_kind::fail,
                   .failure = detail::with_more(first_, ". Of this run there may still be: " + left +
                                                            "; close it again, its journal names them")});
    return;
  }
  if (!state_.closed) write(out, {.what = lifecycle_fact::closed, .id = state_.run});
  out.push_back({.what = detail::action_kind::finish});
}

}  // namespace platform
}  // namespace gradwire::inline v0
