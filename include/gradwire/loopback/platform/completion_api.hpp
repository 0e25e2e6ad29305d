// SPDX-License-Identifier: Apache-2.0
// POST inference/v1/completions: from a request to a job for the deployment's weights.
#pragma once

#include <gradwire/loopback/platform/completions.hpp>
#include <gradwire/loopback/platform/deployment_api.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

// Tokens, or text where the model has a tokenizer for it.
inline std::string prompt_as_tokens(const std::string& body, const frozen_model& model) {
  try {
    const wire::json_document json(body);
    const wire::json_node* prompt = json.find(json.root(), "prompt");
    if (prompt == nullptr || prompt->kind != wire::json_kind::string) return body;
    const auto tokens = model.tokenizer().encode(prompt->text);
    wire::json_writer out;
    out.begin_object();
    for (const auto* each = json.first(json.root()); each != nullptr; each = json.next(*each)) {
      if (each->key == "prompt") out.key("prompt").numbers<std::int32_t>(std::span<const std::int32_t>(tokens));
      if (each->key == "prompt") continue;
      out.key(each->key);
      if (each->kind == wire::json_kind::string) out.string(each->text);
      if (each->kind == wire::json_kind::number) out.raw(each->text);
      if (each->kind == wire::json_kind::boolean) out.boolean(each->flag);
      if (each->kind == wire::json_kind::null || each->kind == wire::json_kind::object) out.null();
      if (each->kind == wire::json_kind::array || each->kind == wire::json_kind::numbers) {
        out.begin_array();
        for (const auto* item = json.first(*each); item != nullptr; item = json.next(*item)) out.string(item->text);
        out.end_array();
      }
    }
    out.end_object();
    return std::move(out).take();
  } catch (const error& wrong) {
    throw invalid(wrong.what());
  }
}

inline sample_options options_of(const message::completion_request& given, const model_config& config) {
  const auto bad = [](const std::string& what) { throw invalid(what); };
  const auto length = static_cast<std::int64_t>(given.prompt.size());
  if (length == 0) bad("the prompt is empty");
  for (const std::int32_t id : given.prompt)
    if (id < 0 || id >= config.vocab_size) bad("the prompt has " + std::to_string(id) + ", which is no token id");
  if (given.n != 1) bad("n must be 1; send one request for each completion");
  if (given.max_tokens < 0) bad("max_tokens must be 0 or more");
  if (given.max_tokens > config.max_position_embeddings - length)
    bad("a prompt of " + std::to_string(length) + " tokens and max_tokens " + std::to_string(given.max_tokens) +
        " are more than the model's " + std::to_string(config.max_position_embeddings));
  if (!(given.temperature >= 0 && given.temperature <= 2)) bad("temperature must be 0 to 2");
  if (!(given.top_p.value_or(1) > 0 && given.top_p.value_or(1) <= 1)) bad("top_p must be more than 0 and at most 1");
  if (given.top_k.value_or(0) < 0) bad("top_k must be 0 or more");
  if (given.top_logprobs.value_or(0) < 0 || given.top_logprobs.value_or(0) > 20) bad("top_logprobs must be 0 to 20");
  for (const std::string& stop : given.stop.value_or(std::vector<std::string>{}))
    if (stop.empty()) bad("a stop text is empty");
  if (given.include_routing_matrix.value_or(false)) bad("the model has no experts: there is no routing matrix");
  sample_options options{.max_tokens = static_cast<std::size_t>(std::max<std::int64_t>(1, given.max_tokens)),
                         .temperature = given.temperature,
                         .top_k = given.top_k.value_or(0),
                         .top_p = given.top_p.value_or(1)};
  if (given.seed) options.seed = static_cast<std::uint64_t>(*given.seed);
  if (given.stop) options.stop_strings = *given.stop;
  options.topk_sample_logprobs = static_cast<std::size_t>(given.top_logprobs.value_or(0));
  if (given.echo.value_or(false)) {
    options.prompt_logprobs = true;
    options.topk_prompt_logprobs = options.topk_sample_logprobs;
  }
  return options;
}

// The deployment that a model's name means: accounts/<a>/deployments/<d>, or <model>#accounts/<a>/deployments/<d>.
inline deployment_record& serving(world& it, const std::string& model) {
  const auto mark = model.find('#');
  const auto parsed = message::parse_resource_name(mark == model.npos ? model : model.substr(mark + 1));
  if (!parsed || parsed->collection != "deployments")
    throw not_found("'" + model + "' is no deployment; the embedded platform serves " + it.account_name() +
                    "/deployments/<id>");
  it.check_account(parsed->account);
  deployment_record& one = it.deployment(parsed->id);
  const std::string state = one.fails ? "FAILED" : one.states.at(it.now());  // also while it says CREATING
  if (!one.weights || state == "FAILED") throw not_found("the deployment '" + one.id + "' is " + state);
  if (state != "READY" || one.about.max_replica_count == 0)
    throw refusal{425,
                  "UNAVAILABLE",
                  "the deployment '" + one.id + "' does not serve yet: it " +
                      (state == "READY" ? "has no replicas" : "is " + state),
                  {},
                  {{"Retry-After", "1"}}};
  return one;
}

inline void complete(world& it, call& request) {
  message::completion_request given;
  std::string model;
  try {
    model = text_at(wire::json_document(request.request.body), "model");
  } catch (const error& wrong) {
    throw invalid(std::string("the body cannot be read: ") + wrong.what());
  }
  deployment_record& one = serving(it, model);
  request.request.body = prompt_as_tokens(request.request.body, one.weights->base());
  given = parse<message::completion_request>(request);
  completion_job job{.id = "cmpl-" + detail::random_hex(),
                     .model = model,
                     .request_id = std::string(request.request.header("x-request-id")),
                     .prompt = given.prompt,
                     .options = options_of(given, one.weights->base().config()),
                     .stream = given.stream.value_or(false),
                     .logprobs = given.logprobs.value_or(false),
                     .echo = given.echo.value_or(false),
                     .raw_output = given.raw_output.value_or(false),
                     .token_ids = given.return_token_ids.value_or(false),
                     .metrics = given.perf_metrics_in_response.value_or(false),
                     .no_new_tokens = given.max_tokens == 0};
  if (!given.stop.value_or(std::vector<std::string>{}).empty() && !one.weights->base().has_tokenizer())
    throw invalid("this model has no tokenizer that stop strings could be looked for with");
  job.created = static_cast<std::int64_t>(std::time(nullptr));
  job.mismatch = job.echo && it.faults.happens("echo_mismatch");
  job.no_sampling_logprob = it.faults.happens("no_sampling_logprob").has_value();
  if (job.stream) {
    const auto fault = it.faults.happens("stream").value_or("");
    job.cut_stream = fault == "truncated";
    job.only_done = fault == "done_only";
  }
  job.respond = std::move(request.respond);
  it.count(tally::completions);
  one.weights->complete(std::move(job));
}

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
