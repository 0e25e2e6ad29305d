// SPDX-License-Identifier: Apache-2.0
// The members of the checkpoint and sampling messages that are plain JSON objects (see json_members.hpp).
#pragma once

#include <gradwire/wire/json_members.hpp>

namespace gradwire::inline v0 {
namespace wire {

void members(auto& visit, is<save_weights_request> auto& m) {
  visit.required("model_id", m.model_id);
  visit("path", m.path);
  visit("seq_id", m.seq_id);
  visit("ttl_seconds", m.ttl_seconds);
  visit("overwrite", m.overwrite);
  visit("user_metadata", m.user_metadata);
  visit.constant("type", "save_weights");
}

void members(auto& visit, is<save_weights_reply> auto& m) {
  visit.required("path", m.path);
  visit.constant("type", "save_weights");
}

void members(auto& visit, is<save_weights_for_sampler_request> auto& m) {
  visit.required("model_id", m.model_id);
  visit("path", m.path);
  visit("seq_id", m.seq_id);
  visit("sampling_session_seq_id", m.sampling_session_seq_id);
  visit("ttl_seconds", m.ttl_seconds);
  visit("kind", m.kind);
  visit("checkpoint_type", m.checkpoint_type);
  visit("user_metadata", m.user_metadata);
  visit.constant("type", "save_weights_for_sampler");
}

void members(auto& visit, is<save_weights_for_sampler_reply> auto& m) {
  visit("path", m.path);
  visit("sampling_session_id", m.sampling_session_id);
  visit.constant("type", "save_weights_for_sampler");
}

void members(auto& visit, is<load_weights_request> auto& m) {
  visit("model_id", m.model_id);
  visit("seq_id", m.seq_id);
  visit("session_id", m.session_id);
  visit("model_seq_id", m.model_seq_id);
  visit("base_model", m.base_model);
  visit("user_metadata", m.user_metadata);
  visit.required("path", m.path);
  visit("optimizer", m.optimizer);
  visit("weights_access_token", m.weights_access_token);
  visit("optimizer_config", m.optimizer_config);
  visit.constant("type", "load_weights");
}

void members(auto& visit, is<load_weights_reply> auto& m) {
  visit("path", m.path);
  visit("model_id", m.model_id);
  visit.constant("type", "load_weights");
}

void members(auto& visit, is<weights_info_request> auto& m) { visit.required("tinker_path", m.tinker_path); }

void members(auto& visit, is<weights_info_reply> auto& m) {
  visit.required("base_model", m.base_model);
  visit("is_lora", m.is_lora);
  visit("lora_rank", m.lora_rank);
  visit("train_unembed", m.train_unembed);
  visit("train_mlp", m.train_mlp);
  visit("train_attn", m.train_attn);
  visit("optimizer_config", m.optimizer_config);
}

void members(auto& visit, is<checkpoint_info> auto& m) {
  visit("checkpoint_id", m.checkpoint_id);
  visit("checkpoint_type", m.checkpoint_type);
  visit("time", m.time);
  visit("tinker_path", m.tinker_path);
  visit("size_bytes", m.size_bytes);
  visit("public", m.is_public);
  visit("expires_at", m.expires_at);
  visit("user_metadata", m.user_metadata);
}

void members(auto& visit, is<page_cursor> auto& m) {
  visit("offset", m.offset);
  visit("limit", m.limit);
  visit("total_count", m.total_count);
}

void members(auto& visit, is<checkpoints_reply> auto& m) {
  visit("checkpoints", m.checkpoints);
  visit("cursor", m.cursor);
}

void members(auto& visit, is<training_run> auto& m) {
  visit("training_run_id", m.training_run_id);
  visit("base_model", m.base_model);
  visit("model_owner", m.model_owner);
  visit("is_lora", m.is_lora);
  visit("corrupted", m.corrupted);
  visit("lora_rank", m.lora_rank);
  visit("last_request_time", m.last_request_time);
  visit("last_checkpoint", m.last_checkpoint);
  visit("last_sampler_checkpoint", m.last_sampler_checkpoint);
  visit("user_metadata", m.user_metadata);
}

void members(auto& visit, is<training_runs_reply> auto& m) {
  visit("training_runs", m.training_runs);
  visit("cursor", m.cursor);
}

void members(auto& visit, is<create_sampling_session_request> auto& m) {
  visit.required("session_id", m.session_id);
  visit.required("sampling_session_seq_id", m.sampling_session_seq_id);
  visit("base_model", m.base_model);
  visit("model_path", m.model_path);
  visit.constant("type", "create_sampling_session");
}

void members(auto& visit, is<create_sampling_session_reply> auto& m) {
  visit.required("sampling_session_id", m.sampling_session_id);
  visit.constant("type", "create_sampling_session");
}

void members(auto& visit, is<sampler_info_reply> auto& m) {
  visit("sampler_id", m.sampler_id);
  visit("base_model", m.base_model);
  visit("model_path", m.model_path);
}

}  // namespace wire
}  // namespace gradwire::inline v0
