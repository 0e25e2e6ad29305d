// SPDX-License-Identifier: Apache-2.0
// checksums.txt of a saved state: a line for each other file, "<CRC32C in hex> <bytes> <name>", and a last one for the
// lines above it. A state with any byte changed is refused with the name of the file.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/loopback/files/text_file.hpp>
#include <gradwire/wire/crc32c.hpp>

namespace gradwire::inline v0 {
namespace loopback {

inline constexpr std::string_view checksums_name = "checksums.txt";

namespace detail {

inline std::string hex_of(std::uint32_t value) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", static_cast<unsigned>(value));
  return text;
}

inline std::pair<std::uint32_t, std::uint64_t> sum_of_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw error(errc::config, "cannot read " + path.string());
  std::vector<char> block(std::size_t{1} << 20);
  crc32c_sum sum;
  std::uint64_t bytes = 0;
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())), in.gcount() > 0) {
    sum.add(block.data(), static_cast<std::size_t>(in.gcount()));
    bytes += static_cast<std::uint64_t>(in.gcount());
  }
  return {sum.value(), bytes};
}

}  // namespace detail

inline std::string checksums_of(const std::filesystem::path& folder) {
  std::map<std::string, std::pair<std::uint32_t, std::uint64_t>> sums;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_regular_file()) sums[entry.path().filename().string()] = detail::sum_of_file(entry.path());
  sums.erase(std::string(checksums_name));
  std::string text;
  for (const auto& [name, sum] : sums)
    text += detail::hex_of(sum.first) + " " + std::to_string(sum.second) + " " + name + "\n";
  return text + detail::hex_of(crc32c(text)) + " checksums\n";
}

// errc::config, naming the first file that is not as it was saved. A folder without checksums.txt passes unless
// `required`: it was made by others.
inline void verify_checksums(const std::filesystem::path& folder, bool required) {
  const auto refuse = [&](const std::string& file, const std::string& why) {
    throw error(errc::config,
                "the state in " + folder.string() + " is damaged: " + file + " " + why + "; load another one");
  };
  std::error_code ignored;
  if (std::filesystem::is_symlink(folder / checksums_name, ignored))
    refuse(std::string(checksums_name), "is a symbolic link");
  const auto text = read_text_if_there(folder / checksums_name);
  if (!text) {
    if (required) refuse(std::string(checksums_name), "is missing");
    return;
  }
  constexpr std::size_t last = sizeof("01234567 checksums\n") - 1;
  const std::size_t cut = text->size() < last ? 0 : text->size() - last;
  const std::string above = text->substr(0, cut);
  if (text->substr(cut) != detail::hex_of(crc32c(above)) + " checksums\n")
    refuse(std::string(checksums_name), "does not fit its own checksum");
  for (std::size_t from = 0; from < above.size();) {
    const std::size_t end = above.find('\n', from);
    const std::string line = above.substr(from, end - from);
    from = end + 1;
    const std::size_t space = line.find(' ', 9);
    const std::string name = line.substr(space + 1);
    if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(folder / name))) refuse(name, "is missing");
    const auto [sum, bytes] = detail::sum_of_file(folder / name);
    if (std::to_string(bytes) != line.substr(9, space - 9))
      refuse(name, "has " + std::to_string(bytes) + " bytes where " + line.substr(9, space - 9) + " were saved");
    if (detail::hex_of(sum) != line.substr(0, 8)) refuse(name, "does not fit its checksum");
  }
}

}  // namespace loopback
}  // namespace gradwire::inline v0
