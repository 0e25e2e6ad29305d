// SPDX-License-Identifier: Apache-2.0
// Causal attention of one sequence and one key-value head with its group of query heads, in blocks of query rows, so
// that scores never take more than block x length. The backward pass recomputes them from the saved log-sum-exp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <gradwire/loopback/compute/lanes.hpp>
#include <gradwire/loopback/compute/product.hpp>

namespace gradwire::inline v0 {
namespace loopback {

inline constexpr std::size_t attention_block = 64;  // query rows at a time

// One head of one sequence: row t begins at data + t · stride.
template <class T>
struct head_rows {
  T* data = nullptr;
  std::size_t stride = 0;

  matrix<T> rows(std::size_t begin, std::size_t end, std::size_t head_dim) const {
    return {data + begin * stride, end - begin, head_dim, stride, false};
  }
};

namespace detail {

// Turns the scores s[0..n) into probabilities and returns their log-sum-exp; s[n..width) becomes 0.
template <class T>
T softmax_row(T* s, std::size_t n, std::size_t width) {
  const T highest = maximum_of(s, n);
  const T total = sum_over_lanes<T>(n, [&]<class V>(std::size_t j) {
    const V value = exponential<V>(load<V>(s + j) - highest);
    store<V>(s + j, value);
    return value;
  });
  const T scale = T{1} / total;
  for_lanes<T>(n, [&]<class V>(std::size_t j) { store<V>(s + j, load<V>(s + j) * scale); });
  for (std::size_t j = n; j < width; ++j) s[j] = 0;
  return highest + std::log(total);
}

}  // namespace detail

// out = softmax(q kᵀ / sqrt(d)) v. log_sum is [length] with stride `log_sum_stride`; scores has room for block x
// length.
template <class T>
void attention_head(const product_table<T>& products, head_rows<const T> q, head_rows<const T> k, head_rows<const T> v,
                    head_rows<T> out, T* log_sum, std::size_t log_sum_stride, std::size_t length, std::size_t head_dim,
                    T* scores) {
  const T scale = T{1} / std::sqrt(static_cast<T>(head_dim));
  for (std::size_t begin = 0; begin < length; begin += attention_block) {
    const std::size_t end = std::min(begin + attention_block, length);
    const matrix<T> s = as_matrix(scores, end - begin, end);
    products.multiply(s, scale, q.rows(begin, end, head_dim), transpose(k.rows(0, end, head_dim)), false);
    for (std::size_t t = begin; t < end; ++t)
      log_sum[t * log_sum_stride] = detail::softmax_row(scores + (t - begin) * end, t + 1, end);
    products.multiply(out.rows(begin, end, head_dim), T{1}, s, v.rows(0, end, head_dim), false);
  }
}

// dq is written; dk and dv accumulate. scores has room for two blocks.
template <class T>
void attention_head_backward(const product_table<T>& products, head_rows<const T> q, head_rows<const T> k,
                             head_rows<const T> v, head_rows<const T> out, head_rows<const T> dout, const T* log_sum,
                             std::size_t log_sum_stride, head_rows<T> dq, head_rows<T> dk, head_rows<T> dv,
                             std::size_t length, std::size_t head_dim, T* scores) {
  const T scale = T{1} / std::sqrt(static_cast<T>(head_dim));
  for (std::size_t begin = 0; begin < length; begin += attention_block) {
    const std::size_t end = std::min(begin + attention_block, length);
    const matrix<T> p = as_matrix(scores, end - begin, end);
    const matrix<T> dp = as_matrix(scores + attention_block * length, end - begin, end);
    const matrix<const T> q_block = q.rows(begin, end, head_dim), dout_block = dout.rows(begin, end, head_dim);
    products.multiply(p, scale, q_block, transpose(k.rows(0, end, head_dim)), false);
    products.multiply(dp, T{1}, dout_block, transpose(v.rows(0, end, head_dim)), false);
    for (std::size_t t = begin; t < end; ++t) {
      T* p_row = p.data + (t - begin) * end;
      T* dp_row = dp.data + (t - begin) * end;
      const T* out_row = out.data + t * out.stride;
      const T* dout_row = dout.data + t * dout.stride;
      const T along = sum_over_lanes<T>(
          head_dim, [&]<class V>(std::size_t i) { return V(load<V>(out_row + i) * load<V>(dout_row + i)); });
      const T log_total = log_sum[t * log_sum_stride];
      for_lanes<T>(t + 1, [&]<class V>(std::size_t j) {
        const V probability = exponential<V>(load<V>(p_row + j) - log_total);
        store<V>(p_row + j, probability);
        store<V>(dp_row + j, probability * (load<V>(dp_row + j) - along));
      });
      for (std::size_t j = t + 1; j < end; ++j) p_row[j] = dp_row[j] = 0;
    }
    products.multiply(dv.rows(0, end, head_dim), T{1}, transpose<const T>(p), dout_block, true);
    products.multiply(dq.rows(begin, end, head_dim), scale, dp, k.rows(0, end, head_dim), false);
    products.multiply(dk.rows(0, end, head_dim), scale, transpose<const T>(dp), q_block, true);
  }
}

}  // namespace loopback
}  // namespace gradwire::inline v0
