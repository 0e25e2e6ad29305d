// SPDX-License-Identifier: Apache-2.0
// How save_and_sample.hpp works.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <gradwire/trainer/impl/resolve_save.hpp>
#include <gradwire/trainer/impl/sampling_client.hpp>
#include <gradwire/trainer/save_and_sample.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline void check_sampling_from_weights(const wire::dialect& knows, sampling_client_kind kind) {
  const std::string server = "this server (" + std::string(knows.name) + ")";
  if (!knows.asample) throw error(errc::config, server + " samples through another service");
  if (kind == sampling_client_kind::inflight && !knows.newer_members)
    throw error(errc::config, server + " has no inflight sampler weights; take a snapshot after each step");
}

GRADWIRE_DECL future<sampling_client> run_save_and_sample(const training_core& core, sampling_client_kind kind) {
  auto call = begin_call<sampling_client>(core.trained());
  auto result = call->ended.get_future();
  core.owner()->net().post([call, kind, owner = std::weak_ptr(core.owner())] {
    call->on->enqueue([call, kind, owner](model::release_type release) {
      // Made anew only where the one before was certainly not executed.
      const auto make = [call, kind](std::int64_t seq_id) {
        session& of = *call->on->of();
        check_sampling_from_weights(of.dialect(), kind);
        wire::save_weights_for_sampler_request body;
        body.model_id = call->on->id();
        body.seq_id = seq_id;
        body.sampling_session_seq_id = of.take_sampler_number();
        if (kind == sampling_client_kind::inflight) body.kind = "inflight";
        // A second one that arrives late would find other weights.
        return of.record("save_weights_and_get_sampling_client", "/api/v1/save_weights_for_sampler",
                         wire::to_json(body), save_effect(of, true));
      };
      call->on->submit(make, call->deadline, release, [call, owner, release](const operation_outcome& outcome) {
        try {
          if (outcome.failure) std::rethrow_exception(outcome.failure);
          const operation_result& r = *outcome.result;
          auto reply = wire::read_outcome<wire::save_weights_for_sampler_reply>(r.content_type, r.body).result;
          if (!reply.sampling_session_id)
            throw error(errc::protocol, "the trainer saved the weights and made no sampling session of them");
          const auto alive = owner.lock();
          if (!alive || call->on->of()->is_closed()) throw error(errc::closed, "the client was closed");
          auto sampled = std::make_shared<sampling_session>();
          sampled->of = call->on->of();
          sampled->id = *reply.sampling_session_id;
          call->ended.set_value(sampling_client(std::make_shared<sampling_core>(sampling_core{alive, sampled})));
        } catch (...) {
          call->ended.set_error(std::current_exception());
        }
        release();
      });
    });
  });
  return result;
}

}  // namespace detail
}  // namespace gradwire::inline v0
