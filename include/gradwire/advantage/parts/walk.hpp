// SPDX-License-Identifier: Apache-2.0
// What estimators that walk over time share. A number a token is kept in double, in the batch's layout; w = 0 masks.
//
//   token_rewards(data)                 R_t: the column token_reward, plus reward on each sequence's last unmasked
//                                       token (either may be missing)
//   numbers_of(data, field)             a column in double
//   backwards(data, f)                  f(s, element, position, masked) for the targets of each sequence, the last first
//   reward_to_go(data, R, γ, when)      G_t = R_t + γ·G_{t+1}
//   gae_skipping_masked(data, R, V, γ, λ)   δ_t = R_t + γ·V' − V_t, A_t = δ_t + γλ·A', where V' and A' are those of the
//                                       next unmasked token; a masked token has the A of the next unmasked one
//   gae_over_all(data, R, V, γ, λ)      the same with V' = V_{t+1}, A' = A_{t+1}, masked or not
//   plus, minus, scaled, shifted, masked_to_zero, mean_of_unmasked      arithmetic over numbers a token
//   as_column(data, numbers)            as a column of the batch
#pragma once

#include <gradwire/datum/batch.hpp>
#include <gradwire/datum/fields.hpp>

namespace gradwire::inline v0 {
namespace advantages {

using numbers_per_token = detail::dynamic_array<double>;

// The columns that an estimator reads of its batch, for those who list them: using reads = columns<fields::values>;
template <auto... Fields>
struct columns {};

template <class Batch>
using column_of = column<typename Batch::value_type>;

template <class Batch, class F>
void backwards(const Batch& data, F&& f) {
  const layout& shape = data.shape();
  const auto* weights = data.data(fields::weights);
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    for (std::size_t t = shape.length[s]; t-- > 0;) f(s, shape.offset[s] + t, t, weights[shape.offset[s] + t] == 0);
  }
}

template <class Batch, class Field>
numbers_per_token numbers_of(const Batch& data, Field field) {
  numbers_per_token result(data.shape().padded());
  const auto* values = data.data(field);
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = static_cast<double>(values[i]);
  return result;
}

template <class Batch>
numbers_per_token token_rewards(const Batch& data) {
  using token_field = std::remove_const_t<decltype(fields::token_reward)>;
  using sequence_field = std::remove_const_t<decltype(fields::reward)>;
  constexpr bool per_token = Batch::template has<token_field>, per_sequence = Batch::template has<sequence_field>;
  static_assert(per_token || per_sequence,
                "gradwire: an advantage needs rewards; add with(reward = one a sequence, batch) or "
                "with(token_reward = one a token, batch)");
  numbers_per_token result;
  if constexpr (per_token)
    result = numbers_of(data, fields::token_reward);
  else
    result.resize(data.shape().padded());
  if constexpr (per_sequence) {
    std::size_t done = data.shape().sequences();  // the sequence whose last unmasked token has been met
    backwards(data, [&](std::size_t s, std::size_t i, std::size_t, bool masked) {
      if (masked || done == s) return;
      done = s;
      result[i] += static_cast<double>(data.data(fields::reward)[s]);
    });
  }
  return result;
}

template <class Batch>
column_of<Batch> as_column(const Batch& data, const numbers_per_token& numbers) {
  using T = typename Batch::value_type;
  writable_column<T> result(data.layout_handle(), extent::token);
  backwards(data,
            [&](std::size_t, std::size_t i, std::size_t, bool) { result.data()[i] = static_cast<T>(numbers[i]); });
  return result;
}

inline numbers_per_token plus(numbers_per_token a, const numbers_per_token& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

inline numbers_per_token minus(numbers_per_token a, const numbers_per_token& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return a;
}
inline numbers_per_token scaled(numbers_per_token x, double factor) {
  for (double& each : x) each *= factor;
  return x;
}
inline numbers_per_token shifted(numbers_per_token x, double by) {
  for (double& each : x) each += by;
  return x;
}
template <class Batch>
double mean_of_unmasked(const Batch& data, const numbers_per_token& x) {
  double sum = 0;
  backwards(data, [&](std::size_t, std::size_t i, std::size_t, bool masked) { sum += masked ? 0 : x[i]; });
  return data.total_count() > 0 ? sum / data.total_count() : 0;
}
template <class Batch>
numbers_per_token masked_to_zero(const Batch& data, numbers_per_token x) {
  backwards(data, [&](std::size_t, std::size_t i, std::size_t, bool masked) {
    if (masked) x[i] = 0;
  });
  return x;
}

enum class masked_token : unsigned char { is_zero, ends };  // R_t of a masked token: taken as 0; or no G goes past it

template <class Batch>
numbers_per_token reward_to_go(const Batch& data, const numbers_per_token& reward, double discount, masked_token what) {
  numbers_per_token result(data.shape().padded());
  double next = 0;
  backwards(data, [&](std::size_t s, std::size_t i, std::size_t t, bool masked) {
    if (t + 1 == data.shape().length[s]) next = 0;
    const double own = masked && what == masked_token::is_zero ? 0 : reward[i];
    result[i] = next = own + discount * next;
    if (masked && what == masked_token::ends) next = 0;
  });
  return result;
}

template <class Batch>
numbers_per_token gae_skipping_masked(const Batch& data, const numbers_per_token& reward,
                                      const numbers_per_token& value, double discount, double lambda) {
  numbers_per_token result(data.shape().padded());
  double next_value = 0, next = 0;
  backwards(data, [&](std::size_t s, std::size_t i, std::size_t t, bool masked) {
    if (t + 1 == data.shape().length[s]) next_value = next = 0;
    if (!masked) {
      next = reward[i] + discount * next_value - value[i] + discount * lambda * next;
      next_value = value[i];
    }
    result[i] = next;
  });
  return result;
}

template <class Batch>
numbers_per_token gae_over_all(const Batch& data, const numbers_per_token& reward, const numbers_per_token& value,
                               double discount, double lambda) {
  numbers_per_token result(data.shape().padded());
  double next_value = 0, next = 0;
  backwards(data, [&](std::size_t s, std::size_t i, std::size_t t, bool) {
    if (t + 1 == data.shape().length[s]) next_value = next = 0;
    result[i] = next = reward[i] + discount * next_value - value[i] + discount * lambda * next;
    next_value = value[i];
  });
  return result;
}

}  // namespace advantages
}  // namespace gradwire::inline v0
