// SPDX-License-Identifier: Apache-2.0
// Which sampled sequences the tokens of a datum come from, for losses that the server computes from what it noted when
// it sampled them. A datum that is given the samples themselves knows it:
//
//   datum d{prompt(question) + response(sampled), old_logprobs = sampled.logprobs, advantage = 0.7};
//
// The tokens before a sample count as its prompt, from the first token of the datum on. Where that is not so, or the
// targets are given apart, with_provenance() says it in spans, which one after the other cover the input and the
// targets.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include <gradwire/datum/data_error.hpp>
#include <gradwire/datum/dynamic_array.hpp>
#include <gradwire/datum/shared.hpp>

namespace gradwire::inline v0 {

// `length` positions of a datum, which are positions offset … of what the sequence was given, or of what it said.
class provenance_span {
 public:
  provenance_span() = default;  // of nothing
  [[gnu::cold, gnu::noinline]] provenance_span(std::string_view sequence_id, std::size_t first, std::size_t positions,
                                               bool was_sampled)
      : offset(first), length(positions), sampled(was_sampled) {
    if (sequence_id.empty()) refuse();
    auto id = detail::allocate_compact(sequence_id.size());
    __builtin_memcpy(id->data, sequence_id.data(), sequence_id.size());
    id_ = std::move(id);
  }

  std::size_t offset = 0;
  std::size_t length = 0;
  bool sampled = false;  // else: of its prompt

  std::string_view sequence_id() const noexcept {
    return id_ ? std::string_view(reinterpret_cast<const char*>(id_->data), id_->bytes) : std::string_view();
  }

  [[noreturn, gnu::cold, gnu::noinline]] static void refuse() {
    detail::refuse({.column = "provenance"}, {},
                   "a span without the id of its sequence; a sample has one as sequence_id where the server gives ids");
  }

 private:
  detail::shared<const detail::block> id_;
};

// Of what the sequence was given.
inline provenance_span prompt_span(std::string_view sequence_id, std::size_t offset, std::size_t length) {
  return {sequence_id, offset, length, false};
}
// Of what it said.
inline provenance_span sampled_span(std::string_view sequence_id, std::size_t offset, std::size_t length) {
  return {sequence_id, offset, length, true};
}

namespace detail {

using provenance_runs = dynamic_array<provenance_span>;

// Appends a run; one that goes on where the last one ends becomes a part of it.
[[gnu::cold, gnu::noinline]] inline void append_run(provenance_runs& runs, provenance_span run) {
  if (run.length == 0) return;
  if (!runs.empty()) {
    provenance_span& last = runs[runs.size() - 1];
    if (last.sampled == run.sampled && last.offset + last.length == run.offset &&
        last.sequence_id() == run.sequence_id())
      return void(last.length += run.length);
  }
  runs.push_back(std::move(run));
}

// Positions begin … end - 1 of what the runs cover.
[[gnu::cold, gnu::noinline]] inline provenance_runs cut_runs(const provenance_runs& runs, std::size_t begin,
                                                             std::size_t end) {
  provenance_runs kept;
  std::size_t at = 0;
  for (const provenance_span& run : runs) {
    const std::size_t from = at < begin ? begin : at, next = at + run.length, to = next < end ? next : end;
    if (from < to) {
      provenance_span part = run;
      part.offset += from - at;
      part.length = to - from;
      append_run(kept, std::move(part));
    }
    at = next;
  }
  return kept;
}

// The spans as they were given, if they cover `length` positions.
[[gnu::cold, gnu::noinline]] inline provenance_runs checked_runs(std::span<const provenance_span> given,
                                                                 std::size_t length, const char* column) {
  provenance_runs runs;
  std::size_t covered = 0;
  for (const provenance_span& span : given) {
    if (span.sequence_id().empty()) provenance_span::refuse();
    if (span.length > length - covered) {
      refuse({.column = column}, span.length,
             "span %zu covers %zu positions from %zu on, and there are %zu; the spans cover each position once",
             runs.size(), span.length, covered, length);
    }
    covered += span.length;
    runs.push_back(span);
  }
  if (covered != length) {
    refuse({.column = column}, covered, "the spans cover %zu of %zu positions; they cover each position once", covered,
           length);
  }
  return runs;
}

}  // namespace detail
}  // namespace gradwire::inline v0
