// SPDX-License-Identifier: Apache-2.0
// forward, forward_backward and optim_step.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include <gradwire/loopback/service/batch.hpp>
#include <gradwire/loopback/service/no_op.hpp>
#include <gradwire/loopback/service/service.hpp>
#include <gradwire/wire/protobuf.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// Positions of which a candidate has a slope that is not 0.
inline std::int64_t tokens_with_slope(std::span<const float> slope, std::size_t candidates) {
  std::int64_t count = 0;
  for (; !slope.empty(); slope = slope.subspan(candidates)) {
    const auto one = slope.first(candidates);
    count += std::any_of(one.begin(), one.end(), [](float value) { return value != 0; });
  }
  return count;
}

// compute thread. Runs the batch on the model; gradients are added to those of earlier calls.
inline example_logprobs run_model(model_entry& model, const prepared_batch& batch, std::vector<double>& losses) {
  model.check_ready();
  const auto examples = batch.examples();
  losses.assign(examples.size(), 0);
  const auto loss_of = [&](std::size_t i, std::span<const float> logprobs, std::span<float> slope) {
    std::optional<std::size_t> bad;
    losses[i] = sum_of_loss(batch.settings, batch.data[i].columns(), logprobs, slope, bad);
    return bad;
  };
  if (batch.forward_only) {
    auto logprobs = model.trained ? model.trained->forward(examples) : model.frozen->forward(examples);
    for (std::size_t i = 0; i < logprobs.size(); ++i) loss_of(i, logprobs[i], {});
    return logprobs;
  }
  if (!model.trained) throw refusal{400, "this model was created with base_only: it has no gradients; use forward"};
  std::vector<std::int64_t> counted(examples.size(), 0);
  auto done = model.trained->forward_backward(
      examples, [&](std::size_t i, std::span<const float> logprobs, std::span<float> slope) {
        if (const auto bad = loss_of(i, logprobs, slope))
          throw refusal{400, "datum " + std::to_string(i) + ", token " + std::to_string(*bad) +
                                 ": the loss or its gradient is not finite (logprob " + std::to_string(logprobs[*bad]) +
                                 "); nothing of this request was accumulated"};
        counted[i] = tokens_with_slope(slope, examples[i].candidates);
      });
  for (const std::int64_t tokens : counted) model.loss_tokens += tokens, model.loss_sequences += tokens > 0;
  return done;
}

inline finished run_batch(service& it, model_entry& model, const prepared_batch& batch) {
  it.count(batch.forward_only ? counter::forward : counter::forward_backward);
  std::vector<double> losses;
  auto logprobs = it.options.no_op ? no_op_logprobs(batch) : run_model(model, batch, losses);
  wire::forward_backward_reply reply{.loss_fn_output_type = "scalar"};
  reply.loss_fn_outputs.reserve(logprobs.size());
  for (std::size_t i = 0; i < logprobs.size(); ++i)
    reply.loss_fn_outputs.push_back(
        {{"logprobs", wire::tensor(wire::array<float>(std::move(logprobs[i])), batch.data[i].shape)}});
  double sum = 0;
  for (const double loss : losses) sum += loss;
  reply.metrics.push_back({"loss:sum", sum});
  return {.result = std::move(reply)};
}

inline http_response forward_backward(service& it, call& request) {
  const bool protobuf = wire::is_protobuf(request.request.header("Content-Type"));
  auto given = protobuf ? wire::from_protobuf<wire::forward_backward_request>(request.request.body)
                        : parse<wire::forward_backward_request>(request);
  constexpr std::string_view forward = "/forward";
  const std::string_view path = std::string_view(request.request.target).substr(0, request.request.target.find('?'));
  if (path.size() >= forward.size() && path.substr(path.size() - forward.size()) == forward) given.forward_only = true;
  const auto entry = it.model(given.model_id);
  auto batch = std::make_shared<const prepared_batch>(prepare(given, it.limits));
  return it.submit(request, entry, given.seq_id, [&it, entry, batch] { return run_batch(it, *entry, *batch); });
}

inline void check_adam(const wire::adam_params& given) {
  const auto require = [](bool holds, const char* name, const char* sentence) {
    if (!holds) invalid({"adam_params", name}, "value_error", sentence);
  };
  const auto beta = [](double value) { return value >= 0 && value < 1; };
  require(given.learning_rate >= 0 && std::isfinite(given.learning_rate), "learning_rate", "must be 0 or more");
  require(beta(given.beta1), "beta1", "must be at least 0 and less than 1");
  require(beta(given.beta2), "beta2", "must be at least 0 and less than 1");
  require(given.eps > 0 && std::isfinite(given.eps), "eps", "must be more than 0");
  require(given.weight_decay >= 0 && std::isfinite(given.weight_decay), "weight_decay", "must be 0 or more");
  require(given.grad_clip_norm >= 0 && std::isfinite(given.grad_clip_norm), "grad_clip_norm", "must be 0 or more");
}

// What the accumulated gradient is divided by: its tokens, or its sequences. Without any it is 0 as it is.
enum class gradient_divisor : unsigned char { none, num_loss_tokens, num_sequences };

inline gradient_divisor read_divisor(const std::optional<std::string>& given) {
  if (!given || *given == "none") return gradient_divisor::none;
  if (*given == "num_loss_tokens") return gradient_divisor::num_loss_tokens;
  if (*given == "num_sequences") return gradient_divisor::num_sequences;
  invalid({"grad_accumulation_normalization"}, "literal_error",
          "Input should be 'num_loss_tokens', 'num_sequences' or 'none'");
}

inline finished run_optim_step(service& it, model_entry& model, const wire::adam_params& given, gradient_divisor by) {
  model.check_ready();
  if (!model.trained) throw refusal{400, "this model was created with base_only: it cannot be trained"};
  it.count(counter::optim_step);
  if (it.options.no_op) {
    const wire::optim_step_reply reply{{{"grad_norm", 0.0}, {"step", static_cast<double>(++model.no_op_steps)}}};
    return {.result = wire::to_json(reply)};
  }
  // The step takes the gradient or drops it: the next counts are of the next one.
  const std::int64_t tokens = std::exchange(model.loss_tokens, 0), sequences = std::exchange(model.loss_sequences, 0);
  const std::int64_t count = by == gradient_divisor::none              ? 1
                             : by == gradient_divisor::num_loss_tokens ? tokens
                                                                       : sequences;
  const auto done = model.trained->optim_step({.learning_rate = given.learning_rate,
                                               .beta1 = given.beta1,
                                               .beta2 = given.beta2,
                                               .eps = given.eps,
                                               .weight_decay = given.weight_decay,
                                               .grad_clip_norm = given.grad_clip_norm,
                                               .divisor = static_cast<double>(std::max<std::int64_t>(1, count))});
  const wire::optim_step_reply reply{{{"grad_norm", done.grad_norm},
                                      {"clipped_grad_norm", done.clipped_grad_norm},
                                      {"update_norm", done.update_norm},
                                      {"param_norm", done.param_norm},
                                      {"learning_rate", done.learning_rate},
                                      {"step", static_cast<double>(done.step)}}};
  return {.result = wire::to_json(reply, wire::nonfinite::null)};
}

inline http_response optim_step(service& it, call& request) {
  const auto given = parse<wire::optim_step_request>(request);
  const auto entry = it.model(given.model_id);
  if (given.optimizer_params)
    invalid({"optimizer_params", "type"}, "literal_error", "the embedded trainer's optimizer is 'adamw': adam_params");
  check_adam(given.adam_params);
  const auto by = read_divisor(given.grad_accumulation_normalization);
  return it.submit(request, entry, given.seq_id,
                   [&it, entry, adam = given.adam_params, by] { return run_optim_step(it, *entry, adam, by); });
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
