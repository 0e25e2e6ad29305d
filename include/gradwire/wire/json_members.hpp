// SPDX-License-Identifier: Apache-2.0
// The members of each message that is a plain JSON object, listed once for reading and for writing.
//
//   visit("name", member)           written always, except an empty optional; may be missing or null when read
//   visit.required("name", member)  a request without it is refused
//   visit.constant("name", text)    written, ignored when read
#pragma once

#include <concepts>

#include <gradwire/wire/messages.hpp>

namespace gradwire::inline v0 {
namespace wire {

template <class M, class Message>
concept is = std::same_as<std::remove_const_t<M>, Message>;

void members(auto& visit, is<client_config_request> auto& m) { visit("sdk_version", m.sdk_version); }

void members(auto& visit, is<client_config_reply> auto& m) {
  visit("pjwt_auth_enabled", m.pjwt_auth_enabled);
  visit("parallel_fwdbwd_chunks", m.parallel_fwdbwd_chunks);
  visit("proto_compress_fwdbwd", m.proto_compress_fwdbwd);
  visit("fwdbwd_max_chunk_len", m.fwdbwd_max_chunk_len);
  visit("fwdbwd_max_chunk_bytes_count", m.fwdbwd_max_chunk_bytes_count);
  visit("sample_max_concurrent_requests", m.sample_max_concurrent_requests);
  visit("create_model_via_load_weights", m.create_model_via_load_weights);
  visit("sample_use_retrieve_futures", m.sample_use_retrieve_futures);
  visit("sample_join_sampling_session", m.sample_join_sampling_session);
  visit("custom_loss_server_side", m.custom_loss_server_side);
  visit("server", m.server);
  visit("sequence", m.sequence);
}

void members(auto& visit, is<create_session_request> auto& m) {
  visit("tags", m.tags);
  visit("user_metadata", m.user_metadata);
  visit("sdk_version", m.sdk_version);
  visit("project_id", m.project_id);
  visit("display_name", m.display_name);
  visit.constant("type", "create_session");
}

void members(auto& visit, is<create_session_reply> auto& m) {
  visit.constant("type", "create_session");
  visit.required("session_id", m.session_id);
  visit.unless_empty("info_message", m.info_message);
  visit.unless_empty("warning_message", m.warning_message);
  visit.unless_empty("error_message", m.error_message);
}

void members(auto& visit, is<session_heartbeat_request> auto& m) {
  visit.required("session_id", m.session_id);
  visit.constant("type", "session_heartbeat");
}

void members(auto& visit, is<session_heartbeat_reply> auto&) { visit.constant("type", "session_heartbeat"); }

void members(auto& visit, is<lora_config> auto& m) {
  visit.required("rank", m.rank);
  visit("seed", m.seed);
  visit("train_unembed", m.train_unembed);
  visit("train_mlp", m.train_mlp);
  visit("train_attn", m.train_attn);
  visit("alpha", m.alpha);
}

void members(auto& visit, is<optimizer_config> auto& m) {
  visit.required("type", m.type);
  visit("version", m.version);
}

void members(auto& visit, is<create_model_request> auto& m) {
  visit.required("session_id", m.session_id);
  visit.required("model_seq_id", m.model_seq_id);
  visit.required("base_model", m.base_model);
  visit("user_metadata", m.user_metadata);
  visit("lora_config", m.lora_config);
  visit("base_only", m.base_only);
  visit("optimizer_config", m.optimizer_config);
  visit.constant("type", "create_model");
}

void members(auto& visit, is<create_model_reply> auto& m) {
  visit.required("model_id", m.model_id);
  visit("comms", m.comms);
  visit.constant("type", "create_model");
}

void members(auto& visit, is<unload_model_request> auto& m) {
  visit.required("model_id", m.model_id);
  visit.constant("type", "unload_model");
}

void members(auto& visit, is<unload_model_reply> auto& m) {
  visit("model_id", m.model_id);
  visit.constant("type", "unload_model");
}

void members(auto& visit, is<get_info_request> auto& m) {
  visit.required("model_id", m.model_id);
  visit.constant("type", "get_info");
}

void members(auto& visit, is<supported_model> auto& m) {
  visit("model_name", m.model_name);
  visit("max_context_length", m.max_context_length);
  visit("trainable", m.trainable);
  visit("sampleable", m.sampleable);
  visit.unless_empty("capabilities", m.capabilities);
}

void members(auto& visit, is<server_capabilities_reply> auto& m) { visit("supported_models", m.supported_models); }

void members(auto& visit, is<health_reply> auto& m) { visit("status", m.status); }

void members(auto& visit, is<session_info_reply> auto& m) {
  visit("training_run_ids", m.training_run_ids);
  visit("sampler_ids", m.sampler_ids);
  visit("user_metadata", m.user_metadata);
  visit("display_name", m.display_name);
}

void members(auto& visit, is<sessions_reply> auto& m) { visit("sessions", m.sessions); }

void members(auto& visit, is<adam_params> auto& m) {
  visit("learning_rate", m.learning_rate);
  visit("beta1", m.beta1);
  visit("beta2", m.beta2);
  visit("eps", m.eps);
  visit("weight_decay", m.weight_decay);
  visit("grad_clip_norm", m.grad_clip_norm);
}

void members(auto& visit, is<optimizer_params> auto& m) {
  visit.required("type", m.type);
  visit("learning_rate", m.learning_rate);
  visit("grad_clip_norm", m.grad_clip_norm);
  visit("beta1", m.beta1);
}

void members(auto& visit, is<optim_step_request> auto& m) {
  visit("optimizer_params", m.optimizer_params);
  if (!m.optimizer_params) visit.required("adam_params", m.adam_params);
  visit.required("model_id", m.model_id);
  visit("seq_id", m.seq_id);
  visit("grad_accumulation_normalization", m.grad_accumulation_normalization);
  visit.constant("type", "optim_step");
}

void members(auto& visit, is<optim_step_reply> auto& m) { visit("metrics", m.metrics); }

void members(auto& visit, is<submit_reply> auto& m) {
  visit.required("request_id", m.request_id);
  visit("model_id", m.model_id);
  visit.unless_empty("sample_sequence_ids", m.sample_sequence_ids);
}

void members(auto& visit, is<retrieve_future_request> auto& m) {
  visit.required("request_id", m.request_id);
  visit("allow_metadata_only", m.allow_metadata_only);
}

}  // namespace wire
}  // namespace gradwire::inline v0
