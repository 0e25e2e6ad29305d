// SPDX-License-Identifier: Apache-2.0
// What only tests ask of the platform, with its own key: /gradwire/faults, /gradwire/counts, /gradwire/clock.
#pragma once

#include <gradwire/loopback/platform/world.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

inline http_response list_faults(world& it, call&) {
  wire::json_writer out;
  out.begin_object();
  out.key("faults").begin_array();
  for (const auto& each : it.faults.all()) {
    out.begin_object();
    out.key("name").string(each.name);
    out.key("value").string(each.value);
    out.key("times").integer(each.times);
    out.end_object();
  }
  out.end_array();
  out.end_object();
  return detail::json_reply(std::move(out).take());
}

// {"name": …, "value": …, "times": …}
inline http_response set_fault(world& it, call& request) {
  try {
    const wire::json_document json(request.request.body);
    const json_members given(json, json.root());
    it.faults.set({given.text("name", ""), given.text("value", ""), given.number<std::int32_t>("times", -1)});
  } catch (const error& wrong) {
    throw invalid(wrong.what());
  }
  return list_faults(it, request);
}

inline http_response clear_faults(world& it, call& request) {
  it.faults.clear();
  return list_faults(it, request);
}

inline http_response tell_counts(world& it, call&) {
  wire::json_writer out;
  out.begin_object();
  for (std::size_t i = 0; i < it.tallies.size(); ++i) out.key(tally_names[i]).integer(it.tallies[i]);
  out.end_object();
  return detail::json_reply(std::move(out).take());
}

// {"advance": seconds}
inline http_response move_clock(world& it, call& request) {
  try {
    const wire::json_document json(request.request.body);
    const double seconds = json_members(json, json.root()).number<double>("advance", -1.0);
    if (!(seconds >= 0 && seconds <= 1e9))
      throw invalid("advance is the seconds that the clock is to move on, 0 to 1e9");
    it.clock.advance(seconds);
  } catch (const error& wrong) {
    throw invalid(wrong.what());
  }
  return empty_answer();
}

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
