// SPDX-License-Identifier: Apache-2.0
// How model_info.hpp works.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <gradwire/trainer/impl/model_calls.hpp>
#include <gradwire/trainer/impl/service_call.hpp>
#include <gradwire/trainer/model_info.hpp>
#include <gradwire/wire/json_codec.hpp>

namespace gradwire::inline v0 {
namespace detail {

// Asked at once, beside the operations that run: it changes nothing and takes no number.
GRADWIRE_DECL future<model_info> run_get_info(const training_core& core) {
  return begin_service_call<model_info>(core.owner(), [on = core.trained()](const auto& call) {
    auto asked =
        call->record("get_info", "/api/v1/get_info", wire::to_json(wire::get_info_request{on->id()}), effect::reads);
    asked.has_future = false;
    run_for(call, std::move(asked), [call, on](const operation_result& result) {
      const auto reply = wire::from_json<wire::get_info_reply>(result.body);
      model_info made;
      made.model_id = reply.model_id.empty() ? on->id() : reply.model_id;
      made.base_model = reply.model_name;
      made.tokenizer_id = reply.tokenizer_id.substr(0, reply.tokenizer_id.find(':'));  // what follows names a variant
      made.architecture = reply.arch;
      made.is_lora = reply.is_lora;
      made.lora_rank = reply.lora_rank;
      if (reply.optimizer_config) made.optimizer = reply.optimizer_config->type;
      call->finish([&](const session_owner&) { return made; });
    });
  });
}

GRADWIRE_DECL future<external_export> run_save_external(const training_core& core,
                                                        const save_external_options& options) {
  try {
    check_name(options.name);
  } catch (const error&) {
    return failed_future<external_export>(std::current_exception());
  }
  auto call = begin_call<external_export>(core.trained());
  auto result = call->ended.get_future();
  core.owner()->net().post([call, options] {
    call->on->enqueue([call, options](model::release_type release) {
      const auto make = [call, options](std::int64_t seq_id) {
        wire::save_weights_external_request body;
        body.model_id = call->on->id();
        body.path = options.name;
        body.seq_id = seq_id;
        body.ttl_seconds = options.ttl_seconds;
        body.age_encryption_recipients = options.age_encryption_recipients;
        return call->on->of()->record("save_weights_external", "/api/v1/save_weights_external", wire::to_json(body),
                                      effect::mutates);
      };
      call->on->submit(make, call->deadline, release, [call, release](const operation_outcome& outcome) {
        try {
          if (outcome.failure) std::rethrow_exception(outcome.failure);
          const operation_result& r = *outcome.result;
          const auto reply = wire::read_outcome<wire::save_weights_external_reply>(r.content_type, r.body).result;
          call->ended.set_value(external_export{reply.path, reply.size_bytes, call->elapsed()});
        } catch (...) {
          call->ended.set_error(std::current_exception());
        }
        release();
      });
    });
  });
  return result;
}

// An unload whose answer was lost is done when the trainer says that it knows no such model.
inline bool was_unloaded(const operation_outcome& outcome) {
  if (!outcome.machine || !outcome.machine->maybe_executed()) return false;
  const error& failure = *outcome.machine->failure();
  const int status = failure.details().http_status;
  return failure.kind() == errc::closed && (status == 404 || status == 412);
}

// Behind the calls made so far. What is called after it fails on the server.
GRADWIRE_DECL future<completed> run_unload(const training_core& core) {
  auto call = begin_call<completed>(core.trained());
  auto result = call->ended.get_future();
  core.owner()->net().post([call] {
    call->on->enqueue([call](model::release_type release) {
      if (call->deadline.is_cancelled()) return release();
      if (call->on->of()->lost()) {
        call->ended.set_error(call->on->of()->lost());
        return release();
      }
      auto asked = call->on->of()->record("unload_model", "/api/v1/unload_model",
                                          wire::to_json(wire::unload_model_request{call->on->id()}), effect::reads);
      asked.model_id = call->on->id();
      asked.time_limit_seconds = call->left();
      asked.cancel = call->deadline.cancel;
      call->on->of()->run(std::move(asked), traffic::submit, nullptr,
                          [call, release](const operation_outcome& outcome) {
                            if (outcome.failure && !was_unloaded(outcome)) {
                              call->ended.set_error(outcome.failure);
                            } else {
                              call->ended.set_value(completed{call->elapsed()});
                            }
                            release();
                          });
    });
  });
  return result;
}

}  // namespace detail
}  // namespace gradwire::inline v0
