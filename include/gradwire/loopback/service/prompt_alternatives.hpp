// SPDX-License-Identifier: Apache-2.0
// Draws from the model's next-token distribution at every prompt position after the first (prompt_alt_tokens_k):
// independent, with replacement, at the request's temperature; the logprobs are the model's own.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include <gradwire/loopback/service/batch.hpp>
#include <gradwire/loopback/service/entries.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

inline std::size_t read_alternatives(const wire::sample_request& given, std::size_t prompt,
                                     const model_config& config) {
  const std::int64_t k = given.prompt_alt_tokens_k.value_or(0);
  constexpr std::int64_t most_draws = 1024;
  constexpr std::size_t most_cells = std::size_t{16} << 20;  // positions × vocabulary, which are held at once
  if (k < 0 || k > most_draws) invalid({"prompt_alt_tokens_k"}, "value_error", "must be 0 to 1024");
  if (k > 0 && prompt < 2)
    invalid({"prompt_alt_tokens_k"}, "value_error", "a prompt of one token has no later position");
  if (k > 0 && prompt * static_cast<std::size_t>(config.vocab_size) > most_cells)
    invalid({"prompt_alt_tokens_k"}, "value_error",
            "the prompt is too long for draws from this model's vocabulary at every position");
  return static_cast<std::size_t>(k);
}

// log p(v) of every token v at one position → k draws of p(v)^(1/temperature), normalised; 0: the most probable.
inline void draw_alternatives(std::span<const float> logprobs, double temperature, std::size_t k,
                              std::mt19937_64& random, std::vector<std::int64_t>& tokens, std::vector<float>& found) {
  const auto best = std::max_element(logprobs.begin(), logprobs.end());
  std::vector<double> up_to;  // cumulated
  if (temperature > 0) {
    double sum = 0;
    for (const float logprob : logprobs)
      up_to.push_back(sum += std::exp((static_cast<double>(logprob) - static_cast<double>(*best)) / temperature));
  }
  for (std::size_t i = 0; i < k; ++i) {
    std::size_t token = static_cast<std::size_t>(best - logprobs.begin());
    if (temperature > 0) {
      const double draw = static_cast<double>(random() >> 11) * 0x1p-53 * up_to.back();
      token = static_cast<std::size_t>(std::upper_bound(up_to.begin(), up_to.end(), draw) - up_to.begin());
      token = std::min(token, logprobs.size() - 1);
    }
    tokens.push_back(static_cast<std::int64_t>(token));
    found.push_back(logprobs[token]);
  }
}

inline wire::prompt_alternatives draw_alternatives(const sample_job& job, const frozen_model& weights) {
  const std::size_t positions = job.prompt.size() - 1;
  const auto vocabulary = static_cast<std::size_t>(weights.config().vocab_size);
  std::vector<std::int64_t> everything(positions * vocabulary);
  for (std::size_t t = 0; t < positions; ++t)
    std::iota(everything.begin() + static_cast<std::ptrdiff_t>(t * vocabulary),
              everything.begin() + static_cast<std::ptrdiff_t>((t + 1) * vocabulary), std::int64_t{0});
  const example all{job.prompt.span().first(positions), everything, vocabulary};
  const auto logprobs = weights.forward(std::span(&all, 1));
  std::mt19937_64 random(job.options.seed ? *job.options.seed : std::random_device{}());
  std::vector<std::int64_t> tokens;
  std::vector<float> found;
  for (std::size_t t = 0; t < positions; ++t)
    draw_alternatives(std::span(logprobs.at(0)).subspan(t * vocabulary, vocabulary), job.options.temperature,
                      job.prompt_alternatives, random, tokens, found);
  const wire::shape_type shape{static_cast<std::int64_t>(positions),
                               static_cast<std::int64_t>(job.prompt_alternatives)};
  return {wire::tensor(wire::array<std::int64_t>(std::move(tokens)), shape),
          wire::tensor(wire::array<float>(std::move(found)), shape)};
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
