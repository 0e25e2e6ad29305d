// SPDX-License-Identifier: Apache-2.0
// From a deployment's reply, whole or as a stream of events, to tokens and logprobs; what is cut off or does not fit
// together is told and never filled in.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/platform/completion.hpp>
#include <gradwire/transport/http_message.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/platform.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

// What a reply adds up to. `trouble` says why another attempt is worth it.
struct gathered_completion {
  std::string text{};
  std::vector<wire::platform::token_record> records{};
  std::string finish_reason{};
  std::optional<wire::platform::completion_raw_output> raw_output{};
  wire::platform::text_map metrics{};
  std::string trouble{};
};

inline void gather(gathered_completion& all, wire::platform::completion_reply part) {
  for (auto& choice : part.choices) {
    all.text += choice.text;
    if (choice.logprobs)
      for (auto& record : choice.logprobs->content) all.records.push_back(std::move(record));
    if (choice.finish_reason && !choice.finish_reason->empty()) all.finish_reason = *choice.finish_reason;
    if (choice.raw_output) all.raw_output = std::move(choice.raw_output);
  }
  if (part.perf_metrics && !part.perf_metrics->empty()) all.metrics = std::move(*part.perf_metrics);
}

inline bool is_event_stream(const http_response& reply) {
  return reply.header("Content-Type").find("event-stream") != std::string_view::npos;
}

inline gathered_completion gather_reply(const http_response& reply) {
  gathered_completion all;
  const auto take = [&](std::string_view data) {
    try {
      const wire::json_document document(data);
      const auto* const failed = document.find(document.root(), "error");
      if (failed && failed->kind != wire::json_kind::null) {
        all.trouble =
            "the deployment broke off: " + v0::detail::printable(wire::platform::read_status(data).message, 300);
        return;
      }
      gather(all, wire::platform::from_json<wire::platform::completion_reply>(document));
    } catch (const error& wrong) {
      all.trouble = "the answer cannot be read: " + v0::detail::sentence_of(wrong.what());
    }
  };
  if (!is_event_stream(reply)) {
    take(reply.body);
  } else {
    for (const auto& event : wire::platform::read_events(reply.body)) {
      if (event.data == wire::platform::stream_end) break;
      if (event.event == "ping" || event.event == "heartbeat" || event.event == "keepalive" || event.data.empty())
        continue;
      if (event.event == "error") {
        all.trouble =
            "the deployment broke off: " + v0::detail::printable(wire::platform::read_status(event.data).message, 300);
      } else {
        take(event.data);
      }
      if (!all.trouble.empty()) break;
    }
  }
  if (all.trouble.empty() && all.finish_reason.empty()) all.trouble = "the answer was cut off: it has no finish_reason";
  return all;
}

[[noreturn]] inline void cannot_use(const std::string& sentence) { throw error(errc::protocol, sentence); }

inline float logprob_of(const wire::platform::token_record& record, bool is_plain, std::size_t at) {
  if (record.sampling_logprob) return static_cast<float>(*record.sampling_logprob);
  if (record.logprob && is_plain) return static_cast<float>(*record.logprob);
  cannot_use("the deployment gives no sampling_logprob for token " + std::to_string(at) +
             (is_plain ? "" : "; with a temperature other than 1, or with top_p or top_k, logprob is another number"));
}

// Throws error{protocol} for what cannot be used as a rollout.
inline completion read_completion(gathered_completion all, const std::vector<std::int32_t>& prompt,
                                  const completion_options& asked) {
  completion made;
  if (all.finish_reason != "stop" && all.finish_reason != "length" && all.finish_reason != "tool_calls")
    cannot_use("the deployment ended with finish_reason '" + v0::detail::printable(all.finish_reason, 80) + "'");
  if (!all.raw_output || (all.raw_output->completion_token_ids.empty() && !all.text.empty()))
    cannot_use("the deployment gives no token ids (raw_output.completion_token_ids)");
  made.stop_reason = all.finish_reason == "length" ? gradwire::stop_reason::length : gradwire::stop_reason::stop;
  made.text = std::move(all.text);
  made.tokens = std::move(all.raw_output->completion_token_ids);
  made.server_metrics = std::move(all.metrics);
  if (asked.echo) {
    const bool begins_so =
        made.tokens.size() >= prompt.size() && std::equal(prompt.begin(), prompt.end(), made.tokens.begin());
    if (!begins_so) cannot_use("with echo the token ids should begin with the prompt's, and do not");
    made.tokens.erase(made.tokens.begin(), made.tokens.begin() + static_cast<std::ptrdiff_t>(prompt.size()));
  }
  if (!asked.logprobs) return made;
  const std::size_t skipped = asked.echo ? prompt.size() : 0;
  if (all.records.size() != skipped + made.tokens.size())
    cannot_use("the deployment gives " + std::to_string(all.records.size()) + " logprobs for " +
               std::to_string(skipped + made.tokens.size()) + " tokens");
  for (std::size_t i = 1; i < skipped; ++i) {  // the first token has none before it
    if (!all.records[i].logprob) cannot_use("the deployment gives no logprob for prompt token " + std::to_string(i));
    made.prompt_logprobs.push_back(static_cast<float>(*all.records[i].logprob));
  }
  const bool is_plain = asked.temperature == 1 && asked.top_p == 1 && asked.top_k == 0;
  bool has_model_logprobs = true;
  for (std::size_t i = skipped; i < all.records.size(); ++i) {
    const auto& record = all.records[i];
    if (record.token_id != 0 && record.token_id != made.tokens[i - skipped])
      cannot_use("the logprob of token " + std::to_string(i - skipped) + " is of another token id");
    made.logprobs.push_back(logprob_of(record, is_plain, i - skipped));
    has_model_logprobs = has_model_logprobs && record.logprob.has_value();
    if (record.logprob) made.model_logprobs.push_back(static_cast<float>(*record.logprob));
    if (asked.top_logprobs > 0) {
      auto& row = made.top_logprobs.emplace_back();
      for (const auto& each : record.top_logprobs.value_or(std::vector<wire::platform::top_logprob>{}))
        row.push_back({static_cast<std::int32_t>(each.token_id), static_cast<float>(each.logprob)});
    }
  }
  if (!has_model_logprobs) made.model_logprobs.clear();
  return made;
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
