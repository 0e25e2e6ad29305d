// SPDX-License-Identifier: Apache-2.0
// The shape of a Qwen3 decoder, with the names of Hugging Face's config.json.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {
namespace loopback {

struct model_config {
  std::int32_t vocab_size = 320;                // rows of the embedding; ids at the end may be padding
  std::int32_t hidden_size = 96;                // width of the residual stream
  std::int32_t intermediate_size = 256;         // width of the SwiGLU
  std::int32_t num_hidden_layers = 3;           //
  std::int32_t num_attention_heads = 4;         // query heads
  std::int32_t num_key_value_heads = 2;         // divides the number of query heads
  std::int32_t head_dim = 32;                   // even
  std::int32_t max_position_embeddings = 2048;  // longest sequence, in tokens
  double rms_norm_eps = 1e-6;                   // added to the mean square
  double rope_theta = 10000;                    // base of the rotary frequencies
  bool tie_word_embeddings = false;             // lm_head is the embedding
  std::vector<std::int32_t> eos_token_ids{};    // end-of-text tokens: they stop a sample

  std::int32_t query_size() const { return num_attention_heads * head_dim; }
  std::int32_t key_value_size() const { return num_key_value_heads * head_dim; }
};

// The built-in model `gradwire/tiny`: bytes and four special tokens.
GRADWIRE_DECL model_config tiny_config();

// Reads and writes config.json. errc::config for another architecture or for a feature that is not here (sliding
// window, scaled rotary positions, biases), each by name.
GRADWIRE_DECL model_config parse_model_config(std::string_view json);
GRADWIRE_DECL std::string to_json(const model_config& config);

// errc::config if a size is not positive, the heads do not divide, or head_dim is odd.
GRADWIRE_DECL void check(const model_config& config);

}  // namespace loopback
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/loopback/impl/model_config.hpp>
#endif
