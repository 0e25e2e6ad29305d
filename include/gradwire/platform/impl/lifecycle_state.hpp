// SPDX-License-Identifier: Apache-2.0
// How the lines of a journal add up.
#pragma once

#include <algorithm>
#include <iterator>

#include <gradwire/platform/lifecycle_state.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

inline constexpr std::string_view fact_names[] = {
    "begun",  "resolved", "creating", "created",   "refused",  "attached", "model",    "saving",  "saved", "loading",
    "loaded", "unloaded", "state",    "promoting", "promoted", "closing",  "deleting", "deleted", "closed"};

}  // namespace detail

GRADWIRE_DECL std::string_view name_of(lifecycle_fact what) noexcept {
  return detail::fact_names[static_cast<unsigned>(what)];
}

GRADWIRE_DECL std::optional<lifecycle_fact> fact_named(std::string_view name) noexcept {
  const auto found = std::find(std::begin(detail::fact_names), std::end(detail::fact_names), name);
  if (found == std::end(detail::fact_names)) return {};
  return static_cast<lifecycle_fact>(found - std::begin(detail::fact_names));
}

GRADWIRE_DECL void lifecycle_state::apply(const lifecycle_event& event) {
  const snapshot_record told{event.id, event.type, event.previous, event.step};
  part_record none;
  part_record& about = event.of ? (*this)[*event.of] : none;
  switch (event.what) {
    case lifecycle_fact::begun:
      run = event.id;
      plan = event.path;
      break;
    case lifecycle_fact::resolved:
      if (event.of) versions[static_cast<std::size_t>(*event.of)] = event.id;
      break;
    case lifecycle_fact::creating:
      about = {event.id, presence::asked, true, about.times + 1};
      break;
    case lifecycle_fact::created:
      about = {event.id, presence::there, true, about.times, true};
      break;
    case lifecycle_fact::refused:
      about.is = presence::none;
      if (!event.of) promoting.clear(), std::erase(unsettled, event.id);
      break;
    case lifecycle_fact::attached:
      about = {event.id, presence::there, false, about.times, true};
      break;
    case lifecycle_fact::model:  // it has saved nothing yet, whatever the one before it had
      model = event.id;
      saved = {};
      saving.reset();
      break;
    case lifecycle_fact::saving:
      saving = event.id;
      break;
    case lifecycle_fact::saved:
      saving.reset();
      saved = told;
      break;
    case lifecycle_fact::loading:
      loading = told;
      break;
    case lifecycle_fact::loaded:
      loaded = loading.name == event.id ? loading : told;
      loading = {};
      break;
    case lifecycle_fact::unloaded:
      if (loading.name == event.id) loading = {};
      if (loaded.name == event.id) loaded = {};
      break;
    case lifecycle_fact::state:
      state = event.path;
      step = event.step;
      break;
    case lifecycle_fact::promoting:
      promoting = event.id;
      if (std::find(unsettled.begin(), unsettled.end(), event.id) == unsettled.end()) unsettled.push_back(event.id);
      break;
    case lifecycle_fact::promoted:
      promoting.clear();
      std::erase(unsettled, event.id);
      promoted.push_back(event.id);
      break;
    case lifecycle_fact::closing:
      closing = true;
      break;
    case lifecycle_fact::deleting:
      about.is = presence::going;
      break;
    case lifecycle_fact::deleted:
      about.is = presence::gone;
      break;
    case lifecycle_fact::closed:
      closed = true;
      break;
  }
}

}  // namespace platform
}  // namespace gradwire::inline v0
