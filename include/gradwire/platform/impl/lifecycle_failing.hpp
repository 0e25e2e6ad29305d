// SPDX-License-Identifier: Apache-2.0
// What lifecycle_opening.hpp does when a part fails: what was made is deleted, or named.
#pragma once

#include <string>
#include <utility>

#include <gradwire/error.hpp>
#include <gradwire/platform/impl/lifecycle_text.hpp>
#include <gradwire/platform/lifecycle_opening.hpp>

namespace gradwire::inline v0 {
namespace platform {

GRADWIRE_DECL lifecycle_actions lifecycle_opening::on_removed(part of) {
  lifecycle_actions out;
  if (removing_ != of || over_) return out;
  removing_.reset();
  write(out, {.what = lifecycle_fact::deleted, .of = of, .id = state_[of].id});
  clean_up(out);
  return out;
}

GRADWIRE_DECL lifecycle_actions lifecycle_opening::on_failed(std::optional<part> of, lifecycle_action::kind during,
                                                             std::exception_ptr failure, bool unknown) {
  lifecycle_actions out;
  if (over_) return out;
  if (of && during == detail::action_kind::remove) {
    if (removing_ != of) return out;
    removing_.reset();
    at(*of).trouble = detail::sentence_of(failure);
    clean_up(out);
    return out;
  }
  if (of && during == detail::action_kind::create) {
    if (at(*of).at != stage::creating) return out;
    if (unknown && !failure_) {
      at(*of).at = stage::looking;
      out.push_back({.what = detail::action_kind::look, .of = of, .id = state_[*of].id});
      return out;
    }
    at(*of).at = stage::idle;
    const bool is_first = at(*of).creates == 1 && !at(*of).was_asked;  // none before it can have got through
    if (!unknown && is_first) write(out, {.what = lifecycle_fact::refused, .of = of, .id = state_[*of].id});
  } else if (of && during == detail::action_kind::look) {
    at(*of).at = stage::idle;
  }
  give_up(std::move(failure), out);
  return out;
}

GRADWIRE_DECL void lifecycle_opening::give_up(std::exception_ptr failure, lifecycle_actions& out) {
  if (!failure_) failure_ = std::move(failure);
  clean_up(out);
}

// One after the other, when no create is on its way any more.
GRADWIRE_DECL void lifecycle_opening::clean_up(lifecycle_actions& out) {
  if (over_ || removing_) return;
  for (const progress& each : parts_)
    if (each.at == stage::creating || each.at == stage::looking) return;
  if (!wishes_.keep_on_failure && can_write_) {
    for (const part each : detail::order_of_deletion) {
      if (!state_.owes(each) || !at(each).trouble.empty()) continue;
      if (detail::may_be_anybodys(state_, each)) {
        at(each).trouble = "whether it is there, and this run's, is not known; close() looks again";
        continue;
      }
      if (state_[each].is != presence::going)
        write(out, {.what = lifecycle_fact::deleting, .of = each, .id = state_[each].id});
      removing_ = each;
      out.push_back(detail::removal_of(state_, each));
      return;
    }
  }
  over_ = true;
  out.push_back({.what = detail::action_kind::fail, .failure = with_what_is_left()});
}

GRADWIRE_DECL std::exception_ptr lifecycle_opening::with_what_is_left() const {
  std::array<std::string, 3> troubles;
  for (const part each : all_parts)
    troubles[static_cast<std::size_t>(each)] = parts_[static_cast<std::size_t>(each)].trouble;
  const std::string left = detail::left_of(state_, troubles);
  bool made_one = false;
  for (const part_record& each : state_.parts) made_one = made_one || each.is == presence::gone;
  if (left.empty()) return made_one ? detail::with_more(failure_, ". What the run had made is deleted") : failure_;
  return detail::with_more(failure_, ". Of this run there may still be: " + left);
}

// What was on its way is waited for, and nothing is begun any more. What it comes to is told, and not written.
GRADWIRE_DECL lifecycle_actions lifecycle_opening::on_unwritable(std::exception_ptr failure,
                                                                 const lifecycle_state& written,
                                                                 const lifecycle_actions& undone) {
  lifecycle_actions out;
  can_write_ = false;
  over_ = false;
  state_ = written;
  for (const lifecycle_action& each : undone) {
    const lifecycle_fact fact = each.event.what;
    if (each.what == detail::action_kind::write) {
      if (fact != lifecycle_fact::creating && fact != lifecycle_fact::deleting) state_.apply(each.event);
    } else if (each.what == detail::action_kind::remove) {
      removing_.reset();
    } else if (each.of) {
      at(*each.of).at = stage::idle;
    }
  }
  failure_ = failure_ ? detail::with_more(failure, ". The opening had failed before: " + detail::sentence_of(failure_))
                      : std::move(failure);
  clean_up(out);
  return out;
}

}  // namespace platform
}  // namespace gradwire::inline v0
