// SPDX-License-Identifier: Apache-2.0
// Reductions of a loss to the batch, as functions that a preset takes as a template argument:
//   template <auto Reduce = token_mean> struct ppo { … return objective(Reduce(x)); };   using a = ppo<sequence_mean>;
//
//   token_sum                       Σ_i Σ_t w·x
//   token_mean                      Σ_i Σ_t w·x / Σ_i Σ_t w
//   sequence_mean                   1/B Σ_i [ Σ_t w·x / Σ_t w ]       B: the sequences with any w ≠ 0
//   sequence_mean_token_sum         1/B Σ_i Σ_t w·x
//   sequence_mean_sum               Σ_i [ Σ_t w·x / Σ_t w ]           no B
//   sequence_mean_of_all, sequence_mean_token_sum_of_all              B: every sequence, all-masked ones too
//   sequence_mean_with_epsilon      1/B Σ_i [ Σ_t w·x / (Σ_t w + 1e-8) ]         token_mean_with_epsilon likewise
//   prompt_mean                     1/P Σ_p [ Σ_{i∈p} Σ_t w·x / Σ_{i∈p} Σ_t w ]   parts named by the column prompt_id
//   micro_batch_mean                the same over the parts named by the column micro_batch
//   sequence_mean_token_sum_per{L}  Σ_i Σ_t w·x / (B·L)               B: every sequence
//
// x is per token; an x per sequence stands for that value at each of its tokens. The divisors read the column `weights`
// only, never what a correction dropped. `share()` is the factor before w·x, for sources that scale the advantage by
// it.
#pragma once

#include <gradwire/expression.hpp>

namespace gradwire::inline v0 {

// Σ_t w·x per sequence.
template <expression X>
constexpr auto token_total(const X& x) {
  if constexpr (X::level <= extent::token)
    return sum_over_tokens(x);
  else
    return x * terminals::weight_sum;
}

// A reduction as Σ_i share_i · Σ_t w·x.
template <class Share>
struct shared_sum {
  template <expression X>
  constexpr auto operator()(const X& x) const {
    return sum_over_sequences(token_total(x) * Share::share());
  }
  static constexpr auto share() { return Share::share(); }
};

struct token_sum_t {
  template <expression X>
  constexpr auto operator()(const X& x) const {
    return sum_over_sequences(token_total(x));
  }
  static constexpr auto share() { return constant{1}; }
};

struct token_mean_t {
  template <expression X>
  constexpr auto operator()(const X& x) const {
    return divide_or_zero(sum_over_sequences(token_total(x)), terminals::total_weight);
  }
  static constexpr auto share() { return divide_or_zero(1.0, terminals::total_weight); }
};

template <all_masked Empty>
struct sequence_mean_t {
  template <expression X>
  constexpr auto operator()(const X& x) const {
    return mean_over_sequences<Empty>(divide_or_zero(token_total(x), terminals::weight_sum));
  }
  static constexpr auto share() {
    if constexpr (Empty == all_masked::counts)
      return divide_or_zero(divide_or_zero(1.0, terminals::weight_sum), terminals::sequence_count);
    else
      return divide_or_zero(divide_or_zero(1.0, terminals::weight_sum), terminals::counted_sequences);
  }
};

struct sequence_mean_sum_t {
  template <expression X>
  constexpr auto operator()(const X& x) const {
    return sum_over_sequences(divide_or_zero(token_total(x), terminals::weight_sum));
  }
};

template <all_masked Empty>
struct sequence_mean_token_sum_t {
  template <expression X>
  constexpr auto operator()(const X& x) const {
    return mean_over_sequences<Empty>(token_total(x));
  }
};

struct token_mean_with_epsilon_t {
  template <expression X>
  constexpr auto operator()(const X& x) const {
    return sum_over_sequences(token_total(x)) / (terminals::total_weight + 1e-8);
  }
};
struct sequence_mean_with_epsilon_t {
  template <expression X>
  constexpr auto operator()(const X& x) const {
    return mean_over_sequences(token_total(x) / (terminals::weight_sum + 1e-8));
  }
};

// 1 / (#parts · Σ w of the part): an all-masked part counts.
template <auto Partition>
struct part_share {
  static constexpr auto share() {
    using formula::reduce;
    const auto one = 0.0 * terminals::sequence_length + 1.0;
    const auto parts = reduce<extent::sequence, extent::batch, plain_sum>(1.0 / sum_within(Partition, one));
    return divide_or_zero(1.0, parts * sum_within(Partition, terminals::weight_sum));
  }
};

inline constexpr token_sum_t token_sum{};
inline constexpr token_mean_t token_mean{};
inline constexpr sequence_mean_t<all_masked::excluded> sequence_mean{};
inline constexpr sequence_mean_t<all_masked::counts> sequence_mean_of_all{};
inline constexpr sequence_mean_sum_t sequence_mean_sum{};
inline constexpr sequence_mean_token_sum_t<all_masked::excluded> sequence_mean_token_sum{};
inline constexpr sequence_mean_token_sum_t<all_masked::counts> sequence_mean_token_sum_of_all{};
inline constexpr token_mean_with_epsilon_t token_mean_with_epsilon{};
inline constexpr sequence_mean_with_epsilon_t sequence_mean_with_epsilon{};
inline constexpr shared_sum<part_share<fields::prompt_id>> prompt_mean{};
inline constexpr shared_sum<part_share<fields::micro_batch>> micro_batch_mean{};

template <truth Keep, expression X>
constexpr auto token_mean_where(const Keep& keep, const X& x) {
  static_assert(
      !formula::reads_logprobs<Keep>,
      "gradwire: a denominator may read data, never logprobs; divide explicitly if the quotient is what you mean");
  return divide_or_zero(token_sum(where(keep, x, 0.0)), token_sum(as_expression(keep)));
}

struct sequence_mean_token_sum_per {
  double length;  // L, tokens
  template <expression X>
  constexpr auto operator()(const X& x) const {
    return sequence_mean_token_sum_of_all(x) / length;
  }
  constexpr auto share() const { return divide_or_zero(1.0, length * terminals::sequence_count); }
};

}  // namespace gradwire::inline v0
