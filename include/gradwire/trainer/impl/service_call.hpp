// SPDX-License-Identifier: Apache-2.0
// The steps that the calls of a service are made of: wait for the session, make a model, load a state into it.
#pragma once

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include <gradwire/trainer/impl/adopt_model.hpp>
#include <gradwire/trainer/impl/model_options.hpp>
#include <gradwire/trainer/impl/peer.hpp>
#include <gradwire/trainer/impl/resolve_save.hpp>
#include <gradwire/trainer/impl/training_core.hpp>
#include <gradwire/trainer/options.hpp>
#include <gradwire/trainer/training_client.hpp>
#include <gradwire/transport/endpoint.hpp>
#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/outcome.hpp>
#include <gradwire/wire/path.hpp>

namespace gradwire::inline v0 {
namespace detail {

GRADWIRE_DECL void check_level(const plain_batch& data, bool over_candidates, bool procedure) {
  const std::size_t candidates = data.shape().candidates();
  if (over_candidates && candidates == 0) {
    throw error(errc::data,
                "the loss reads candidate_logprobs, but the datums have no candidates; add candidates = ids to them");
  }
  if (!over_candidates && candidates > 0) {
    throw error(
        errc::data,
        std::string(procedure ? "a plain function sees" : "the loss reads") +
            " one logprob a target, but the datums have " + std::to_string(candidates) + " candidates a target; " +
            (procedure ? "write the loss as a formula" : "read candidate_logprobs, or leave the candidates out"));
  }
}

// A call of the service: the I/O thread's way to its promise. It holds the clients' owner weakly, so that a call that
// is still running does not keep the client open.
template <class T>
struct service_call {
  promise<T> ended;
  std::weak_ptr<session_handle> owner;
  std::shared_ptr<session> of;
  time_point begun;
  call_deadline deadline;

  double left() const { return std::max(0.0, std::chrono::duration<double>(deadline.at - of->net().now()).count()); }
  void fail(std::exception_ptr failure) { ended.set_error(std::move(failure)); }

  // Finishes with what `make(owner)` makes.
  template <class Make>
  void finish(Make&& make) {
    try {
      const auto alive = owner.lock();
      if (!alive || of->is_closed()) throw error(errc::closed, "the client was closed");
      ended.set_value(make(alive));
    } catch (...) {
      ended.set_error(std::current_exception());
    }
  }

  operation_record record(std::string name, const std::string& path, std::string body, effect what) const {
    auto made = of->record(std::move(name), path, std::move(body), what);
    made.time_limit_seconds = left();
    made.cancel = deadline.cancel;
    return made;
  }
};

// Calls next(call) on the I/O thread when the session exists.
template <class T, class Next>
future<T> begin_service_call(const session_owner& owner, Next next) {
  auto call = std::make_shared<service_call<T>>();
  call->owner = owner;
  call->of = owner->get();
  call->begun = owner->net().now();
  call->deadline = {call->begun + in_seconds(owner->get()->options().operation_timeout_seconds),
                    std::make_shared<cancellation>()};
  auto result = call->ended.get_future();
  call->ended.on_cancel([gone = std::weak_ptr(call)] {
    const auto alive = gone.lock();
    if (alive) alive->of->net().post([alive] { alive->fail(alive->deadline.cancel->cancel()); });
  });
  owner->net().post([call, next = std::move(next)] {
    call->of->when_ready([call, next](std::exception_ptr failure) {
      if (failure) return call->fail(failure);
      if (call->deadline.is_cancelled()) return;
      try {
        next(call);
      } catch (...) {
        call->fail(std::current_exception());
      }
    });
  });
  return result;
}

// Runs a request; then(result) when it succeeded, else the call fails.
template <class T, class Then>
void run_for(const std::shared_ptr<service_call<T>>& call, operation_record record, Then then) {
  call->of->run(std::move(record), traffic::submit, nullptr,
                [call, then = std::move(then)](const operation_outcome& outcome) {
                  try {
                    if (outcome.failure) std::rethrow_exception(outcome.failure);
                    then(*outcome.result);
                  } catch (...) {
                    call->fail(std::current_exception());
                  }
                });
}

inline effect creation_effect(const session& of) {
  const bool deduped = of.dialect().order == wire::sequencing::dedupes && of.dialect().dedupes_all;
  return deduped ? effect::deduped : effect::mutates;
}

// Makes a model; then(model) with no request sent to it yet.
template <class T, class Then>
void create_model(const std::shared_ptr<service_call<T>>& call, const training_client_options& options, bool frozen,
                  Then then) {
  const wire::dialect& knows = call->of->dialect();
  check_model_options(options, knows);
  wire::create_model_request body;
  body.session_id = call->of->id();
  body.model_seq_id = call->of->take_model_number();
  body.base_model = options.base_model;
  wire::lora_config adapter;
  adapter.rank = options.lora_rank;
  adapter.seed = options.seed;
  adapter.train_unembed = options.train_unembed;
  adapter.train_mlp = options.train_mlp;
  adapter.train_attn = options.train_attn;
  if (options.lora_alpha) {
    adapter.alpha = options.lora_alpha;
  } else if (knows.default_alpha > 0 && options.lora_rank > 0) {
    adapter.alpha = knows.default_alpha;
  }
  body.lora_config = adapter;
  if (!options.user_metadata.empty()) body.user_metadata = options.user_metadata;
  if (frozen && knows.base_only) body.base_only = true;
  if (options.optimizer != "adamw") body.optimizer_config = optimizer_config_of(options.optimizer);
  auto record = call->record("create_model", "/api/v1/create_model", wire::to_json(body), creation_effect(*call->of));
  const auto made = [call, then](std::string id, bool comms_v2 = false) {
    if (id.empty()) throw error(errc::protocol, "the trainer made a model but did not say its id");
    call->of->note_model(id);
    call->of->end_creation();
    auto added = std::make_shared<model>(call->of, std::move(id));
    if (comms_v2) added->use_comms_v2();
    then(std::move(added));
  };
  call->of->begin_creation();
  call->of->run(std::move(record), traffic::submit, nullptr, [call, made](const operation_outcome& outcome) {
    settle_creation(*call->of, outcome);
    try {
      if (outcome.failure) {
        const bool unknown = outcome.machine && outcome.machine->failure()->kind() == errc::outcome_unknown;
        if (!unknown || call->deadline.is_cancelled()) std::rethrow_exception(outcome.failure);
        return adopt_model(
            call->of, *outcome.machine->failure(), call->left(),
            [call, made](const std::string& id) {
              try {
                made(id);
              } catch (...) {
                call->fail(std::current_exception());
              }
            },
            [call](std::exception_ptr failure) { call->fail(std::move(failure)); });
      }
      const operation_result& result = *outcome.result;
      auto reply = wire::read_outcome<wire::create_model_reply>(result.content_type, result.body).result;
      if (reply.model_id.empty())
        reply.model_id = wire::from_json<wire::submit_reply>(result.submit_body).model_id.value_or("");
      made(std::move(reply.model_id), call->of->dialect().comms && reply.comms == "v2");
    } catch (...) {
      call->fail(std::current_exception());
    }
  });
}

// Loads a state as the first request of a new model.
template <class T, class Then>
void load_first(const std::shared_ptr<service_call<T>>& call, const std::shared_ptr<model>& into,
                const from_state_options& options, Then then) {
  into->enqueue([call, into, options, then](model::release_type release) {
    const auto make = [into, options, call](std::int64_t seq_id) {
      wire::load_weights_request body;
      body.model_id = into->id();
      body.seq_id = seq_id;
      body.path = options.path;
      body.optimizer = options.with_optimizer;
      if (!options.weights_access_token.empty()) body.weights_access_token = options.weights_access_token;
      auto record = call->record("load_state", "/api/v1/load_weights", wire::to_json(body), load_effect(*call->of));
      record.token = secret(options.weights_access_token, "weights_access_token");
      return record;
    };
    into->submit(make, call->deadline, release, [call, then, release](const operation_outcome& outcome) {
      try {
        if (outcome.failure && !load_was_executed(outcome)) std::rethrow_exception(outcome.failure);
        then();
      } catch (...) {
        call->fail(std::current_exception());
      }
      release();
    });
  });
}

// A new model from a state; then(model). One request where the server makes the model by loading; else a model of the
// state's shape, and the state as its first request. A server that was taken for one of the first kind and is not says
// that the model's id is missing, and has made nothing.
template <class T, class Then>
void create_from_state(const std::shared_ptr<service_call<T>>& call, const training_client_options& as_saved,
                       const from_state_options& options, Then then) {
  const auto in_two_steps = [call, as_saved, options, then] {
    create_model(call, as_saved, false, [call, options, then](std::shared_ptr<model> made) {
      load_first(call, made, options, [made, then] { then(made); });
    });
  };
  if (!call->of->dialect().create_via_load) return in_two_steps();
  if (options.lora_alpha)
    throw error(errc::config, "this server (" + std::string(call->of->dialect().name) +
                                  ") takes the alpha that the state was saved with; leave lora_alpha out");
  wire::load_weights_request body;
  body.session_id = call->of->id();
  body.model_seq_id = call->of->take_model_number();
  body.path = options.path;
  body.optimizer = options.with_optimizer;
  if (!options.weights_access_token.empty()) body.weights_access_token = options.weights_access_token;
  if (!options.user_metadata.empty()) body.user_metadata = options.user_metadata;
  check_optimizer(options.optimizer, call->of->dialect());
  if (options.optimizer != "adamw" && !options.with_optimizer)
    body.optimizer_config = optimizer_config_of(options.optimizer);
  auto record =
      call->record("create_from_state", "/api/v1/load_weights", wire::to_json(body), creation_effect(*call->of));
  record.token = secret(options.weights_access_token, "weights_access_token");
  call->of->begin_creation();
  call->of->run(
      std::move(record), traffic::submit, nullptr, [call, then, in_two_steps](const operation_outcome& outcome) {
        settle_creation(*call->of, outcome);
        try {
          if (outcome.failure && outcome.machine) {
            const error& refused = *outcome.machine->failure();
            const int status = refused.details().http_status;
            const bool other_kind = !call->of->is_recognised() && outcome.machine->request_id().empty() &&
                                    refused.kind() == errc::status && (status == 400 || status == 422) &&
                                    std::string_view(refused.what()).find("model_id") != std::string_view::npos;
            if (other_kind) return in_two_steps();
          }
          if (outcome.failure) std::rethrow_exception(outcome.failure);
          const operation_result& result = *outcome.result;
          std::string id = wire::read_outcome<wire::load_weights_reply>(result.content_type, result.body)
                               .result.model_id.value_or("");
          if (id.empty()) id = wire::from_json<wire::submit_reply>(result.submit_body).model_id.value_or("");
          if (id.empty()) throw error(errc::protocol, "the trainer made a model but did not say its id");
          call->of->note_model(id);
          call->of->end_creation();
          then(std::make_shared<model>(call->of, std::move(id)));
        } catch (...) {
          call->fail(std::current_exception());
        }
      });
}

// Best effort: the copy that a reference was made from is not needed any more.
inline void delete_checkpoint(const std::shared_ptr<session>& of, const std::string& path) {
  const auto parts = wire::parse_tinker_path(path);
  if (!parts || of->is_closed()) return;
  auto record =
      of->record("delete_checkpoint", "/api/v1/training_runs/" + parts->run + "/checkpoints/weights/" + parts->name, "",
                 effect::reads);
  record.method = "DELETE";
  record.has_future = false;
  record.time_limit_seconds = 30;
  of->run(std::move(record), traffic::control, nullptr, [](const operation_outcome&) {});
}

inline std::string fresh_name(std::string_view prefix) {
  std::random_device entropy;
  std::string name(prefix);
  for (int i = 0; i < 4; ++i) {
    constexpr const char* digits = "0123456789abcdef";
    for (std::uint32_t bits = entropy(), k = 0; k < 4; ++k, bits >>= 4) name += digits[bits & 15];
  }
  return name;
}

}  // namespace detail
}  // namespace gradwire::inline v0
