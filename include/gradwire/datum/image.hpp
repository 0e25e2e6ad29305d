// SPDX-License-Identifier: Apache-2.0
// A picture as a part of a datum's tokens, for models that see:
//
//   datum d{prompt(before) + image(png, "png", 256) + prompt(question) + response(answer)};
//
// It takes `expected_tokens` positions of the sequence, as many as the server's model makes of it; these positions have
// weight 0 whatever a mask says, and their columns hold a value that nobody reads. It cannot be the last part.
#pragma once

#include <string_view>

#include <gradwire/datum/data_error.hpp>
#include <gradwire/datum/tokens.hpp>

namespace gradwire::inline v0 {
namespace detail {

[[gnu::cold, gnu::noinline]] inline token_sequence image_part(const void* bytes, std::size_t size,
                                                              std::string_view format, std::size_t expected_tokens) {
  const place at{.column = "image"};
  if (format != "png" && format != "jpeg")
    refuse(at, {}, "the format of an image is \"png\" or \"jpeg\", as the file's bytes are");
  if (size == 0) refuse(at, "0", "an image without bytes; give the whole file's");
  if (expected_tokens == 0 || expected_tokens > 0x7fffffff) {
    refuse(at, expected_tokens,
           "an image that takes %zu positions; expected_tokens is how many the model makes of it, at least 1",
           expected_tokens);
  }
  token_part part{.ids = copied({.data = bytes, .size = size, .kind = number_kind::uint8}),
                  .expected_tokens = expected_tokens};
  __builtin_memcpy(part.format, format.data(), format.size());
  return token_sequence(std::move(part));
}

}  // namespace detail

// `bytes`: the file as a string, or a range of unsigned char, std::byte or the like.
template <class Bytes>
requires(std::ranges::contiguous_range<const Bytes>&& std::ranges::sized_range<const Bytes> &&
         sizeof(std::ranges::range_value_t<const Bytes>) == 1) token_sequence
    image(const Bytes& bytes, std::string_view format, std::size_t expected_tokens) {
  return detail::image_part(std::to_address(std::ranges::begin(bytes)), std::ranges::size(bytes), format,
                            expected_tokens);
}

}  // namespace gradwire::inline v0
