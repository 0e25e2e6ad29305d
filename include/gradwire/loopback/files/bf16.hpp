// SPDX-License-Identifier: Apache-2.0
// bfloat16, the upper half of a float, and the SHA-256 by which weights are known.
#pragma once

#include <openssl/evp.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <gradwire/error.hpp>

namespace gradwire::inline v0 {
namespace loopback {

using bf16_words = std::vector<std::uint16_t>;

// To the nearest, of two equally near to the even one. A NaN stays one; a finite value may become infinite.
constexpr std::uint16_t to_bf16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  const bool is_nan = (bits & 0x7FFFFFFFU) > 0x7F800000U;
  return static_cast<std::uint16_t>(is_nan ? (bits >> 16) | 0x40U : rounded);
}

constexpr float from_bf16(std::uint16_t word) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(word) << 16);
}

constexpr bool is_finite_bf16(std::uint16_t word) noexcept { return (word & 0x7F80U) != 0x7F80U; }

// 64 hexadecimal digits.
class sha256_sum {
 public:
  sha256_sum() : state_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (!state_ || EVP_DigestInit_ex(state_.get(), EVP_sha256(), nullptr) != 1)
      throw error(errc::config, "OpenSSL has no SHA-256 here, by which snapshots are checked");
  }
  void add(const void* data, std::size_t bytes) { EVP_DigestUpdate(state_.get(), data, bytes); }
  std::string value() {
    unsigned char digest[32];
    EVP_DigestFinal_ex(state_.get(), digest, nullptr);
    std::string text;
    for (const unsigned char byte : digest) text += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> state_;
};

inline std::string sha256_of(std::span<const std::uint16_t> words) {
  static_assert(std::endian::native == std::endian::little);
  sha256_sum sum;
  sum.add(words.data(), words.size_bytes());
  return sum.value();
}

}  // namespace loopback
}  // namespace gradwire::inline v0
