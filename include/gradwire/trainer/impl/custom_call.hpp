// SPDX-License-Identifier: Apache-2.0
// forward_backward_custom: the six steps of a loss that is computed here and differentiated there.
#pragma once

#include <cmath>
#include <memory>
#include <utility>

#include <gradwire/trainer/impl/held_gradients.hpp>
#include <gradwire/trainer/impl/lowered_call.hpp>

namespace gradwire::inline v0 {
namespace detail {

// SkyRL's JAX backend, which averages its cross_entropy, answers a forward without any metric, as type "scalar", with
// `elementwise_loss` beside the logprobs. Servers that sum answer otherwise, SkyRL's other backends too.
inline bool averages_cross_entropy(const std::vector<wire::forward_backward_reply>& replies) {
  for (const auto& reply : replies) {
    if (!reply.metrics.empty() || !reply.loss_fn_output_type.ends_with("scalar") || reply.loss_fn_outputs.empty() ||
        !wire::find(reply.loss_fn_outputs.front(), "elementwise_loss"))
      return false;
  }
  return true;
}

// The six steps: forward, logprobs, the loss and its slope on the thread for losses, a check of every number, and the
// slope sent as weights, or held until the step (held_gradients.hpp). Nothing is sent back unless all of it is finite.
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
  std::shared_ptr<const lowered_form> form;  // of a loss that lower() has recognised
  pass_outcome answered;                     // of its one request

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
    if (form) {
      try {
        check_form(*call->on, data, *form);
      } catch (...) {
        return end(std::current_exception(), false);
      }
      if (sums_its_losses(*call->on)) return start_lowered();
    }
    auto pass = forward_pass(call->on, data, call->deadline);
    run_pass(std::move(pass), nullptr, [self = shared_from_this()](pass_outcome outcome) {
      try {
        if (outcome.failure) std::rethrow_exception(outcome.failure);
        self->chunks = outcome.chunks;
        self->logprobs = logprobs_of(self->data, self->chunks, outcome.replies, true);
        self->lowering = self->lowering_for(outcome.replies);
        self->call->on->held().sums = !self->is_held();
        if (self->is_held()) self->check_held();
      } catch (...) {
        return self->end(std::current_exception(), false);
      }
      self->call->on->of()->net().compute([self] { self->compute(); });
    });
  }

  // One request, the server's own loss; the loss is computed from the logprobs that come with its gradient.
  void start_lowered() {
    auto pass = make_pass(call->on, data, call->deadline, "forward_backward");
    pass.loss = form->name;
    pass.config = config_of(*form);
    pass.datums = [self = shared_from_this()](chunk_range range) {
      return datums_for_form(self->data, range, *self->form);
    };
    run_pass(std::move(pass), release, [self = shared_from_this()](pass_outcome outcome) {
      if (outcome.failure) return self->end(outcome.failure, outcome.partly);
      try {
        self->logprobs = logprobs_of(self->data, outcome.chunks, outcome.replies, true);
      } catch (...) {
        return self->end(std::current_exception(), true);
      }
      self->answered = std::move(outcome);
      self->call->on->of()->net().compute([self] { self->compute(); });
    });
  }

  // The dialect's, or where nobody named one what the forward itself shows (averages_cross_entropy).
  wire::lowering lowering_for(const std::vector<wire::forward_backward_reply>& replies) const {
    const session& of = *call->on->of();
    const auto by_table = of.dialect().custom_loss;
    if (of.is_recognised() && by_table != wire::lowering::observed) return by_table;
    return averages_cross_entropy(replies) ? wire::lowering::importance_sampling : wire::lowering::cross_entropy;
  }

  void compute() {  // on the thread for losses
    std::exception_ptr failure;
    const time_point began = call->on->of()->net().now();
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
    for (int tries = 3; tries > 0; --tries) {  // memory may be short for a moment
      try {
        call->on->of()->net().post([self = shared_from_this(), failure, began, ended = call->on->of()->net().now()] {
          self->tell_computed(began, ended);
          const bool is_sent = !self->answered.replies.empty();  // its gradient is on the trainer already
          if (failure) return self->end(failure, is_sent);
          if (self->call->deadline.is_cancelled()) return self->end(cancelled(), is_sent);
          is_sent ? self->finish(std::move(self->answered)) : self->send_back();
        });
        return;
      } catch (const std::bad_alloc&) {
      }
    }
  }

  // Its future has ended so already; the step hears of it too.
  static std::exception_ptr cancelled() {
    return std::make_exception_ptr(
        error(errc::closed, "cancelled while the loss was computed", {.operation = "forward_backward"}));
  }

  void tell_computed(time_point began, time_point ended) const {
    client_event event;
    event.what = client_event::type::computed;
    event.at = ended;
    event.name = "loss";
    event.model_id = call->on->id();
    event.tokens = data.shape().tokens();
    event.seconds = std::chrono::duration<double>(ended - began).count();
    call->on->of()->tell(std::move(event));
  }

  bool is_held() const { return lowering == wire::lowering::importance_sampling; }

  void check_held() const {
    call->on->held().divides = true;
    if (form) check_form(*call->on, data, *form);
    const std::string obstacle = held_obstacle(call->on->held());
    if (!obstacle.empty())
      throw error(errc::config, "forward_backward_custom: " + obstacle + ". Nothing was sent back",
                  {.operation = "forward_backward"});
  }

  void send_back() {
    if (is_held()) {  // the step sends it, when the number of its sequences is known
      call->on->held().list.push_back({data, computed.slope, logprobs});
      return finish({});
    }
    auto pass = make_pass(call->on, data, call->deadline, "forward_backward");
    pass.chunks = chunks;  // as those of the forward
    pass.datums = [self = shared_from_this()](chunk_range range) {
      return datums_with_slope(self->data, range, *self->computed.slope);
    };
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
                                                                           bool normalized,
                                                                           std::shared_ptr<const lowered_form> form) {
  auto custom = std::make_shared<custom_call>();
  custom->call = begin_call<training_step>(model_);
  custom->data = std::move(data);
  custom->loss = std::move(loss);
  custom->form = std::move(form);
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
