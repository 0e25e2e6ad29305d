// SPDX-License-Identifier: Apache-2.0
// Configuration, health, sessions, creating and describing models.
#pragma once

#include <gradwire/loopback/service/service.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

inline http_response health(service&, call&) { return message_reply(wire::health_reply{}); }

inline http_response client_config(service& it, call&) {
  constexpr const char* sequences[] = {"dedupe", "strict", "none"};
  return message_reply(wire::client_config_reply{.parallel_fwdbwd_chunks = false,
                                                 .create_model_via_load_weights = true,
                                                 .server = "gradwire",
                                                 .sequence = sequences[static_cast<unsigned>(it.options.sequence)]});
}

inline http_response dynamic_config(service&, call&) { return json_reply(R"({"refresh_interval_sec":300})"); }
inline http_response telemetry(service&, call&) { return json_reply(R"({"status":"accepted"})"); }

inline http_response capabilities(service& it, call&) {
  return message_reply(wire::server_capabilities_reply{{{.model_name = it.base.name(),
                                                         .max_context_length = it.limits.max_position_embeddings,
                                                         .trainable = true,
                                                         .sampleable = true}}});
}

inline http_response create_session(service& it, call& request) {
  auto given = parse<wire::create_session_request>(request);
  const std::string id = "session-" + random_hex();
  if (it.state) it.state->write_session(id);
  it.sessions.emplace(id, session_entry{.id = id,
                                        .user_metadata = std::move(given.user_metadata),
                                        .display_name = given.display_name.value_or(""),
                                        .project_id = given.project_id.value_or(""),
                                        .created_at = iso_time_now()});
  return message_reply(wire::create_session_reply{.session_id = id});
}

inline http_response heartbeat(service& it, call& request) {
  it.session(parse<wire::session_heartbeat_request>(request).session_id);
  wire::json_writer out;
  out.begin_object();
  out.key("type").string("session_heartbeat");
  out.key("boot_id").string(it.boot_id);
  out.end_object();
  return json_reply(std::move(out).take());
}

inline void forget_model(service& it, const std::string& id) {
  const auto found = it.models.find(id);
  if (found == it.models.end()) return;
  it.compute.submit([&it, entry = found->second] {  // after what is queued for it
    entry->trained.reset();
    entry->frozen.reset();
    if (it.state) it.state->remove(entry->id);
  });
  it.models.erase(found);
}

inline http_response finish_session(service& it, call& request) {
  const auto found = it.sessions.find(request.arguments.at(0));
  if (found == it.sessions.end()) throw refusal{404, "Session not found"};
  wire::session_finish_request given;
  if (!request.request.body.empty()) given = parse<wire::session_finish_request>(request);
  if (!found->second.finished) found->second.finish_reason = given.reason;  // the first one counts
  found->second.finished = true;
  std::vector<std::string> ids;
  for (const auto& [id, entry] : it.models)
    if (entry->session_id == found->first) ids.push_back(id);
  for (const auto& id : ids) forget_model(it, id);
  if (it.state) it.state->remove_session(found->first);
  std::erase_if(it.samplers, [&](const auto& item) { return item.second->session_id == found->first; });
  return json_reply("{}");
}

inline http_response list_sessions(service& it, call&) {
  wire::sessions_reply reply;
  for (const auto& [id, entry] : it.sessions) reply.sessions.push_back(id);
  return message_reply(reply);
}

inline http_response get_session(service& it, call& request) {
  const std::string& id = request.arguments.at(0);
  if (it.sessions.find(id) == it.sessions.end()) throw refusal{404, "Session not found"};
  wire::session_info_reply reply;
  for (const auto& [name, entry] : it.models)
    if (entry->session_id == id) reply.training_run_ids.push_back(name);
  for (const auto& [name, entry] : it.samplers)
    if (entry->session_id == id) reply.sampler_ids.push_back(name);
  const session_entry& asked = it.sessions.at(id);
  if (!asked.user_metadata.empty()) reply.user_metadata = asked.user_metadata;
  if (!asked.display_name.empty()) reply.display_name = asked.display_name;
  return message_reply(reply);
}

inline void check_optimizer(const std::optional<wire::optimizer_config>& config) {
  if (config && config->type != "adamw")
    invalid({"optimizer_config", "type"}, "literal_error", "the embedded trainer's optimizer is 'adamw'");
}

inline lora_options read_lora(service& it, const wire::create_model_request& given) {
  if (!given.lora_config) {
    if (given.base_only.value_or(false)) return {.rank = 0};
    invalid({"lora_config"}, "missing", "Field required");
  }
  const auto& config = *given.lora_config;
  if (config.rank < 0 || config.rank > 4096) invalid({"lora_config", "rank"}, "value_error", "rank must be 0 to 4096");
  if (config.alpha && !(*config.alpha > 0 && *config.alpha < 1e9))
    invalid({"lora_config", "alpha"}, "value_error", "alpha must be positive");
  lora_options lora{.rank = static_cast<int>(config.rank),
                    .attention = config.train_attn,
                    .mlp = config.train_mlp,
                    .unembed = config.train_unembed};
  if (config.alpha) lora.alpha = *config.alpha;
  constexpr std::uint64_t stride = 0x9E3779B97F4A7C15;
  lora.seed = config.seed ? static_cast<std::uint64_t>(*config.seed) : it.options.seed + ++it.models_made * stride;
  return lora;
}

inline void check_base(const service& it, const std::string& name) {
  if (name != it.base.name()) throw refusal{404, "Unknown model: " + name + "; this server has " + it.base.name()};
}

// A model of the session under the id that clients also work out for themselves.
inline std::shared_ptr<model_entry> add_model(service& it, const std::string& session_id, std::int64_t model_seq_id) {
  auto entry = std::make_shared<model_entry>();
  entry->id = session_id + ":train:" + std::to_string(model_seq_id);
  entry->session_id = session_id;
  entry->created = entry->last_request = iso_time(std::time(nullptr));
  entry->creation_number = model_seq_id;
  entry->models_made = it.models_made;
  if (!it.models.emplace(entry->id, entry).second)
    throw refusal{409, "Model " + entry->id + " exists; model_seq_id counts up within a session"};
  return entry;
}

inline http_response create_model(service& it, call& request) {
  const auto given = parse<wire::create_model_request>(request);
  session_entry& session = it.session(given.session_id);
  check_base(it, given.base_model);
  check_optimizer(given.optimizer_config);
  const lora_options lora = read_lora(it, given);
  std::string model_id = given.session_id + ":train:" + std::to_string(given.model_seq_id);
  const std::string id = it.once(request, session.model_requests, given.model_seq_id, [&] {
    auto entry = add_model(it, given.session_id, given.model_seq_id);
    entry->lora = lora;
    entry->base_only = given.base_only.value_or(false);
    entry->user_metadata = given.user_metadata;
    return it.enqueue(entry, -1, service::fingerprint(request), keeping::creation, [&it, entry] {
      it.count(counter::create_model);
      if (entry->base_only)
        entry->frozen = it.base;
      else
        entry->trained.emplace(it.base, it.trained_shape(entry->lora));
      return finished{.result = wire::to_json(wire::create_model_reply{.model_id = entry->id, .comms = "v2"})};
    });
  });
  return message_reply(wire::submit_reply{.request_id = id, .model_id = std::move(model_id)});
}

inline http_response unload_model(service& it, call& request) {
  const auto entry = it.model(parse<wire::unload_model_request>(request).model_id);
  forget_model(it, entry->id);
  const std::string id = it.enqueue([model_id = entry->id] {
    return finished{.result = wire::to_json(wire::unload_model_reply{.model_id = model_id})};
  });
  return message_reply(wire::submit_reply{.request_id = id, .model_id = entry->id});
}

inline http_response get_info(service& it, call& request) {
  const auto entry = it.model(parse<wire::get_info_request>(request).model_id);
  wire::get_info_reply reply{.model_id = entry->id,
                             .arch = "qwen3",
                             .model_name = it.base.name(),
                             .tokenizer_id = it.tokenizer_id,
                             .is_lora = entry->lora.rank > 0,
                             .optimizer_config = wire::optimizer_config{}};
  if (entry->lora.rank > 0) reply.lora_rank = entry->lora.rank;
  return message_reply(reply);
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
