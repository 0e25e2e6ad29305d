// SPDX-License-Identifier: Apache-2.0
// The golden Qwen3 models and what PyTorch says about them (tests/golden/qwen3.py).
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <gradwire/loopback/files/safetensors.hpp>
#include <gradwire/loopback/training.hpp>

#include "../golden/golden.hpp"

namespace golden_qwen3 {

namespace loopback = gradwire::loopback;

struct sequence {
  std::vector<std::int32_t> tokens;
  std::vector<std::int64_t> targets;
  std::vector<float> weights;
};

struct golden_file {
  golden::node root = golden::parse(golden::text_of("qwen3.json"));
  std::vector<sequence> sequences;

  golden_file() {
    for (const golden::node& item : root["sequences"].items) {
      sequence made;
      for (const golden::node& token : item["tokens"].items) made.tokens.push_back(int(token.as_double()));
      for (const golden::node& token : item["targets"].items) made.targets.push_back(int(token.as_double()));
      for (const golden::node& weight : item["weights"].items) made.weights.push_back(float(weight.as_double()));
      sequences.push_back(made);
    }
  }

  std::vector<loopback::example> examples() const {
    std::vector<loopback::example> result;
    for (const sequence& each : sequences) result.push_back({each.tokens, each.targets});
    return result;
  }

  std::vector<std::vector<double>> logprobs(const std::string& model) const {
    std::vector<std::vector<double>> result;
    golden::fill(result, root[model]["logprobs"]);
    return result;
  }
};

inline const golden_file& file() {
  static const golden_file read;
  return read;
}

inline std::string directory(const std::string& name) { return golden::path_of(name); }
inline std::string path_of_config() { return golden::path_of("qwen3/config.json"); }

inline std::vector<float> gradient(const std::string& name) {
  static loopback::safetensors_file gradients(golden::path_of("qwen3_gradients.safetensors"));
  std::size_t size = 1;
  for (const std::int64_t extent : gradients.entries().at(name).shape) size *= static_cast<std::size_t>(extent);
  std::vector<float> values(size);
  gradients.read(name, values);
  return values;
}

inline loopback::slope_function cross_entropy() {  // L = Σ -weight · logprob
  return [](std::size_t i, std::span<const float>, std::span<float> slope) {
    for (std::size_t t = 0; t < slope.size(); ++t) slope[t] = -file().sequences[i].weights[t];
  };
}

}  // namespace golden_qwen3
