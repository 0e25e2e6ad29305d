// SPDX-License-Identifier: Apache-2.0
// Whether the provenance spans of a datum hold together. What they say is not held to samples: no loss here reads it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/loopback/service/reply.hpp>
#include <gradwire/wire/messages_training.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// Spans that cover `positions` one after the other.
inline void check_spans(const std::vector<wire::provenance_span>& spans, std::size_t positions,
                        const std::vector<std::string>& field) {
  const auto wrong = [&](std::size_t span, const std::string& sentence) {
    auto place = field;
    place.push_back(std::to_string(span));
    invalid(std::move(place), "value_error", "span " + std::to_string(span) + " " + sentence);
  };
  const auto all = static_cast<std::int64_t>(positions);
  std::int64_t covered = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const auto& span = spans[i];
    if (span.sequence_id.empty()) wrong(i, "has no sequence_id");
    if (span.offset < 0 || span.length < 0)
      wrong(i, "has offset " + std::to_string(span.offset) + " and length " + std::to_string(span.length) +
                   "; neither may be negative");
    if (span.length > all - covered)
      wrong(i, "covers " + std::to_string(span.length) + " positions from " + std::to_string(covered) +
                   " on, and there are " + std::to_string(all));
    covered += span.length;
  }
  if (covered != all)
    invalid(field, "value_error",
            "the spans cover " + std::to_string(covered) + " of " + std::to_string(all) +
                " positions; they must cover each of them");
}

// `place`: of the datum.
inline void check_provenance(const wire::datum& datum, std::size_t positions, const std::vector<std::string>& place) {
  const auto& input = datum.model_input_spans;
  const auto& targets = datum.loss_fn_input_spans;
  if (input.empty() && targets.empty()) return;
  const auto at = [&](const char* field) {
    auto there = place;
    there.emplace_back(field);
    return there;
  };
  if (input.empty() || targets.empty())
    invalid(at(input.empty() ? "model_input_spans" : "loss_fn_input_spans"), "missing",
            "provenance comes as a pair: spans of the input and of the targets");
  check_spans(input, positions, at("model_input_spans"));
  check_spans(targets, positions, at("loss_fn_input_spans"));
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
