// SPDX-License-Identifier: Apache-2.0
// An API key. It is checked when it is made, has no way into a stream, and is taken out of every text that may have
// come from a server (which might echo it). What may be told is where it came from.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <gradwire/error.hpp>

namespace gradwire::inline v0 {

class secret {
 public:
  secret() = default;  // no key

  // `where` names the holder in errors: "the environment variable TINKER_API_KEY". Throws error{config} for characters
  // that cannot stand in a header; the sentence has the length, not the key.
  explicit secret(std::string key, std::string_view where = "the token given to connect()")
      : key_(std::move(key)), where_(where) {
    for (char c : key_) {
      if (c <= 0x20 || c > 0x7e) {
        const std::size_t length = key_.size();
        key_.clear();
        throw error(errc::config, where_ + " (" + std::to_string(length) +
                                      " characters) has a space, line end or non-ASCII character in it; copy it again, "
                                      "without quotes or a line end");
      }
    }
  }

  // For a key that somebody meant to give: none is an error too.
  static secret required(std::string key, std::string_view where) {
    if (key.empty())
      throw error(errc::config, std::string(where) + " is empty (0 characters); give the key, or leave it out");
    return secret(std::move(key), where);
  }

  bool empty() const noexcept { return key_.empty(); }
  const std::string& reveal() const noexcept { return key_; }  // for the request's head and for nothing else
  std::string where() const { return key_.empty() ? "" : where_; }

  // `text` with every occurrence of the key replaced by "(key)".
  std::string removed_from(std::string text) const {
    if (key_.empty()) return text;
    for (std::size_t at = 0; (at = text.find(key_, at)) != std::string::npos; at += 5)
      text.replace(at, key_.size(), "(key)");
    return text;
  }

 private:
  std::string key_;
  std::string where_;
};

// A header whose value is a credential too: it is checked, sent and hidden as the key is.
struct secret_header {
  std::string name{};
  secret value{};
};

}  // namespace gradwire::inline v0
