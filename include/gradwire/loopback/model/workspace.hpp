// SPDX-License-Identifier: Apache-2.0
// Memory of one micro-batch: the activations that the backward pass needs, and scratch. Kept between calls.
#pragma once

#include <cstddef>
#include <vector>

#include <gradwire/loopback/compute/attention.hpp>
#include <gradwire/loopback/compute/buffer.hpp>
#include <gradwire/loopback/model/packing.hpp>
#include <gradwire/loopback/model/parameters.hpp>

namespace gradwire::inline v0 {
namespace loopback {

template <class T>
struct layer_activations {
  buffer<T> input;       // [rows, hidden] residual stream before the layer
  buffer<T> normed;      // [rows, hidden] input of q, k, v
  buffer<T> qkv;         // [rows, query + 2 key_value] before head norm and rotation
  buffer<T> q;           // [rows, query] after them
  buffer<T> k;           // [rows, key_value]
  buffer<T> log_sum;     // [rows, heads] of the attention scores
  buffer<T> attention;   // [rows, query]
  buffer<T> middle;      // [rows, hidden] residual stream after attention
  buffer<T> normed_mlp;  // [rows, hidden] input of gate and up
  buffer<T> gate_up;     // [rows, 2 intermediate]
  buffer<T> activated;   // [rows, intermediate]
};

template <class T>
struct workspace {
  std::vector<layer_activations<T>> layers;
  buffer<T> output;  // [rows, hidden] residual stream after the last layer
  buffer<T> final;   // [rows, hidden] after the last norm: what lm_head reads

  // gradients with respect to …
  buffer<T> dfinal;   // … final
  buffer<T> dstream;  // … the residual stream
  buffer<T> dnormed;  // … normed or normed_mlp
  buffer<T> dqkv;     // … qkv, and before that q, k and v
  buffer<T> dattention;
  buffer<T> dgate_up;
  buffer<T> dactivated;

  buffer<T> scores;  // two blocks of attention scores for each thread
  buffer<T> lora_u, lora_v;
  buffer<T> norm_partials;  // gradient of a norm's weight for each thread but the first

  buffer<T> head_input;   // [block, hidden]
  buffer<T> head_dinput;  // [block, hidden]
  buffer<T> logits;       // [block, vocab]
  buffer<T> head_scale;   // [block]

  void prepare_forward(const model_config& config, const packed_batch& batch, bool keep, std::size_t workers) {
    const std::size_t rows = batch.rows(), hidden = size(config.hidden_size), inner = size(config.intermediate_size);
    const std::size_t query = size(config.query_size()), key_value = size(config.key_value_size());
    const std::size_t count = keep ? size(config.num_hidden_layers) : 1;
    if (layers.size() < count) layers.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      layer_activations<T>& layer = layers[i];
      layer.input.at_least(rows * hidden);
      layer.normed.at_least(rows * hidden);
      layer.qkv.at_least(rows * (query + 2 * key_value));
      layer.q.at_least(rows * query);
      layer.k.at_least(rows * key_value);
      layer.log_sum.at_least(rows * size(config.num_attention_heads));
      layer.attention.at_least(rows * query);
      layer.middle.at_least(rows * hidden);
      layer.normed_mlp.at_least(rows * hidden);
      layer.gate_up.at_least(rows * 2 * inner);
      layer.activated.at_least(rows * inner);
    }
    output.at_least(rows * hidden);
    final.at_least(rows * hidden);
    scores.at_least(workers * 2 * attention_block * batch.longest);
  }

  void prepare_backward(const model_config& config, const packed_batch& batch, std::size_t workers) {
    const std::size_t rows = batch.rows(), hidden = size(config.hidden_size), inner = size(config.intermediate_size);
    const std::size_t query = size(config.query_size()), key_value = size(config.key_value_size());
    dfinal.at_least(rows * hidden);
    dstream.at_least(rows * hidden);
    dnormed.at_least(rows * hidden);
    dqkv.at_least(rows * (query + 2 * key_value));
    dattention.at_least(rows * query);
    dgate_up.at_least(rows * 2 * inner);
    dactivated.at_least(rows * inner);
    norm_partials.at_least(workers * (hidden > size(config.head_dim) ? hidden : size(config.head_dim)));
  }

 private:
  static std::size_t size(std::int32_t n) { return static_cast<std::size_t>(n); }
};

}  // namespace loopback
}  // namespace gradwire::inline v0
