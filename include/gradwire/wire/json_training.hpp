// SPDX-License-Identifier: Apache-2.0
// Datums, forward and forward_backward as JSON, with the token and tensor arrays straight from and to their columns.
#pragma once

#include <gradwire/wire/base64.hpp>
#include <gradwire/wire/json_provenance.hpp>
#include <gradwire/wire/json_tensor.hpp>

namespace gradwire::inline v0 {
namespace wire {

inline void write(json_writer& out, const chunk& value) {
  struct writer {
    json_writer& out;
    void operator()(const encoded_text& text) const {
      out.key("type").string("encoded_text");
      out.key("tokens").numbers<std::int32_t>(text.tokens.span());
    }
    void operator()(const image& picture) const {
      out.key("type").string("image");
      out.key("data").string(to_base64(picture.data));
      out.key("format").string(picture.format);
      if (picture.expected_tokens) out.key("expected_tokens").integer(*picture.expected_tokens);
    }
    void operator()(const image_asset_pointer& pointer) const {
      out.key("type").string("image_asset_pointer");
      out.key("format").string(pointer.format);
      out.key("location").string(pointer.location);
      if (pointer.expected_tokens) out.key("expected_tokens").integer(*pointer.expected_tokens);
    }
    void operator()(const dmel& audio) const {
      out.key("type").string("dmel");
      out.key("dmel").string(to_base64(audio.data));
    }
  };
  out.begin_object();
  std::visit(writer{out}, value);
  out.end_object();
}

inline void read_base64(const json_reader& in, std::string& bytes) {
  auto decoded = from_base64(in.text());
  if (in.kind() != json_kind::string || !decoded) return in.issue("value_error", "Input should be base64");
  bytes = std::move(*decoded);
}

inline void read(const json_reader& in, chunk& value) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be a chunk object");
  json_object_reader visit(in);
  std::string type = "encoded_text";
  visit("type", type);
  const auto bytes = [&](std::string_view name, std::string& to) {
    if (!in.member(name, [&](const json_reader& member) { read_base64(member, to); })) in.missing(name);
  };
  if (type == "encoded_text") {
    auto& text = value.emplace<encoded_text>();
    if (!in.member("tokens", [&](const json_reader& member) { text.tokens = member.numbers<std::int32_t>(); }))
      in.missing("tokens");
  } else if (type == "image") {
    auto& picture = value.emplace<image>();
    bytes("data", picture.data);
    visit("format", picture.format);
    visit("expected_tokens", picture.expected_tokens);
  } else if (type == "image_asset_pointer") {
    auto& pointer = value.emplace<image_asset_pointer>();
    visit("format", pointer.format);
    visit.required("location", pointer.location);
    visit("expected_tokens", pointer.expected_tokens);
  } else if (type == "dmel") {
    bytes("dmel", value.emplace<dmel>().data);
  } else {
    in.issue("union_tag_invalid", "Input tag '" + type + "' is not a chunk type");
  }
}

inline void write(json_writer& out, const model_input& value) {
  out.begin_object();
  write(out.key("chunks"), value.chunks);
  out.end_object();
}

inline void read(const json_reader& in, model_input& value) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be an object with chunks");
  json_object_reader(in).required("chunks", value.chunks);
}

inline void write_datum(json_writer& out, const datum& value, std::int64_t index) {
  out.begin_object();
  out.key("model_input").begin_object();
  write(out.key("chunks"), value.model_input);
  out.end_object();
  out.key("loss_fn_inputs").begin_object();
  for (const auto& item : value.loss_fn_inputs) {
    out.locate(index, item.name);
    write(out.key(item.name), item.value);
  }
  out.end_object();
  json_object_writer visit(out);
  visit.unless_empty("model_input_spans", value.model_input_spans);
  visit.unless_empty("loss_fn_input_spans", value.loss_fn_input_spans);
  out.end_object();
  out.locate(-1, {});
}

inline void write(json_writer& out, const datum& value) { write_datum(out, value, -1); }

inline void read(const json_reader& in, datum& value) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be a datum object");
  model_input input;
  json_object_reader visit(in);
  visit.required("model_input", input);
  visit.required("loss_fn_inputs", value.loss_fn_inputs);
  visit("model_input_spans", value.model_input_spans);
  visit("loss_fn_input_spans", value.loss_fn_input_spans);
  value.model_input = std::move(input.chunks);
}

// A forward_only request has the member forward_input, and goes to another endpoint than forward_backward.
inline void write(json_writer& out, const forward_backward_request& request) {
  out.begin_object();
  out.key("model_id").string(request.model_id);
  if (request.seq_id) out.key("seq_id").integer(*request.seq_id);
  if (request.comms) out.key("comms").string(*request.comms);
  out.key(request.forward_only ? "forward_input" : "forward_backward_input").begin_object();
  out.key("data").begin_array();
  for (std::size_t i = 0; i < request.data.size(); ++i) write_datum(out, request.data[i], static_cast<std::int64_t>(i));
  out.end_array();
  out.key("loss_fn").string(request.loss_fn);
  if (!request.loss_fn_config.empty()) write(out.key("loss_fn_config"), request.loss_fn_config);
  out.end_object();
  out.end_object();
}

inline void read(const json_reader& in, forward_backward_request& request) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be an object");
  json_object_reader visit(in);
  visit.required("model_id", request.model_id);
  visit("seq_id", request.seq_id);
  visit("comms", request.comms);
  request.forward_only = in.has("forward_input");
  const std::string_view name = request.forward_only ? "forward_input" : "forward_backward_input";
  const bool found = in.member(name, [&](const json_reader& input) {
    json_object_reader inner(input);
    inner.required("data", request.data);
    inner.required("loss_fn", request.loss_fn);
    inner("loss_fn_config", request.loss_fn_config);
  });
  if (!found) in.missing(name);
}

inline void write(json_writer& out, const forward_backward_reply& reply) {
  out.begin_object();
  out.key("loss_fn_output_type").string(reply.loss_fn_output_type);
  write(out.key("loss_fn_outputs"), reply.loss_fn_outputs);
  write(out.key("metrics"), reply.metrics);
  out.end_object();
}

inline void read(const json_reader& in, forward_backward_reply& reply) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be an object");
  json_object_reader visit(in);
  visit("loss_fn_output_type", reply.loss_fn_output_type);
  visit("loss_fn_outputs", reply.loss_fn_outputs);
  visit("metrics", reply.metrics);
}

// What is offered beside the model in another form than is known here is not offered.
inline void read(const json_reader& in, create_model_reply& reply) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be an object");
  json_object_reader(in).required("model_id", reply.model_id);
  in.member("comms", [&](const json_reader& offered) {
    if (offered.kind() == json_kind::string) reply.comms = offered.text();
  });
}

// model_data in the middle: some servers call the base model base_model there, some give no tokenizer.
inline void write(json_writer& out, const get_info_reply& reply) {
  out.begin_object();
  json_object_writer visit(out);
  out.key("model_data").begin_object();
  visit("arch", reply.arch);
  visit("model_name", reply.model_name);
  visit("tokenizer_id", reply.tokenizer_id);
  out.end_object();
  visit("model_id", reply.model_id);
  visit("is_lora", reply.is_lora);
  visit("lora_rank", reply.lora_rank);
  visit("model_name", reply.model_name);
  visit("optimizer_config", reply.optimizer_config);
  visit.constant("type", "get_info");
  out.end_object();
}

inline void read(const json_reader& in, get_info_reply& reply) {
  if (in.kind() != json_kind::object) return in.issue("dict_type", "Input should be an object");
  json_object_reader visit(in);
  in.member("model_data", [&](const json_reader& data) {
    json_object_reader inner(data);
    inner("arch", reply.arch);
    inner("base_model", reply.model_name);
    inner("model_name", reply.model_name);
    inner("tokenizer_id", reply.tokenizer_id);
  });
  visit("model_id", reply.model_id);
  visit("is_lora", reply.is_lora);
  visit("lora_rank", reply.lora_rank);
  visit("model_name", reply.model_name);
  visit("optimizer_config", reply.optimizer_config);
}

inline void write(json_writer& out, const session_finish_request& request) {
  out.begin_object();
  out.key("reason").begin_object();
  out.key("type").string(request.reason);
  out.end_object();
  out.key("detail");
  request.detail ? out.string(*request.detail) : out.null();
  out.end_object();
}

inline void read(const json_reader& in, session_finish_request& request) {
  json_object_reader visit(in);
  in.member("reason", [&](const json_reader& reason) { json_object_reader(reason).required("type", request.reason); });
  visit("detail", request.detail);
}

}  // namespace wire
}  // namespace gradwire::inline v0
