// SPDX-License-Identifier: Apache-2.0
// A whole batch of examples through the decoder: micro-batch by micro-batch, on all threads, forward only or forward
// and backward in one go.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <gradwire/loopback/model/backward.hpp>
#include <gradwire/loopback/model/head.hpp>

namespace gradwire::inline v0 {
namespace loopback {

template <class T>
struct batch_example {
  std::span<const std::int32_t> tokens{};
  std::span<const std::int64_t> targets{};  // [tokens, candidates]
  std::size_t candidates = 1;
  std::span<T> logprobs{};  // out, the same shape as targets
};

template <class T>
struct batch_runner {
  const parameter_layout& layout;
  const T* weights;
  const product_table<T>& products;
  const rotary_table<T>& rotary;
  thread_pool& pool;
  std::span<workspace<T>> work{};        // one for each thread
  std::size_t micro_batch_tokens = 512;  // of each thread

  work_plan plan(std::span<const batch_example<T>> examples) const {
    std::vector<std::size_t> lengths;
    for (const batch_example<T>& example : examples) lengths.push_back(example.tokens.size());
    return plan_work(lengths, pool.size(), micro_batch_tokens, 8 * static_cast<std::size_t>(layout.config.hidden_size));
  }

  // With a slope callback each thread adds to its own target; in a shared plan all add to the first.
  void run(const work_plan& plan, std::span<const batch_example<T>> examples, const slope_callback<T>* slope,
           std::span<const gradient_target<T>> targets) const {
    if (plan.shared) {
      for (const std::vector<std::size_t>& micro_batch : plan.micro_batches[0])
        run_micro_batch(micro_batch, examples, slope, slope ? targets[0] : gradient_target<T>{}, work[0], team(pool));
      return;
    }
    pool.run([&](std::size_t worker) {
      for (const std::vector<std::size_t>& micro_batch : plan.micro_batches[worker])
        run_micro_batch(micro_batch, examples, slope, slope ? targets[worker] : gradient_target<T>{}, work[worker],
                        team());
    });
  }

 private:
  void run_micro_batch(std::span<const std::size_t> indices, std::span<const batch_example<T>> examples,
                       const slope_callback<T>* slope, const gradient_target<T>& target, workspace<T>& memory,
                       const team& workers) const {
    packed_batch batch;
    for (const std::size_t index : indices) batch.add(index, examples[index].tokens);
    batch.pad();
    std::vector<head_example<T>> heads;
    for (const packed_sequence& sequence : batch.sequences) {
      const batch_example<T>& example = examples[sequence.index];
      heads.push_back({sequence, example.targets, example.candidates, example.logprobs});
    }
    const pass<T> p{layout, weights, products, rotary, batch, memory, workers};
    forward(p, slope != nullptr, [](std::size_t, const layer_activations<T>&) {});
    if (slope) memory.prepare_backward(layout.config, batch, workers.size());
    run_head(p, std::span<const head_example<T>>(heads), slope, target);
    if (slope) backward(p, target);
  }
};

}  // namespace loopback
}  // namespace gradwire::inline v0
