// SPDX-License-Identifier: Apache-2.0
// Samples.
#pragma once

#include <cmath>
#include <limits>

#include <gradwire/loopback/service/batch.hpp>
#include <gradwire/loopback/service/no_op.hpp>
#include <gradwire/loopback/service/prompt_alternatives.hpp>
#include <gradwire/loopback/service/sampler_api.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

inline std::size_t up_to(std::int64_t value, std::size_t most, const char* name, std::int64_t least = 0) {
  if (value < least || value > static_cast<std::int64_t>(most))
    invalid({name}, "value_error", "must be " + std::to_string(least) + " to " + std::to_string(most));
  return static_cast<std::size_t>(value);
}

inline sample_options read_options(const wire::sample_request& given, std::size_t prompt, const model_config& config) {
  const auto& params = given.sampling_params;
  const auto room = static_cast<std::size_t>(config.max_position_embeddings) - prompt;
  sample_options options;
  options.num_samples = up_to(given.num_samples, 4096, "num_samples", 1);
  options.temperature = params.temperature;
  options.top_k = params.top_k;
  options.top_p = params.top_p;
  options.prompt_logprobs = given.prompt_logprobs.value_or(false);
  if (params.max_tokens.value_or(1) < 1)
    invalid({"sampling_params", "max_tokens"}, "greater_than", "must be 1 or more");
  if (params.max_tokens.value_or(0) > static_cast<std::int64_t>(room))
    throw refusal{400, "a prompt of " + std::to_string(prompt) + " tokens and max_tokens " +
                           std::to_string(*params.max_tokens) + " are more than the model's " +
                           std::to_string(config.max_position_embeddings)};
  if (room == 0) throw refusal{400, "the prompt fills the model's context: there is no room for a token"};
  options.max_tokens = params.max_tokens ? static_cast<std::size_t>(*params.max_tokens) : room;
  if (!(params.temperature >= 0 && params.temperature < 1e6))
    invalid({"sampling_params", "temperature"}, "value_error", "must be 0 or more");
  if (!(params.top_p > 0 && params.top_p <= 1))
    invalid({"sampling_params", "top_p"}, "value_error", "must be more than 0 and at most 1");
  if (params.seed) options.seed = static_cast<std::uint64_t>(*params.seed);
  if (params.stop) {
    if (const auto* texts = std::get_if<std::vector<std::string>>(&*params.stop)) {
      options.stop_strings = *texts;
      options.stop_at_end = !texts->empty();  // an empty list: no stop at all
    } else {
      for (const std::int64_t id : std::get<1>(*params.stop)) {
        if (id < 0 || id >= config.vocab_size)
          invalid({"sampling_params", "stop"}, "value_error", "not a token id of the model");
        options.stop_tokens.push_back(static_cast<std::int32_t>(id));
      }
    }
  }
  const auto vocabulary = static_cast<std::size_t>(config.vocab_size);
  options.topk_prompt_logprobs = up_to(given.topk_prompt_logprobs, vocabulary, "topk_prompt_logprobs");
  options.topk_sample_logprobs = up_to(given.topk_sample_logprobs.value_or(0), vocabulary, "topk_sample_logprobs");
  if (options.topk_prompt_logprobs > 0) options.prompt_logprobs = true;
  return options;
}

inline void check_target_logprobs(const wire::tensor& targets, std::size_t prompt, const model_config& config) {
  const auto& shape = targets.shape();
  if (shape.size() != 2 || shape[0] + 1 != static_cast<std::int64_t>(prompt) || shape[1] < 1 || prompt < 2 ||
      targets.dtype() != wire::dtype::int64)
    invalid({"target_prompt_logprobs"}, "value_error", "must be int64 of shape [len(prompt) - 1, K]");
  for (const std::int64_t id : wire::dense_values<std::int64_t>(targets))
    if (id < -1 || id >= config.vocab_size)
      invalid({"target_prompt_logprobs"}, "value_error", std::to_string(id) + " is not a token id of the model");
}

inline http_response sample(service& it, call& request) {
  const auto given = parse<wire::sample_request>(request);
  std::shared_ptr<sampler_entry> sampler = it.base_sampler;
  if (given.sampling_session_id) {
    const auto found = it.samplers.find(*given.sampling_session_id);
    if (found == it.samplers.end()) throw refusal{404, "Sampling session not found"};
    sampler = found->second;
  } else if (given.model_path) {
    sampler = std::make_shared<sampler_entry>();
    sampler->folder = it.store.find(*given.model_path);
  } else if (given.base_model) {
    check_base(it, *given.base_model);
  } else {
    invalid({"sampling_session_id"}, "missing", "Field required");
  }
  const auto& config = it.limits;
  sample_job job{.sampler = sampler, .prompt = text_tokens(given.prompt.chunks, config, {"prompt"})};
  job.options = read_options(given, job.prompt.size(), config);
  job.prompt_alternatives = read_alternatives(given, job.prompt.size(), config);
  if (given.prompt_logprobs_last_n)
    job.prompt_logprobs_last_n = up_to(*given.prompt_logprobs_last_n, job.prompt.size(), "prompt_logprobs_last_n", 1);
  if (given.record_stability_info.value_or(false))
    invalid({"record_stability_info"}, "literal_error",
            "the embedded trainer has no stable_reinforce, and records nothing for it");
  if (given.target_prompt_logprobs) {
    check_target_logprobs(*given.target_prompt_logprobs, job.prompt.size(), config);
    job.targets = *given.target_prompt_logprobs;
  }
  const std::string id =
      it.once(request, sampler->sequence, given.sampling_session_id ? given.seq_id : std::nullopt, [&] {
        job.request_id = it.futures.create();
        std::string request_id = job.request_id;
        constexpr std::int64_t numbers_of_a_client = 1'000'000'000;
        it.completions.expect(sampler->id, given.seq_id.value_or(0) / numbers_of_a_client, request_id);
        it.compute.submit(std::move(job));
        return request_id;
      });
  wire::submit_reply reply{.request_id = id};
  for (std::int64_t i = 0; i < given.num_samples; ++i)
    reply.sample_sequence_ids.push_back("sequence-" + id + "-" + std::to_string(i));
  return message_reply(reply);
}

inline wire::topk_logprobs to_table(const std::vector<std::vector<token_logprob>>& rows, std::size_t k) {
  std::vector<std::int32_t> ids(rows.size() * k, 0);
  std::vector<float> logprobs(rows.size() * k, wire::no_logprob);
  for (std::size_t row = 0; row < rows.size(); ++row)
    for (std::size_t i = 0; i < rows[row].size() && i < k; ++i) {
      ids[row * k + i] = rows[row][i].first;
      logprobs[row * k + i] = rows[row][i].second;
    }
  return {.token_ids = std::move(ids),
          .logprobs = std::move(logprobs),
          .k = static_cast<std::uint32_t>(k),
          .length = static_cast<std::uint32_t>(rows.size())};
}

inline wire::sample_reply to_reply(const sample_job& job, sample_result result, const frozen_model& weights) {
  wire::sample_reply reply;
  for (auto& sequence : result.sequences) {
    auto& added = reply.sequences.emplace_back();
    added.stop_reason = sequence.reason == stop_reason::stop ? wire::stop_reason::stop : wire::stop_reason::length;
    if (job.options.topk_sample_logprobs > 0)
      added.topk_sampled_logprobs = to_table(sequence.topk_logprobs, job.options.topk_sample_logprobs);
    added.tokens = std::move(sequence.tokens);
    added.logprobs = std::move(sequence.logprobs);
  }
  const std::size_t skipped = job.prompt_logprobs_last_n ? job.prompt.size() - *job.prompt_logprobs_last_n : 0;
  if (job.options.prompt_logprobs) {
    for (std::size_t t = 0; t < skipped && t < result.prompt_logprobs.size(); ++t)
      result.prompt_logprobs[t] = std::numeric_limits<float>::quiet_NaN();
    reply.prompt_logprobs = std::move(result.prompt_logprobs);
  }
  if (job.options.topk_prompt_logprobs > 0) {
    for (std::size_t t = 0; t < skipped && t < result.topk_prompt_logprobs.size(); ++t)
      result.topk_prompt_logprobs[t].clear();
    reply.topk_prompt_logprobs = to_table(result.topk_prompt_logprobs, job.options.topk_prompt_logprobs);
  }
  if (job.targets) {
    const auto ids = wire::dense_values<std::int64_t>(*job.targets);
    const example scored{job.prompt.span().first(job.prompt.size() - 1), ids.span(),
                         ids.size() / (job.prompt.size() - 1)};
    auto logprobs = weights.forward(std::span(&scored, 1));
    reply.target_prompt_logprobs = wire::tensor(wire::array<float>(std::move(logprobs.at(0))), job.targets->shape());
  }
  if (job.prompt_alternatives > 0) reply.prompt_alt_tokens = draw_alternatives(job, weights);
  return reply;
}

// compute thread. All the jobs have one sampler.
inline void run_sample_jobs(service& it, std::vector<sample_job>& jobs) {
  if (it.options.no_op) return run_no_op_samples(it, jobs);
  const auto run = [&](std::span<const sample_job> some) {
    const frozen_model& weights = weights_of(it, some.front().sampler);
    std::vector<sample_request> requests;
    for (const auto& job : some) requests.push_back({job.prompt.span(), job.options});
    auto results = weights.sample(requests);
    for (std::size_t i = 0; i < some.size(); ++i) {
      it.count(counter::sample);
      it.publish(some[i].request_id, {.result = to_reply(some[i], std::move(results[i]), weights)});
    }
    put_old_weights_away(it);
    return finished{};
  };
  const auto alone = [&](const sample_job& job) {
    const finished outcome = service::attempt([&] { return run({&job, 1}); });
    if (outcome.status != 200) it.publish(job.request_id, outcome);
  };
  if (jobs.size() == 1) return alone(jobs.front());
  if (service::attempt([&] { return run(jobs); }).status != 200)  // one of them fails: not the others
    for (const auto& job : jobs) alone(job);
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
