// SPDX-License-Identifier: Apache-2.0
// The code behind training_model: adapters, accumulation, AdamW, snapshots. Saving is in training_files.hpp.
#pragma once

#include <cmath>

#include <gradwire/loopback/impl/training_state.hpp>

namespace gradwire::inline v0 {
namespace loopback {

GRADWIRE_DECL training_model::training_model(const frozen_model& base, const lora_options& options)
    : state_(std::make_shared<state>()) {
  state& s = *state_;
  s.base = base;
  s.lora = options;
  s.core = base.state_->core;
  const std::shared_ptr<const detail::model_weights>& from = base.state_->weights;
  if (options.rank < 0 || options.rank > from->layout.config.hidden_size)
    throw error(errc::config, "lora rank " + std::to_string(options.rank) + " lies outside of 0 (all parameters) to " +
                                  std::to_string(from->layout.config.hidden_size) + " (the model's width)");
  if (s.full()) {
    s.weights = std::make_shared<detail::model_weights>(*from);
    s.trained = s.weights->layout.tensors;
    s.size = s.weights->layout.size;
  } else {
    if (!(options.alpha > 0)) throw error(errc::config, "lora alpha must be positive");
    if (!options.attention && !options.mlp && !options.unembed)
      throw error(errc::config, "nothing to train: attention, mlp and unembed are all off");
    if (options.unembed && from->layout.tied()) s.untied_base = detail::untied(*from);
    s.weights = std::make_shared<detail::model_weights>(*s.frozen());
    s.adapters = make_adapter_layout(s.weights->layout, static_cast<std::size_t>(options.rank), options.alpha,
                                     options.attention, options.mlp, options.unembed);
    s.size = s.adapters.size;
    s.adapter_values = buffer<float>(s.size);
    s.adapter_values.fill_with_zero();
    random_stream random(options.seed);
    s.adapters.for_each([&](const adapter_entry& entry) {
      const auto rank = static_cast<std::size_t>(options.rank);
      const double bound = 1 / std::sqrt(static_cast<double>(entry.in));  // Kaiming's uniform with a = sqrt(5)
      for (std::size_t i = 0; i < rank * entry.in; ++i)
        s.adapter_values[entry.a + i] = static_cast<float>(bound * (2 * random.uniform() - 1));
      const std::string name = std::string(detail::adapter_prefix) + entry.module;
      const auto extent = [](std::size_t n) { return static_cast<std::int64_t>(n); };
      s.trained.push_back({name + ".lora_A.weight", {extent(rank), extent(entry.in)}, entry.a, rank * entry.in});
      s.trained.push_back({name + ".lora_B.weight", {extent(entry.out), extent(rank)}, entry.b, rank * entry.out});
    });
  }
  for (buffer<float>* each : {&s.gradient, &s.first_moment, &s.second_moment}) {
    *each = buffer<float>(s.size);
    each->fill_with_zero();
  }
}

GRADWIRE_DECL const frozen_model& training_model::base() const { return state_->base; }
GRADWIRE_DECL const lora_options& training_model::lora() const { return state_->lora; }

GRADWIRE_DECL std::int64_t training_model::trainable_parameters() const {
  std::int64_t count = 0;
  for (const tensor_entry& tensor : state_->trained) count += static_cast<std::int64_t>(tensor.size);
  return count;
}

GRADWIRE_DECL example_logprobs training_model::forward(std::span<const example> examples) const {
  const std::lock_guard lock(state_->busy);
  return detail::run_forward(*state_->core, *state_->weights, examples);
}

GRADWIRE_DECL example_logprobs training_model::forward_backward(std::span<const example> examples,
                                                                const slope_function& slope) {
  state& s = *state_;
  const std::lock_guard lock(s.busy);
  detail::checked_batch batch(s.weights->layout.config, examples);
  const std::lock_guard core_lock(s.core->busy);
  const batch_runner<float> runner = detail::make_runner(*s.core, *s.weights, batch.longest);
  const work_plan plan = runner.plan(batch.examples);

  // Until every slope is known the gradient so far must stay as it is: with one already there, all threads write apart.
  const std::size_t writers = plan.shared ? 1 : s.core->pool.size();
  const std::size_t first_apart = s.has_gradient ? 0 : 1;
  s.thread_gradients.resize(s.core->pool.size());
  std::vector<gradient_target<float>> targets;
  std::vector<float*> apart;
  for (std::size_t worker = 0; worker < writers; ++worker) {
    const bool idle = plan.micro_batches[worker].empty();
    float* into = s.gradient.data();
    if (worker >= first_apart) into = idle ? nullptr : s.thread_gradients[worker].at_least(s.size);
    if (worker >= first_apart && !idle) apart.push_back(into);
    targets.push_back(s.target(into));
  }
  s.for_parameters([&](std::size_t begin, std::size_t end, std::size_t) {
    if (!s.has_gradient) std::fill(s.gradient.data() + begin, s.gradient.data() + end, 0.0F);
    for (float* each : apart) std::fill(each + begin, each + end, 0.0F);
  });
  runner.run(plan, batch.examples, &slope, targets);
  s.for_parameters([&](std::size_t begin, std::size_t end, std::size_t) {
    for (const float* each : apart)
      for (std::size_t i = begin; i < end; ++i) s.gradient[i] += each[i];
  });
  s.has_gradient = true;
  return std::move(batch.logprobs);
}

GRADWIRE_DECL optim_metrics training_model::optim_step(const adam_params& params) {
  state& s = *state_;
  const auto refuse = [](const char* why) { throw error(errc::data, std::string("adam_params: ") + why); };
  if (!(params.learning_rate >= 0 && params.learning_rate < 1e6)) refuse("learning_rate must be 0 or more, and finite");
  if (!(params.beta1 >= 0 && params.beta1 < 1)) refuse("beta1 must lie in [0, 1)");
  if (!(params.beta2 >= 0 && params.beta2 < 1)) refuse("beta2 must lie in [0, 1)");
  if (!(params.eps > 0 && params.eps < 1e6)) refuse("eps must be positive");
  if (!(params.weight_decay >= 0 && params.weight_decay < 1e6)) refuse("weight_decay must be 0 or more");
  if (!(params.grad_clip_norm >= 0 && params.grad_clip_norm < 1e30)) refuse("grad_clip_norm must be 0 (off) or more");
  if (!(params.divisor > 0 && params.divisor < 1e30)) refuse("divisor must be positive");
  const std::lock_guard lock(s.busy);
  optim_metrics metrics;
  {
    const std::lock_guard core_lock(s.core->busy);
    const std::size_t threads = s.core->pool.size();
    std::vector<double> squares(threads, 0.0);
    if (!s.has_gradient) s.gradient.fill_with_zero();
    s.for_parameters([&](std::size_t begin, std::size_t end, std::size_t worker) {
      squares[worker] = sum_of_squares(s.gradient.data() + begin, end - begin);
    });
    double total = 0;
    for (const double each : squares) total += each;
    metrics.grad_norm = metrics.clipped_grad_norm = std::sqrt(total) / params.divisor;
    if (!std::isfinite(metrics.grad_norm)) {
      s.drop_gradient();
      throw error(errc::data,
                  "the accumulated gradient is not finite; it was dropped and the weights are unchanged. Look at the "
                  "slopes of the last forward_backward calls");
    }
    double clip = 1;
    if (params.grad_clip_norm > 0) clip = std::min(1.0, params.grad_clip_norm / (metrics.grad_norm + 1e-6));
    metrics.clipped_grad_norm *= clip;

    s.own_weights();
    const double step = static_cast<double>(++s.step);
    adam_factors factors;
    factors.keep = static_cast<float>(1 - params.learning_rate * params.weight_decay);
    factors.beta1 = static_cast<float>(params.beta1);
    factors.beta2 = static_cast<float>(params.beta2);
    factors.rate = static_cast<float>(params.learning_rate / (1 - std::pow(params.beta1, step)));
    factors.correction = static_cast<float>(1 / std::sqrt(1 - std::pow(params.beta2, step)));
    factors.eps = static_cast<float>(params.eps);
    factors.gradient = static_cast<float>(clip / params.divisor);
    std::vector<adam_norms> norms(threads);
    s.for_parameters([&](std::size_t begin, std::size_t end, std::size_t worker) {
      norms[worker] = adam_update(factors, s.gradient.data() + begin, s.values() + begin, s.first_moment.data() + begin,
                                  s.second_moment.data() + begin, end - begin);
    });
    adam_norms sum;
    for (const adam_norms& each : norms) sum.update += each.update, sum.parameters += each.parameters;
    metrics.update_norm = std::sqrt(sum.update);
    metrics.param_norm = std::sqrt(sum.parameters);
  }
  metrics.learning_rate = params.learning_rate;
  metrics.step = s.step;
  s.drop_gradient();
  s.merge();
  return metrics;
}

GRADWIRE_DECL std::int64_t training_model::steps() const {
  const std::lock_guard lock(state_->busy);
  return state_->step;
}

GRADWIRE_DECL frozen_model training_model::snapshot() const {
  const std::lock_guard lock(state_->busy);
  auto made = std::make_shared<frozen_model::state>(*state_->base.state_);
  made->weights = state_->weights;
  frozen_model model;
  model.state_ = std::move(made);
  return model;
}

GRADWIRE_DECL std::vector<training_model::tensor_view> training_model::parameters() const {
  const std::lock_guard lock(state_->busy);
  std::vector<tensor_view> result;
  for (const tensor_entry& tensor : state_->trained) {
    const float* values = state_->values() + tensor.offset;
    result.push_back({tensor.name, tensor.shape, {values, values + tensor.size}});
  }
  return result;
}

GRADWIRE_DECL std::vector<training_model::tensor_view> training_model::gradients() const {
  const std::lock_guard lock(state_->busy);
  std::vector<tensor_view> result;
  for (const tensor_entry& tensor : state_->trained) {
    std::vector<float> values(tensor.size, 0.0F);
    if (state_->has_gradient) std::copy_n(state_->gradient.data() + tensor.offset, tensor.size, values.data());
    result.push_back({tensor.name, tensor.shape, std::move(values)});
  }
  return result;
}

}  // namespace loopback
}  // namespace gradwire::inline v0
