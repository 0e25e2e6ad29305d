// SPDX-License-Identifier: Apache-2.0
// An API key. It is checked when it is made, has no way into a stream, and is taken out of every text that may have
// come from a server (which might echo it).
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <gradwire/error.hpp>

namespace gradwire::inline v0 {

class secret {
 public:
  secret() = default;

  // Throws error{config} for characters that cannot stand in a header; the sentence has the length, not the key.
  explicit secret(std::string key, std::string_view where = "the API key") : key_(std::move(key)) {
    for (char c : key_) {
      if (c <= 0x20 || c > 0x7e) {
        throw error(errc::config, std::string(where) + " (" + std::to_string(key_.size()) +
                                      " characters) has a space, line end or non-ASCII character in it; copy it again, "
                                      "without quotes or a line end");
      }
    }
  }

  bool empty() const noexcept { return key_.empty(); }
  const std::string& reveal() const noexcept { return key_; }  // for the request's header and for nothing else

  // `text` with every occurrence of the key replaced by "(key)".
  std::string removed_from(std::string text) const {
    if (key_.empty()) return text;
    for (std::size_t at = 0; (at = text.find(key_, at)) != std::string::npos; at += 5)
      text.replace(at, key_.size(), "(key)");
    return text;
  }

 private:
  std::string key_;
};

}  // namespace gradwire::inline v0
