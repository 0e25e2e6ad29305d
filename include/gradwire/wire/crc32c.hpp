// SPDX-License-Identifier: Apache-2.0
// CRC32C (Castagnoli), the checksum of journals, state files and event files. The processor's own instruction does it,
// some twenty times as fast as a table, where there is one: which, is found out when the program runs, so that files
// compiled for different processors may be linked together.
//
//   crc32c("123456789") == 0xE3069283
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace gradwire::inline v0 {
namespace detail {

inline constexpr auto crc32c_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t sum = byte;
    for (int bit = 0; bit < 8; ++bit)
      sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0x82F63B78U : 0U);  // the polynomial, mirrored
    table[byte] = sum;
  }
  return table;
}();

inline std::uint32_t crc32c_by_table(std::uint32_t sum, const unsigned char* at, std::size_t bytes) noexcept {
  for (; bytes > 0; --bytes, ++at) sum = (sum >> 8) ^ crc32c_table[(sum ^ *at) & 0xFFU];
  return sum;
}

#if defined(__x86_64__)
[[gnu::target("sse4.2")]] inline std::uint32_t crc32c_by_instruction(std::uint32_t sum, const unsigned char* at,
                                                                     std::size_t bytes) noexcept {
  for (; bytes >= 8; bytes -= 8, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    sum = static_cast<std::uint32_t>(__builtin_ia32_crc32di(sum, word));
  }
  for (; bytes > 0; --bytes, ++at) sum = __builtin_ia32_crc32qi(sum, *at);
  return sum;
}
#endif

inline std::uint32_t crc32c_more(std::uint32_t sum, const void* data, std::size_t bytes) noexcept {
  const auto* const at = static_cast<const unsigned char*>(data);
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return crc32c_by_instruction(sum, at, bytes);
#endif
  return crc32c_by_table(sum, at, bytes);
}

}  // namespace detail

// Of data that arrives in pieces.
class crc32c_sum {
 public:
  void add(const void* data, std::size_t bytes) noexcept { sum_ = detail::crc32c_more(sum_, data, bytes); }
  void add(std::string_view text) noexcept { add(text.data(), text.size()); }
  std::uint32_t value() const noexcept { return ~sum_; }

 private:
  std::uint32_t sum_ = ~std::uint32_t{0};
};

inline std::uint32_t crc32c(const void* data, std::size_t bytes) noexcept {
  crc32c_sum sum;
  sum.add(data, bytes);
  return sum.value();
}
inline std::uint32_t crc32c(std::string_view text) noexcept { return crc32c(text.data(), text.size()); }

}  // namespace gradwire::inline v0
