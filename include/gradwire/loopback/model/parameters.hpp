// SPDX-License-Identifier: Apache-2.0
// Where each tensor of the decoder lies in one flat array: Hugging Face's names and shapes, with q, k, v and gate, up
// beside each other so that one product computes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <gradwire/loopback/model_config.hpp>

namespace gradwire::inline v0 {
namespace loopback {

struct tensor_entry {
  std::string name{};                 // as in a Hugging Face checkpoint
  std::vector<std::int64_t> shape{};  // [size] or [out, in]
  std::size_t offset = 0;             // in elements
  std::size_t size = 0;               //
};

struct layer_parameters {  // offsets
  std::size_t input_norm = 0;
  std::size_t qkv = 0;  // [query + 2 key_value, hidden]
  std::size_t q_norm = 0;
  std::size_t k_norm = 0;
  std::size_t o = 0;  // [hidden, query]
  std::size_t post_norm = 0;
  std::size_t gate_up = 0;  // [2 intermediate, hidden]
  std::size_t down = 0;     // [hidden, intermediate]
};

struct parameter_layout {
  model_config config;
  std::size_t embed = 0;
  std::size_t norm = 0;
  std::size_t lm_head = 0;  // equal to embed if the two are tied
  std::vector<layer_parameters> layers{};
  std::vector<tensor_entry> tensors{};  // in the order of the array, without gaps except for alignment
  std::size_t size = 0;                 // elements of the array, gaps included

  bool tied() const { return lm_head == embed; }
};

inline parameter_layout make_parameter_layout(const model_config& config) {
  parameter_layout layout;
  layout.config = config;
  const auto place = [&](const std::string& name, std::vector<std::int64_t> shape) {
    std::size_t size = 1;
    for (const std::int64_t extent : shape) size *= static_cast<std::size_t>(extent);
    const std::size_t offset = layout.size;
    layout.tensors.push_back({name, std::move(shape), offset, size});
    layout.size += size;
    return offset;
  };
  const auto align = [&] { layout.size = (layout.size + 15) / 16 * 16; };  // a cache line of floats
  const std::int64_t hidden = config.hidden_size, inner = config.intermediate_size, head = config.head_dim;
  const std::int64_t query = config.query_size(), key_value = config.key_value_size();

  layout.embed = place("model.embed_tokens.weight", {config.vocab_size, hidden});
  for (std::int32_t i = 0; i < config.num_hidden_layers; ++i) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    layer_parameters layer;
    align();
    layer.input_norm = place(prefix + "input_layernorm.weight", {hidden});
    align();
    layer.qkv = place(prefix + "self_attn.q_proj.weight", {query, hidden});
    place(prefix + "self_attn.k_proj.weight", {key_value, hidden});
    place(prefix + "self_attn.v_proj.weight", {key_value, hidden});
    align();
    layer.q_norm = place(prefix + "self_attn.q_norm.weight", {head});
    align();
    layer.k_norm = place(prefix + "self_attn.k_norm.weight", {head});
    align();
    layer.o = place(prefix + "self_attn.o_proj.weight", {hidden, query});
    align();
    layer.post_norm = place(prefix + "post_attention_layernorm.weight", {hidden});
    align();
    layer.gate_up = place(prefix + "mlp.gate_proj.weight", {inner, hidden});
    place(prefix + "mlp.up_proj.weight", {inner, hidden});
    align();
    layer.down = place(prefix + "mlp.down_proj.weight", {hidden, inner});
    layout.layers.push_back(layer);
  }
  align();
  layout.norm = place("model.norm.weight", {hidden});
  align();
  layout.lm_head = config.tie_word_embeddings ? layout.embed : place("lm_head.weight", {config.vocab_size, hidden});
  align();
  return layout;
}

}  // namespace loopback
}  // namespace gradwire::inline v0
