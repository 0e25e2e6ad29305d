// SPDX-License-Identifier: Apache-2.0
// The backward pass of the decoder over one packed micro-batch, from the gradient of `final` down to the embedding.
#pragma once

#include <cstddef>

#include <gradwire/loopback/model/adapter.hpp>
#include <gradwire/loopback/model/forward.hpp>

namespace gradwire::inline v0 {
namespace loopback {

// Where gradients go: into the model's own array (full training), or into that of its adapters.
template <class T>
struct gradient_target {
  T* gradients = nullptr;                    // as long as the trained array; added to
  const adapter_layout* adapters = nullptr;  // null: full training
  const T* adapter_values = nullptr;         // A and B
};

// dW of y = x Wᵀ, or dA and dB. `group` is read for adapters, `weight` and `out` for full training.
template <class T>
void weight_gradient(const pass<T>& p, const gradient_target<T>& target, const adapter_group* group, std::size_t weight,
                     const T* x, std::size_t in, const T* dy, std::size_t out, std::size_t rows) {
  if (!target.adapters) {
    p.workers.for_ranges(out, row_grain, [&](std::size_t begin, std::size_t end, std::size_t) {
      p.products.multiply(as_matrix(target.gradients + weight + begin * in, end - begin, in), T{1},
                          transpose(as_matrix(dy + begin, rows, end - begin, out)), as_matrix(x, rows, in), true);
    });
    return;
  }
  if (!group || group->entries.empty()) return;
  const std::size_t rank = target.adapters->rank, all = rank * group->entries.size();
  const T scale = static_cast<T>(target.adapters->scale);
  T* u = p.work.lora_u.at_least(rows * all);
  T* v = p.work.lora_v.at_least(rows * all);
  const T* a = target.adapter_values + group->entries.front().a;
  p.workers.for_ranges(rows, row_grain, [&](std::size_t begin, std::size_t end, std::size_t) {
    p.products.multiply(as_matrix(u + begin * all, end - begin, all), T{1}, as_matrix(x + begin * in, end - begin, in),
                        transpose(as_matrix(a, all, in)), false);
    std::size_t column = 0, factor = 0;
    for (const adapter_entry& entry : group->entries) {
      p.products.multiply(as_matrix(v + begin * all + factor, end - begin, rank, all), scale,
                          as_matrix(dy + begin * out + column, end - begin, entry.out, out),
                          as_matrix(target.adapter_values + entry.b, entry.out, rank), false);
      column += entry.out, factor += rank;
    }
  });
  std::size_t column = 0, factor = 0;
  for (const adapter_entry& entry : group->entries) {
    p.workers.for_ranges(entry.out, 4 * row_grain, [&](std::size_t begin, std::size_t end, std::size_t) {
      p.products.multiply(as_matrix(target.gradients + entry.b + begin * rank, end - begin, rank), scale,
                          transpose(as_matrix(dy + column + begin, rows, end - begin, out)),
                          as_matrix<const T>(u + factor, rows, rank, all), true);
    });
    column += entry.out, factor += rank;
  }
  T* da = target.gradients + group->entries.front().a;
  p.workers.for_ranges(in, 4 * row_grain, [&](std::size_t begin, std::size_t end, std::size_t) {
    p.products.multiply(as_matrix(da + begin, all, end - begin, in), T{1}, transpose(as_matrix<const T>(v, rows, all)),
                        as_matrix(x + begin, rows, end - begin, in), true);
  });
}

// f(begin, end, dweight) over all rows; dweight is where to add the gradient of a norm's weight at `offset`, or null.
template <class T, class F>
void for_norm_rows(const pass<T>& p, const gradient_target<T>& target, std::size_t offset, std::size_t size, F&& f) {
  T* partials = p.work.norm_partials.data();
  const bool wanted = !target.adapters;
  if (wanted && p.workers.size() > 1) std::memset(static_cast<void*>(partials), 0, p.workers.size() * size * sizeof(T));
  p.workers.for_ranges(p.rows(), row_grain, [&](std::size_t begin, std::size_t end, std::size_t worker) {
    f(begin, end, !wanted ? nullptr : worker == 0 ? target.gradients + offset : partials + worker * size);
  });
  for (std::size_t worker = 1; wanted && worker < p.workers.size(); ++worker)
    for (std::size_t i = 0; i < size; ++i) target.gradients[offset + i] += partials[worker * size + i];
}

// The stream's gradient gains that of y = rms_norm(x), with dy in dnormed.
template <class T>
void backward_norm(const pass<T>& p, const gradient_target<T>& target, std::size_t weight, const T* x, const T* dy) {
  const std::size_t hidden = p.hidden();
  for_norm_rows(p, target, weight, hidden, [&](std::size_t begin, std::size_t end, T* dweight) {
    for (std::size_t r = begin; r < end; ++r)
      rms_norm_backward<T, true>(x + r * hidden, p.weights + weight, dy + r * hidden,
                                 p.work.dstream.data() + r * hidden, dweight, hidden, p.eps());
  });
}

template <class T>
void backward_attention(const pass<T>& p, const layer_activations<T>& layer) {
  const std::size_t d = p.head_dim(), group = p.heads() / p.key_value_heads();
  workspace<T>& work = p.work;
  std::fill(work.dqkv.data() + p.batch.used * p.qkv(), work.dqkv.data() + p.rows() * p.qkv(), T{0});
  p.for_each_attention([&](const packed_sequence& sequence, std::size_t key_head, T* scores) {
    const std::size_t row = sequence.row, value_at = p.query() + p.key_value() + key_head * d;
    const head_rows<const T> k{layer.k.data() + row * p.key_value() + key_head * d, p.key_value()};
    const head_rows<const T> v{layer.qkv.data() + row * p.qkv() + value_at, p.qkv()};
    const head_rows<T> dk{work.dqkv.data() + row * p.qkv() + p.query() + key_head * d, p.qkv()};
    const head_rows<T> dv{work.dqkv.data() + row * p.qkv() + value_at, p.qkv()};
    for (std::size_t t = 0; t < sequence.length; ++t) {
      std::memset(static_cast<void*>(dk.data + t * dk.stride), 0, d * sizeof(T));
      std::memset(static_cast<void*>(dv.data + t * dv.stride), 0, d * sizeof(T));
    }
    for (std::size_t head = key_head * group; head < (key_head + 1) * group; ++head) {
      const std::size_t at = row * p.query() + head * d;
      attention_head_backward<T>(
          p.products, {layer.q.data() + at, p.query()}, k, v, {layer.attention.data() + at, p.query()},
          {work.dattention.data() + at, p.query()}, layer.log_sum.data() + row * p.heads() + head, p.heads(),
          {work.dqkv.data() + row * p.qkv() + head * d, p.qkv()}, dk, dv, sequence.length, d, scores);
    }
  });
}

// Through rotation and head norms, in place in dqkv.
template <class T>
void backward_queries(const pass<T>& p, const gradient_target<T>& target, const layer_parameters& at,
                      const layer_activations<T>& layer) {
  const std::size_t d = p.head_dim();
  const auto through = [&](std::size_t norm, std::size_t first, std::size_t heads) {
    for_norm_rows(p, target, norm, d, [&](std::size_t begin, std::size_t end, T* dweight) {
      for (std::size_t r = begin; r < end; ++r)
        for (std::size_t head = 0; head < heads; ++head) {
          T* slope = p.work.dqkv.data() + r * p.qkv() + first + head * d;
          norm_and_rotate_backward(layer.qkv.data() + r * p.qkv() + first + head * d, p.weights + norm,
                                   p.rotary.row(p.batch.positions[r]), slope, slope, dweight, d, p.eps());
        }
    });
  };
  through(at.q_norm, 0, p.heads());
  through(at.k_norm, p.query(), p.key_value_heads());
}

template <class T>
void backward_embedding(const pass<T>& p, const gradient_target<T>& target) {
  p.workers.for_ranges(p.hidden(), row_grain, [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t r = 0; r < p.batch.used; ++r) {
      const T* slope = p.work.dstream.data() + r * p.hidden();
      T* into = target.gradients + p.layout.embed + static_cast<std::size_t>(p.batch.tokens[r]) * p.hidden();
      for (std::size_t i = begin; i < end; ++i) into[i] += slope[i];
    }
  });
}

// After forward(p, keep) with work.dfinal filled. Adds to target.gradients.
template <class T>
void backward(const pass<T>& p, const gradient_target<T>& target) {
  workspace<T>& work = p.work;
  const adapter_layout* adapters = target.adapters;
  if (adapters && !adapters->attention && !adapters->mlp) return;
  const std::size_t hidden = p.hidden(), inner = p.inner();
  const auto rows = [&](auto&& f) {
    p.workers.for_ranges(p.rows(), row_grain, [&](std::size_t begin, std::size_t end, std::size_t) { f(begin, end); });
  };
  std::memset(static_cast<void*>(work.dstream.data()), 0, p.rows() * hidden * sizeof(T));
  backward_norm(p, target, p.layout.norm, work.output.data(), work.dfinal.data());
  for (std::size_t i = p.layout.layers.size(); i-- > 0;) {
    const layer_parameters& at = p.layout.layers[i];
    const layer_activations<T>& layer = work.layers[i];
    const layer_adapters* own = adapters ? &adapters->layers[i] : nullptr;
    const bool lowest = adapters && i == 0;  // nothing below is trained

    rows([&](std::size_t begin, std::size_t end) {
      p.linear_backward(work.dstream.data(), hidden, at.down, inner, work.dactivated.data(), begin, end);
      for (std::size_t r = begin; r < end; ++r)
        swiglu_backward(layer.gate_up.data() + r * 2 * inner, work.dactivated.data() + r * inner,
                        work.dgate_up.data() + r * 2 * inner, inner);
    });
    weight_gradient(p, target, own ? &own->down : nullptr, at.down, layer.activated.data(), inner,
                    static_cast<const T*>(work.dstream.data()), hidden, p.rows());
    weight_gradient(p, target, own ? &own->gate_up : nullptr, at.gate_up, layer.normed_mlp.data(), hidden,
                    static_cast<const T*>(work.dgate_up.data()), 2 * inner, p.rows());
    if (lowest && !adapters->attention) return;
    rows([&](std::size_t begin, std::size_t end) {
      p.linear_backward(work.dgate_up.data(), 2 * inner, at.gate_up, hidden, work.dnormed.data(), begin, end);
    });
    backward_norm(p, target, at.post_norm, layer.middle.data(), work.dnormed.data());

    rows([&](std::size_t begin, std::size_t end) {
      p.linear_backward(work.dstream.data(), hidden, at.o, p.query(), work.dattention.data(), begin, end);
    });
    weight_gradient(p, target, own ? &own->o : nullptr, at.o, layer.attention.data(), p.query(),
                    static_cast<const T*>(work.dstream.data()), hidden, p.rows());
    backward_attention(p, layer);
    backward_queries(p, target, at, layer);
    weight_gradient(p, target, own ? &own->qkv : nullptr, at.qkv, layer.normed.data(), hidden,
                    static_cast<const T*>(work.dqkv.data()), p.qkv(), p.rows());
    if (lowest) return;
    rows([&](std::size_t begin, std::size_t end) {
      p.linear_backward(work.dqkv.data(), p.qkv(), at.qkv, hidden, work.dnormed.data(), begin, end);
    });
    backward_norm(p, target, at.input_norm, layer.input.data(), work.dnormed.data());
  }
  backward_embedding(p, target);
}

}  // namespace loopback
}  // namespace gradwire::inline v0
