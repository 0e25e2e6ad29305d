// SPDX-License-Identifier: Apache-2.0
// How deployment_sampler.hpp works: each sample is a request of its own. Sampling changes nothing, so what went wrong is
// asked again, under the same request id.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/platform/deployment_sampler.hpp>
#include <gradwire/platform/impl/ask.hpp>
#include <gradwire/platform/impl/completion_reply.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

inline wire::platform::completion_request completion_body(const std::string& model,
                                                          const std::vector<std::int32_t>& prompt,
                                                          const completion_options& how, int number) {
  wire::platform::completion_request body;
  body.model = model;
  body.prompt = prompt;
  body.max_tokens = how.max_tokens;
  body.temperature = how.temperature;
  if (how.stream) {
    body.stream = true;
    body.perf_metrics_in_response = true;
  }
  body.raw_output = true;
  if (how.logprobs) body.logprobs = true;
  if (how.top_logprobs > 0) body.top_logprobs = how.top_logprobs;
  if (how.echo) body.echo = true;
  if (!how.stop.empty()) body.stop = how.stop;
  if (how.seed) body.seed = *how.seed + number;
  body.top_p = how.top_p;
  body.top_k = how.top_k;
  return body;
}

inline void check_completion(const std::vector<std::int32_t>& prompt, const completion_options& how) {
  std::string wrong;
  const auto add = [&](const std::string& sentence) { wrong += (wrong.empty() ? "" : "; ") + sentence; };
  if (prompt.empty()) add("the prompt is empty");
  for (std::size_t i = 0; i < prompt.size(); ++i)
    if (prompt[i] < 0) {
      add("prompt token " + std::to_string(i) + " is " + std::to_string(prompt[i]));
      break;
    }
  if (how.num_samples < 1) add("num_samples is " + std::to_string(how.num_samples) + "; it must be 1 or more");
  if (how.max_tokens < 1 && !(how.echo && how.max_tokens == 0))
    add("max_tokens is " + std::to_string(how.max_tokens) + "; it must be 1 or more");
  if (!(how.temperature >= 0)) add("temperature must be 0 or more");
  if (!(how.top_p > 0 && how.top_p <= 1)) add("top_p must be above 0 and at most 1");
  if (how.top_k < 0) add("top_k must be 0 (all) or more");
  if (how.attempts < 1) add("attempts must be 1 or more");
  if (!wrong.empty()) throw error(errc::config, "sample from a deployment: " + wrong);
}

inline std::string hex_text(std::mt19937_64& random, int digits) {
  constexpr const char* all = "0123456789abcdef";
  std::string text;
  for (int i = 0; i < digits; ++i) text += all[random() & 15];
  return text;
}

inline bool is_worth_a_retry(int status) {
  return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

inline task<completion> sample_once(flow& f, std::string model, std::vector<std::int32_t> prompt,
                                    completion_options how, int number) {
  client_core& core = f.core();
  std::random_device entropy;
  std::mt19937_64 random((std::uint64_t{entropy()} << 32) | entropy());
  question asked;
  asked.name = "sample from deployment";
  asked.subject = wire::platform::last_segment(model);
  asked.ways_out = {{404, "it is not there, or has no weights loaded yet: wait for it and for its first hot load"},
                    {400, "check the prompt's length against the model's context, and the options"}};
  http_request request;
  request.target = core.inference->address.prefix + "/inference/v1/completions";
  const std::string request_id = hex_text(random, 32);
  request.headers = {{"Content-Type", "application/json"},
                     {"Accept", how.stream ? "text/event-stream" : "application/json"},
                     {"x-request-id", request_id}};
  request.body = wire::platform::to_json(completion_body(model, prompt, how, number));
  const auto shared = std::make_shared<const http_request>(std::move(request));
  const time_point begun = f.net().now();
  const auto elapsed = [&] { return std::chrono::duration<double>(f.net().now() - begun).count(); };
  std::string trouble;
  int status = 0, not_loaded = 0, sends = 0;
  for (int attempt = 1;;) {
    f.check();
    ++sends;
    http_call call;
    call.to = core.inference;
    call.request = shared;
    call.deadline = f.net().now() + in_seconds(how.attempt_timeout_seconds);
    call.reply_limit = std::size_t{256} << 20;
    exchange under_way{f, std::move(call), true};
    http_outcome came = co_await under_way;
    f.check();
    double wish = 0;
    if (auto* reply = std::get_if<http_response>(&came)) {
      status = reply->status;
      if (status >= 200 && status < 300) {
        auto all = gather_reply(*reply);
        if (all.trouble.empty()) {
          try {
            completion made = read_completion(std::move(all), prompt, how);
            made.request_id = request_id;
            made.attempts = sends;
            co_return made;
          } catch (const error& unusable) {
            throw error(unusable.kind(),
                        scrubbed(core, heading(asked, sends, elapsed()) + v0::detail::sentence_of(unusable.what()) +
                                           " (request " + request_id + ")"));
          }
        }
        trouble = all.trouble;
      } else if ((status == 404 || status == 425) && not_loaded < how.not_loaded_retries) {
        ++not_loaded;
        co_await sleep(f, how.not_loaded_pause_seconds);
        continue;
      } else if (!is_worth_a_retry(status)) {
        throw_refusal(core, asked, status, reply->body, sends, elapsed());
      } else {
        trouble = "status " + std::to_string(status) + ": " + v0::detail::server_text(*reply);
        wish = std::min(v0::detail::retry_after_seconds(*reply).value_or(0), 30.0);
        if (attempt >= how.attempts) throw_refusal(core, asked, status, reply->body, sends, elapsed());
      }
    } else {
      status = 0;
      const auto& failed = std::get<http_failure>(came);
      if (failed.kind == errc::closed || failed.kind == errc::config)
        throw error(failed.kind, heading(asked, sends, elapsed()) + failed.sentence);
      trouble = failed.sentence;
    }
    if (attempt >= how.attempts) {
      error_details details;
      details.operation = asked.name;
      details.attempts = sends;
      details.elapsed_seconds = elapsed();
      details.http_status = status;
      details.value = asked.subject;
      throw error(status == 0 ? errc::transport : errc::protocol,
                  scrubbed(core, heading(asked, sends, elapsed()) + trouble + " (request " + request_id + ")"),
                  std::move(details));
    }
    constexpr double pauses[] = {2, 4, 8, 16, 30};
    const double unit = static_cast<double>(random() >> 11) * 0x1p-53;
    const double pause = pauses[std::min(attempt, 5) - 1] * (0.5 + unit);
    ++attempt;
    not_loaded = 0;
    co_await sleep(f, std::max(pause, wish));
  }
}

// The samples of one call: when one fails, the others are not waited for.
struct sample_group {
  std::vector<std::weak_ptr<flow>> running{};
  std::exception_ptr failed{};

  void stop() {
    for (const auto& each : std::exchange(running, {}))
      if (const auto sampling = each.lock()) sampling->cancel();
  }
};

inline task<completion> sample_in(flow& f, std::shared_ptr<sample_group> group, std::string model,
                                  std::vector<std::int32_t> prompt, completion_options how, int number) {
  std::exception_ptr failed;
  try {
    co_return co_await sample_once(f, std::move(model), std::move(prompt), how, number);
  } catch (...) {
    failed = std::current_exception();
  }
  if (!group->failed) {
    group->failed = failed;
    group->stop();
  }
  std::rethrow_exception(failed);
}

}  // namespace detail

GRADWIRE_DECL future<completions> deployment_sampler::run(std::vector<std::int32_t> prompt,
                                                          completion_options options) const {
  if (!owner_) throw error(errc::config, "this sampler is empty; deployments().sampler(id) makes one");
  return detail::start<completions>(owner_,
                                    [core = std::weak_ptr(owner_->core()), model = model_, prompt,
                                     options](detail::flow& f) -> detail::task<completions> {
                                      detail::check_completion(prompt, options);
                                      const time_point begun = f.net().now();
                                      const auto alive = core.lock();
                                      if (!alive) throw error(errc::closed, "the client was closed");
                                      const auto group = std::make_shared<detail::sample_group>();
                                      std::vector<future<completion>> parts;
                                      for (int i = 0; i < options.num_samples; ++i) {
                                        auto [part, running] = detail::start_on<completion>(
                                            alive, [group, model, prompt, options, i](detail::flow& one) {
                                              return detail::sample_in(one, group, model, prompt, options, i);
                                            });
                                        parts.push_back(std::move(part));
                                        group->running.push_back(std::move(running));
                                      }
                                      completions all;
                                      std::exception_ptr failed;
                                      for (auto& part : parts) {
                                        try {
                                          auto made = co_await detail::wait_for(f, std::move(part));
                                          all.tokens += made.tokens.size();
                                          all.sequences.push_back(std::move(made));
                                        } catch (...) {
                                          if (!failed) failed = std::current_exception();
                                          group->stop();
                                        }
                                      }
                                      if (failed) std::rethrow_exception(group->failed ? group->failed : failed);
                                      all.elapsed_seconds =
                                          std::chrono::duration<double>(f.net().now() - begun).count();
                                      co_return all;
                                    });
}

}  // namespace platform
}  // namespace gradwire::inline v0
