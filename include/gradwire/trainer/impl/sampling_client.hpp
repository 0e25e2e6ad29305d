// SPDX-License-Identifier: Apache-2.0
// How sampling_client.hpp works.
#pragma once

#include <cmath>
#include <limits>

#include <gradwire/trainer/impl/sampling_reply.hpp>
#include <gradwire/trainer/impl/session_start.hpp>
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
  if (o.never_stop && !(o.stop.empty() && o.stop_ids.empty())) wrong("never_stop is set and stops are given");
  if (o.topk_prompt_logprobs < 0 || o.topk_sample_logprobs < 0 || o.prompt_alternatives < 0)
    wrong("a number of tokens to list is negative");
  if (o.prompt_logprobs_last_n < 0 || (o.prompt_logprobs_last_n > 0 && !o.prompt_logprobs))
    wrong("prompt_logprobs_last_n is " + std::to_string(o.prompt_logprobs_last_n) +
          "; it is 0 (all) or, with prompt_logprobs, 1 or more");
}

// What the prompt's length and the server allow. A server that drops a member it does not know would answer without it.
inline void check_extras(const sample_options& o, std::size_t prompt_tokens, const wire::dialect& knows) {
  const auto wrong = [](const std::string& sentence) { throw error(errc::config, "sample: " + sentence); };
  if (static_cast<std::size_t>(o.prompt_logprobs_last_n) >= prompt_tokens && o.prompt_logprobs_last_n > 0)
    wrong("prompt_logprobs_last_n is " + std::to_string(o.prompt_logprobs_last_n) + ", the prompt has " +
          std::to_string(prompt_tokens) + " tokens, of which the first has no logprob");
  if (!o.target_ids.empty() && (prompt_tokens < 2 || o.target_ids.size() % (prompt_tokens - 1) != 0))
    wrong(std::to_string(o.target_ids.size()) + " target_ids are no whole number of rows of [prompt - 1, K] for " +
          std::to_string(prompt_tokens) + " prompt tokens");
  const bool newer = o.topk_sample_logprobs > 0 || o.prompt_logprobs_last_n > 0 || o.prompt_alternatives > 0 ||
                     !o.target_ids.empty() || o.never_stop || o.record_stability_info;
  if (newer && !knows.newer_members)
    wrong(
        "this server (" + std::string(knows.name) +
        ") does not know topk_sample_logprobs, prompt_logprobs_last_n, prompt_alternatives, target_ids, never_stop and "
        "record_stability_info");
}

inline wire::sample_request sample_body(const sampling_session& from, const wire::array<std::int32_t>& prompt,
                                        const sample_options& options) {
  const std::size_t prompt_tokens = prompt.size();
  wire::sample_request body;
  body.sampling_session_id = from.id;
  body.num_samples = options.num_samples;
  body.prompt.chunks.push_back(wire::encoded_text{prompt});
  body.sampling_params.max_tokens = options.max_tokens;
  body.sampling_params.seed = options.seed;
  if (!options.stop.empty()) body.sampling_params.stop = options.stop;
  if (!options.stop_ids.empty()) body.sampling_params.stop = options.stop_ids;
  body.sampling_params.temperature = options.temperature;
  body.sampling_params.top_k = options.top_k;
  body.sampling_params.top_p = options.top_p;
  if (options.never_stop) body.sampling_params.stop = std::vector<std::int64_t>{};
  if (options.prompt_logprobs) body.prompt_logprobs = true;
  body.topk_prompt_logprobs = options.topk_prompt_logprobs;
  if (options.topk_sample_logprobs > 0) body.topk_sample_logprobs = options.topk_sample_logprobs;
  if (options.prompt_logprobs_last_n > 0) body.prompt_logprobs_last_n = options.prompt_logprobs_last_n;
  if (options.record_stability_info) body.record_stability_info = true;
  if (options.prompt_alternatives > 0) body.prompt_alt_tokens_k = options.prompt_alternatives;
  if (!options.target_ids.empty()) {
    const auto rows = static_cast<std::int64_t>(prompt_tokens) - 1;
    body.target_prompt_logprobs = wire::tensor(wire::array<std::int64_t>(std::vector<std::int64_t>(options.target_ids)),
                                               {rows, static_cast<std::int64_t>(options.target_ids.size()) / rows});
  }
  return body;
}

// Tells a server that can be told that nobody waits for a sample any more; what becomes of that is nobody's concern.
inline void give_up_sample(const std::shared_ptr<session>& of, const std::string& request_id) {
  if (!of->dialect().newer_members || of->is_closed() || request_id.empty()) return;
  auto asked = question_in_passing(*of, "client/dynamic_config", "/api/v1/client/dynamic_config",
                                   wire::to_json(wire::client_config_request{of->options().sdk_version}));
  of->run(std::move(asked), traffic::control, nullptr, [of, request_id](const operation_outcome& outcome) {
    if (outcome.failure || of->is_closed()) return;
    try {
      if (!wire::from_json<wire::dynamic_config_reply>(outcome.result->body).sample_cancel_enabled) return;
    } catch (const error&) {
      return;
    }
    auto told = question_in_passing(*of, "cancel_future", "/api/v1/cancel_future",
                                    wire::to_json(wire::cancel_future_request{request_id}));
    told.effect = effect::mutates;  // sent once
    told.any_reply = true;
    of->run(std::move(told), traffic::control, nullptr, [](const operation_outcome&) {});
  });
}

// Calls done(failure, samples) when the request is answered. A result that the server has dropped (410) is drawn anew,
// under a number of its own: asked for again, it would be the dropped one. All draws together have the time of a call.
template <class Done>
void send_sample(const std::shared_ptr<sampling_session>& from, const wire::array<std::int32_t>& prompt,
                 const sample_options& options, time_point begun, const std::shared_ptr<cancellation>& cancel,
                 Done done, int redraws = 2) {
  session& of = *from->of;
  operation_record record;
  try {
    if (cancel->asked) return;  // it is told already
    check_extras(options, prompt.size(), of.dialect());
    auto body = sample_body(*from, prompt, options);
    body.seq_id = from->next_seq_id++;
    record = of.record("sample", "/api/v1/asample", wire::to_json(body), effect::reads);
    record.seq_id = *body.seq_id;
  } catch (...) {
    return done(std::current_exception(), samples{});
  }
  record.accept = "application/x-protobuf, application/json";
  record.headers.push_back({"X-Tinker-Sampling-Backpressure", "1"});  // a full server says 429 and holds nothing
  const std::size_t values =
      prompt.size() + static_cast<std::size_t>(options.num_samples) * static_cast<std::size_t>(options.max_tokens);
  const auto lists = static_cast<std::size_t>(options.topk_prompt_logprobs + options.topk_sample_logprobs +
                                              options.prompt_alternatives);
  record.result_limit = (std::size_t{1} << 20) + 256 * values * (1 + lists) + 64 * options.target_ids.size();
  record.time_limit_seconds -= std::chrono::duration<double>(of.net().now() - begun).count();
  record.cancel = cancel;
  of.run(std::move(record), traffic::submit, nullptr,
         [from, begun, prompt, options, cancel, done, redraws](const operation_outcome& outcome) {
           samples made;
           std::exception_ptr failure = outcome.failure;
           if (failure && outcome.machine && redraws > 0 && outcome.machine->failure()->details().http_status == 410 &&
               !outcome.machine->request_id().empty())
             return send_sample(from, prompt, options, begun, cancel, done, redraws - 1);
           if (failure && outcome.machine && (cancel->asked || outcome.machine->failure()->kind() == errc::timeout))
             give_up_sample(from->of, outcome.machine->request_id());
           try {
             if (!failure) made = read_samples(*outcome.result, prompt.size(), options);
             made.elapsed_seconds = std::chrono::duration<double>(from->of->net().now() - begun).count();
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
    const wire::array<std::int32_t> tokens(checked_tokens(prompt));
    const auto cancel = std::make_shared<cancellation>();
    ended->on_cancel([gone = std::weak_ptr(ended), of = core.sampled->of, cancel] {
      of->net().post([gone, cancel] {
        const auto told = cancel->cancel();
        if (const auto alive = gone.lock()) alive->set_error(told);
      });
    });
    core.owner->net().post([from = core.sampled, tokens, options, ended, cancel, take] {
      if (from->of->lost()) return static_cast<void>(ended->set_error(from->of->lost()));
      send_sample(from, tokens, options, from->of->net().now(), cancel,
                  [ended, take](std::exception_ptr failure, samples made) {
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
