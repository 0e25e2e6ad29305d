// SPDX-License-Identifier: Apache-2.0
// Sampling sessions and samples, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gradwire/wire/messages_training.hpp>

namespace gradwire::inline v0 {
namespace wire {

struct create_sampling_session_request {
  std::string session_id{};
  std::int64_t sampling_session_seq_id = 0;  // shared with save_weights_for_sampler
  std::optional<std::string> base_model{};   // exactly one of the two
  std::optional<std::string> model_path{};
};

struct create_sampling_session_reply {
  std::string sampling_session_id{};
};

struct sampler_info_reply {  // GET samplers/{id}
  std::string sampler_id{};
  std::string base_model{};
  std::optional<std::string> model_path{};
};

// Stop strings, or stop token ids. An empty list means "no stop at all, not even the end-of-text token" to newer
// servers; leave the member out for the model's own end of text.
using stop_condition = std::variant<std::vector<std::string>, std::vector<std::int64_t>>;

struct sampling_params {
  std::optional<std::int64_t> max_tokens{};
  std::optional<std::int64_t> seed{};
  std::optional<stop_condition> stop{};
  double temperature = 1.0;  // 0: the most probable token
  std::int64_t top_k = -1;   // -1: all
  double top_p = 1.0;
};

struct sample_request {  // POST asample
  std::optional<std::string> sampling_session_id{};
  std::optional<std::int64_t> seq_id{};  // 0, 1, 2 … for each sampling session
  std::optional<std::string> base_model{};
  std::optional<std::string> model_path{};
  std::int64_t num_samples = 1;
  wire::model_input prompt{};
  wire::sampling_params sampling_params{};
  std::optional<bool> prompt_logprobs{};
  std::int64_t topk_prompt_logprobs = 0;
  std::optional<std::int64_t> topk_sample_logprobs{};    // only where the dialect knows it
  std::optional<std::int64_t> prompt_alt_tokens_k{};     // …
  std::optional<std::int64_t> prompt_logprobs_last_n{};  // …
  std::optional<tensor> target_prompt_logprobs{};        // …: int64 [prompt - 1, K], -1 = skip
  std::optional<bool> record_stability_info{};           // …: for losses that read it by sequence_id
};

enum class stop_reason : unsigned char { stop = 0, length = 1 };

// Row-major [length, k]; a missing cell has token 0 and a logprob of -99999 (protobuf) or is not there (JSON).
struct topk_logprobs {
  array<std::int32_t> token_ids{};
  array<float> logprobs{};
  std::uint32_t k = 0;
  std::uint32_t length = 0;
};

struct sampled_sequence {
  wire::stop_reason stop_reason = wire::stop_reason::stop;
  array<std::int32_t> tokens{};
  std::optional<array<float>> logprobs{};
  std::optional<topk_logprobs> topk_sampled_logprobs{};
  std::string sequence_id{};  // from the submit reply's sample_sequence_ids, "" when the server gives none
};

struct prompt_alternatives {
  tensor tokens{};    // int64 [length, k]
  tensor logprobs{};  // float32 [length, k]
};

struct sample_reply {
  std::vector<sampled_sequence> sequences{};
  std::optional<array<float>> prompt_logprobs{};  // NaN where there is none (the first token has none)
  std::optional<topk_logprobs> topk_prompt_logprobs{};
  std::int64_t prompt_cache_hit_tokens = 0;
  std::optional<tensor> target_prompt_logprobs{};
  std::optional<prompt_alternatives> prompt_alt_tokens{};
};

}  // namespace wire
}  // namespace gradwire::inline v0
