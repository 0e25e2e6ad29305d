// SPDX-License-Identifier: Apache-2.0
// A folder's files as a tar archive (ustar), in memory.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/loopback/files/text_file.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// 512 bytes: name, mode, size and time as octal digits, and a sum over all of it with the sum's place blank. A path that
// is too long for the name's place has its folder in another one.
inline std::string tar_header(const std::string& folder, const std::string& file, std::size_t size, long long when) {
  const bool apart = folder.size() + 1 + file.size() > 99;
  if (file.size() > 99 || folder.size() > 154)
    throw error(errc::config, "the file name '" + folder + "/" + file + "' is too long for an archive");
  std::string head(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) {
    std::memcpy(head.data() + at, text.data(), text.size());
  };
  const auto octal = [](unsigned long long value, int digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llo", digits, value);
    return std::string(text);
  };
  put(0, apart ? file : folder + "/" + file);
  if (apart) put(345, folder);
  put(100, "0000600");
  put(108, "0000000");
  put(116, "0000000");
  put(124, octal(size, 11));
  put(136, octal(static_cast<unsigned long long>(when), 11));
  put(148, "        ");
  put(156, "0");
  put(257, std::string("ustar\0"
                       "00",
                       8));
  unsigned long long sum = 0;
  for (const char c : head) sum += static_cast<unsigned char>(c);
  put(148, octal(sum, 6));
  head[154] = '\0';
  return head;
}

inline std::string tar_of(const std::filesystem::path& folder, const std::string& inside, long long when) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_regular_file() && !entry.is_symlink()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::string archive;
  for (const auto& file : files) {
    const std::string bytes = read_text(file);
    archive += tar_header(inside, file.filename().string(), bytes.size(), when);
    archive += bytes;
    archive.append((512 - bytes.size() % 512) % 512, '\0');
  }
  archive.append(1024, '\0');
  return archive;
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
