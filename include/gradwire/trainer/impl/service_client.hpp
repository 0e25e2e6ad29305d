// SPDX-License-Identifier: Apache-2.0
// How service_client.hpp works.
#pragma once

#include <memory>
#include <utility>

#include <gradwire/trainer/impl/make_reference.hpp>
#include <gradwire/trainer/impl/model_info.hpp>
#include <gradwire/trainer/impl/rest_client.hpp>
#include <gradwire/trainer/impl/sampling_client.hpp>
#include <gradwire/trainer/impl/service_call.hpp>
#include <gradwire/trainer/service_client.hpp>
#include <gradwire/transport/runtime.hpp>

namespace gradwire::inline v0 {

GRADWIRE_DECL service_client service_client::open(std::shared_ptr<network> net, http_peer peer,
                                                  connect_options options) {
  auto opened = std::make_shared<detail::session>(*net, std::move(peer), std::move(options));
  return service_client(std::make_shared<detail::session_handle>(std::move(net), std::move(opened)));
}

GRADWIRE_DECL service_client service_client::connect_through(std::shared_ptr<network> net, const endpoint& where,
                                                             connect_options options) {
  http_peer peer = detail::peer_of(where, options);
  return open(std::move(net), std::move(peer), std::move(options));
}

GRADWIRE_DECL service_client service_client::connect(const endpoint& where, connect_options options) {
  http_peer peer = detail::peer_of(where, options);  // what is wrong is told before threads are started
  auto net = std::make_shared<runtime>(options.connections);
  return open(std::move(net), std::move(peer), std::move(options));
}

GRADWIRE_DECL service_client service_client::connect_from_environment(connect_options options) {
  http_peer peer = detail::peer_from_environment(options);
  auto net = std::make_shared<runtime>(options.connections);
  return open(std::move(net), std::move(peer), std::move(options));
}

GRADWIRE_DECL future<training_client> service_client::create_training_client(const training_client_options& options) {
  return detail::begin_service_call<training_client>(owner_, [options](const auto& call) {
    detail::create_model(call, options, false, [call, options](std::shared_ptr<detail::model> made) {
      call->finish([&](const detail::session_owner& owner) {
        return training_client(std::make_shared<detail::training_core>(owner, made, options, false));
      });
    });
  });
}

GRADWIRE_DECL future<training_client> service_client::create_training_client_from_state(
    const from_state_options& options) {
  return detail::begin_service_call<training_client>(owner_, [options](const auto& call) {
    if (options.path.empty()) throw error(errc::config, "the path is empty; give what save_state() returned");
    auto asked = call->record("weights_info", "/api/v1/weights_info",
                              wire::to_json(wire::weights_info_request{options.path}), effect::reads);
    asked.has_future = false;
    detail::run_for(call, std::move(asked), [call, options](const operation_result& result) {
      const auto info = wire::from_json<wire::weights_info_reply>(result.body);
      training_client_options as_saved;
      as_saved.base_model = info.base_model;
      as_saved.lora_rank = static_cast<int>(info.lora_rank.value_or(info.is_lora.value_or(true) ? 32 : 0));
      as_saved.train_unembed = info.train_unembed.value_or(true);
      as_saved.train_mlp = info.train_mlp.value_or(true);
      as_saved.train_attn = info.train_attn.value_or(true);
      as_saved.optimizer = options.optimizer;
      as_saved.lora_alpha = options.lora_alpha;
      as_saved.user_metadata = options.user_metadata;
      detail::create_from_state(call, as_saved, options, [call, as_saved](std::shared_ptr<detail::model> made) {
        call->finish([&](const detail::session_owner& owner) {
          return training_client(std::make_shared<detail::training_core>(owner, made, as_saved, false));
        });
      });
    });
  });
}

GRADWIRE_DECL future<reference_client> service_client::create_reference_client(const reference_options& options) {
  return detail::begin_service_call<reference_client>(owner_, [options](const auto& call) {
    training_client_options untrained;  // an adapter that nobody trains adds nothing
    untrained.base_model = options.base_model;
    untrained.lora_rank = 1;
    detail::create_model(call, untrained, true, [call, untrained](std::shared_ptr<detail::model> made) {
      call->finish([&](const detail::session_owner& owner) {
        return reference_client(std::make_shared<detail::training_core>(owner, made, untrained, true));
      });
    });
  });
}

// A second model, loaded from a state that the trainer saves behind the calls made so far.
GRADWIRE_DECL future<reference_client> service_client::create_reference_client(const training_client& trainer) {
  const auto from = trainer.handle();
  if (!from)
    return detail::failed_future<reference_client>(
        std::make_exception_ptr(error(errc::config, "the training client is empty; there is nothing to freeze")));
  return detail::make_reference(owner_, *from);
}

GRADWIRE_DECL future<sampling_client> service_client::create_sampling_client(const sampling_client_options& options) {
  return detail::begin_service_call<sampling_client>(owner_, [options](const auto& call) {
    if (options.model_path.empty() == options.base_model.empty()) {
      throw error(
          errc::config,
          "create_sampling_client takes a model_path (of save_weights_for_sampler) or a base_model, one of the two");
    }
    if (!call->of->dialect().asample)
      throw error(errc::config,
                  "this server (" + std::string(call->of->dialect().name) + ") samples through another service");
    wire::create_sampling_session_request body;
    body.session_id = call->of->id();
    body.sampling_session_seq_id = call->of->take_sampler_number();
    if (!options.model_path.empty()) body.model_path = options.model_path;
    if (!options.base_model.empty()) body.base_model = options.base_model;
    auto asked =
        call->record("create_sampling_session", "/api/v1/create_sampling_session", wire::to_json(body), effect::reads);
    asked.has_future = false;
    detail::run_for(call, std::move(asked), [call](const operation_result& result) {
      auto sampled = std::make_shared<detail::sampling_session>();
      sampled->of = call->of;
      sampled->id = wire::from_json<wire::create_sampling_session_reply>(result.body).sampling_session_id;
      call->finish([&](const detail::session_owner& owner) {
        return sampling_client(std::make_shared<detail::sampling_core>(detail::sampling_core{owner, sampled}));
      });
    });
  });
}

GRADWIRE_DECL future<server_health> service_client::health() {
  auto call = std::make_shared<detail::service_call<server_health>>();
  call->owner = owner_;
  call->of = owner_->get();
  call->begun = owner_->net().now();
  call->deadline = call->begun + in_seconds(60);
  auto result = call->ended.get_future();
  owner_->net().post([call] {
    auto asked = detail::question(*call->of, "healthz", "/api/v1/healthz", "");
    detail::run_for(call, std::move(asked), [call](const operation_result& answer) {
      const std::string status =
          wire::detail::is_blank(answer.body) ? "ok" : wire::from_json<wire::health_reply>(answer.body).status;
      call->finish([&](const detail::session_owner&) { return server_health{status, answer.elapsed_seconds}; });
    });
  });
  return result;
}

GRADWIRE_DECL future<completed> service_client::finish_session(session_end why, const std::string& detail) {
  return detail::begin_service_call<completed>(owner_, [why, detail](const auto& call) {
    const auto over = [call] {
      const double elapsed = std::chrono::duration<double>(call->of->net().now() - call->begun).count();
      call->finish([&](const detail::session_owner&) { return completed{elapsed}; });
      call->of->end(std::make_exception_ptr(error(errc::closed, "this session was finished; connect again")));
    };
    if (!call->of->dialect().session_finish) return over();
    constexpr const char* reasons[] = {"success", "errored", "interrupted"};
    wire::session_finish_request body;
    body.reason = reasons[static_cast<unsigned>(why)];
    if (!detail.empty()) body.detail = detail;
    auto asked = call->record("finish_session", "/api/v1/sessions/" + wire::url_segment(call->of->id()) + "/finish",
                              wire::to_json(body), effect::reads);
    asked.has_future = false;
    asked.any_reply = true;
    call->of->run(std::move(asked), traffic::control, nullptr, [call, over](const auto& outcome) {
      if (outcome.failure &&
          !(outcome.machine && detail::is_not_there(outcome.machine->failure()->details().http_status)))
        return call->fail(outcome.failure);
      over();
    });
  });
}

GRADWIRE_DECL future<server_loss::named> service_client::create_custom_loss(const custom_loss_graph& graph) {
  return detail::begin_service_call<server_loss::named>(owner_, [graph](const auto& call) {
    wire::create_custom_loss_request body;
    body.session_id = call->of->id();
    body.name = graph.name;
    body.graph = graph.graph;
    server_loss::named loss{"custom", {}, {"target_tokens"}};
    for (const auto& each : graph.inputs) {
      body.inputs.push_back({each.name, each.rank});
      if (each.name != "logprobs") loss.inputs.push_back(each.name);
    }
    if (graph.inputs.empty() || graph.inputs.front().name != "logprobs")
      throw error(errc::config, "the first input of a custom loss is logprobs");
    body.custom_loss_seq_id = call->of->take_loss_number();
    auto record =
        call->record("create_custom_loss", "/api/v1/create_custom_loss", wire::to_json(body), effect::mutates);
    detail::run_for(call, std::move(record), [call, loss](const operation_result& result) {
      auto named = loss;
      named.config.push_back(
          {"loss_id",
           wire::read_outcome<wire::create_custom_loss_reply>(result.content_type, result.body).result.loss_id});
      call->finish([&](const detail::session_owner&) { return named; });
    });
  });
}

GRADWIRE_DECL future<std::vector<model_description>> service_client::capabilities() {
  return detail::begin_service_call<std::vector<model_description>>(owner_, [](const auto& call) {
    auto asked = call->record("capabilities", "/api/v1/get_server_capabilities", "", effect::reads);
    asked.method = "GET";
    asked.has_future = false;
    detail::run_for(call, std::move(asked), [call](const operation_result& result) {
      std::vector<model_description> models;
      for (const auto& m : wire::from_json<wire::server_capabilities_reply>(result.body).supported_models) {
        models.push_back({m.model_name, m.max_context_length.value_or(0), m.trainable, m.sampleable});
      }
      call->finish([&](const detail::session_owner&) { return models; });
    });
  });
}

}  // namespace gradwire::inline v0
