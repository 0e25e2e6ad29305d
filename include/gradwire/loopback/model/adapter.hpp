// SPDX-License-Identifier: Apache-2.0
// LoRA: every adapted matrix is W + alpha / rank · B A. The decoder runs on the merged matrix, so an adapter costs
// nothing in the forward pass, and its gradients are those of the two factors:
//   dB = s dyᵀ (x Aᵀ),   dA = s (dy B)ᵀ x,   s = alpha / rank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <gradwire/loopback/compute/product.hpp>
#include <gradwire/loopback/compute/thread_pool.hpp>
#include <gradwire/loopback/model/parameters.hpp>

namespace gradwire::inline v0 {
namespace loopback {

struct adapter_entry {
  std::string module{};    // "model.layers.0.self_attn.q_proj"
  std::size_t out = 0;     // rows of W
  std::size_t in = 0;      // columns of W
  std::size_t weight = 0;  // offset of W in the model's array
  std::size_t a = 0;       // offset of A [rank, in] in the adapter's array
  std::size_t b = 0;       // offset of B [out, rank]
};

// The adapters of one product (q, k and v share theirs): A's lie beside each other.
struct adapter_group {
  std::vector<adapter_entry> entries{};
};

struct layer_adapters {
  adapter_group qkv, o, gate_up, down;
};

struct adapter_layout {
  std::size_t rank = 0;
  double scale = 0;  // alpha / rank
  bool attention = false, mlp = false;
  std::vector<layer_adapters> layers{};
  adapter_group lm_head;
  std::size_t size = 0;

  template <class F>
  void for_each(F&& f) const {
    const auto visit = [&](const adapter_group& group) {
      for (const adapter_entry& entry : group.entries) f(entry);
    };
    for (const layer_adapters& layer : layers)
      visit(layer.qkv), visit(layer.o), visit(layer.gate_up), visit(layer.down);
    visit(lm_head);
  }
};

// `layout` must not be tied if lm_head is adapted.
inline adapter_layout make_adapter_layout(const parameter_layout& layout, std::size_t rank, double alpha,
                                          bool attention, bool mlp, bool unembed) {
  adapter_layout result;
  result.rank = rank;
  result.scale = alpha / static_cast<double>(rank);
  result.attention = attention;
  result.mlp = mlp;
  const auto find = [&](const std::string& module) -> const tensor_entry& {
    for (const tensor_entry& tensor : layout.tensors)
      if (tensor.name == module + ".weight") return tensor;
    __builtin_unreachable();
  };
  const auto group = [&](std::vector<std::string> modules) {
    adapter_group made;
    for (const std::string& module : modules) {
      const tensor_entry& tensor = find(module);
      made.entries.push_back({module, static_cast<std::size_t>(tensor.shape[0]),
                              static_cast<std::size_t>(tensor.shape[1]), tensor.offset, result.size, 0});
      result.size += rank * made.entries.back().in;
    }
    for (adapter_entry& entry : made.entries) {
      entry.b = result.size;
      result.size += rank * entry.out;
    }
    result.size = (result.size + 15) / 16 * 16;
    return made;
  };
  for (std::size_t i = 0; i < layout.layers.size(); ++i) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    layer_adapters layer;
    if (attention) {
      layer.qkv = group({prefix + "self_attn.q_proj", prefix + "self_attn.k_proj", prefix + "self_attn.v_proj"});
      layer.o = group({prefix + "self_attn.o_proj"});
    }
    if (mlp) {
      layer.gate_up = group({prefix + "mlp.gate_proj", prefix + "mlp.up_proj"});
      layer.down = group({prefix + "mlp.down_proj"});
    }
    result.layers.push_back(std::move(layer));
  }
  if (unembed) result.lm_head = group({"lm_head"});
  return result;
}

// merged = base + s B A for every adapted matrix; the other tensors of `merged` stay as they are.
template <class T>
void merge_adapters(const product_table<T>& products, const team& workers, const adapter_layout& adapters,
                    const T* values, const T* base, T* merged) {
  adapters.for_each([&](const adapter_entry& entry) {
    workers.for_ranges(entry.out, 64, [&](std::size_t begin, std::size_t end, std::size_t) {
      const std::size_t first = entry.weight + begin * entry.in, count = (end - begin) * entry.in;
      for (std::size_t i = first; i < first + count; ++i) merged[i] = base[i];
      products.multiply(as_matrix(merged + first, end - begin, entry.in), static_cast<T>(adapters.scale),
                        as_matrix(values + entry.b + begin * adapters.rank, end - begin, adapters.rank),
                        as_matrix(values + entry.a, adapters.rank, entry.in), true);
    });
  });
}

}  // namespace loopback
}  // namespace gradwire::inline v0
