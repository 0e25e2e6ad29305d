// SPDX-License-Identifier: Apache-2.0
// The code behind model_config.hpp: config.json in both directions.
#pragma once

#include <string>

#include <gradwire/error.hpp>
#include <gradwire/loopback/files/text_file.hpp>
#include <gradwire/loopback/model_config.hpp>
#include <gradwire/wire/json_writer.hpp>

namespace gradwire::inline v0 {
namespace loopback {

GRADWIRE_DECL model_config tiny_config() {
  model_config config;
  config.eos_token_ids = {258, 256};  // <|im_end|>, <|endoftext|>
  return config;
}

GRADWIRE_DECL void check(const model_config& config) {
  const auto refuse = [](const std::string& why) { throw error(errc::config, "config.json: " + why); };
  const auto positive = [&](const char* name, std::int64_t value) {
    if (value <= 0 || value > (std::int64_t{1} << 24)) refuse(std::string(name) + " is " + std::to_string(value));
  };
  positive("vocab_size", config.vocab_size);
  positive("hidden_size", config.hidden_size);
  positive("intermediate_size", config.intermediate_size);
  positive("num_hidden_layers", config.num_hidden_layers);
  positive("num_attention_heads", config.num_attention_heads);
  positive("num_key_value_heads", config.num_key_value_heads);
  positive("head_dim", config.head_dim);
  positive("max_position_embeddings", config.max_position_embeddings);
  if (config.num_attention_heads % config.num_key_value_heads != 0)
    refuse("num_key_value_heads does not divide num_attention_heads");
  if (config.head_dim % 2 != 0) refuse("head_dim is odd, rotary positions turn pairs");
  if (!(config.rope_theta > 0)) refuse("rope_theta is not positive");
  if (!(config.rms_norm_eps >= 0)) refuse("rms_norm_eps is negative");
}

GRADWIRE_DECL model_config parse_model_config(std::string_view text) {
  const wire::json_document json(text);
  const json_members members(json, json.root());
  const auto refuse = [](const std::string& why) { throw error(errc::config, "config.json: " + why); };
  const std::string type = members.text("model_type", "");
  if (type != "qwen3") refuse("model_type is '" + type + "'; the embedded trainer runs 'qwen3' (Qwen3ForCausalLM)");
  if (const std::string act = members.text("hidden_act", "silu"); act != "silu")
    refuse("hidden_act '" + act + "' is not silu");
  if (members.flag("attention_bias", false)) refuse("attention_bias is not supported");
  if (members.flag("use_sliding_window", false)) refuse("use_sliding_window is not supported");
  model_config config;
  const auto required = [&](const char* name, std::int32_t& value) {
    if (!members.find(name)) refuse(std::string(name) + " is missing");
    value = members.number<std::int32_t>(name, 0);
  };
  required("vocab_size", config.vocab_size);
  required("hidden_size", config.hidden_size);
  required("intermediate_size", config.intermediate_size);
  required("num_hidden_layers", config.num_hidden_layers);
  required("num_attention_heads", config.num_attention_heads);
  config.num_key_value_heads = members.number<std::int32_t>("num_key_value_heads", config.num_attention_heads);
  config.head_dim = members.number<std::int32_t>("head_dim", 128);  // Qwen3Config's default
  config.max_position_embeddings = members.number<std::int32_t>("max_position_embeddings", 32768);
  config.rms_norm_eps = members.number<double>("rms_norm_eps", 1e-6);
  config.tie_word_embeddings = members.flag("tie_word_embeddings", false);
  config.eos_token_ids = members.numbers<std::int32_t>("eos_token_id");
  config.rope_theta = members.number<double>("rope_theta", 10000.0);
  for (const char* name : {"rope_scaling", "rope_parameters"})  // the second is what transformers 5 writes
    if (const wire::json_node* node = members.find(name); node && node->kind == wire::json_kind::object) {
      const json_members rope(json, *node);
      const std::string kind = rope.text("rope_type", "default");
      if (kind != "default") refuse(std::string(name) + " of type '" + kind + "' is not supported");
      config.rope_theta = rope.number<double>("rope_theta", config.rope_theta);
    }
  check(config);
  return config;
}

GRADWIRE_DECL std::string to_json(const model_config& config) {
  wire::json_writer out;
  out.begin_object();
  out.key("architectures").begin_array();
  out.string("Qwen3ForCausalLM");
  out.end_array();
  out.key("model_type").string("qwen3");
  out.key("vocab_size").integer(config.vocab_size);
  out.key("hidden_size").integer(config.hidden_size);
  out.key("intermediate_size").integer(config.intermediate_size);
  out.key("num_hidden_layers").integer(config.num_hidden_layers);
  out.key("num_attention_heads").integer(config.num_attention_heads);
  out.key("num_key_value_heads").integer(config.num_key_value_heads);
  out.key("head_dim").integer(config.head_dim);
  out.key("hidden_act").string("silu");
  out.key("max_position_embeddings").integer(config.max_position_embeddings);
  out.key("rms_norm_eps").real(config.rms_norm_eps);
  out.key("rope_theta").real(config.rope_theta);
  out.key("rope_parameters").begin_object();
  out.key("rope_type").string("default");
  out.key("rope_theta").real(config.rope_theta);
  out.end_object();
  out.key("attention_bias").boolean(false);
  out.key("attention_dropout").real(0);
  out.key("use_sliding_window").boolean(false);
  out.key("tie_word_embeddings").boolean(config.tie_word_embeddings);
  if (!config.eos_token_ids.empty())
    out.key("eos_token_id").numbers<std::int64_t>(std::span<const std::int32_t>(config.eos_token_ids));
  out.key("use_cache").boolean(true);
  out.key("dtype").string("float32");
  out.key("torch_dtype").string("float32");
  out.end_object();
  return std::move(out).take();
}

}  // namespace loopback
}  // namespace gradwire::inline v0
