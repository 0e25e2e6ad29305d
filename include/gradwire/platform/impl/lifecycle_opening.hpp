// SPDX-License-Identifier: Apache-2.0
// How lifecycle_opening.hpp works.
#pragma once

#include <string>
#include <utility>

#include <gradwire/error.hpp>
#include <gradwire/platform/impl/lifecycle_text.hpp>
#include <gradwire/platform/lifecycle_opening.hpp>

namespace gradwire::inline v0 {
namespace platform {

GRADWIRE_DECL lifecycle_opening::lifecycle_opening(opening_wishes wishes, lifecycle_state state)
    : wishes_(std::move(wishes)), state_(std::move(state)) {
  for (const part each : all_parts) {
    const bool wanted =
        each == part::policy_job || (each == part::reference_job ? wishes_.reference : wishes_.deployment);
    at(each).at = wanted ? stage::idle : stage::unwanted;
    at(each).was_asked = state_[each].is == presence::asked;
  }
}

GRADWIRE_DECL void lifecycle_opening::write(lifecycle_actions& out, lifecycle_event event) {
  state_.apply(event);
  if (!can_write_) return;
  out.push_back({.what = detail::action_kind::write, .of = event.of, .id = event.id, .event = std::move(event)});
}

GRADWIRE_DECL lifecycle_actions lifecycle_opening::begin() {
  lifecycle_actions out;
  for (const part each : {part::policy_job, part::reference_job}) {
    if (!is_wanted(each)) continue;
    at(each).at = stage::shape;
    out.push_back({.what = detail::action_kind::resolve, .of = each, .id = state_.version(each)});
  }
  return out;
}

GRADWIRE_DECL lifecycle_actions lifecycle_opening::on_resolved(part of, const std::string& version) {
  lifecycle_actions out;
  if (failure_ || at(of).at != stage::shape) return out;
  at(of).at = stage::idle;
  if (state_.version(of) != version) write(out, {.what = lifecycle_fact::resolved, .of = of, .id = version});
  for (const part each : all_parts)
    if (at(each).at == stage::shape) return out;  // nothing is made before every shape is known to be right
  start_parts(out);
  return out;
}

GRADWIRE_DECL void lifecycle_opening::start_parts(lifecycle_actions& out) {
  for (const part each : all_parts)
    if (at(each).at == stage::idle) start(each, out);
}

GRADWIRE_DECL bool lifecycle_opening::has_to_wait(part of) const {
  const part needs = wishes_.deployment_first ? part::deployment : part::policy_job;
  const part needing = wishes_.deployment_first ? part::policy_job : part::deployment;
  return of == needing && is_wanted(needs) && state_[needs].is != presence::there;
}

GRADWIRE_DECL void lifecycle_opening::start(part of, lifecycle_actions& out) {
  const part_record& record = state_[of];
  const bool is_new = record.is == presence::none || record.is == presence::gone;
  if (record.is == presence::going) {
    return give_up(std::make_exception_ptr(error(
                       errc::config, std::string(to_string(of)) + " " + record.id +
                                         " is being deleted, as the run's journal says; close the run, or begin one "
                                         "with another journal")),
                   out);
  }
  const std::string& existing = wishes_.existing[static_cast<std::size_t>(of)];
  if (is_new && has_to_wait(of)) return;  // it stays idle, and is begun when that one is there
  if (!is_new || !existing.empty()) {
    at(of).at = stage::looking;
    out.push_back({.what = detail::action_kind::look, .of = of, .id = is_new ? existing : record.id});
    return;
  }
  create(of, out);
}

// Its line is written unless there is one already.
GRADWIRE_DECL void lifecycle_opening::create(part of, lifecycle_actions& out) {
  if (has_to_wait(of)) {
    at(of).at = stage::idle;
    return;
  }
  if (state_[of].is != presence::asked) {
    std::string id = wishes_.existing[static_cast<std::size_t>(of)];
    if (id.empty()) id = detail::id_of_new_part(state_, of);
    write(out, {.what = lifecycle_fact::creating, .of = of, .id = std::move(id), .type = "ours"});
  }
  at(of).at = stage::creating;
  ++at(of).creates;
  out.push_back({.what = detail::action_kind::create, .of = of, .id = state_[of].id});
}

GRADWIRE_DECL lifecycle_actions lifecycle_opening::on_found(part of, found what, const std::string& description,
                                                            bool is_marked) {
  lifecycle_actions out;
  if (at(of).at != stage::looking) return out;
  if (what == found::absent) {
    not_found(of, description, out);
    return out;
  }
  const presence before = state_[of].is;
  const bool is_named = before == presence::none || before == presence::gone;
  const std::string id = is_named ? wishes_.existing[static_cast<std::size_t>(of)] : state_[of].id;
  if (before == presence::asked && (is_marked || detail::has_own_id(state_, of))) {
    write(out, {.what = lifecycle_fact::created, .of = of, .id = id});
  } else if (before != presence::there) {
    if (what != found::dead)  // a create that was taken for refused, or came after its deletion, has left the mark
      write(out, {.what = is_marked ? lifecycle_fact::created : lifecycle_fact::attached, .of = of, .id = id});
    else if (before == presence::asked)
      write(out, {.what = lifecycle_fact::refused, .of = of, .id = id});
  }
  if (failure_ || what == found::dead) {
    at(of).at = stage::idle;
    if (failure_) {
      clean_up(out);
    } else {
      give_up(std::make_exception_ptr(error(errc::closed, std::string(to_string(of)) + " " + id +
                                                              " will not serve any more" +
                                                              (description.empty() ? "" : ": " + description) +
                                                              "; begin a run with another journal, or name another "
                                                              "one")),
              out);
    }
    return out;
  }
  const bool revives = what == found::stopped && of != part::deployment;
  at(of).at = revives ? stage::reviving : stage::waiting;
  out.push_back({.what = revives ? detail::action_kind::revive : detail::action_kind::wait, .of = of, .id = id});
  start_parts(out);
  return out;
}

GRADWIRE_DECL void lifecycle_opening::not_found(part of, const std::string& description, lifecycle_actions& out) {
  at(of).at = stage::idle;
  const std::string name = std::string(to_string(of)) + " " + state_[of].id;
  if (failure_) {
    clean_up(out);
  } else if (state_[of].is == presence::there) {
    give_up(std::make_exception_ptr(
                error(errc::config, name + ", which the run's journal names, is not there any more" +
                                        (description.empty() ? "" : " (" + description + ")") +
                                        "; it was deleted by somebody else or has expired. Begin a run with another "
                                        "journal")),
            out);
  } else if (at(of).creates >= wishes_.creates) {
    give_up(
        std::make_exception_ptr(error(errc::outcome_unknown, name + " was asked for " + std::to_string(at(of).creates) +
                                                                 " times without an answer, and is not there")),
        out);
  } else {
    create(of, out);
  }
}

GRADWIRE_DECL lifecycle_actions lifecycle_opening::on_created(part of, creation how) {
  lifecycle_actions out;
  if (at(of).at != stage::creating) return out;
  const std::string id = state_[of].id;
  if (how != creation::made && !detail::has_own_id(state_, of)) {  // its mark tells whose it is
    at(of).at = stage::looking;
    out.push_back({.what = detail::action_kind::look, .of = of, .id = id});
    return out;
  }
  if (how == creation::taken && at(of).creates == 1 && !at(of).was_asked) {
    at(of).at = stage::idle;
    write(out, {.what = lifecycle_fact::refused, .of = of, .id = id});
    give_up(std::make_exception_ptr(
                error(errc::config, std::string(to_string(of)) + " " + id +
                                        " was there before this run asked for it: another run has the same tag, of a "
                                        "journal that was copied? Begin a run with another journal")),
            out);
    return out;
  }
  write(out, {.what = lifecycle_fact::created, .of = of, .id = id});
  if (failure_) {
    at(of).at = stage::idle;
    clean_up(out);
    return out;
  }
  at(of).at = stage::waiting;
  out.push_back({.what = detail::action_kind::wait, .of = of, .id = id});
  start_parts(out);
  return out;
}

GRADWIRE_DECL lifecycle_actions lifecycle_opening::on_ready(part of) {
  lifecycle_actions out;
  if (failure_) return out;
  if (at(of).at == stage::reviving) {
    at(of).at = stage::waiting;
    out.push_back({.what = detail::action_kind::wait, .of = of, .id = state_[of].id});
  } else if (at(of).at == stage::waiting) {
    const bool holds_nothing = state_.loading.name.empty() && state_.loaded.name.empty();
    if (of == part::deployment && holds_nothing) {
      at(of).at = stage::ready;
      finish_if_ready(out);
    } else {
      at(of).at = stage::connecting;
      out.push_back({.what = of == part::deployment ? detail::action_kind::inspect : detail::action_kind::connect,
                     .of = of,
                     .id = state_[of].id});
    }
  }
  return out;
}

GRADWIRE_DECL lifecycle_actions lifecycle_opening::on_connected(part of, const std::string& model) {
  lifecycle_actions out;
  if (failure_ || at(of).at != stage::connecting) return out;
  if (of == part::policy_job) write(out, {.what = lifecycle_fact::model, .of = of, .id = model, .path = state_.state});
  at(of).at = stage::ready;
  finish_if_ready(out);
  return out;
}

GRADWIRE_DECL lifecycle_actions lifecycle_opening::on_inspected(const std::string& holds) {
  lifecycle_actions out;
  if (failure_ || at(part::deployment).at != stage::connecting) return out;
  if (const std::string name = state_.loading.name; !name.empty())
    write(out, {.what = name == holds ? lifecycle_fact::loaded : lifecycle_fact::unloaded, .id = name});
  if (const std::string name = state_.loaded.name; !name.empty() && name != holds)
    write(out, {.what = lifecycle_fact::unloaded, .id = name});
  at(part::deployment).at = stage::ready;
  finish_if_ready(out);
  return out;
}

GRADWIRE_DECL void lifecycle_opening::finish_if_ready(lifecycle_actions& out) {
  for (const progress& each : parts_)
    if (each.at != stage::unwanted && each.at != stage::ready) return;
  over_ = true;
  out.push_back({.what = detail::action_kind::finish});
}

}  // namespace platform
}  // namespace gradwire::inline v0
