// SPDX-License-Identifier: Apache-2.0
// The tokens of one datum as they are stored: joined, checked, with their parts. Shared by datums and batches. Not a
// template, so that every datum type shares this code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <gradwire/datum/convert.hpp>
#include <gradwire/datum/data_error.hpp>
#include <gradwire/datum/tokens.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct token_segment {
  part_role role = part_role::prompt;
  std::size_t begin = 0;  // first token, counted in all tokens of the datum
  std::size_t size = 0;
};

// A picture among the tokens. In `ids` its positions hold 0, which is no token: they are never targets with a weight.
struct image_segment {
  std::size_t begin = 0;  // first position, counted in all tokens of the datum
  std::size_t size = 0;   // positions
  numbers bytes;          // of the file
  char format[8] = {};    // "png", "jpeg"
};

struct token_data {
  dynamic_array<std::int32_t> ids;            // shifted: all n tokens; explicit targets: n inputs, then n targets
  std::size_t length = 0;                     // targets
  std::size_t target_begin = 1;               // where the targets begin in ids
  std::size_t candidates = 0;                 // K, 0: none
  dynamic_array<std::int32_t> candidate_ids;  // row-major [length, K]
  dynamic_array<token_segment> segments;
  dynamic_array<image_segment> images;  // in their order
  std::size_t response_tokens = 0;
  provenance_runs input_spans;   // both empty, or covering the input …
  provenance_runs target_spans;  // … and the targets

  std::span<const std::int32_t> input() const noexcept { return {ids.data(), length}; }
  std::span<const std::int32_t> targets() const noexcept { return {ids.data() + target_begin, length}; }
};
struct token_core : token_data, counted_object<token_core> {};

[[noreturn, gnu::cold, gnu::noinline]] inline void bad_id(place at, std::size_t index, std::int64_t id) {
  at.token = static_cast<std::int64_t>(index);
  refuse(at, id, "the token id %lld is %s", static_cast<long long>(id),
         id < 0 ? "negative" : "above 2147483647, the largest int32");
}

// Appends ids, checked; in an error `what` names them and the first is token number `first`.
[[gnu::noinline]] inline void append_ids(const numbers& from, const place& what, std::size_t first,
                                         dynamic_array<std::int32_t>& ids) {
  if (!is_integer(from.kind)) refuse(what, {}, "token ids are whole numbers of an integer type");
  const std::size_t before = ids.size();
  ids.resize(before + from.size);
  std::int32_t* out = ids.data() + before;
  if (from.kind == number_kind::int32) {
    const auto* values = static_cast<const std::int32_t*>(from.data);
    for (std::size_t i = 0; i < from.size; ++i) {
      if (values[i] < 0) bad_id(what, first + i, values[i]);
      out[i] = values[i];
    }
    return;
  }
  for (std::size_t i = 0; i < from.size; ++i) {
    const std::int64_t id = integer_at(from.data, from.kind, i);
    if (id < 0 || id > 0x7fffffff) bad_id(what, first + i, id);
    out[i] = static_cast<std::int32_t>(id);
  }
}

// Goes over the targets in order: for (target_walk walk(core); walk.next();) use(walk.at);
class target_walk {
 public:
  explicit target_walk(const token_core& core) noexcept : core_(&core) {
    at.length = static_cast<std::int64_t>(core.length);
    at.parts = static_cast<std::int64_t>(core.segments.size());
    for (std::size_t i = 0; i < core.segments.size(); ++i) at.turns += opens_turn(i);
  }

  token_context at;

  bool next() noexcept {
    if (inside_ == end_ && !enter_next()) return false;
    at.position = static_cast<std::int64_t>(first_ + inside_ - 1);
    at.part_position = static_cast<std::int64_t>(inside_);
    at.token = core_->ids[core_->target_begin + first_ + inside_ - 1];
    ++inside_;
    return true;
  }

 private:
  // Adjacent response parts are one turn.
  bool opens_turn(std::size_t part) const noexcept {
    const auto& segments = core_->segments;
    return segments[part].role == part_role::response && (part == 0 || segments[part - 1].role != part_role::response);
  }
  // To the next part that has a target; false: there is none.
  [[gnu::noinline]] bool enter_next() noexcept {
    const auto& segments = core_->segments;
    do {
      if (++part_ == segments.size()) return false;
      const auto& segment = segments[part_];
      at.role = segment.role;
      at.part = static_cast<std::int64_t>(part_);
      at.part_length = static_cast<std::int64_t>(segment.size);
      turn_ += opens_turn(part_);
      at.turn = segment.role == part_role::response ? turn_ : -1;
      first_ = segment.begin;
      end_ = segment.size;
      inside_ = segment.begin == 0 && segment.size ? 1 : 0;  // the first token of a sequence is no target
    } while (inside_ == end_);
    return true;
  }

  const token_core* core_;
  std::size_t part_ = static_cast<std::size_t>(-1);  // before the first
  std::size_t first_ = 0;                            // of the part's tokens
  std::size_t inside_ = 0;                           // the part
  std::size_t end_ = 0;
  std::int64_t turn_ = -1;
};

// A column of another length than the targets or the response: says which of the two it nearly is.
[[noreturn, gnu::cold, gnu::noinline]] inline void wrong_length(const place& at, std::size_t given, std::size_t targets,
                                                                std::size_t response, bool unplaceable) {
  const auto distance = [given](std::size_t n) { return given > n ? given - n : n - given; };
  const bool two = response && response != targets;
  const bool tie = two && distance(response) == distance(targets);
  const bool near_response = two && distance(response) < distance(targets);
  const std::size_t near = near_response ? response : targets;
  char has[160];
  const int size = __builtin_snprintf(has, sizeof has, "%zu target%s", targets, targets == 1 ? "" : "s");
  if (two)
    __builtin_snprintf(has + size, sizeof has - static_cast<std::size_t>(size), " and %zu response token%s", response,
                       response == 1 ? "" : "s");
  const char* const what = "%zu value%s, but the datum has %s; %s";
  const char* const s = given == 1 ? "" : "s";
  if (given == targets + 1) {
    refuse(at, given, what, given, s, has,
           "that is one more than the targets: the first token of a sequence is never a target, leave out its value");
  }
  if (unplaceable && given == response) {
    refuse(at, given, what, given, s, has,
           "the sequence starts with a response token, which is never a target, leave out its value");
  }
  char reason[128];
  __builtin_snprintf(reason, sizeof reason, "that is %zu %s than the %s%s", distance(near),
                     given > near ? "more" : "fewer", near_response ? "response tokens" : "targets",
                     tie ? " and as many more than the response tokens" : "");
  refuse(at, given, what, given, s, has, reason);
}

// True where the response's values are to be placed among the targets, false where there is one value a target already.
[[gnu::cold, gnu::noinline]] inline bool is_response_length(const token_core& core, const place& at, std::size_t rows) {
  if (rows == core.length) return false;
  bool unplaceable = false;  // the first token is of a response
  for (const auto& segment : core.segments) {
    unplaceable = unplaceable || (segment.begin == 0 && segment.size && segment.role == part_role::response);
  }
  if (rows != core.response_tokens || rows == 0 || unplaceable) {
    wrong_length(at, rows, core.length, core.response_tokens, unplaceable);
  }
  return true;
}

// One row of `row_bytes` a response token → one row a target, zeros elsewhere.
[[gnu::noinline]] inline void place_rows(const token_core& core, const std::byte* from, std::size_t row_bytes,
                                         std::byte* to) {
  __builtin_memset(to, 0, core.length * row_bytes);
  for (const auto& segment : core.segments) {
    if (segment.role != part_role::response || segment.size == 0) continue;
    __builtin_memcpy(to + (segment.begin - 1) * row_bytes, from, segment.size * row_bytes);
    from += segment.size * row_bytes;
  }
}

[[gnu::cold, gnu::noinline]] inline numbers placed(const token_core& core, const numbers& given, std::size_t width) {
  const std::size_t row_bytes = width * bytes_of(given.kind);
  auto memory = allocate_compact(core.length * row_bytes);
  place_rows(core, static_cast<const std::byte*>(given.data), row_bytes, memory->data);
  numbers result = given;
  result.data = memory->data;
  result.size = core.length * width;
  result.owner = std::move(memory);
  result.response_only = true;
  return result;
}

[[noreturn, gnu::cold, gnu::noinline]] inline void not_covered(place at, std::int64_t token) {
  at.token = token;
  refuse(
      at, {},
      "this token of the prompt has a weight, but the column has values for the response tokens only; give one value a "
      "target");
}

// A response's values must not leave a weighted target without one: a logprob of 0 there would be a probability of 1.
template <class Weight>
void check_covered(const token_core& core, const Weight* weights, const place& column) {
  for (const auto& segment : core.segments) {
    if (segment.role != part_role::prompt || segment.size == 0) continue;
    for (std::size_t t = segment.begin ? segment.begin - 1 : 0; t + 1 < segment.begin + segment.size; ++t) {
      if (weights[t] != 0) not_covered(column, static_cast<std::int64_t>(t));
    }
  }
}

}  // namespace detail
}  // namespace gradwire::inline v0
