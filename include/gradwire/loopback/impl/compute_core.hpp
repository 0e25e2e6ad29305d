// SPDX-License-Identifier: Apache-2.0
// What all models of one load() share: threads, memory, the linear algebra, and the rotary table. One operation at a
// time uses it.
#pragma once

#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/loopback/compute/product_eigen.hpp>
#include <gradwire/loopback/compute/product_xtensor.hpp>
#include <gradwire/loopback/engine.hpp>
#include <gradwire/loopback/model/batch.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

struct model_weights {
  parameter_layout layout;
  buffer<float> values;

  explicit model_weights(parameter_layout made) : layout(std::move(made)), values(layout.size) {
    values.fill_with_zero();  // also the gaps between tensors
  }
  model_weights(const model_weights& other) : layout(other.layout), values(other.values.copy()) {}
  model_weights& operator=(const model_weights&) = delete;
};

struct compute_core {
  std::mutex busy;
  thread_pool pool;
  loopback::linear_algebra kind;
  product_table<float> products;
  product_table<float> sampling;  // Eigen unless asked otherwise, for a seed to give the same whatever else is sampled
  std::vector<workspace<float>> work;
  rotary_table<float> rotary;

  compute_core(int threads, loopback::linear_algebra wanted)
      : pool(threads > 0 ? static_cast<std::size_t>(threads) : std::max(1U, std::thread::hardware_concurrency())),
        kind(wanted != linear_algebra::fastest ? wanted
             : xtensor_is_fastest()            ? linear_algebra::xtensor_blas
                                               : linear_algebra::eigen),
        products(kind == linear_algebra::eigen ? eigen_products<float>() : xtensor_products<float>()),
        sampling(wanted == linear_algebra::xtensor_blas ? products : eigen_products<float>()),
        work(pool.size()) {}

  // For `positions` or more, up to the longest that the model takes.
  const rotary_table<float>& rotary_for(const model_config& config, std::size_t positions) {
    if (rotary.positions() < positions) {
      const std::size_t most = static_cast<std::size_t>(config.max_position_embeddings);
      rotary = rotary_table<float>(std::min(most, std::max<std::size_t>(256, 2 * positions)),
                                   static_cast<std::size_t>(config.head_dim), config.rope_theta);
    }
    return rotary;
  }
};

// Tokens of a micro-batch: few enough for the activations to stay in cache, many enough for the products.
inline std::size_t micro_batch_tokens(const model_config& config) { return config.hidden_size <= 192 ? 256 : 512; }

[[noreturn]] inline void refuse_example(std::size_t datum, std::int64_t token, const char* column, std::int64_t value,
                                        const std::string& why) {
  error_details details;
  details.datum = static_cast<std::int64_t>(datum);
  details.token = token;
  details.column = column;
  details.value = std::to_string(value);
  throw error(errc::data, "datum " + std::to_string(datum) + ": " + why, std::move(details));
}

inline void check_tokens(const model_config& config, std::size_t datum, std::span<const std::int32_t> tokens) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  if (tokens.empty()) refuse_example(datum, -1, "model_input", 0, "it has no tokens; give at least one");
  if (count > config.max_position_embeddings)
    refuse_example(datum, -1, "model_input", count,
                   "it has " + std::to_string(count) + " tokens, the model takes " +
                       std::to_string(config.max_position_embeddings) + " at most; cut it");
  for (std::size_t t = 0; t < tokens.size(); ++t)
    if (tokens[t] < 0 || tokens[t] >= config.vocab_size)
      refuse_example(datum, static_cast<std::int64_t>(t), "model_input", tokens[t],
                     "token " + std::to_string(t) + " is " + std::to_string(tokens[t]) +
                         ", the vocabulary has ids 0 to " + std::to_string(config.vocab_size - 1));
}

inline void check_example(const model_config& config, std::size_t datum, const example& given) {
  check_tokens(config, datum, given.tokens);
  const auto targets = static_cast<std::int64_t>(given.targets.size());
  if (given.candidates == 0 || given.targets.size() != given.tokens.size() * given.candidates)
    refuse_example(datum, -1, "target_tokens", targets,
                   "it has " + std::to_string(given.tokens.size()) + " tokens and " + std::to_string(targets) +
                       " targets; give " + std::to_string(given.candidates) + " for each token");
  for (std::size_t i = 0; i < given.targets.size(); ++i)
    if (given.targets[i] < -1 || given.targets[i] >= config.vocab_size)
      refuse_example(datum, static_cast<std::int64_t>(i / given.candidates), "target_tokens", given.targets[i],
                     "target " + std::to_string(i) + " is " + std::to_string(given.targets[i]) +
                         ", the vocabulary has ids 0 to " + std::to_string(config.vocab_size - 1));
}

// Checks the examples and makes room for their logprobs.
struct checked_batch {
  example_logprobs logprobs;
  std::vector<batch_example<float>> examples;
  std::size_t longest = 0;

  checked_batch(const model_config& config, std::span<const example> given) {
    for (std::size_t i = 0; i < given.size(); ++i) {
      check_example(config, i, given[i]);
      logprobs.emplace_back(given[i].targets.size());
      longest = std::max(longest, given[i].tokens.size());
    }
    for (std::size_t i = 0; i < given.size(); ++i)
      examples.push_back({given[i].tokens, given[i].targets, given[i].candidates, logprobs[i]});
  }
};

inline batch_runner<float> make_runner(compute_core& core, const model_weights& weights, std::size_t longest) {
  return {weights.layout,
          weights.values.data(),
          core.products,
          core.rotary_for(weights.layout.config, longest),
          core.pool,
          core.work,
          micro_batch_tokens(weights.layout.config)};
}

inline example_logprobs run_forward(compute_core& core, const model_weights& weights, std::span<const example> given) {
  checked_batch batch(weights.layout.config, given);
  const std::lock_guard lock(core.busy);
  const batch_runner<float> runner = make_runner(core, weights, batch.longest);
  runner.run(runner.plan(batch.examples), batch.examples, nullptr, {});
  return std::move(batch.logprobs);
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
