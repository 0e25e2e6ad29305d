// SPDX-License-Identifier: Apache-2.0
// Reads what a sampler answered: the samples, and everything that was asked for beside them.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/options.hpp>
#include <gradwire/trainer/results.hpp>
#include <gradwire/transport/operation.hpp>
#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/outcome.hpp>
#include <gradwire/wire/protobuf.hpp>

namespace gradwire::inline v0 {
namespace detail {

// One value a prompt token; some servers leave the first one, which has none, out.
inline std::vector<float> whole_prompt(const wire::sample_reply& reply, std::size_t prompt_tokens) {
  if (!reply.prompt_logprobs) return {};
  const auto& given = *reply.prompt_logprobs;
  const std::size_t missing = given.size() + 1 == prompt_tokens ? 1 : 0;
  if (given.size() + missing != prompt_tokens) {
    throw error(errc::data, "the trainer returned " + std::to_string(given.size()) + " prompt logprobs for " +
                                std::to_string(prompt_tokens) + " tokens");
  }
  std::vector<float> values(prompt_tokens, std::numeric_limits<float>::quiet_NaN());
  for (std::size_t i = 0; i < given.size(); ++i) values[missing + i] = given[i];
  return values;
}

inline std::vector<std::vector<token_logprob>> read_topk(const wire::topk_logprobs& table) {
  std::vector<std::vector<token_logprob>> rows(table.length);
  for (std::size_t row = 0; row < table.length; ++row) {
    for (std::size_t i = row * table.k; i < (row + 1) * table.k; ++i) {
      if (table.logprobs[i] != wire::no_logprob) rows[row].push_back({table.token_ids[i], table.logprobs[i]});
    }
  }
  return rows;
}

[[noreturn]] inline void not_answered(const char* what) {
  throw error(errc::data,
              std::string(what) + " was asked for and the trainer answered without it; it does not know it");
}

// What was asked for beside the samples.
inline void read_extras(const wire::sample_reply& reply, const sample_options& asked, std::size_t prompt_tokens,
                        samples& made) {
  made.prompt_logprobs = whole_prompt(reply, prompt_tokens);
  if (asked.prompt_logprobs && made.prompt_logprobs.empty()) not_answered("prompt_logprobs");
  if (asked.prompt_logprobs_last_n > 0) {
    const std::size_t skipped = prompt_tokens - static_cast<std::size_t>(asked.prompt_logprobs_last_n);
    for (std::size_t t = 0; t < skipped; ++t) {
      if (!std::isnan(made.prompt_logprobs[t])) not_answered("prompt_logprobs_last_n");
    }
  }
  if (asked.topk_prompt_logprobs > 0) {
    if (!reply.topk_prompt_logprobs) not_answered("topk_prompt_logprobs");
    made.topk_prompt_logprobs = read_topk(*reply.topk_prompt_logprobs);
    if (made.topk_prompt_logprobs.size() + 1 == prompt_tokens)
      made.topk_prompt_logprobs.insert(made.topk_prompt_logprobs.begin(), std::vector<token_logprob>{});
  }
  if (!asked.target_ids.empty()) {
    if (!reply.target_prompt_logprobs) not_answered("target_ids");
    const auto values = wire::dense_values<float>(*reply.target_prompt_logprobs);
    if (values.size() != asked.target_ids.size())
      throw error(errc::data, "the trainer returned " + std::to_string(values.size()) + " logprobs for " +
                                  std::to_string(asked.target_ids.size()) + " target_ids");
    made.target_logprobs.assign(values.begin(), values.end());
  }
  if (asked.prompt_alternatives > 0) {
    if (!reply.prompt_alt_tokens) not_answered("prompt_alternatives");
    const auto ids = wire::dense_values<std::int64_t>(reply.prompt_alt_tokens->tokens);
    const auto logprobs = wire::dense_values<float>(reply.prompt_alt_tokens->logprobs);
    const auto k = static_cast<std::size_t>(asked.prompt_alternatives);
    if (ids.size() != (prompt_tokens - 1) * k || logprobs.size() != ids.size())
      throw error(errc::data, "the trainer returned " + std::to_string(ids.size()) + " prompt alternatives, " +
                                  std::to_string((prompt_tokens - 1) * k) + " were asked for");
    made.prompt_alternatives.resize(prompt_tokens - 1);
    for (std::size_t i = 0; i < ids.size(); ++i)
      made.prompt_alternatives[i / k].push_back({static_cast<std::int32_t>(ids[i]), logprobs[i]});
  }
}

inline samples read_samples(const operation_result& from, std::size_t prompt_tokens, const sample_options& asked) {
  const auto expected = static_cast<std::size_t>(asked.num_samples);
  auto reply = wire::read_outcome<wire::sample_reply>(from.content_type, from.body).result;
  std::vector<std::string> ids;
  if (!from.submit_body.empty()) ids = wire::from_json<wire::submit_reply>(from.submit_body).sample_sequence_ids;
  if (reply.sequences.size() != expected) {
    throw error(errc::data, "the trainer returned " + std::to_string(reply.sequences.size()) + " samples, " +
                                std::to_string(expected) + " were asked for");
  }
  samples made;
  for (std::size_t i = 0; i < reply.sequences.size(); ++i) {
    const auto& given = reply.sequences[i];
    sample one;
    one.tokens.assign(given.tokens.begin(), given.tokens.end());
    if (given.logprobs) one.logprobs.assign(given.logprobs->begin(), given.logprobs->end());
    if (given.logprobs && one.logprobs.size() != one.tokens.size()) {
      throw error(errc::data, "sample " + std::to_string(i) + ": " + std::to_string(one.logprobs.size()) +
                                  " logprobs for " + std::to_string(one.tokens.size()) + " tokens");
    }
    one.stop_reason = given.stop_reason == wire::stop_reason::length ? stop_reason::length : stop_reason::stop;
    one.sequence_id = !given.sequence_id.empty() ? given.sequence_id : i < ids.size() ? ids[i] : "";
    if (asked.topk_sample_logprobs > 0) {
      if (!given.topk_sampled_logprobs) not_answered("topk_sample_logprobs");
      one.topk_logprobs = read_topk(*given.topk_sampled_logprobs);
    }
    made.tokens += one.tokens.size();
    made.sequences.push_back(std::move(one));
  }
  read_extras(reply, asked, prompt_tokens, made);
  return made;
}

}  // namespace detail
}  // namespace gradwire::inline v0
