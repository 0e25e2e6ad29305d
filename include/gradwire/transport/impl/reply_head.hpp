// SPDX-License-Identifier: Apache-2.0
// What an operation must know of a reply without reading its values: an id, "not yet", an error.
#pragma once

#include <charconv>
#include <string>
#include <string_view>

#include <gradwire/transport/impl/server_text.hpp>
#include <gradwire/wire/json_document.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline std::string json_text(std::string_view text) {  // for ids: a JSON string
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

inline std::string seconds_text(double seconds) {
  char buffer[32];
  const auto [end, failed] =
      std::to_chars(buffer, buffer + sizeof buffer, seconds, std::chars_format::fixed, seconds < 10 ? 2 : 0);
  return failed == std::errc() ? std::string(buffer, end) + " s" : "? s";
}

inline bool is_protobuf(std::string_view content_type) { return content_type.find("protobuf") != content_type.npos; }

// What a 2xx reply is, apart from its values.
struct reply_head {
  bool is_json = false;
  bool is_object = false;
  std::string request_id;  // "" when there is none
  std::string type;        // "try_again"
  std::string status;      // "complete_metadata"
  bool has_error = false;
  std::string queue_state;
};

inline reply_head read_head(const http_response& reply) {
  reply_head head;
  if (reply.body.size() > (1u << 20)) {  // only a result is that long
    head.is_json = true;
    return head;
  }
  try {
    const wire::json_document document(reply.body);
    const wire::json_node& root = document.root();
    head.is_json = true;
    head.is_object = root.kind == wire::json_kind::object;
    head.request_id = text_of(document.find(root, "request_id"));
    head.type = text_of(document.find(root, "type"));
    head.status = text_of(document.find(root, "status"));
    head.queue_state = text_of(document.find(root, "queue_state"));
    const auto* const failed = document.find(root, "error");
    head.has_error = failed && failed->kind != wire::json_kind::null;
  } catch (const error&) {
    head.is_json = false;
  }
  return head;
}

}  // namespace detail

}  // namespace gradwire::inline v0
