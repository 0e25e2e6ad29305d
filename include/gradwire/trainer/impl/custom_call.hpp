// SPDX-License-Identifier: Apache-2.0
// forward_backward_custom: the six steps of a loss that is computed here and differentiated there.
#pragma once

#include <cmath>
#include <memory>
#include <utility>

#include <gradwire/trainer/impl/training_core.hpp>

namespace gradwire::inline v0 {
namespace detail {

// The six steps: forward, logprobs, the loss and its slope on the thread for losses, a check of every number, and the
// slope sent as weights. Nothing is sent back unless all of it is finite.
struct custom_call : std::enable_shared_from_this<custom_call> {
  std::shared_ptr<client_call<training_step>> call;
  plain_batch data;
  loss_function loss;
  std::shared_ptr<gradient_window> window;
  model::release_type release;
  std::vector<chunk_range> chunks;
  shared<block> logprobs;
  computed_loss computed;
  wire::lowering lowering = wire::lowering::cross_entropy;

  void end(std::exception_ptr failure, bool partly, training_step step = {}) {
    loss = nullptr;  // what the user's function holds goes before its future is finished
    call->on->end_pass(window, failure, partly);
    if (failure) {
      call->ended.set_error(std::move(failure));
    } else {
      call->ended.set_value(std::move(step));
    }
    release();
  }

  void start() {
    auto pass = forward_pass(call->on, data, call->deadline);
    chunks = pass.chunks;
    run_pass(std::move(pass), nullptr, [self = shared_from_this()](pass_outcome outcome) {
      try {
        if (outcome.failure) std::rethrow_exception(outcome.failure);
        self->logprobs = logprobs_of(self->data, self->chunks, outcome.replies, true);
        self->lowering = self->lowering_for(outcome.replies);
      } catch (...) {
        return self->end(std::current_exception(), false);
      }
      self->call->on->of()->net().compute([self] { self->compute(); });
    });
  }

  // The dialect's, or where nobody named one what the forward itself shows: SkyRL's JAX backend, which averages its
  // cross_entropy, answers without any metric, as type "scalar", with `elementwise_loss` beside the logprobs. Servers
  // that sum answer otherwise.
  wire::lowering lowering_for(const std::vector<wire::forward_backward_reply>& replies) const {
    const session& of = *call->on->of();
    if (!of.options().dialect.empty() || of.dialect().name != "tinker") return of.dialect().custom_loss;
    for (const auto& reply : replies) {
      const bool averages = reply.metrics.empty() && reply.loss_fn_output_type.ends_with("scalar") &&
                            !reply.loss_fn_outputs.empty() &&
                            wire::find(reply.loss_fn_outputs.front(), "elementwise_loss");
      if (!averages) return of.dialect().custom_loss;
    }
    return wire::lowering::importance_sampling;
  }

  void compute() {  // on the thread for losses
    std::exception_ptr failure;
    try {
      computed = loss(logprobs);
      if (!std::isfinite(computed.loss)) {
        throw error(errc::data, "the value of the loss is " + std::to_string(computed.loss) + "; nothing was sent back",
                    {.value = std::to_string(computed.loss)});
      }
      check_slope(data, *computed.slope);
    } catch (...) {
      failure = std::current_exception();
    }
    // The network waits for this thread before it goes, so it is still there.
    call->on->of()->net().post(
        [self = shared_from_this(), failure] { failure ? self->end(failure, false) : self->send_back(); });
  }

  void send_back() {
    auto pass = make_pass(call->on, data, call->deadline, "forward_backward");
    pass.chunks = chunks;  // as those of the forward
    if (lowering == wire::lowering::importance_sampling) {
      // The calls of one step must share one factor; with several calls it is not the true count, but common to all.
      if (window->sequences == 0) window->sequences = static_cast<double>(data.shape().sequences());
      pass.loss = "importance_sampling";
      pass.datums = [self = shared_from_this()](chunk_range range) {
        return datums_with_scaled_slope(self->data, range, *self->computed.slope, *self->logprobs,
                                        self->window->sequences);
      };
    } else {
      pass.datums = [self = shared_from_this()](chunk_range range) {
        return datums_with_slope(self->data, range, *self->computed.slope);
      };
    }
    run_pass(std::move(pass), release,
             [self = shared_from_this()](pass_outcome outcome) { self->finish(std::move(outcome)); });
  }

  void finish(pass_outcome outcome) {
    if (outcome.failure) return end(outcome.failure, outcome.partly);
    training_step step;
    const auto metrics = wire::merge_metrics(outcome.replies).values;
    step.metrics = copy_metrics(metrics);
    const double surrogate = reported_loss(metrics);
    if (!std::isnan(surrogate)) set_metric(step.metrics, "surrogate_loss:sum", surrogate);
    step.loss = computed.loss;
    set_metric(step.metrics, "loss:sum", computed.loss);
    for (const auto& m : computed.metrics) set_metric(step.metrics, m.name, m.value);
    step.logprobs = column<float>(logprobs, data.layout_handle(), data.level());
    step.tokens = data.shape().tokens();
    step.counted_tokens = count_of_weights(data);
    step.elapsed_seconds = call->elapsed();
    end(nullptr, false, std::move(step));
  }
};

GRADWIRE_DECL future<training_step> training_core::forward_backward_custom(plain_batch data, loss_function loss,
                                                                            bool normalized) {
  auto custom = std::make_shared<custom_call>();
  custom->call = begin_call<training_step>(model_);
  custom->data = std::move(data);
  custom->loss = std::move(loss);
  auto result = custom->call->ended.get_future();
  owner_->net().post([custom, normalized] {
    custom->window = custom->call->on->begin_pass();
    custom->window->normalized |= normalized;
    custom->call->on->enqueue([custom](model::release_type release) {
      custom->release = std::move(release);
      custom->start();
    });
  });
  return result;
}

}  // namespace detail
}  // namespace gradwire::inline v0
