// SPDX-License-Identifier: Apache-2.0
// Completions: samples of a deployment's weights as the completions API tells them, whole or as server-sent events.
// Everything here runs on the thread of the weights.
#pragma once

#include <cstdio>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/loopback/platform/served_weights.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

// The logprobs of the sampled tokens under what they were drawn from.
inline std::vector<double> behaviour_logprobs(const frozen_model& weights, const completion_job& job,
                                              const sampled_sequence& sample) {
  const auto vocabulary = static_cast<std::size_t>(weights.config().vocab_size);
  std::vector<double> found(sample.logprobs.begin(), sample.logprobs.end());
  if (draws_from_the_model(job.options, vocabulary)) return found;
  // Every token's logprob at each position that was sampled; a target of -1 asks for nothing.
  std::vector<std::int32_t> tokens = job.prompt;
  tokens.insert(tokens.end(), sample.tokens.begin(), sample.tokens.end());
  tokens.pop_back();
  const std::size_t first = job.prompt.size() - 1;
  std::vector<std::int64_t> targets(tokens.size() * vocabulary, -1);
  for (std::size_t t = first; t < tokens.size(); ++t)
    for (std::size_t v = 0; v < vocabulary; ++v) targets[t * vocabulary + v] = static_cast<std::int64_t>(v);
  const example whole{tokens, targets, vocabulary};
  const auto rows = weights.forward(std::span(&whole, 1)).at(0);
  for (std::size_t i = 0; i < found.size(); ++i)
    found[i] =
        behaviour_logprob(std::span(rows).subspan((first + i) * vocabulary, vocabulary), sample.tokens[i], job.options);
  return found;
}

// A completion's tokens with what is told of each, and the text up to each.
struct told_completion {
  std::vector<std::int32_t> ids{};
  std::vector<message::token_record> records{};  // with .logprobs
  std::vector<std::size_t> text_ends{};          // of each token, in `text`
  std::string text{};
  std::string finish_reason{};
  std::size_t new_tokens = 0;
};

inline std::optional<std::vector<message::top_logprob>> tops(const frozen_model& weights,
                                                             const std::vector<token_logprob>& row) {
  std::vector<message::top_logprob> found;
  for (const auto& [id, logprob] : row)
    found.push_back({weights.has_tokenizer() ? valid_utf8(weights.tokenizer().decode({&id, 1})) : std::to_string(id),
                     id, static_cast<double>(logprob)});
  return found;
}

inline told_completion tell(const frozen_model& weights, const completion_job& job, const sample_result& result) {
  told_completion told;
  const sampled_sequence& sample = result.sequences.at(0);
  const auto decode = [&](std::span<const std::int32_t> ids, bool text) {
    return weights.has_tokenizer() ? weights.tokenizer().decode(ids, text) : std::string();
  };
  std::string bytes;
  const auto add = [&](std::int32_t id, double logprob, std::optional<double> drawn,
                       const std::vector<token_logprob>* others) {
    told.ids.push_back(id);
    bytes += decode({&id, 1}, true);
    const std::string upto = valid_utf8(bytes, false);
    if (job.logprobs) {
      message::token_record record{
          .token = valid_utf8(decode({&id, 1}, false)),
          .token_id = id,
          .logprob = logprob,
          .sampling_logprob = drawn,
          .text_offset = static_cast<std::int64_t>(told.text_ends.empty() ? 0 : told.text_ends.back())};
      if (others != nullptr) record.top_logprobs = tops(weights, *others);
      told.records.push_back(std::move(record));
    }
    told.text_ends.push_back(upto.size());
  };
  const bool top = job.options.topk_sample_logprobs > 0;
  if (job.echo)
    for (std::size_t t = 0; t < job.prompt.size(); ++t)  // nothing comes before the first: its logprob is told as 0
      add(job.prompt[t], t == 0 ? 0 : static_cast<double>(result.prompt_logprobs.at(t)), {},
          top ? &result.topk_prompt_logprobs.at(t) : nullptr);
  const std::size_t before = bytes.size();
  if (!job.no_new_tokens) {
    const auto drawn = job.logprobs ? behaviour_logprobs(weights, job, sample) : std::vector<double>();
    for (std::size_t i = 0; i < sample.tokens.size(); ++i)
      add(sample.tokens[i], static_cast<double>(sample.logprobs[i]),
          job.logprobs && !job.no_sampling_logprob ? std::optional(drawn[i]) : std::nullopt,
          top ? &sample.topk_logprobs.at(i) : nullptr);
    told.new_tokens = sample.tokens.size();
    if (const auto at = find_stop(std::string_view(bytes).substr(before), job.options.stop_strings); at != bytes.npos)
      bytes.resize(before + at);  // the text ends before what ended it; the tokens have it
  }
  told.text = valid_utf8(bytes);
  for (std::size_t& end : told.text_ends) end = std::min(end, told.text.size());
  if (!told.text_ends.empty()) told.text_ends.back() = told.text.size();
  told.finish_reason = sample.reason == stop_reason::stop && !job.no_new_tokens ? "stop" : "length";
  if (job.mismatch) told.ids.front() ^= 1;
  return told;
}

inline message::text_map metrics_of(const completion_job& job, double queued, double seconds, std::size_t together) {
  const auto text = [](double value) {
    char digits[32];
    return std::string(digits, static_cast<std::size_t>(std::snprintf(digits, sizeof digits, "%.6f", value)));
  };
  return {{"num-concurrent-requests", std::to_string(together)},
          {"prefill-queue-duration", text(queued)},
          {"generation-queue-duration", text(0)},
          {"server-time-to-first-token", text(queued + seconds)},
          {"cached-prompt-tokens", "0"},
          {"prompt-tokens", std::to_string(job.prompt.size())},
          {"server-processing-time", text(seconds)}};
}

inline message::completion_reply begun(const completion_job& job) {
  return {.id = job.id, .created = job.created, .model = job.model};
}

// What stands at the end of a stream, and in a whole reply.
inline void finish(message::completion_reply& reply, const completion_job& job, const told_completion& told,
                   message::text_map metrics) {
  message::completion_choice& choice = reply.choices.back();
  choice.finish_reason = told.finish_reason;
  if (job.raw_output || job.token_ids)
    choice.raw_output = {.completion_token_ids = told.ids, .prompt_token_ids = job.prompt};
  const auto prompt = static_cast<std::int64_t>(job.prompt.size());
  const auto made = static_cast<std::int64_t>(told.new_tokens);
  reply.usage = {prompt, made, prompt + made};
  if (job.metrics) reply.perf_metrics = std::move(metrics);
}

inline std::string whole_reply(const completion_job& job, told_completion told, message::text_map metrics) {
  message::completion_reply reply = begun(job);
  reply.choices.push_back({.text = told.text});
  if (job.logprobs) reply.choices.back().logprobs = {std::exchange(told.records, {})};
  finish(reply, job, told, std::move(metrics));
  return message::to_json(reply);
}

// An event a token, one for the end, and [DONE].
inline std::string streamed_reply(const completion_job& job, const told_completion& told, message::text_map metrics) {
  std::string stream;
  if (job.only_done) return message::event_text(message::stream_end);
  std::size_t from = 0;
  for (std::size_t i = 0; i < told.ids.size(); ++i) {
    message::completion_reply event = begun(job);
    const std::size_t to = std::max(from, told.text_ends[i]);
    event.choices.push_back({.text = told.text.substr(from, to - from)});
    if (job.logprobs) event.choices.back().logprobs = {{told.records[i]}};
    stream += message::event_text(message::to_json(event));
    from = to;
  }
  if (job.cut_stream) return stream;
  message::completion_reply last = begun(job);
  last.choices.push_back({});
  finish(last, job, told, std::move(metrics));
  return stream + message::event_text(message::to_json(last)) + message::event_text(message::stream_end);
}

inline void served_weights::answer(std::span<completion_job> jobs) {
  const frozen_model weights = held_.weights();
  const auto begin = std::chrono::steady_clock::now();
  std::vector<sample_request> requests;
  for (const auto& job : jobs) requests.push_back({job.prompt, job.options});
  const auto results = weights.sample(requests);
  const auto seconds = [](auto duration) { return std::chrono::duration<double>(duration).count(); };
  std::vector<http_response> replies;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const completion_job& job = jobs[i];
    auto told = tell(weights, job, results[i]);
    auto metrics =
        metrics_of(job, seconds(begin - job.arrived), seconds(std::chrono::steady_clock::now() - begin), jobs.size());
    http_response reply = detail::json_reply(job.stream ? streamed_reply(job, told, std::move(metrics))
                                                        : whole_reply(job, std::move(told), std::move(metrics)));
    if (job.stream) reply.headers = {{"Content-Type", "text/event-stream; charset=utf-8"}};
    if (!job.request_id.empty()) reply.headers.push_back({"x-request-id", job.request_id});
    replies.push_back(std::move(reply));
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i].respond(std::move(replies[i]));
}

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
