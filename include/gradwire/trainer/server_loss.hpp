// SPDX-License-Identifier: Apache-2.0
// Losses that the server computes itself, for forward_backward(batch, loss). All are sums over tokens.
//
//   cross_entropy         Σ −logprob · weights
//   importance_sampling   Σ −exp(logprobs − old_logprobs) · advantage
//   ppo                   Σ −min(r·A, clamp(r, low, high)·A),   r = exp(logprobs − old_logprobs)
//   cispo                 Σ −stop_gradient(clamp(r, low, high)) · A · logprobs
//
// The servers' own clip defaults all differ, so these are always sent. A masked token has advantage 0.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace gradwire::inline v0 {
namespace server_loss {

struct setting {
  std::string name{};
  std::variant<double, std::string, bool> value = 0.0;  // text and truth values only where the server takes them
};

// Any loss of a server by its name.
struct named {
  std::string name{};
  std::vector<setting> config{};
  std::vector<std::string> inputs = {"target_tokens", "logprobs", "advantages"};  // what it reads, by wire name
};

struct cross_entropy {
  operator named() const { return {"cross_entropy", {}, {"target_tokens", "weights"}}; }
};

struct importance_sampling {
  operator named() const { return {"importance_sampling", {}}; }
};

struct ppo {
  double clip_low_threshold = 0.8;   // bounds on the ratio
  double clip_high_threshold = 1.2;  // …
  operator named() const {
    return {"ppo", {{"clip_low_threshold", clip_low_threshold}, {"clip_high_threshold", clip_high_threshold}}};
  }
};

struct cispo {
  double clip_low_threshold = 0;   // bounds on the ratio
  double clip_high_threshold = 4;  // …
  operator named() const {
    return {"cispo", {{"clip_low_threshold", clip_low_threshold}, {"clip_high_threshold", clip_high_threshold}}};
  }
};

}  // namespace server_loss

// What create_custom_loss() sends: the graph as JSON text, and for each input its name (of a column, by wire name) and
// how many dimensions it has.
struct custom_loss_graph {
  struct input {
    std::string name{};
    int rank = 1;
  };
  std::string name{};
  std::vector<input> inputs = {{"logprobs", 1}};
  std::string graph{};
};
}  // namespace gradwire::inline v0
