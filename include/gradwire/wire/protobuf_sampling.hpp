// SPDX-License-Identifier: Apache-2.0
// SampleResponse as protobuf: {1 sequences {1 stop_reason, 2 tokens, 3 logprobs, 4 topk_sampled_logprobs},
// 2 prompt_logprobs, 3 topk_prompt_logprobs {1 token_ids, 2 logprobs, 3 k, 4 length}, 4 prompt_cache_hit_tokens,
// 5 target_prompt_logprobs, 6 prompt_alt_tokens {1 tokens, 2 logprobs}}. Arrays are raw bytes, NaN is "none".
#pragma once

#include <gradwire/wire/messages_sampling.hpp>
#include <gradwire/wire/protobuf_tensor.hpp>

namespace gradwire::inline v0 {
namespace wire {
namespace detail {

inline std::size_t topk_size(const topk_logprobs& table) {
  return optional_size(table.token_ids.size() * 4) + optional_size(table.logprobs.size() * 4) + scalar_size(table.k) +
         scalar_size(table.length);
}

inline void append_topk(protobuf_writer& out, unsigned tag, const topk_logprobs& table) {
  out.head(tag, topk_size(table));
  if (!table.token_ids.empty()) out.array<std::int32_t>(1, table.token_ids.span());
  if (!table.logprobs.empty()) out.array<float>(2, table.logprobs.span());
  out.scalar(3, table.k);
  out.scalar(4, table.length);
}

inline void append_sequence(protobuf_writer& out, const sampled_sequence& sequence) {
  std::size_t size =
      scalar_size(static_cast<std::uint64_t>(sequence.stop_reason)) + optional_size(sequence.tokens.size() * 4);
  if (sequence.logprobs) size += field_size(sequence.logprobs->size() * 4);
  if (sequence.topk_sampled_logprobs) size += field_size(topk_size(*sequence.topk_sampled_logprobs));
  out.head(1, size);
  out.scalar(1, static_cast<std::uint64_t>(sequence.stop_reason));
  if (!sequence.tokens.empty()) out.array<std::int32_t>(2, sequence.tokens.span());
  if (sequence.logprobs) out.array<float>(3, sequence.logprobs->span());
  if (sequence.topk_sampled_logprobs) append_topk(out, 4, *sequence.topk_sampled_logprobs);
}

inline topk_logprobs read_topk(pbf_reader in) {
  topk_logprobs table;
  while (in.next()) switch (in.tag_and_type()) {
      case text_field(1):
        table.token_ids = read_array<std::int32_t>(view(in), "token_ids");
        break;
      case text_field(2):
        table.logprobs = read_array<float>(view(in), "logprobs");
        break;
      case varint_field(3):
        table.k = in.get_uint32();
        break;
      case varint_field(4):
        table.length = in.get_uint32();
        break;
      default:
        in.skip();
    }
  const std::uint64_t cells = std::uint64_t{table.k} * table.length;
  if (table.token_ids.size() != cells || table.logprobs.size() != cells)
    malformed("top-k table: not length x k values");
  return table;
}

inline sampled_sequence read_sequence(pbf_reader in) {
  sampled_sequence sequence;
  while (in.next()) switch (in.tag_and_type()) {
      case varint_field(1):
        sequence.stop_reason = in.get_enum() == 1 ? stop_reason::length : stop_reason::stop;
        break;
      case text_field(2):
        sequence.tokens = read_array<std::int32_t>(view(in), "tokens");
        break;
      case text_field(3):
        sequence.logprobs = read_array<float>(view(in), "logprobs");
        break;
      case text_field(4):
        sequence.topk_sampled_logprobs = read_topk(in.get_message());
        break;
      default:
        in.skip();
    }
  if (sequence.logprobs && sequence.logprobs->size() != sequence.tokens.size())
    malformed("a sequence of " + std::to_string(sequence.tokens.size()) + " tokens has " +
              std::to_string(sequence.logprobs->size()) + " logprobs");
  return sequence;
}

inline void read(pbf_reader in, sample_reply& reply) {
  while (in.next()) switch (in.tag_and_type()) {
      case text_field(1):
        reply.sequences.push_back(read_sequence(in.get_message()));
        break;
      case text_field(2):
        reply.prompt_logprobs = read_array<float>(view(in), "prompt_logprobs");
        break;
      case text_field(3):
        reply.topk_prompt_logprobs = read_topk(in.get_message());
        break;
      case varint_field(4):
        reply.prompt_cache_hit_tokens = in.get_int32();
        break;
      case text_field(5):
        reply.target_prompt_logprobs = read_tensor(in.get_message(), "target_prompt_logprobs");
        break;
      case text_field(6): {
        auto& table = reply.prompt_alt_tokens.emplace();
        bool has_tokens = false, has_logprobs = false;
        for (pbf_reader inner = in.get_message(); inner.next();) switch (inner.tag_and_type()) {
            case text_field(1):
              table.tokens = read_tensor(inner.get_message(), "prompt_alt_tokens");
              has_tokens = true;
              break;
            case text_field(2):
              table.logprobs = read_tensor(inner.get_message(), "prompt_alt_tokens");
              has_logprobs = true;
              break;
            default:
              inner.skip();
          }
        if (!has_tokens || !has_logprobs) malformed("prompt_alt_tokens: without its tokens or logprobs");
        break;
      }
      default:
        in.skip();
    }
}

}  // namespace detail

inline std::string to_protobuf(const sample_reply& reply) {
  std::string body;
  protobuf_writer out(body);
  for (const auto& sequence : reply.sequences) detail::append_sequence(out, sequence);
  if (reply.prompt_logprobs) out.array<float>(2, reply.prompt_logprobs->span());
  if (reply.topk_prompt_logprobs) detail::append_topk(out, 3, *reply.topk_prompt_logprobs);
  out.scalar(4, static_cast<std::uint64_t>(reply.prompt_cache_hit_tokens));
  if (reply.target_prompt_logprobs) {
    out.head(5, detail::tensor_size(*reply.target_prompt_logprobs));
    detail::append_tensor(out, *reply.target_prompt_logprobs);
  }
  if (reply.prompt_alt_tokens) {
    const auto& [tokens, logprobs] = *reply.prompt_alt_tokens;
    const std::size_t first = detail::tensor_size(tokens), second = detail::tensor_size(logprobs);
    out.head(6, detail::field_size(first) + detail::field_size(second));
    out.head(1, first);
    detail::append_tensor(out, tokens);
    out.head(2, second);
    detail::append_tensor(out, logprobs);
  }
  return body;
}

}  // namespace wire
}  // namespace gradwire::inline v0
