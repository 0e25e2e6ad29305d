// SPDX-License-Identifier: Apache-2.0
// What a probe found, as a table and as JSON.
#pragma once

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/probe.hpp>
#include <gradwire/wire/json_writer.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline const char* name_of(answer what) {
  constexpr const char* names[] = {"not observable", "no", "yes"};
  return names[static_cast<unsigned>(what)];
}
inline const char* name_of(reduction what) {
  constexpr const char* names[] = {"unknown",     "sum",           "sequence_mean_sum", "sequence_mean_mean",
                                   "token_count", "sequence_count"};
  return names[static_cast<unsigned>(what)];
}
inline const char* name_of(repetition what) {
  constexpr const char* names[] = {"not observable", "recognised", "refused", "executed again"};
  return names[static_cast<unsigned>(what)];
}
inline const char* name_of(gap what) {
  constexpr const char* names[] = {"not observable", "accepted", "refused", "waited for"};
  return names[static_cast<unsigned>(what)];
}
inline const char* name_of(const std::optional<wire::lowering>& what) {
  return !what ? "unknown" : *what == wire::lowering::cross_entropy ? "cross_entropy" : "importance_sampling";
}

inline std::string number_text(const std::optional<double>& value) {
  if (!value) return "not observable";
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", *value);
  return text;
}

inline std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& each : words) text += (text.empty() ? "" : ", ") + each;
  return text.empty() ? "none" : text;
}

inline const char* sentence_of(reduction what) {
  constexpr const char* sentences[] = {
      "not known; custom losses cannot be sent with confidence",
      "the plain sum of -weight * logprob",
      "divided by the weights of each sequence",
      "divided by the weights of each sequence (or of the batch) and averaged over sequences",
      "divided by a number of tokens",
      "divided by the number of sequences"};
  return sentences[static_cast<unsigned>(what)];
}

inline std::vector<std::pair<std::string, std::string>> rows_of(const server_traits& t) {
  const auto bounds = [](const clip_defaults& clip) {
    return number_text(clip.low) + " to " + number_text(clip.high) + ", thresholds honoured: " + name_of(clip.settable);
  };
  return {{"server", t.dialect + (t.recognised ? "" : " (a guess)")},
          {"model", t.model},
          {"protobuf bodies", name_of(t.protobuf)},
          {"JSON bodies", name_of(t.json)},
          {"forward by flag", name_of(t.forward_flag)},
          {"forward endpoint", name_of(t.forward_endpoint)},
          {"output type", t.output_type},
          {"outputs per token", joined(t.outputs)},
          {"metrics", joined(t.metrics)},
          {"gradient seen by", t.gradient_seen_by.empty() ? "nothing" : t.gradient_seen_by},
          {"cross_entropy", sentence_of(t.cross_entropy)},
          {"  weights doubled", number_text(t.of_double_weights) + " x the gradient"},
          {"  weights negated", number_text(t.of_negative_weights) + " x"},
          {"  sequence twice", number_text(t.of_the_sequence_twice) + " x"},
          {"  padded with weight 0", number_text(t.of_a_padded_sequence) + " x"},
          {"custom losses go as", name_of(t.custom_loss())},
          {"ppo clips the ratio to", bounds(t.ppo)},
          {"cispo clips the ratio to", bounds(t.cispo)},
          {"gradients accumulate", name_of(t.accumulates)},
          {"grad_clip_norm honoured", name_of(t.clips_gradients)},
          {"a repeated seq_id is", name_of(t.repeated)},
          {"a skipped seq_id is", name_of(t.skipped)}};
}

}  // namespace detail

GRADWIRE_DECL std::string to_table(const server_traits& traits) {
  std::string text;
  for (const auto& [name, value] : detail::rows_of(traits)) {
    text += name;
    text.append(name.size() < 26 ? 26 - name.size() : 1, ' ');
    text += value + "\n";
  }
  for (const auto& note : traits.notes) text += "note: " + note + "\n";
  return text;
}

GRADWIRE_DECL std::string to_json(const server_traits& t) {
  wire::json_writer out;
  const auto text = [&](const char* name, const std::string& value) { out.key(name).string(value); };
  const auto number = [&](const char* name, const std::optional<double>& value) {
    out.key(name);
    value ? out.real(*value) : out.null();
  };
  const auto truth = [&](const char* name, answer value) {
    out.key(name);
    value == answer::unknown ? out.null() : out.boolean(value == answer::yes);
  };
  const auto list = [&](const char* name, const std::vector<std::string>& values) {
    out.key(name).begin_array();
    for (const auto& each : values) out.string(each);
    out.end_array();
  };
  const auto clip = [&](const char* name, const clip_defaults& values) {
    out.key(name).begin_object();
    number("low", values.low);
    number("high", values.high);
    truth("settable", values.settable);
    out.end_object();
  };
  out.begin_object();
  text("dialect", t.dialect);
  out.key("recognised").boolean(t.recognised);
  text("model", t.model);
  truth("protobuf", t.protobuf);
  truth("json", t.json);
  truth("forward_flag", t.forward_flag);
  truth("forward_endpoint", t.forward_endpoint);
  text("output_type", t.output_type);
  list("outputs", t.outputs);
  list("metrics", t.metrics);
  text("gradient_seen_by", t.gradient_seen_by);
  text("cross_entropy", detail::name_of(t.cross_entropy));
  number("of_double_weights", t.of_double_weights);
  number("of_negative_weights", t.of_negative_weights);
  number("of_the_sequence_twice", t.of_the_sequence_twice);
  number("of_a_padded_sequence", t.of_a_padded_sequence);
  text("custom_loss", detail::name_of(t.custom_loss()));
  clip("ppo", t.ppo);
  clip("cispo", t.cispo);
  truth("accumulates", t.accumulates);
  truth("clips_gradients", t.clips_gradients);
  text("repeated", detail::name_of(t.repeated));
  text("skipped", detail::name_of(t.skipped));
  list("notes", t.notes);
  out.end_object();
  return std::move(out).take();
}

}  // namespace gradwire::inline v0
