// SPDX-License-Identifier: Apache-2.0
// The calls of training_core that are one request: save, load.
#pragma once

#include <algorithm>
#include <iterator>
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

// Nothing where none is given; an error where the server would drop it, or refuse the member.
inline std::optional<wire::metadata> checked_metadata(const session& of, const wire::metadata& given) {
  if (given.empty()) return {};
  if (!of.dialect().newer_members)
    throw error(errc::config, "this server (" + std::string(of.dialect().name) +
                                  ") keeps no user_metadata with a checkpoint; leave it out");
  return given;
}

inline void enqueue_save(const std::shared_ptr<client_call<saved_weights>>& call, const save_state_options& options) {
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
    submit_save({call, release, options.name, false, options.overwrite}, make, [call](const operation_result& r) {
      return saved_weights{wire::read_outcome<wire::save_weights_reply>(r.content_type, r.body).result.path,
                           call->elapsed()};
    });
  });
}

GRADWIRE_DECL future<saved_weights> training_core::save_state(const save_state_options& options) {
  try {
    check_name(options.name);
  } catch (const error&) {
    return failed_future<saved_weights>(std::current_exception());
  }
  auto call = begin_call<saved_weights>(model_);
  auto result = call->ended.get_future();
  owner_->net().post([call, options] { enqueue_save(call, options); });
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

// What was called behind a load, in the belief that it would be done, trains weights that were not replaced. Calls that
// are made when its failure is known are the caller's own will.
inline void refuse_steps_behind(gradient_window& of_load, const std::exception_ptr& failure) {
  for (gradient_window* at = &of_load; at; at = at->before_load ? nullptr : at->next.get())
    if (at->next || at->begun > (at == &of_load ? 1u : 0u)) at->note(failure);
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
    before->before_load = true;
    const auto window = call->on->begin_pass();
    call->on->enqueue([call, options, before, window](model::release_type release) {
      const auto held = static_cast<std::ptrdiff_t>(call->on->held().list.size());  // of the calls before it
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
        // Where gradients outlive a load, those that are there must not go into the next step.
        const auto carry_over = [on = call->on, before, window, forgets] {
          if (!forgets) before->go_on(before->failure);
          on->end_pass(window, nullptr, false);
        };
        if (loaded) {  // before a step that waits for it goes
          auto& list = call->on->held().list;
          list.erase(list.begin(), list.begin() + std::min(held, std::ssize(list)));
          if (forgets) call->on->clear_taint();
        } else {
          refuse_steps_behind(*window, outcome.failure);
        }
        if (forgets || before->running == 0) {
          carry_over();
        } else {
          before->waiting.push_back(carry_over);
        }
        if (!loaded) {
          call->ended.set_error(outcome.failure);
          return release();
        }
        call->ended.set_value(loaded_state{options.path, call->elapsed()});
        release();
      });
    });
  });
  return result;
}

}  // namespace detail
}  // namespace gradwire::inline v0
