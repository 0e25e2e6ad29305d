// SPDX-License-Identifier: Apache-2.0
// Sampling from a deployment: POST inference/v1/completions with token ids, its reply as one object or as a stream of
// server-sent events, and the end of a stream that was cut off.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gradwire/wire/platform_json.hpp>

namespace gradwire::inline v0 {
namespace wire::platform {

struct completion_request {
  std::string model{};                 // accounts/<a>/deployments/<d>, or a model's name
  std::vector<std::int32_t> prompt{};  // token ids
  std::int64_t n = 1;
  std::int64_t max_tokens = 16;
  double temperature = 1;
  std::optional<bool> stream{};
  std::optional<bool> perf_metrics_in_response{};
  std::optional<bool> raw_output{};
  std::optional<bool> logprobs{};
  std::optional<std::int64_t> top_logprobs{};
  std::optional<bool> echo{};
  std::optional<std::vector<std::string>> stop{};
  std::optional<std::int64_t> seed{};
  std::optional<double> top_p{};
  std::optional<std::int64_t> top_k{};  // 0: all
  std::optional<bool> return_token_ids{};
  std::optional<bool> include_routing_matrix{};
};

void members(auto& visit, is<completion_request> auto& m) {
  visit("model", m.model);
  visit("prompt", m.prompt);
  visit("n", m.n);
  visit("max_tokens", m.max_tokens);
  visit("temperature", m.temperature);
  visit("stream", m.stream);
  visit("perf_metrics_in_response", m.perf_metrics_in_response);
  visit("raw_output", m.raw_output);
  visit("logprobs", m.logprobs);
  visit("top_logprobs", m.top_logprobs);
  visit("echo", m.echo);
  visit("stop", m.stop);
  visit("seed", m.seed);
  visit("top_p", m.top_p);
  visit("top_k", m.top_k);
  visit("return_token_ids", m.return_token_ids);
  visit("include_routing_matrix", m.include_routing_matrix);
}

struct top_logprob {
  std::string token{};
  std::int64_t token_id = 0;
  double logprob = 0;
};

void members(auto& visit, is<top_logprob> auto& m) {
  visit("token", m.token);
  visit("token_id", m.token_id);
  visit("logprob", m.logprob);
}

struct token_record {
  std::string token{};
  std::int64_t token_id = 0;
  std::optional<double> logprob{};           // under the model
  std::optional<double> sampling_logprob{};  // under what was sampled from: temperature and truncation included
  std::string routing_matrix{};              // base64
  std::optional<std::vector<top_logprob>> top_logprobs{};
  std::int64_t text_offset = 0;
};

void members(auto& visit, is<token_record> auto& m) {
  visit("token", m.token);
  visit("token_id", m.token_id);
  visit("logprob", m.logprob);
  visit("sampling_logprob", m.sampling_logprob);
  visit.sparse("routing_matrix", m.routing_matrix);
  visit("top_logprobs", m.top_logprobs);
  visit("text_offset", m.text_offset);
}

struct completion_logprobs {
  std::vector<token_record> content{};
};

void members(auto& visit, is<completion_logprobs> auto& m) { visit("content", m.content); }

struct completion_raw_output {
  std::vector<std::int32_t> completion_token_ids{};  // of prompt and completion with echo
  std::vector<std::int32_t> prompt_token_ids{};
  std::string completion{};
};

void members(auto& visit, is<completion_raw_output> auto& m) {
  visit("completion_token_ids", m.completion_token_ids);
  visit.sparse("prompt_token_ids", m.prompt_token_ids);
  visit.sparse("completion", m.completion);
}

struct completion_choice {
  std::int64_t index = 0;
  std::string text{};
  std::optional<std::string> finish_reason{};  // "stop", "length"; not there while a stream goes on
  std::optional<completion_logprobs> logprobs{};
  std::optional<completion_raw_output> raw_output{};
};

void members(auto& visit, is<completion_choice> auto& m) {
  visit("index", m.index);
  visit("text", m.text);
  visit("finish_reason", m.finish_reason);
  visit("logprobs", m.logprobs);
  visit("raw_output", m.raw_output);
}

struct completion_usage {
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int64_t total_tokens = 0;
};

void members(auto& visit, is<completion_usage> auto& m) {
  visit("prompt_tokens", m.prompt_tokens);
  visit("completion_tokens", m.completion_tokens);
  visit("total_tokens", m.total_tokens);
}

// A whole reply, or one event of a stream.
struct completion_reply {
  std::string id{};
  std::string object = "text_completion";
  std::int64_t created = 0;
  std::string model{};
  std::vector<completion_choice> choices{};
  std::optional<completion_usage> usage{};
  std::optional<text_map> perf_metrics{};  // prefill-queue-duration, server-time-to-first-token …
};

void members(auto& visit, is<completion_reply> auto& m) {
  visit("id", m.id);
  visit("object", m.object);
  visit("created", m.created);
  visit("model", m.model);
  visit("choices", m.choices);
  visit("usage", m.usage);
  visit("perf_metrics", m.perf_metrics);
}

// --- server-sent events
// -----------------------------------------------------------------------------------------------

struct stream_event {
  std::string event{};  // "": a message
  std::string data{};   // its data lines, joined by line feeds
};

// The events of a stream's text. Lines end in \n, \r\n or \r; a comment and an unknown field are passed over; what has
// no blank line behind it is no event, unless `to_the_end` takes it all the same.
inline std::vector<stream_event> read_events(std::string_view text, bool to_the_end = true) {
  std::vector<stream_event> events;
  stream_event open;
  bool has_data = false;
  const auto dispatch = [&] {
    if (has_data) events.push_back(std::move(open));
    open = {};
    has_data = false;
  };
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  while (!text.empty()) {
    const auto end = text.find_first_of("\r\n");
    const std::string_view line = text.substr(0, end);
    if (end == std::string_view::npos) {
      text = {};
    } else {
      text.remove_prefix(end + (text.substr(end, 2) == "\r\n" ? 2 : 1));
    }
    if (line.empty()) {
      dispatch();
      continue;
    }
    const auto colon = line.find(':');
    const std::string_view field = line.substr(0, colon);
    std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (field == "event") open.event = value;
    if (field == "data") {
      if (has_data) open.data += '\n';
      open.data += value;
      has_data = true;
    }
  }
  if (to_the_end) dispatch();
  return events;
}

inline constexpr std::string_view stream_end = "[DONE]";

// One event as text: "data: …", a blank line.
inline std::string event_text(std::string_view data) { return "data: " + std::string(data) + "\n\n"; }

}  // namespace wire::platform
}  // namespace gradwire::inline v0
