// SPDX-License-Identifier: Apache-2.0
// Parts, explicit targets and candidates become the stored tokens of a datum.
#pragma once

#include <gradwire/datum/token_core.hpp>

namespace gradwire::inline v0 {
namespace detail {

[[gnu::cold, gnu::noinline]] inline void append_image(const token_part& part, token_core& core) {
  image_segment image{.begin = core.ids.size(), .size = part.expected_tokens, .bytes = part.ids};
  __builtin_memcpy(image.format, part.format, sizeof image.format);
  core.segments.push_back({part_role::prompt, image.begin, image.size});
  core.ids.resize(image.begin + image.size);
  core.images.push_back(std::move(image));
}

// Where the joined parts come from, when a sample is among them: what is no sample was in the prompt of the next one.
// Tokens after the last one come from no sequence, and there is no half provenance: such a datum has none.
[[gnu::cold, gnu::noinline]] inline void note_provenance(const token_sequence& parts, token_core& core) {
  provenance_runs runs;
  std::size_t at = 0, noted = 0;
  for (const auto& part : parts.parts()) {
    const std::string_view id = part.from.sequence_id();
    if (!id.empty()) {
      append_run(runs, prompt_span(id, noted, at - noted));
      append_run(runs, part.from);
      noted = at + part.ids.size;
    }
    at += part.expected_tokens ? part.expected_tokens : part.ids.size;
  }
  if (noted != at) return;
  core.input_spans = cut_runs(runs, 0, core.length);
  core.target_spans = cut_runs(runs, 1, core.length + 1);
}

[[gnu::cold, gnu::noinline]] inline shared<token_core> join_parts(const token_sequence& parts) {
  shared<token_core> core(new token_core);
  std::size_t total = 0;
  for (const auto& part : parts.parts()) total += part.expected_tokens ? part.expected_tokens : part.ids.size;
  core->ids.reserve(total);
  for (const auto& part : parts.parts()) {
    if (part.expected_tokens) {
      append_image(part, *core);
      continue;
    }
    core->segments.push_back({part.role, core->ids.size(), part.ids.size});
    if (part.role == part_role::response) core->response_tokens += part.ids.size;
    append_ids(part.ids, {.column = "tokens"}, core->ids.size(), core->ids);
  }
  if (total < 2) {
    refuse({.column = "tokens"}, total,
           "a datum of %zu token%s has no target; it takes at least 2, because each is predicted from those before it",
           total, total == 1 ? "" : "s");
  }
  if (!core->images.empty() &&
      core->images[core->images.size() - 1].begin + core->images[core->images.size() - 1].size == total) {
    refuse({.column = "tokens"}, {},
           "the last part is an image; the last token of a sequence is only predicted, and an image is not: let text "
           "follow it");
  }
  core->length = total - 1;
  note_provenance(parts, *core);
  return core;
}

[[gnu::cold, gnu::noinline]] inline shared<token_core> join_parts(const explicit_input& input) {
  shared<token_core> core(new token_core);
  append_ids(input.ids, {.column = "model_input"}, 0, core->ids);
  core->length = core->ids.size();
  if (core->length == 0) refuse({.column = "model_input"}, "0", "a datum without tokens");
  core->segments.push_back({part_role::response, 1, core->length});
  core->response_tokens = core->length;
  return core;
}

// How many candidates there are: `from` has K ids a target, or K a response token.
[[gnu::cold, gnu::noinline]] inline std::size_t candidate_width(const numbers& from, const place& at,
                                                                const token_core& core) {
  const std::size_t targets = core.length, response = core.response_tokens;
  const std::size_t given = from.size;
  if (from.width) {
    if (from.size % from.width || from.size == 0) {
      refuse(at, given, "%zu values are no whole number of rows of %zu", given, from.width);
    }
    return from.width;
  }
  const bool by_target = from.size && from.size % targets == 0;
  const bool by_response = from.size && response && response != targets && from.size % response == 0;
  if (by_target && by_response) {
    refuse(at, given,
           "%zu values can be %zu candidates a target or %zu a response token; say which with matrix(values, "
           "candidates) or "
           "with one range a token",
           given, given / targets, given / response);
  }
  if (!by_target && !by_response) {
    refuse(at, given, "%zu values are no whole number of candidates for %zu targets", given, targets);
  }
  return from.size / (by_target ? targets : response);
}

[[gnu::cold, gnu::noinline]] inline void add_candidate_ids(const numbers& from, const place& at, token_core& core) {
  const std::size_t width = candidate_width(from, at, core);
  dynamic_array<std::int32_t> ids;
  append_ids(from, at, 0, ids);
  core.candidates = width;
  if (!is_response_length(core, at, from.size / width)) {
    core.candidate_ids = std::move(ids);
    return;
  }
  core.candidate_ids.resize(core.length * width);
  place_rows(core, reinterpret_cast<const std::byte*>(ids.data()), width * sizeof(std::int32_t),
             reinterpret_cast<std::byte*>(core.candidate_ids.data()));
}

inline void add_candidates(const numbers& from, token_core& core) {
  add_candidate_ids(from, {.column = "candidates"}, core);
}

// The given targets instead of the shifted input; K a row are candidates, of which the first stands for the target.
[[gnu::cold, gnu::noinline]] inline void add_targets(const numbers& from, token_core& core) {
  const place at{.column = "target_tokens"};
  core.target_begin = core.ids.size();
  core.input_spans = {};
  core.target_spans = {};
  if (from.width > 1 || (from.width == 0 && from.size > core.length && from.size % core.length == 0)) {
    add_candidate_ids(from, at, core);
    for (std::size_t t = 0; t < core.length; ++t) core.ids.push_back(core.candidate_ids[t * core.candidates]);
    return;
  }
  if (from.size != core.length) {
    refuse(at, from.size, "%zu target tokens for %zu input tokens; there is one target an input token, or K a token",
           from.size, core.length);
  }
  append_ids(from, at, 0, core.ids);
}

}  // namespace detail
}  // namespace gradwire::inline v0
