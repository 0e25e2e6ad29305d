// SPDX-License-Identifier: Apache-2.0
// What an operation must know of a reply without reading its values: an id, "not yet", an error.
#pragma once

#include <charconv>
#include <set>
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
  std::string problem;  // why it is no JSON
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
    std::set<std::string_view> names;
    for (const auto* member = head.is_object ? document.first(root) : nullptr; member;
         member = document.next(*member)) {
      if (names.insert(member->key).second) continue;
      head.is_json = false;
      head.problem = "the member '" + printable(member->key, 80) + "' stands there twice";
    }
    const auto* const failed = document.find(root, "error");
    head.has_error = failed && failed->kind != wire::json_kind::null;
  } catch (const error& unreadable) {
    head.is_json = false;
    head.problem = sentence_of(unreadable.what());
  }
  return head;
}

// A page of a gateway, a proxy or a sign-in is no answer of a trainer.
inline bool is_page(const http_response& reply) {
  const std::string_view type = reply.header("Content-Type");
  const auto first = reply.body.find_first_not_of(" \t\r\n");
  return type.find("html") != type.npos || (first != std::string::npos && reply.body[first] == '<');
}

inline errc not_json_kind(const http_response& reply) { return is_page(reply) ? errc::protocol : errc::decode; }

// Why a reply that should be JSON is none: its beginning and where reading stopped, or a page's type and title.
inline std::string not_json(const http_response& reply, const reply_head& head) {
  if (!is_page(reply)) return "the answer is not JSON: " + printable(reply.body, 80) + " (" + head.problem + ")";
  std::string text = "the answer is a page instead of JSON (" + printable(reply.header("Content-Type"), 60) + ")";
  const auto begin = reply.body.find("<title>");
  const auto end = begin == std::string::npos ? begin : reply.body.find("</title>", begin);
  const std::string_view body = reply.body;
  if (end != std::string::npos)
    return text + ", titled '" + printable(body.substr(begin + 7, end - begin - 7), 80) + "'";
  return text + ": " + printable(body, 80);
}

}  // namespace detail

}  // namespace gradwire::inline v0
