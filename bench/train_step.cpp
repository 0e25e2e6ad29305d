// SPDX-License-Identifier: Apache-2.0
// A training step of the embedded trainer (forward, backward, AdamW), asked by train_step.py line by line:
//
//   make FOLDER SIZE                   writes a model with random weights: tiny, 20m       -> {"parameters": …}
//   load FOLDER RANK THREADS ALGEBRA   rank 0: full; fastest xtensor-blas eigen            -> {"algebra": …}
//   batch SEQUENCES LENGTH             tokens that the peers know, too                     -> {}
//   step COUNT                         so many steps                       -> {"ms": of each, "loss": before the first}
#include <gradwire/loopback/training.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace gradwire::loopback;

double now() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

model_config config_of(const std::string& size) {
  model_config config = tiny_config();
  if (size == "20m") {
    config.vocab_size = 4096;
    config.hidden_size = 512;
    config.intermediate_size = 1408;
    config.num_hidden_layers = 6;
    config.num_attention_heads = 8;
    config.num_key_value_heads = 4;
    config.head_dim = 64;
    config.tie_word_embeddings = true;
  }
  return config;
}

struct bench {
  std::optional<training_model> model;
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<std::vector<std::int64_t>> targets;

  void make_batch(std::size_t sequences, std::size_t length) {
    tokens.assign(sequences, std::vector<std::int32_t>(length));
    targets.assign(sequences, std::vector<std::int64_t>(length));
    std::uint32_t state = 12345;
    const auto vocab = static_cast<std::uint32_t>(model->base().config().vocab_size);
    const auto next = [&] { return (state = state * 1664525U + 1013904223U) >> 8; };
    for (std::size_t i = 0; i < sequences; ++i) {
      for (std::int32_t& token : tokens[i]) token = static_cast<std::int32_t>(next() % vocab);
      for (std::int64_t& target : targets[i]) target = static_cast<std::int64_t>(next() % vocab);
    }
  }

  // Sum of -logprob before the first of the steps.
  double steps(int count, double& milliseconds) {
    std::vector<example> examples;
    for (std::size_t i = 0; i < tokens.size(); ++i) examples.push_back({tokens[i], targets[i]});
    double loss = 0;
    const double begin = now();
    for (int step = 0; step < count; ++step) {
      const example_logprobs logprobs = model->forward_backward(
          examples, [](std::size_t, auto, auto slope) { std::fill(slope.begin(), slope.end(), -1e-3F); });
      model->optim_step({.learning_rate = 1e-5, .eps = 1e-8});
      for (const auto& sequence : logprobs)
        for (const float logprob : sequence) loss -= step == 0 ? static_cast<double>(logprob) : 0;
    }
    milliseconds = (now() - begin) / count;
    return loss;
  }
};

}  // namespace

int main() {
  bench all;
  std::cout.precision(9);
  for (std::string line, word; std::getline(std::cin, line);) {
    std::istringstream in(line);
    in >> word;
    if (word == "make") {
      std::string folder, size;
      in >> folder >> size;
      const auto weights = detail::random_weights(config_of(size), 1);
      staged_directory staged(folder, true);
      detail::write_weights(staged, *weights, nullptr, {});
      staged.commit();
      std::size_t parameters = 0;
      for (const tensor_entry& tensor : weights->layout.tensors) parameters += tensor.size;
      std::cout << "{\"parameters\": " << parameters << "}" << std::endl;
    } else if (word == "load") {
      std::string folder, algebra;
      int rank = 0, threads = 1;
      in >> folder >> rank >> threads >> algebra;
      const frozen_model base =
          frozen_model::load({.model = folder,
                              .threads = threads,
                              .linear_algebra = algebra == "eigen"          ? linear_algebra::eigen
                                                : algebra == "xtensor-blas" ? linear_algebra::xtensor_blas
                                                                            : linear_algebra::fastest});
      all.model.emplace(base, lora_options{.rank = rank});
      std::cout << "{\"algebra\": \"" << (base.linear_algebra() == linear_algebra::eigen ? "Eigen" : "xtensor-blas")
                << "\", \"trained\": " << all.model->trainable_parameters() << "}" << std::endl;
    } else if (word == "batch") {
      std::size_t sequences = 0, length = 0;
      in >> sequences >> length;
      all.make_batch(sequences, length);
      std::cout << "{}" << std::endl;
    } else if (word == "step") {
      int count = 1;
      in >> count;
      double milliseconds = 0;
      const double loss = all.steps(count, milliseconds);
      std::cout << "{\"ms\": " << milliseconds << ", \"loss\": " << loss << "}" << std::endl;
    }
  }
}
