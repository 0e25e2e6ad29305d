// SPDX-License-Identifier: Apache-2.0
// The calls of training_core that are one request: step, save, load.
#pragma once

#include <cmath>
#include <memory>
#include <utility>

#include <gradwire/trainer/impl/resolve_save.hpp>
#include <gradwire/trainer/impl/training_core.hpp>

namespace gradwire::inline v0 {
namespace detail {

// Makes a job of one request of the model. `read(result)` makes the value.
template <class T, class Make, class Read>
void submit_call(const std::shared_ptr<client_call<T>>& call, model::release_type release, Make make, Read read) {
  call->on->submit(make, call->deadline, release, [call, release, read](const operation_outcome& outcome) {
    try {
      if (outcome.failure) std::rethrow_exception(outcome.failure);
      call->ended.set_value(read(*outcome.result));
    } catch (...) {
      call->ended.set_error(std::current_exception());
    }
    release();
  });
}

inline void check_option(bool fine, const char* name, double value, const char* range) {
  if (!fine)
    throw error(errc::config,
                std::string("optim_step: ") + name + " is " + std::to_string(value) + "; it must be " + range,
                {.value = std::to_string(value)});
}

inline void check_step(const optim_step_options& o) {
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
  return "not stepped: a forward_backward since the last step failed (" + text_of_error(window.failure) +
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
                        const model::release_type& release) {
  const auto make = [call, options](std::int64_t seq_id) {
    wire::optim_step_request body;
    body.model_id = call->on->id();
    body.seq_id = seq_id;
    body.adam_params = {options.learning_rate, options.beta1,        options.beta2,
                        options.eps,           options.weight_decay, options.grad_clip_norm};
    if (options.grad_accumulation_normalization != grad_normalization::none)
      body.grad_accumulation_normalization = wire_name(options.grad_accumulation_normalization);
    auto record = call->on->of()->record("optim_step", "/api/v1/optim_step", wire::to_json(body),
                                         counted_effect(*call->on->of()));
    record.may_be_empty = true;
    return record;
  };
  const auto taken = call->on->held().take();
  call->on->submit(make, call->deadline, release, [call, release, taken](const operation_outcome& outcome) {
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
      const bool unknown =
          outcome.failure &&
          (outcome.machine ? running_pass::may_be_executed(*outcome.machine) &&
                                 outcome.machine->failure()->kind() != errc::closed && !outcome.machine->told_executed()
                           : outcome.perhaps_sent);
      if (unknown) call->on->taint("nobody knows whether an optim_step was executed");
      if (outcome.failure) call->on->held().give_back(taken);
      call->ended.set_error(std::current_exception());
    }
    release();
  });
}

GRADWIRE_DECL future<optimizer_step> training_core::optim_step(const optim_step_options& options) {
  try {
    check_step(options);
  } catch (const error&) {
    return failed_future<optimizer_step>(std::current_exception());
  }
  auto call = begin_call<optimizer_step>(model_);
  auto result = call->ended.get_future();
  owner_->net().post([call, options] {
    auto window = call->on->close_window();
    call->on->enqueue([call, options, window](model::release_type release) {
      auto step = [call, options, window, release] {
        const session& of = *call->on->of();
        const std::string wrong = option_obstacle(of, *window, options);
        const std::string obstacle = wrong.empty() ? step_obstacle(*call->on, *window) : wrong;
        if (!obstacle.empty()) {
          call->ended.set_error(std::make_exception_ptr(error(wrong.empty() ? errc::closed : errc::config,
                                                              "optim_step: " + obstacle, {.operation = "optim_step"})));
          return release();
        }
        send_held(call->on, call->deadline, [call, options, release](std::exception_ptr failure) {
          if (!failure) return submit_step(call, options, release);
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

// Nothing where none is given; an error where the server would drop it, or refuse the member.
inline std::optional<wire::metadata> checked_metadata(const session& of, const wire::metadata& given) {
  if (given.empty()) return {};
  if (!of.dialect().newer_members)
    throw error(errc::config, "this server (" + std::string(of.dialect().name) +
                                  ") keeps no user_metadata with a checkpoint; leave it out");
  return given;
}

GRADWIRE_DECL future<saved_weights> training_core::save_state(const save_state_options& options) {
  try {
    check_name(options.name);
  } catch (const error&) {
    return failed_future<saved_weights>(std::current_exception());
  }
  auto call = begin_call<saved_weights>(model_);
  auto result = call->ended.get_future();
  owner_->net().post([call, options] {
    call->on->enqueue([call, options](model::release_type release) {
      const auto make = [call, options](std::int64_t seq_id) {
        if (options.overwrite && !call->on->of()->dialect().overwrite) {
          throw error(errc::config,
                      "this server does not replace a saved state; choose another name than '" + options.name + "'");
        }
        wire::save_weights_request body;
        body.model_id = call->on->id();
        body.path = options.name;
        body.seq_id = seq_id;
        if (options.overwrite) body.overwrite = true;
        body.ttl_seconds = options.ttl_seconds;
        body.user_metadata = checked_metadata(*call->on->of(), options.user_metadata);
        return call->on->of()->record("save_state", "/api/v1/save_weights", wire::to_json(body),
                                      save_effect(*call->on->of(), options.overwrite));
      };
      submit_save({call, release, options.name}, make, [call](const operation_result& r) {
        return saved_weights{wire::read_outcome<wire::save_weights_reply>(r.content_type, r.body).result.path,
                             call->elapsed()};
      });
    });
  });
  return result;
}

GRADWIRE_DECL future<saved_weights> training_core::save_weights_for_sampler(const save_weights_options& options) {
  try {
    check_name(options.name);
  } catch (const error&) {
    return failed_future<saved_weights>(std::current_exception());
  }
  auto call = begin_call<saved_weights>(model_);
  auto result = call->ended.get_future();
  owner_->net().post([call, options] {
    call->on->enqueue([call, options](model::release_type release) {
      const auto make = [call, options](std::int64_t seq_id) {
        const wire::dialect& knows = call->on->of()->dialect();
        wire::save_weights_for_sampler_request body;
        body.model_id = call->on->id();
        body.path = options.name;
        body.seq_id = seq_id;
        constexpr const char* types[] = {"base", "delta", "merged_base"};
        body.ttl_seconds = options.ttl_seconds;
        body.user_metadata = checked_metadata(*call->on->of(), options.user_metadata);
        if (knows.checkpoint_type) {
          body.checkpoint_type = types[static_cast<unsigned>(options.type)];
        } else if (options.type != checkpoint::base) {
          throw error(errc::config, "this server (" + std::string(knows.name) +
                                        ") saves base checkpoints only; leave type at checkpoint::base");
        }
        return call->on->of()->record("save_weights_for_sampler", "/api/v1/save_weights_for_sampler",
                                      wire::to_json(body),
                                      save_effect(*call->on->of(), options.type == checkpoint::delta));
      };
      submit_save({call, release, options.name, true}, make, [call](const operation_result& r) {
        return saved_weights{
            wire::read_outcome<wire::save_weights_for_sampler_reply>(r.content_type, r.body).result.path.value_or(""),
            call->elapsed()};
      });
    });
  });
  return result;
}

GRADWIRE_DECL future<loaded_state> training_core::load_state(const load_state_options& options) {
  if (options.path.empty())
    return failed_future<loaded_state>(
        std::make_exception_ptr(error(errc::config, "load_state: the path is empty; give what save_state() returned")));
  auto call = begin_call<loaded_state>(model_);
  auto result = call->ended.get_future();
  owner_->net().post([call, options] {
    // A load begins anew: steps after it wait for it, and are not stopped by what failed before it and was forgotten.
    const auto before = call->on->close_window();
    const auto window = call->on->begin_pass();
    window->normalized = before->normalized;
    call->on->enqueue([call, options, before, window](model::release_type release) {
      const auto make = [call, options](std::int64_t seq_id) {
        if (seq_id > 1 && !call->on->of()->dialect().load_on_live_model) {
          throw error(errc::config,
                      "this server loads a state only into a new model; use create_training_client_from_state");
        }
        wire::load_weights_request body;
        body.model_id = call->on->id();
        body.seq_id = seq_id;
        body.path = options.path;
        body.optimizer = options.with_optimizer;
        return call->on->of()->record("load_state", "/api/v1/load_weights", wire::to_json(body),
                                      load_effect(*call->on->of()));
      };
      call->on->submit(make, call->deadline, release, [=](const operation_outcome& outcome) {
        const bool loaded = !outcome.failure || load_was_executed(outcome);
        const bool forgets = loaded && call->on->of()->dialect().load_clears_gradients && !call->on->held().divides;
        const auto carry_over = [on = call->on, before, window, forgets] {
          on->end_pass(window, forgets ? nullptr : before->failure, false);
        };
        if (forgets || before->running == 0) {
          carry_over();
        } else {
          before->waiting.push_back(carry_over);
        }
        if (!loaded) {
          call->ended.set_error(outcome.failure);
          return release();
        }
        call->on->held().list.clear();
        // Where gradients outlive a load, those that are there must not go into the next step.
        if (forgets) call->on->clear_taint();
        call->ended.set_value(loaded_state{options.path, call->elapsed()});
        release();
      });
    });
  });
  return result;
}

}  // namespace detail
}  // namespace gradwire::inline v0
