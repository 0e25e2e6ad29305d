// SPDX-License-Identifier: Apache-2.0
// The tokenizer of `gradwire/tiny`: byte b of the UTF-8 text has id b, named special tokens follow. Its tokenizer.json
// is a ByteLevel BPE without merges, so Hugging Face's tokenizers give the same ids.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {
namespace loopback {

class byte_tokenizer {
 public:
  using special_token = std::pair<std::string, std::int32_t>;

  // <|endoftext|> 256, <|im_start|> 257, <|im_end|> 258, <|pad|> 259.
  GRADWIRE_DECL byte_tokenizer();

  // The tokenizer that a tokenizer.json describes, if it is one of this kind.
  GRADWIRE_DECL static std::optional<byte_tokenizer> parse(std::string_view tokenizer_json);

  // Special tokens written out in the text become their ids, everything else one id per byte.
  GRADWIRE_DECL std::vector<std::int32_t> encode(std::string_view text) const;

  // The bytes of the tokens; special tokens by name or, with skip_special_tokens, not at all. Ids without a meaning
  // (padding of the vocabulary) give nothing.
  GRADWIRE_DECL std::string decode(std::span<const std::int32_t> tokens, bool skip_special_tokens = false) const;

  const std::vector<special_token>& special_tokens() const { return special_tokens_; }
  GRADWIRE_DECL std::int32_t id(std::string_view special_token) const;  // -1 if there is none of that name

  GRADWIRE_DECL std::string tokenizer_json() const;         // tokenizer.json
  GRADWIRE_DECL std::string tokenizer_config_json() const;  // tokenizer_config.json

 private:
  std::vector<special_token> special_tokens_;
};

}  // namespace loopback
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/loopback/impl/tokenizer.hpp>
#endif
