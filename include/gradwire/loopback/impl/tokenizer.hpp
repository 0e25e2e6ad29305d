// SPDX-License-Identifier: Apache-2.0
// The code behind tokenizer.hpp: text, ids, and the two files that Hugging Face reads.
#pragma once

#include <algorithm>
#include <string>

#include <gradwire/error.hpp>
#include <gradwire/loopback/files/text_file.hpp>
#include <gradwire/loopback/tokenizer.hpp>
#include <gradwire/wire/json_writer.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// GPT-2's printable stand-in for a byte, in UTF-8: printable Latin-1 stays, the 68 others follow from U+0100 on.
inline std::string byte_symbol(unsigned byte) {
  const auto printable = [](unsigned b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174; };
  unsigned code = byte;
  if (!printable(byte)) {
    code = 256;
    for (unsigned b = 0; b < byte; ++b) code += !printable(b);
  }
  if (code < 128) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 63))};
}

}  // namespace detail

GRADWIRE_DECL byte_tokenizer::byte_tokenizer()
    : special_tokens_{{"<|endoftext|>", 256}, {"<|im_start|>", 257}, {"<|im_end|>", 258}, {"<|pad|>", 259}} {}

GRADWIRE_DECL std::optional<byte_tokenizer> byte_tokenizer::parse(std::string_view text) {
  const wire::json_document json(text);
  const json_members top(json, json.root());
  const wire::json_node* model = top.find("model");
  const wire::json_node* added = top.find("added_tokens");
  if (!model || !added || added->kind != wire::json_kind::array) return std::nullopt;
  const json_members members(json, *model);
  const wire::json_node* vocab = members.find("vocab");
  const wire::json_node* merges = members.find("merges");
  if (members.text("type", "") != "BPE" || !vocab || (merges && json.first(*merges))) return std::nullopt;
  const json_members ids(json, *vocab);
  for (unsigned byte = 0; byte < 256; ++byte)
    if (ids.number<std::int64_t>(detail::byte_symbol(byte), -1) != byte) return std::nullopt;
  byte_tokenizer result;
  result.special_tokens_.clear();
  for (const wire::json_node* node = json.first(*added); node; node = json.next(*node)) {
    const json_members token(json, *node);
    result.special_tokens_.emplace_back(token.text("content", ""), token.number<std::int32_t>("id", -1));
    if (result.special_tokens_.back().first.empty() || result.special_tokens_.back().second < 256) return std::nullopt;
  }
  return result;
}

GRADWIRE_DECL std::vector<std::int32_t> byte_tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> tokens;
  tokens.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const special_token* found = nullptr;
    for (const special_token& special : special_tokens_)
      if (text.substr(at).starts_with(special.first) && (!found || special.first.size() > found->first.size()))
        found = &special;
    tokens.push_back(found ? found->second : static_cast<unsigned char>(text[at]));
    at += found ? found->first.size() : 1;
  }
  return tokens;
}

GRADWIRE_DECL std::string byte_tokenizer::decode(std::span<const std::int32_t> tokens, bool skip_special_tokens) const {
  std::string text;
  for (const std::int32_t token : tokens) {
    if (token >= 0 && token < 256) text += static_cast<char>(static_cast<unsigned char>(token));
    if (token < 256 || skip_special_tokens) continue;
    for (const special_token& special : special_tokens_)
      if (special.second == token) text += special.first;
  }
  return text;
}

GRADWIRE_DECL std::int32_t byte_tokenizer::id(std::string_view name) const {
  for (const special_token& special : special_tokens_)
    if (special.first == name) return special.second;
  return -1;
}

GRADWIRE_DECL std::string byte_tokenizer::tokenizer_json() const {
  wire::json_writer out;
  const auto byte_level = [&](const char* name) {
    out.key(name).begin_object();
    out.key("type").string("ByteLevel");
    out.key("add_prefix_space").boolean(false);
    out.key("trim_offsets").boolean(false);
    out.key("use_regex").boolean(false);
    out.end_object();
  };
  out.begin_object();
  out.key("version").string("1.0");
  out.key("truncation").null();
  out.key("padding").null();
  out.key("added_tokens").begin_array();
  for (const special_token& special : special_tokens_) {
    out.begin_object();
    out.key("id").integer(special.second);
    out.key("content").string(special.first);
    for (const char* no : {"single_word", "lstrip", "rstrip", "normalized"}) out.key(no).boolean(false);
    out.key("special").boolean(true);
    out.end_object();
  }
  out.end_array();
  out.key("normalizer").null();
  byte_level("pre_tokenizer");
  out.key("post_processor").null();
  byte_level("decoder");
  out.key("model").begin_object();
  out.key("type").string("BPE");
  for (const char* none : {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"})
    out.key(none).null();
  out.key("fuse_unk").boolean(false);
  out.key("byte_fallback").boolean(false);
  out.key("ignore_merges").boolean(false);
  out.key("vocab").begin_object();
  for (unsigned byte = 0; byte < 256; ++byte) out.key(detail::byte_symbol(byte)).integer(byte);
  out.end_object();
  out.key("merges").begin_array();
  out.end_array();
  out.end_object();
  out.end_object();
  return std::move(out).take();
}

GRADWIRE_DECL std::string byte_tokenizer::tokenizer_config_json() const {
  wire::json_writer out;
  out.begin_object();
  out.key("tokenizer_class").string("PreTrainedTokenizerFast");
  out.key("add_prefix_space").boolean(false);
  out.key("clean_up_tokenization_spaces").boolean(false);
  out.key("model_max_length").integer(2048);
  if (id("<|im_end|>") >= 0) out.key("eos_token").string("<|im_end|>");
  if (id("<|pad|>") >= 0) out.key("pad_token").string("<|pad|>");
  out.end_object();
  return std::move(out).take();
}

}  // namespace loopback
}  // namespace gradwire::inline v0
