// SPDX-License-Identifier: Apache-2.0
// The tokens of one datum as they are stored: joined, checked, with their parts. Shared by datums and batches. Not a
// template, so that every datum type shares this code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

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

struct token_core : counted_object<token_core> {
  std::vector<std::int32_t> ids;            // shifted: all n tokens; explicit targets: n inputs, then n targets
  std::size_t length = 0;                   // targets
  std::size_t target_begin = 1;             // where the targets begin in ids
  std::size_t candidates = 0;               // K, 0: none
  std::vector<std::int32_t> candidate_ids;  // row-major [length, K]
  std::vector<token_segment> segments;
  std::size_t response_tokens = 0;

  std::span<const std::int32_t> input() const noexcept { return {ids.data(), length}; }
  std::span<const std::int32_t> targets() const noexcept { return {ids.data() + target_begin, length}; }
};

// Appends ids, checked; `what` names them in an error.
[[gnu::noinline]] inline void append_ids(const numbers& from, const place& what, std::vector<std::int32_t>& ids) {
  if (!is_integer(from.kind)) data_error(what, "token ids are whole numbers of an integer type");
  const std::size_t before = ids.size();
  ids.resize(before + from.size);
  with_type(from.data, from.kind, [&](const auto* values) {
    std::int32_t* out = ids.data() + before;
    for (std::size_t i = 0; i < from.size; ++i) {
      const auto id = static_cast<std::int64_t>(values[i]);
      if (static_cast<std::uint64_t>(id) > 0x7fffffff) {  // negative ones too
        const std::string text = std::to_string(values[i]);
        data_error({what.datum, static_cast<std::int64_t>(before + i), what.column},
                   "the token id " + text + " is " + (text[0] == '-' ? "negative" : "above 2147483647, the largest int32"),
                   text);
      }
      out[i] = static_cast<std::int32_t>(id);
    }
  });
}

// Calls f(context) for every target in order.
template <class F>
void for_each_target(const token_core& core, F&& f) {
  token_context at;
  at.length = static_cast<std::int64_t>(core.length);
  at.parts = static_cast<std::int64_t>(core.segments.size());
  part_role before = part_role::prompt;
  for (const auto& segment : core.segments) {
    if (segment.role == part_role::response && before != part_role::response) ++at.turns;
    before = segment.role;
  }
  const auto targets = core.targets();
  std::int64_t turn = -1;
  before = part_role::prompt;
  for (const auto& segment : core.segments) {
    at.role = segment.role;
    at.part_length = static_cast<std::int64_t>(segment.size);
    if (segment.role == part_role::response && before != part_role::response) ++turn;
    at.turn = segment.role == part_role::response ? turn : -1;
    before = segment.role;
    for (std::size_t i = segment.begin == 0 ? 1 : 0; i < segment.size; ++i) {
      const std::size_t t = segment.begin + i - 1;
      at.position = static_cast<std::int64_t>(t);
      at.part_position = static_cast<std::int64_t>(i);
      at.token = targets[t];
      f(static_cast<const token_context&>(at));
    }
    ++at.part;
  }
}

// A column of another length than the targets or the response: says which of the two it nearly is.
[[noreturn, gnu::cold, gnu::noinline]] inline void wrong_length(const place& at, std::size_t given, std::size_t targets,
                                                                std::size_t response, bool unplaceable) {
  auto count = [](std::size_t n, const char* noun) { return std::to_string(n) + " " + noun + (n == 1 ? "" : "s"); };
  auto distance = [given](std::size_t n) { return given > n ? given - n : n - given; };
  std::string what = count(given, "value") + ", but the datum has " + count(targets, "target");
  if (response && response != targets) what += " and " + count(response, "response token");
  const bool near_response = response && distance(response) < distance(targets);
  if (given == targets + 1) {
    what += "; that is one more than the targets: the first token of a sequence is never a target, leave out its value";
  } else if (unplaceable && given == response) {
    what += "; the sequence starts with a response token, which is never a target, leave out its value";
  } else {
    what += "; that is " + std::to_string(near_response ? distance(response) : distance(targets)) +
            (given > (near_response ? response : targets) ? " more" : " fewer") + " than the " +
            (near_response ? "response tokens" : "targets");
  }
  data_error(at, what, std::to_string(given));
}

// True where the response's values are to be placed among the targets, false where there is one value a target already.
[[gnu::noinline]] inline bool is_response_length(const token_core& core, const place& at, std::size_t rows) {
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

[[gnu::noinline]] inline numbers placed(const token_core& core, const numbers& given, std::size_t width) {
  const std::size_t row_bytes = width * bytes_of(given.kind);
  auto memory = allocate_compact(core.length * row_bytes);
  place_rows(core, static_cast<const std::byte*>(given.data), row_bytes, memory->data);
  numbers result = given;
  result.data = memory->data;
  result.size = core.length * width;
  result.owner = std::move(memory);
  return result;
}

// A response's values must not leave a weighted target without one: a logprob of 0 there would be a probability of 1.
template <class Weight>
void check_covered(const token_core& core, const Weight* weights, const place& column) {
  for_each_target(core, [&](const token_context& at) {
    if (at.role == part_role::prompt && weights[at.position] != 0) {
      data_error({column.datum, at.position, column.column},
                 "this token of the prompt has a weight, but the column has values for the response tokens only; give one "
                 "value a target");
    }
  });
}

}  // namespace detail
}  // namespace gradwire::inline v0
