// SPDX-License-Identifier: Apache-2.0
// The optimizer step: what must hold before it is sent, and what is known when it has failed.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include <gradwire/trainer/impl/held_gradients.hpp>
#include <gradwire/trainer/impl/pass.hpp>
#include <gradwire/trainer/impl/training_core.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline void check_option(bool fine, const char* name, double value, const char* range) {
  if (!fine)
    throw error(errc::config,
                std::string("optim_step: ") + name + " is " + std::to_string(value) + "; it must be " + range,
                {.value = std::to_string(value)});
}

inline void check_step(const optim_step_options& o, const std::string& optimizer) {
  constexpr optim_step_options usual;
  if (optimizer != "adamw") {
    const std::string why = " is AdamW's, and this model was made with '" + optimizer + "'";
    const auto none_of = [&](const char* name, double value, double default_value) {
      if (value != default_value)
        throw error(errc::config, std::string("optim_step: ") + name + why, {.value = std::to_string(value)});
    };
    none_of("beta2", o.beta2, usual.beta2);
    none_of("eps", o.eps, usual.eps);
    none_of("weight_decay", o.weight_decay, usual.weight_decay);
  }
  check_option(std::isfinite(o.learning_rate) && o.learning_rate >= 0, "learning_rate", o.learning_rate,
               "finite and not negative");
  check_option(o.beta1 >= 0 && o.beta1 < 1, "beta1", o.beta1, "in [0, 1)");
  check_option(o.beta2 >= 0 && o.beta2 < 1, "beta2", o.beta2, "in [0, 1)");
  check_option(std::isfinite(o.eps) && o.eps > 0, "eps", o.eps, "above 0");
  check_option(std::isfinite(o.weight_decay) && o.weight_decay >= 0, "weight_decay", o.weight_decay,
               "finite and not negative");
  check_option(std::isfinite(o.grad_clip_norm) && o.grad_clip_norm >= 0, "grad_clip_norm", o.grad_clip_norm,
               "finite and not negative");
}

// Why an optimizer step must not be sent; empty when it may.
inline std::string step_obstacle(const model& on, const gradient_window& window) {
  if (!on.tainted().empty()) {
    return "not stepped: " + on.tainted() +
           ", which cannot be taken back. Load a saved state and repeat what came after it";
  }
  if (!window.failure) return {};
  return "not stepped: a call since the last step failed (" + text_of_error(window.failure) +
         "). The gradients of the calls that succeeded are still on the trainer: repeat the failed call and step "
         "again, or load a state";
}

// Why these options do not go with this server, or with the losses since the last step; empty when they do.
inline std::string option_obstacle(const session& of, const gradient_window& window, const optim_step_options& o) {
  const std::string server = "this server (" + std::string(of.dialect().name) + ")";
  if (o.grad_clip_norm > 0 && !of.dialect().grad_clip_norm)
    return server + " does not clip gradients; leave grad_clip_norm at 0";
  if (o.grad_accumulation_normalization == grad_normalization::none) return {};
  if (!of.dialect().grad_normalization)
    return server +
           " does not normalise gradients; leave grad_accumulation_normalization at none and let the loss end "
           "in a mean";
  if (window.normalized)
    return "the loss ends in a mean, and grad_accumulation_normalization would divide its gradient once more. Leave it "
           "at none, or end the loss in a sum. Nothing was sent; the gradients are still on the trainer";
  return {};
}

inline const char* wire_name(grad_normalization by) {
  return by == grad_normalization::num_loss_tokens ? "num_loss_tokens" : "num_sequences";
}

inline bool is_result_of_a_pass(const std::string& body) {
  if (body.find("\"loss_fn_outputs\"") == std::string::npos) return false;
  const wire::json_document document(body);
  return document.find(document.root(), "loss_fn_outputs") != nullptr;
}

inline void submit_step(const std::shared_ptr<client_call<optimizer_step>>& call, const optim_step_options& options,
                        const std::string& optimizer, const std::shared_ptr<gradient_window>& window,
                        const model::release_type& release) {
  const auto tried = std::make_shared<bool>(false);
  const auto make = [call, options, optimizer, window, tried](std::int64_t seq_id) {
    // The server counts from another number. What a pipelined step was sent behind may be what it has not counted.
    if (std::exchange(*tried, true) && (window->failure || window->running > 0))
      throw error(errc::closed,
                  "optim_step: " + (window->failure ? step_obstacle(*call->on, *window)
                                                    : "not stepped: the trainer refused its number, and a call before "
                                                      "it has not ended. Step again when all have"),
                  {.operation = "optim_step", .cause = window->failure});
    wire::optim_step_request body;
    body.model_id = call->on->id();
    body.seq_id = seq_id;
    body.adam_params = {options.learning_rate, options.beta1,        options.beta2,
                        options.eps,           options.weight_decay, options.grad_clip_norm};
    if (optimizer != "adamw")
      body.optimizer_params = {optimizer, options.learning_rate, options.grad_clip_norm, options.beta1};
    if (options.grad_accumulation_normalization != grad_normalization::none)
      body.grad_accumulation_normalization = wire_name(options.grad_accumulation_normalization);
    auto record = call->on->of()->record("optim_step", "/api/v1/optim_step", wire::to_json(body),
                                         counted_effect(*call->on->of()));
    record.may_be_empty = true;
    return record;
  };
  const auto taken = call->on->held().take();
  call->on->submit(make, call->deadline, release, [call, window, release, taken](const operation_outcome& outcome) {
    optimizer_step done;
    try {
      if (outcome.failure) std::rethrow_exception(outcome.failure);
      if (is_result_of_a_pass(outcome.result->body)) {
        throw error(errc::protocol, "optim_step (request " + printable(outcome.result->request_id, 80) +
                                        "): the trainer answered with the result of a forward_backward");
      }
      done.metrics =
          copy_metrics(wire::read_outcome<wire::optim_step_reply>(outcome.result->content_type, outcome.result->body)
                           .result.metrics);
      done.elapsed_seconds = call->elapsed();
      call->ended.set_value(std::move(done));
    } catch (...) {
      // A server that counts has told that it was executed, once.
      const bool executed = !outcome.failure || (outcome.machine && outcome.machine->told_executed());
      const bool unknown = !executed && (outcome.machine ? running_pass::may_be_executed(*outcome.machine) &&
                                                               outcome.machine->failure()->kind() != errc::closed
                                                         : outcome.perhaps_sent);
      if (unknown) call->on->taint("nobody knows whether an optim_step was executed");
      if (!executed) call->on->held().give_back(taken);
      if (!executed && !unknown) window->go_on(call->deadline.is_cancelled() ? window->failure : nullptr);
      call->ended.set_error(std::current_exception());
    }
    release();
  });
}

GRADWIRE_DECL future<optimizer_step> training_core::optim_step(const optim_step_options& options) {
  const std::string optimizer = made_with().optimizer;
  try {
    check_step(options, optimizer);
  } catch (const error&) {
    return failed_future<optimizer_step>(std::current_exception());
  }
  auto call = begin_call<optimizer_step>(model_);
  auto result = call->ended.get_future();
  owner_->net().post([call, options, optimizer] {
    auto window = call->on->close_window();
    call->on->enqueue([call, options, optimizer, window](model::release_type release) {
      auto step = [call, options, optimizer, window, release] {
        if (call->deadline.is_cancelled()) {  // nobody hears what this step would say, so the next one says it
          window->go_on(window->failure);
          return release();
        }
        const session& of = *call->on->of();
        const std::string wrong = option_obstacle(of, *window, options);
        const std::string obstacle = wrong.empty() ? step_obstacle(*call->on, *window) : wrong;
        if (!obstacle.empty()) {
          window->go_on(wrong.empty() ? nullptr : window->failure);
          const errc kind = wrong.empty() ? errc::closed : errc::config;
          call->ended.set_error(std::make_exception_ptr(
              error(kind, "optim_step: " + obstacle, {.operation = "optim_step", .cause = window->failure})));
          return release();
        }
        send_held(call->on, call->deadline, [call, options, optimizer, window, release](std::exception_ptr failure) {
          if (!failure) return submit_step(call, options, optimizer, window, release);
          const bool dropped = call->on->held().list.empty();
          window->go_on(dropped && call->deadline.is_cancelled() ? failure : nullptr);
          call->ended.set_error(failure);
          release();
        });
      };
      if (options.pipelined || window->running == 0) return step();
      window->waiting.push_back(std::move(step));
    });
  });
  return result;
}

}  // namespace detail
}  // namespace gradwire::inline v0
