// SPDX-License-Identifier: Apache-2.0
// What can be asked of a sampler and what it answers, as plain values. Logprobs are always those of the model's own
// distribution, log softmax(logits): temperature, top-k and top-p choose the tokens but do not change what is reported.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace gradwire::inline v0 {
namespace loopback {

struct sample_options {
  std::size_t max_tokens = 16;              // new tokens per sample, the stop token included
  std::size_t num_samples = 1;              // continuations of the prompt
  double temperature = 1;                   // divides the logits; 0: the most probable token (ties: the smallest id)
  std::int64_t top_k = -1;                  // keep the k most probable tokens; -1 or 0: all
  double top_p = 1;                         // keep the smallest set of most probable tokens whose mass reaches top_p
  std::optional<std::uint64_t> seed{};      // sample i draws from a stream of seed + i; without it every call differs
  bool stop_at_end = true;                  // the model's own end-of-text tokens stop a sample
  std::vector<std::int32_t> stop_tokens{};  // further tokens that stop a sample; the stop token is part of the result
  std::vector<std::string> stop_strings{};  // texts that stop a sample (models with a byte tokenizer only)
  bool prompt_logprobs = false;             // log p(prompt[t] | prompt[0..t)) for every t
  std::size_t topk_prompt_logprobs = 0;     // the k most probable tokens at each prompt position, with their logprobs
  std::size_t topk_sample_logprobs = 0;     // the same at each sampled position
};

struct sample_request {
  std::span<const std::int32_t> prompt{};  // at least one token; must stay alive during the call
  sample_options options{};
};

enum class stop_reason : unsigned char { stop, length };

using token_logprob = std::pair<std::int32_t, float>;

struct sampled_sequence {
  std::vector<std::int32_t> tokens{};
  std::vector<float> logprobs{};                            // one per token
  std::vector<std::vector<token_logprob>> topk_logprobs{};  // one list per token, or empty if not asked for
  stop_reason reason = stop_reason::length;
};

struct sample_result {
  std::vector<sampled_sequence> sequences{};  // num_samples of them
  std::vector<float> prompt_logprobs{};       // one per prompt token, the first NaN; or empty
  std::vector<std::vector<token_logprob>> topk_prompt_logprobs{};  // one list per prompt token, the first empty; or none
};

}  // namespace loopback
}  // namespace gradwire::inline v0
