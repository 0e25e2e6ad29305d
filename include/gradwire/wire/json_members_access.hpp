// SPDX-License-Identifier: Apache-2.0
// The members of the messages of messages_access.hpp (see json_members.hpp), and those that are no plain objects.
#pragma once

#include <gradwire/wire/json_document.hpp>
#include <gradwire/wire/json_object.hpp>

namespace gradwire::inline v0 {
namespace wire {

void members(auto& visit, is<archive_url_reply> auto& m) {
  visit.required("url", m.url);
  visit("expires", m.expires);
}

void members(auto& visit, is<save_weights_external_request> auto& m) {
  visit.required("model_id", m.model_id);
  visit.required("path", m.path);
  visit("seq_id", m.seq_id);
  visit("ttl_seconds", m.ttl_seconds);
  visit.unless_empty("age_encryption_recipients", m.age_encryption_recipients);
  visit.constant("type", "save_weights_external");
}

void members(auto& visit, is<save_weights_external_reply> auto& m) {
  visit.required("path", m.path);
  visit("size_bytes", m.size_bytes);
  visit.constant("type", "save_weights_external");
}

void members(auto& visit, is<external_weights_urls_reply> auto& m) {
  visit.required("urls", m.urls);
  visit("expires", m.expires);
}

void members(auto& visit, is<copy_weights_request> auto& m) {
  visit.required("source_path", m.source_path);
  visit("destination_project_id", m.destination_project_id);
  visit("session_id", m.session_id);
  visit("model_seq_id", m.model_seq_id);
  visit("ttl_seconds", m.ttl_seconds);
}

void members(auto& visit, is<copy_weights_reply> auto& m) { visit.required("tinker_path", m.tinker_path); }

void members(auto& visit, is<custom_loss_input> auto& m) {
  visit.required("name", m.name);
  visit.required("rank", m.rank);
}

void members(auto& visit, is<create_custom_loss_reply> auto& m) {
  visit.required("loss_id", m.loss_id);
  visit.constant("type", "create_custom_loss");
}

void members(auto& visit, is<join_sampling_session_request> auto& m) {
  visit.required("sampling_session_id", m.sampling_session_id);
  visit.constant("type", "join_sampling_session");
}

void members(auto& visit, is<join_sampling_session_reply> auto& m) {
  visit.constant("type", "join_sampling_session");
  visit("client_counter", m.client_counter);
}

void members(auto& visit, is<future_completion> auto& m) {
  visit.required("state", m.state);
  visit.required("request_id", m.request_id);
  visit("response_payload_uncompressed_size", m.response_payload_uncompressed_size);
}

void members(auto& visit, is<retrieve_futures_reply> auto& m) {
  visit("completions", m.completions);
  visit("cursor", m.cursor);
}

void members(auto& visit, is<cancel_future_request> auto& m) { visit.required("request_id", m.request_id); }

void members(auto& visit, is<dynamic_config_reply> auto& m) {
  visit("refresh_interval_sec", m.refresh_interval_sec);
  visit("sample_cancel_enabled", m.sample_cancel_enabled);
  visit("sample_cancel_max_batch_size", m.sample_cancel_max_batch_size);
}

inline void write(json_writer& out, const checkpoint_ttl_request& request) {
  out.begin_object();
  out.key("ttl_seconds");
  request.ttl_seconds ? out.integer(*request.ttl_seconds) : out.null();
  out.end_object();
}

inline void read(const json_reader& in, checkpoint_ttl_request& request) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be an object");
  json_object_reader visit(in);
  visit("ttl_seconds", request.ttl_seconds);
}

inline void write(json_writer& out, const retrieve_futures_request& request) {
  out.begin_object();
  json_object_writer visit(out);
  out.key("target").begin_object();
  visit.constant("type", "sampling_session");
  visit("sampling_session_id", request.sampling_session_id);
  visit("cloned_sampler_id", request.cloned_sampler_id);
  out.end_object();
  visit("prev_cursor", request.prev_cursor);
  visit("timeout", request.timeout);
  visit("retrieved_request_ids", request.retrieved_request_ids);
  out.end_object();
}

inline void read(const json_reader& in, retrieve_futures_request& request) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be an object");
  json_object_reader visit(in);
  const bool found = in.member("target", [&](const json_reader& target) {
    if (target.kind() != json_kind::object) return target.issue("dict_type", "Input should be an object");
    json_object_reader inner(target);
    inner.required("sampling_session_id", request.sampling_session_id);
    inner("cloned_sampler_id", request.cloned_sampler_id);
  });
  if (!found) in.missing("target");
  visit("prev_cursor", request.prev_cursor);
  visit("timeout", request.timeout);
  visit("retrieved_request_ids", request.retrieved_request_ids);
}

// The graph is text of JSON already; what is none is an error here and not a broken body.
inline void write(json_writer& out, const create_custom_loss_request& request) {
  out.begin_object();
  json_object_writer visit(out);
  visit("session_id", request.session_id);
  visit("custom_loss_seq_id", request.custom_loss_seq_id);
  visit("name", request.name);
  visit("inputs", request.inputs);
  try {
    static_cast<void>(json_document(request.graph));
  } catch (const error& wrong) {
    throw error(errc::data, "the graph of the custom loss '" + request.name + "' is not JSON: " + wrong.what());
  }
  out.key("graph").raw(request.graph);
  visit.constant("type", "create_custom_loss");
  out.end_object();
}

// What a server that refuses it needs; the graph is not looked at.
inline void read(const json_reader& in, create_custom_loss_request& request) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be an object");
  json_object_reader visit(in);
  visit.required("session_id", request.session_id);
  visit("custom_loss_seq_id", request.custom_loss_seq_id);
  visit.required("name", request.name);
  visit("inputs", request.inputs);
}

}  // namespace wire
}  // namespace gradwire::inline v0
