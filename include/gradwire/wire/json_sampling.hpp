// SPDX-License-Identifier: Apache-2.0
// Sample requests and replies as JSON.
#pragma once

#include <limits>

#include <gradwire/wire/json_training.hpp>

namespace gradwire::inline v0 {
namespace wire {

inline constexpr float no_logprob = -99999.0F;  // a cell of a top-k table that has no entry

inline void write(json_writer& out, const stop_condition& stop) {
  std::visit([&](const auto& list) { write(out, list); }, stop);
}

inline void read(const json_reader& in, stop_condition& stop) {
  if (in.kind() == json_kind::string)
    read(in, stop.emplace<std::vector<std::string>>().emplace_back());
  else if (in.kind() == json_kind::numbers)
    read(in, stop.emplace<std::vector<std::int64_t>>());
  else
    read(in, stop.emplace<std::vector<std::string>>());
}

void members(auto& visit, is<sampling_params> auto& m) {
  visit("max_tokens", m.max_tokens);
  visit("seed", m.seed);
  visit("stop", m.stop);
  visit("temperature", m.temperature);
  visit("top_k", m.top_k);
  visit("top_p", m.top_p);
}

void members(auto& visit, is<sample_request> auto& m) {
  visit("num_samples", m.num_samples);
  visit.required("prompt", m.prompt);
  visit.required("sampling_params", m.sampling_params);
  visit("sampling_session_id", m.sampling_session_id);
  visit("seq_id", m.seq_id);
  visit("base_model", m.base_model);
  visit("model_path", m.model_path);
  visit("prompt_logprobs", m.prompt_logprobs);
  visit("topk_prompt_logprobs", m.topk_prompt_logprobs);
  visit("topk_sample_logprobs", m.topk_sample_logprobs);
  visit("prompt_alt_tokens_k", m.prompt_alt_tokens_k);
  visit("prompt_logprobs_last_n", m.prompt_logprobs_last_n);
  visit("target_prompt_logprobs", m.target_prompt_logprobs);
  visit("record_stability_info", m.record_stability_info);
  visit.constant("type", "sample");
}

// [null, [[id, logprob], …], …]
inline void write(json_writer& out, const topk_logprobs& table) {
  out.begin_array();
  for (std::uint32_t row = 0; row < table.length; ++row) {
    const std::size_t base = std::size_t{row} * table.k;
    if (table.k == 0 || table.logprobs[base] == no_logprob) {
      out.null();
      continue;
    }
    out.begin_array();
    for (std::size_t i = base; i < base + table.k && table.logprobs[i] != no_logprob; ++i) {
      out.begin_array();
      out.integer(table.token_ids[i]);
      write(out, table.logprobs[i]);
      out.end_array();
    }
    out.end_array();
  }
  out.end_array();
}

inline void read(const json_reader& in, topk_logprobs& table) {
  if (!in.is_array()) return in.issue("list_type", "Input should be a list of top-k lists");
  std::vector<std::vector<float>> rows;  // id, logprob, id, logprob …
  std::vector<std::vector<std::int32_t>> ids;
  if (in.kind() == json_kind::numbers) {  // only nulls: no position has an entry
    rows.resize(in.numbers<float>().size());
    ids.resize(rows.size());
  }
  in.each([&](const json_reader& row) {
    auto& logprobs = rows.emplace_back();
    auto& tokens = ids.emplace_back();
    row.each([&](const json_reader& pair) {
      const auto cell = pair.numbers<double>();
      if (cell.size() != 2 || !(cell[0] >= 0 && cell[0] <= std::numeric_limits<std::int32_t>::max()))
        return pair.issue("value_error", "Input should be [token id, logprob]");
      tokens.push_back(static_cast<std::int32_t>(cell[0]));
      logprobs.push_back(static_cast<float>(cell[1]));
    });
  });
  std::size_t k = 0;
  for (const auto& row : rows) k = row.size() > k ? row.size() : k;
  if (k != 0 && rows.size() > (std::size_t{1} << 28) / k) return in.issue("value_error", "top-k table too large");
  std::vector<std::int32_t> token_ids(rows.size() * k, 0);
  std::vector<float> logprobs(rows.size() * k, no_logprob);
  for (std::size_t row = 0; row < rows.size(); ++row)
    for (std::size_t i = 0; i < rows[row].size(); ++i) {
      token_ids[row * k + i] = ids[row][i];
      logprobs[row * k + i] = rows[row][i];
    }
  table = {.token_ids = std::move(token_ids),
           .logprobs = std::move(logprobs),
           .k = static_cast<std::uint32_t>(k),
           .length = static_cast<std::uint32_t>(rows.size())};
}

inline void write(json_writer& out, const sampled_sequence& sequence) {
  out.begin_object();
  out.key("stop_reason").string(sequence.stop_reason == stop_reason::stop ? "stop" : "length");
  out.key("tokens").numbers<std::int32_t>(sequence.tokens.span());
  out.key("logprobs");
  sequence.logprobs ? out.numbers<float>(sequence.logprobs->span()) : out.null();
  if (sequence.topk_sampled_logprobs) write(out.key("topk_sampled_logprobs"), *sequence.topk_sampled_logprobs);
  out.end_object();
}

inline void read(const json_reader& in, sampled_sequence& sequence) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be an object");
  in.member("stop_reason", [&](const json_reader& member) {
    sequence.stop_reason = member.text() == "length" ? stop_reason::length : stop_reason::stop;
  });
  if (!in.member("tokens", [&](const json_reader& m) { sequence.tokens = m.numbers<std::int32_t>(); }))
    in.missing("tokens");
  in.member("logprobs", [&](const json_reader& m) { sequence.logprobs = m.numbers<float>(); });
  json_object_reader visit(in);
  visit("topk_sampled_logprobs", sequence.topk_sampled_logprobs);
}

inline void write(json_writer& out, const sample_reply& reply) {
  out.begin_object();
  write(out.key("sequences"), reply.sequences);
  out.key("prompt_logprobs");
  reply.prompt_logprobs ? out.numbers<float>(reply.prompt_logprobs->span()) : out.null();
  out.key("topk_prompt_logprobs");
  reply.topk_prompt_logprobs ? write(out, *reply.topk_prompt_logprobs) : out.null();
  if (reply.target_prompt_logprobs) write(out.key("target_prompt_logprobs"), *reply.target_prompt_logprobs);
  if (reply.prompt_alt_tokens) {
    out.key("prompt_alt_tokens").begin_object();
    write(out.key("tokens"), reply.prompt_alt_tokens->tokens);
    write(out.key("logprobs"), reply.prompt_alt_tokens->logprobs);
    out.end_object();
  }
  out.key("type").string("sample");
  out.end_object();
}

inline void read(const json_reader& in, sample_reply& reply) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be an object");
  json_object_reader visit(in);
  visit("sequences", reply.sequences);
  in.member("prompt_logprobs", [&](const json_reader& m) { reply.prompt_logprobs = m.numbers<float>(); });
  visit("topk_prompt_logprobs", reply.topk_prompt_logprobs);
  visit("target_prompt_logprobs", reply.target_prompt_logprobs);
  in.member("prompt_alt_tokens", [&](const json_reader& draws) {
    auto& table = reply.prompt_alt_tokens.emplace();
    if (!draws.member("tokens", [&](const json_reader& m) { read_tensor(m, table.tokens, dtype::int64); }))
      draws.missing("tokens");
    if (!draws.member("logprobs", [&](const json_reader& m) { read_tensor(m, table.logprobs, dtype::float32); }))
      draws.missing("logprobs");
  });
}

}  // namespace wire
}  // namespace gradwire::inline v0
