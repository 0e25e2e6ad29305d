// SPDX-License-Identifier: Apache-2.0
// From one row of logits to one token: temperature first, then top-k, then top-p over what is left, as vLLM and
// Hugging Face do. The logprob that is reported is that of log softmax(logits), before all three.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/loopback/compute/lanes.hpp>
#include <gradwire/loopback/compute/random.hpp>
#include <gradwire/loopback/sampling_options.hpp>

namespace gradwire::inline v0 {
namespace loopback {

inline constexpr double least_temperature = 1e-5;  // below it the most probable token is taken

class token_chooser {
 public:
  struct choice {
    std::int32_t token = 0;
    float logprob = 0;
  };

  choice choose(const float* logits, std::size_t vocab, const sample_options& options, random_stream& random) {
    const float highest = maximum_of(logits, vocab);
    weights_.resize(vocab);
    const double total = exponentials(logits, vocab, highest, 1.0F);
    check(total);
    const double log_total = std::log(total);
    const auto chosen = [&](std::size_t token) {
      return choice{static_cast<std::int32_t>(token),
                    static_cast<float>(static_cast<double>(logits[token] - highest) - log_total)};
    };
    if (options.temperature < least_temperature)
      return chosen(static_cast<std::size_t>(std::find(logits, logits + vocab, highest) - logits));
    const bool all_tokens = options.top_k <= 0 || static_cast<std::size_t>(options.top_k) >= vocab;
    double mass = total;
    if (options.temperature != 1)
      mass = exponentials(logits, vocab, highest, static_cast<float>(1 / options.temperature));
    if (all_tokens && options.top_p >= 1) {
      const double wanted = random.uniform() * mass;
      double reached = 0;
      std::size_t last = 0;
      for (std::size_t i = 0; i < vocab; ++i) {
        if (weights_[i] <= 0) continue;
        last = i;
        reached += static_cast<double>(weights_[i]);
        if (reached > wanted) break;
      }
      return chosen(last);
    }
    restrict(vocab, all_tokens ? vocab : static_cast<std::size_t>(options.top_k), options.top_p, mass);
    double kept = 0;
    for (const std::uint32_t i : order_) kept += static_cast<double>(weights_[i]);
    const double wanted = random.uniform() * kept;
    double reached = 0;
    for (const std::uint32_t i : order_)
      if ((reached += static_cast<double>(weights_[i])) > wanted) return chosen(i);
    return chosen(order_.back());
  }

  // The k most probable tokens with their logprobs, best first.
  std::vector<token_logprob> top(const float* logits, std::size_t vocab, std::size_t k) {
    const float highest = maximum_of(logits, vocab);
    weights_.assign(logits, logits + vocab);
    order_.resize(vocab);
    std::iota(order_.begin(), order_.end(), 0U);
    k = std::min(k, vocab);
    std::partial_sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(k), order_.end(),
                      heavier{weights_.data()});
    order_.resize(k);
    const double total = exponentials(logits, vocab, highest, 1.0F);
    check(total);
    std::vector<token_logprob> result;
    for (const std::uint32_t i : order_)
      result.emplace_back(static_cast<std::int32_t>(i),
                          static_cast<float>(static_cast<double>(logits[i] - highest) - std::log(total)));
    return result;
  }

  float logprob(const float* logits, std::size_t vocab, std::size_t token) {
    const float highest = maximum_of(logits, vocab);
    weights_.resize(vocab);
    const double total = exponentials(logits, vocab, highest, 1.0F);
    check(total);
    return static_cast<float>(static_cast<double>(logits[token] - highest) - std::log(total));
  }

 private:
  struct heavier {  // larger weight first, then smaller id
    const float* weights;
    bool operator()(std::uint32_t a, std::uint32_t b) const {
      return weights[a] > weights[b] || (weights[a] == weights[b] && a < b);
    }
  };

  // weights_[i] = exp((logits[i] - highest) · inverse_temperature); returns their sum.
  double exponentials(const float* logits, std::size_t vocab, float highest, float inverse_temperature) {
    float* weights = weights_.data();
    return static_cast<double>(sum_over_lanes<float>(vocab, [&]<class V>(std::size_t i) {
      const V value = exponential<V>((load<V>(logits + i) - highest) * inverse_temperature);
      store<V>(weights + i, value);
      return value;
    }));
  }

  static void check(double total) {
    if (!(total >= 1 && total < 1e30))
      throw error(errc::data,
                  "the model's logits are not finite: its weights have diverged; load an earlier checkpoint "
                  "or lower the learning rate");
  }

  // order_ = the tokens that top-k and top-p leave, heaviest first.
  void restrict(std::size_t vocab, std::size_t top_k, double top_p, double mass) {
    order_.clear();
    // Tokens below (1 - top_p) / vocab of the mass cannot be needed to reach top_p; with top-k the mass is not known
    // yet.
    const double least = top_k < vocab ? 0.0 : mass * (1 - top_p) / static_cast<double>(vocab);
    for (std::uint32_t i = 0; i < vocab; ++i)
      if (static_cast<double>(weights_[i]) >= least) order_.push_back(i);
    if (top_k < order_.size()) {
      std::nth_element(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(top_k), order_.end(),
                       heavier{weights_.data()});
      order_.resize(top_k);
      mass = 0;
      for (const std::uint32_t i : order_) mass += static_cast<double>(weights_[i]);
    }
    std::sort(order_.begin(), order_.end(), heavier{weights_.data()});
    if (top_p >= 1) return;
    double reached = 0;
    for (std::size_t i = 0; i < order_.size(); ++i)
      if ((reached += static_cast<double>(weights_[order_[i]])) >= top_p * mass) {
        order_.resize(i + 1);
        return;
      }
  }

  std::vector<float> weights_;
  std::vector<std::uint32_t> order_;
};

}  // namespace loopback
}  // namespace gradwire::inline v0
