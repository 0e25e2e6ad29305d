// SPDX-License-Identifier: Apache-2.0
// The forward pass of the decoder over one packed micro-batch, up to the last norm:
//   h = embed[token];  h += attention(norm(h));  h += swiglu(norm(h));  …;  final = norm(h)
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <gradwire/loopback/compute/attention.hpp>
#include <gradwire/loopback/compute/norm.hpp>
#include <gradwire/loopback/compute/product.hpp>
#include <gradwire/loopback/compute/rotary.hpp>
#include <gradwire/loopback/compute/swiglu.hpp>
#include <gradwire/loopback/compute/thread_pool.hpp>
#include <gradwire/loopback/model/packing.hpp>
#include <gradwire/loopback/model/parameters.hpp>
#include <gradwire/loopback/model/workspace.hpp>

namespace gradwire::inline v0 {
namespace loopback {

inline constexpr std::size_t row_grain = 32;  // rows that are not worth another thread

// What one pass over one micro-batch works with.
template <class T>
struct pass {
  const parameter_layout& layout;
  const T* weights;
  const product_table<T>& products;
  const rotary_table<T>& rotary;
  const packed_batch& batch;
  workspace<T>& work;
  team workers;

  std::size_t rows() const { return batch.rows(); }
  std::size_t hidden() const { return static_cast<std::size_t>(layout.config.hidden_size); }
  std::size_t inner() const { return static_cast<std::size_t>(layout.config.intermediate_size); }
  std::size_t heads() const { return static_cast<std::size_t>(layout.config.num_attention_heads); }
  std::size_t key_value_heads() const { return static_cast<std::size_t>(layout.config.num_key_value_heads); }
  std::size_t head_dim() const { return static_cast<std::size_t>(layout.config.head_dim); }
  std::size_t query() const { return heads() * head_dim(); }
  std::size_t key_value() const { return key_value_heads() * head_dim(); }
  std::size_t qkv() const { return query() + 2 * key_value(); }
  std::size_t vocab() const { return static_cast<std::size_t>(layout.config.vocab_size); }
  T eps() const { return static_cast<T>(layout.config.rms_norm_eps); }

  // y (+)= x Wᵀ for the rows [begin, end); W is [out, in] at `weight`.
  void linear(const T* x, std::size_t in, std::size_t weight, std::size_t out, T* y, std::size_t begin, std::size_t end,
              bool accumulate = false) const {
    products.multiply(as_matrix(y + begin * out, end - begin, out), T{1}, as_matrix(x + begin * in, end - begin, in),
                      transpose(as_matrix(weights + weight, out, in)), accumulate);
  }

  // dx = dy W
  void linear_backward(const T* dy, std::size_t out, std::size_t weight, std::size_t in, T* dx, std::size_t begin,
                       std::size_t end) const {
    products.multiply(as_matrix(dx + begin * in, end - begin, in), T{1}, as_matrix(dy + begin * out, end - begin, out),
                      as_matrix(weights + weight, out, in), false);
  }

  // f(sequence, key-value head, scratch for scores) for every pair.
  template <class F>
  void for_each_attention(F&& f) const {
    const std::size_t heads_of_keys = key_value_heads(), tasks = batch.sequences.size() * heads_of_keys;
    const std::size_t grain = rows() < 64 ? tasks : 1;
    workers.for_ranges(tasks, grain, [&](std::size_t begin, std::size_t end, std::size_t worker) {
      T* scores = work.scores.data() + worker * 2 * attention_block * batch.longest;
      for (std::size_t task = begin; task < end; ++task)
        f(batch.sequences[task / heads_of_keys], task % heads_of_keys, scores);
    });
  }
};

template <class T>
void forward_attention(const pass<T>& p, layer_activations<T>& layer) {
  const std::size_t d = p.head_dim(), group = p.heads() / p.key_value_heads();
  std::fill(layer.attention.data() + p.batch.used * p.query(), layer.attention.data() + p.rows() * p.query(), T{0});
  p.for_each_attention([&](const packed_sequence& sequence, std::size_t key_head, T* scores) {
    const std::size_t row = sequence.row;
    const head_rows<const T> k{layer.k.data() + row * p.key_value() + key_head * d, p.key_value()};
    const head_rows<const T> v{layer.qkv.data() + row * p.qkv() + p.query() + p.key_value() + key_head * d, p.qkv()};
    for (std::size_t head = key_head * group; head < (key_head + 1) * group; ++head) {
      const std::size_t at = row * p.query() + head * d;
      attention_head<T>(p.products, {layer.q.data() + at, p.query()}, k, v, {layer.attention.data() + at, p.query()},
                        layer.log_sum.data() + row * p.heads() + head, p.heads(), sequence.length, d, scores);
    }
  });
}

// Norm, q, k and v, head norms and rotation, for the rows [begin, end).
template <class T>
void forward_queries(const pass<T>& p, const layer_parameters& at, layer_activations<T>& layer, std::size_t begin,
                     std::size_t end) {
  const std::size_t d = p.head_dim();
  for (std::size_t r = begin; r < end; ++r)
    rms_norm(layer.input.data() + r * p.hidden(), p.weights + at.input_norm, layer.normed.data() + r * p.hidden(),
             p.hidden(), p.eps());
  p.linear(layer.normed.data(), p.hidden(), at.qkv, p.qkv(), layer.qkv.data(), begin, end);
  for (std::size_t r = begin; r < end; ++r) {
    const T* rotation = p.rotary.row(p.batch.positions[r]);
    const T* raw = layer.qkv.data() + r * p.qkv();
    for (std::size_t head = 0; head < p.heads(); ++head)
      norm_and_rotate(raw + head * d, p.weights + at.q_norm, rotation, layer.q.data() + r * p.query() + head * d, d,
                      p.eps());
    for (std::size_t head = 0; head < p.key_value_heads(); ++head)
      norm_and_rotate(raw + p.query() + head * d, p.weights + at.k_norm, rotation,
                      layer.k.data() + r * p.key_value() + head * d, d, p.eps());
  }
}

// Output projection and SwiGLU with their residuals, for the rows [begin, end); `next` is the stream after the layer.
template <class T>
void forward_mlp(const pass<T>& p, const layer_parameters& at, layer_activations<T>& layer, T* next, std::size_t begin,
                 std::size_t end) {
  const std::size_t hidden = p.hidden(), first = begin * hidden, bytes = (end - begin) * hidden * sizeof(T);
  std::memcpy(layer.middle.data() + first, layer.input.data() + first, bytes);
  p.linear(layer.attention.data(), p.query(), at.o, hidden, layer.middle.data(), begin, end, true);
  for (std::size_t r = begin; r < end; ++r)
    rms_norm(layer.middle.data() + r * hidden, p.weights + at.post_norm, layer.normed_mlp.data() + r * hidden, hidden,
             p.eps());
  p.linear(layer.normed_mlp.data(), hidden, at.gate_up, 2 * p.inner(), layer.gate_up.data(), begin, end);
  for (std::size_t r = begin; r < end; ++r)
    swiglu(layer.gate_up.data() + r * 2 * p.inner(), layer.activated.data() + r * p.inner(), p.inner());
  std::memcpy(next + first, layer.middle.data() + first, bytes);
  p.linear(layer.activated.data(), p.inner(), at.down, hidden, next, begin, end, true);
}

// With `keep` every layer's activations stay for the backward pass. after_layer(index, activations) sees k and v.
template <class T, class F>
void forward(const pass<T>& p, bool keep, F&& after_layer) {
  workspace<T>& work = p.work;
  work.prepare_forward(p.layout.config, p.batch, keep, p.workers.size());
  const std::size_t hidden = p.hidden();
  for (std::size_t r = 0; r < p.rows(); ++r)
    std::memcpy(work.layers[0].input.data() + r * hidden,
                p.weights + p.layout.embed + static_cast<std::size_t>(p.batch.tokens[r]) * hidden, hidden * sizeof(T));
  for (std::size_t i = 0; i < p.layout.layers.size(); ++i) {
    const layer_parameters& at = p.layout.layers[i];
    layer_activations<T>& layer = work.layers[keep ? i : 0];
    const bool last = i + 1 == p.layout.layers.size();
    T* next = last ? work.output.data() : work.layers[keep ? i + 1 : 0].input.data();
    p.workers.for_ranges(p.rows(), row_grain, [&](std::size_t begin, std::size_t end, std::size_t) {
      forward_queries(p, at, layer, begin, end);
    });
    forward_attention(p, layer);
    p.workers.for_ranges(p.rows(), row_grain, [&](std::size_t begin, std::size_t end, std::size_t) {
      forward_mlp(p, at, layer, next, begin, end);
      if (last)
        for (std::size_t r = begin; r < end; ++r)
          rms_norm(work.output.data() + r * hidden, p.weights + p.layout.norm, work.final.data() + r * hidden, hidden,
                   p.eps());
    });
    after_layer(i, layer);
  }
}

}  // namespace loopback
}  // namespace gradwire::inline v0
