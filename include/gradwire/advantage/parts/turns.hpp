// SPDX-License-Identifier: Apache-2.0
// Numbers a turn and a sequence for the estimators that walk. A turn is a run of unmasked tokens.
//
//   turn_table turns(data);  turns.sums(x)            Σ of a number a token over each turn
//                            turns.standardised(x, ε)  (x − μ)/(σ + ε) over the turns of each group, σ with n;
//                                                      0 if σ < ε
//                            turns.discounted(x, γ)    x_k + γ·x_{k+1} + … within a sequence
//                            turns.spread(x)           to each token of the turn, 0 at masked tokens
//   output_tokens, input_tokens, turns_of, rewards_of(data)     one a sequence
//   share_of_group_max(data, x)     x / max(1, largest of the group)
//   less_share_of_mean(data, f)     s − mean of the group·f(sequence)
//   centred_in_group(data, x)       x − mean of the group; exactly 0 where all are equal
//   spread(data, x), sequence_column(data, x)     to each token; as a per-token column
#pragma once

#include <gradwire/advantage/parts/walk.hpp>

namespace gradwire::inline v0 {
namespace advantages {

using numbers_per_sequence = detail::dynamic_array<double>;
using numbers_per_turn = detail::dynamic_array<double>;

class turn_table {
 public:
  template <class Batch>
  explicit turn_table(const Batch& data) : turn_of_(data.shape().padded()) {
    const layout& shape = data.shape();
    for (std::size_t g = 0; g < shape.groups(); ++g) {
      for (std::size_t s = shape.group_begin[g]; s < shape.group_begin[g + 1]; ++s) {
        bool inside = false;
        for (std::size_t i = shape.offset[s]; i < shape.offset[s] + shape.length[s]; ++i) {
          const bool masked = data.data(fields::weights)[i] == 0;
          if (!masked && !inside) {
            group_.push_back(g);
            sequence_.push_back(s);
          }
          inside = !masked;
          turn_of_[i] = masked ? 0 : group_.size();
        }
      }
    }
  }

  numbers_per_turn sums(const numbers_per_token& x) const {
    numbers_per_turn result(group_.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      if (turn_of_[i]) result[turn_of_[i] - 1] += x[i];
    return result;
  }
  numbers_per_turn standardised(const numbers_per_turn& x, double epsilon) const {
    numbers_per_turn result(x.size());
    for (std::size_t begin = 0, end; begin < x.size(); begin = end) {
      double sum = 0, squares = 0;
      for (end = begin; end < x.size() && group_[end] == group_[begin]; ++end) sum += x[end];
      const double count = static_cast<double>(end - begin), mean = sum / count;
      for (std::size_t k = begin; k < end; ++k) squares += (x[k] - mean) * (x[k] - mean);
      const double spread = __builtin_sqrt(squares / count);
      if (end - begin == 1 || spread < epsilon) continue;
      for (std::size_t k = begin; k < end; ++k) result[k] = (x[k] - mean) / (spread + epsilon);
    }
    return result;
  }
  numbers_per_turn discounted(numbers_per_turn x, double discount) const {
    for (std::size_t k = x.size(); k-- > 1;)
      if (sequence_[k] == sequence_[k - 1]) x[k - 1] += discount * x[k];
    return x;
  }
  numbers_per_token spread(const numbers_per_turn& x) const {
    numbers_per_token result(turn_of_.size());
    for (std::size_t i = 0; i < result.size(); ++i) result[i] = turn_of_[i] ? x[turn_of_[i] - 1] : 0;
    return result;
  }
  template <class Batch>
  numbers_per_sequence of_sequences(const Batch& data) const {  // how many
    numbers_per_sequence result(data.shape().sequences());
    for (const std::size_t s : sequence_) result[s] += 1;
    return result;
  }

 private:
  detail::dynamic_array<std::size_t> turn_of_;           // of each token: 1 + its turn, 0 where masked
  detail::dynamic_array<std::size_t> group_, sequence_;  // of each turn
};

template <class Batch, class F>
numbers_per_sequence for_sequences(const Batch& data, F&& f) {
  numbers_per_sequence result(data.shape().sequences());
  for (std::size_t s = 0; s < result.size(); ++s) result[s] = f(s);
  return result;
}
template <class Batch>
numbers_per_sequence output_tokens(const Batch& data) {
  return for_sequences(data, [&](std::size_t s) { return data.weight_count()[s]; });
}
template <class Batch>
numbers_per_sequence input_tokens(const Batch& data) {  // targets are one fewer than tokens
  return for_sequences(
      data, [&](std::size_t s) { return static_cast<double>(data.shape().length[s]) + 1 - data.weight_count()[s]; });
}
template <class Batch>
numbers_per_sequence turns_of(const Batch& data) {
  return turn_table(data).of_sequences(data);
}
template <class Batch>
numbers_per_sequence rewards_of(const Batch& data) {
  return for_sequences(data, [&](std::size_t s) { return static_cast<double>(data.data(fields::reward)[s]); });
}

template <class Batch>
numbers_per_sequence share_of_group_max(const Batch& data, numbers_per_sequence x) {
  const layout& shape = data.shape();
  for (std::size_t g = 0; g < shape.groups(); ++g) {
    double most = 1;
    for (std::size_t s = shape.group_begin[g]; s < shape.group_begin[g + 1]; ++s) most = x[s] > most ? x[s] : most;
    for (std::size_t s = shape.group_begin[g]; s < shape.group_begin[g + 1]; ++s) x[s] /= most;
  }
  return x;
}

// x less its first of the group is summed, so that equal numbers leave exactly 0.
template <class Batch>
numbers_per_sequence centred_in_group(const Batch& data, numbers_per_sequence x) {
  const layout& shape = data.shape();
  for (std::size_t g = 0; g < shape.groups(); ++g) {
    const std::size_t begin = shape.group_begin[g], end = shape.group_begin[g + 1];
    const double first = x[begin];
    double sum = 0;
    for (std::size_t s = begin; s < end; ++s) sum += x[s] - first;
    for (std::size_t s = begin; s < end; ++s) x[s] = (x[s] - first) - sum / static_cast<double>(end - begin);
  }
  return x;
}

template <class Batch, class F>
numbers_per_sequence less_share_of_mean(const Batch& data, F&& share) {
  const layout& shape = data.shape();
  numbers_per_sequence x = rewards_of(data);
  for (std::size_t g = 0; g < shape.groups(); ++g) {
    const std::size_t begin = shape.group_begin[g], end = shape.group_begin[g + 1];
    double sum = 0;
    for (std::size_t s = begin; s < end; ++s) sum += x[s];
    for (std::size_t s = begin; s < end; ++s) x[s] -= sum / static_cast<double>(end - begin) * share(s);
  }
  return x;
}

template <class Batch>
numbers_per_token spread(const Batch& data, const numbers_per_sequence& x) {
  numbers_per_token result(data.shape().padded());
  backwards(data, [&](std::size_t s, std::size_t i, std::size_t, bool) { result[i] = x[s]; });
  return result;
}
template <class Batch>
column_of<Batch> sequence_column(const Batch& data, const numbers_per_sequence& x) {
  return as_column(data, masked_to_zero(data, spread(data, x)));
}

}  // namespace advantages
}  // namespace gradwire::inline v0
