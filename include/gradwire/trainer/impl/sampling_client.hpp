// SPDX-License-Identifier: Apache-2.0
// How sampling_client.hpp works.
#pragma once

#include <cmath>
#include <limits>

#include <gradwire/trainer/sampling_client.hpp>
#include <gradwire/trainer/session.hpp>
#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/outcome.hpp>
#include <gradwire/wire/protobuf.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct sampling_session {
  std::shared_ptr<session> of;
  std::string id;
  std::int64_t next_seq_id = 0;  // I/O thread only
};

inline std::vector<std::int32_t> checked_tokens(const std::vector<std::int64_t>& tokens) {
  if (tokens.empty()) throw error(errc::data, "the prompt is empty; give it at least one token");
  std::vector<std::int32_t> made;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] > std::numeric_limits<std::int32_t>::max()) {
      throw error(
          errc::data,
          "token " + std::to_string(i) + " of the prompt is " + std::to_string(tokens[i]) + ", which is no token id",
          {.token = static_cast<std::int64_t>(i), .value = std::to_string(tokens[i])});
    }
    made.push_back(static_cast<std::int32_t>(tokens[i]));
  }
  return made;
}

inline void check_sampling(const sample_options& o) {
  const auto wrong = [](const std::string& sentence) { throw error(errc::config, "sample: " + sentence); };
  if (o.num_samples < 1) wrong("num_samples is " + std::to_string(o.num_samples) + "; it must be at least 1");
  if (o.max_tokens < 1) wrong("max_tokens is " + std::to_string(o.max_tokens) + "; it must be at least 1");
  if (!(o.temperature >= 0) || !std::isfinite(o.temperature))
    wrong("temperature is " + std::to_string(o.temperature) + "; it must be 0 or more");
  if (!(o.top_p > 0 && o.top_p <= 1)) wrong("top_p is " + std::to_string(o.top_p) + "; it must be in (0, 1]");
  if (o.top_k == 0 || o.top_k < -1)
    wrong("top_k is " + std::to_string(o.top_k) + "; it must be -1 (all) or at least 1");
  if (!o.stop.empty() && !o.stop_ids.empty()) wrong("stop and stop_ids are both given; give one of them");
}

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

inline samples read_samples(const operation_result& from, std::size_t prompt_tokens, std::size_t expected) {
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
    made.tokens += one.tokens.size();
    made.sequences.push_back(std::move(one));
  }
  made.prompt_logprobs = whole_prompt(reply, prompt_tokens);
  return made;
}

// Calls done(failure, samples) when the request is answered.
template <class Done>
void send_sample(sampling_session& from, std::vector<std::int32_t> prompt, const sample_options& options, Done done) {
  session& of = *from.of;
  const std::size_t prompt_tokens = prompt.size();
  wire::sample_request body;
  body.sampling_session_id = from.id;
  body.seq_id = from.next_seq_id++;
  body.num_samples = options.num_samples;
  body.prompt.chunks.push_back(wire::encoded_text{wire::array<std::int32_t>(std::move(prompt))});
  body.sampling_params.max_tokens = options.max_tokens;
  body.sampling_params.seed = options.seed;
  if (!options.stop.empty()) body.sampling_params.stop = options.stop;
  if (!options.stop_ids.empty()) body.sampling_params.stop = options.stop_ids;
  body.sampling_params.temperature = options.temperature;
  body.sampling_params.top_k = options.top_k;
  body.sampling_params.top_p = options.top_p;
  if (options.prompt_logprobs) body.prompt_logprobs = true;
  auto record = of.record("sample", "/api/v1/asample", wire::to_json(body), effect::reads);
  record.seq_id = *body.seq_id;
  record.accept = "application/x-protobuf, application/json";
  record.result_limit =
      (std::size_t{1} << 20) + 256 * (prompt_tokens + static_cast<std::size_t>(options.num_samples) *
                                                          static_cast<std::size_t>(options.max_tokens));
  const auto begun = of.net().now();
  of.run(std::move(record), traffic::submit, nullptr,
         [&of, begun, prompt_tokens, expected = static_cast<std::size_t>(options.num_samples),
          done = std::move(done)](const operation_outcome& outcome) {
           samples made;
           std::exception_ptr failure = outcome.failure;
           try {
             if (!failure) made = read_samples(*outcome.result, prompt_tokens, expected);
             made.elapsed_seconds = std::chrono::duration<double>(of.net().now() - begun).count();
           } catch (...) {
             failure = std::current_exception();
           }
           done(failure, std::move(made));
         });
}

template <class T, class Take>
future<T> sample_call(const sampling_core& core, const std::vector<std::int64_t>& prompt, const sample_options& options,
                      Take take) {
  auto ended = std::make_shared<promise<T>>();
  auto result = ended->get_future();
  try {
    check_sampling(options);
    auto tokens = checked_tokens(prompt);
    core.owner->net().post([from = core.sampled, tokens = std::move(tokens), options, ended, take] {
      send_sample(*from, tokens, options, [ended, take](std::exception_ptr failure, samples made) {
        if (failure) {
          ended->set_error(failure);
        } else {
          ended->set_value(take(std::move(made)));
        }
      });
    });
  } catch (const error&) {
    ended->set_error(std::current_exception());
  }
  return result;
}

GRADWIRE_DECL future<samples> run_sample(const sampling_core& core, std::vector<std::int64_t> prompt,
                                         sample_options options) {
  return sample_call<samples>(core, prompt, options, [](samples made) { return made; });
}

GRADWIRE_DECL future<std::vector<float>> run_compute_logprobs(const sampling_core& core,
                                                              std::vector<std::int64_t> tokens) {
  sample_options options;
  options.max_tokens = 1;
  options.prompt_logprobs = true;
  return sample_call<std::vector<float>>(core, tokens, options,
                                         [](samples made) { return std::move(made.prompt_logprobs); });
}

}  // namespace detail
}  // namespace gradwire::inline v0
