// SPDX-License-Identifier: Apache-2.0
// Provenance spans as JSON: {"prompt_tokens": {…}} or {"sampled_tokens": {…}}, the form that protobuf's own JSON has.
#pragma once

#include <gradwire/wire/json_object.hpp>
#include <gradwire/wire/messages_training.hpp>

namespace gradwire::inline v0 {
namespace wire {

inline void members(auto& visit, is<provenance_span> auto& m) {
  visit.required("sequence_id", m.sequence_id);
  visit("offset", m.offset);
  visit.required("length", m.length);
}

inline void write(json_writer& out, const provenance_span& span) {
  out.begin_object();
  out.key(span.sampled ? "sampled_tokens" : "prompt_tokens").begin_object();
  json_object_writer visit(out);
  members(visit, span);
  out.end_object();
  out.end_object();
}

inline void read(const json_reader& in, provenance_span& span) {
  const bool of_prompt = in.has("prompt_tokens"), sampled = in.has("sampled_tokens");
  if (of_prompt == sampled) return in.issue("value_error", "Input should have prompt_tokens or sampled_tokens");
  span.sampled = sampled;
  in.member(sampled ? "sampled_tokens" : "prompt_tokens", [&](const json_reader& run) {
    if (run.kind() != json_kind::object) return run.issue("dict_type", "Input should be an object");
    json_object_reader visit(run);
    members(visit, span);
  });
}

}  // namespace wire
}  // namespace gradwire::inline v0
