// SPDX-License-Identifier: Apache-2.0
// What the control plane answers instead of a result: google.rpc.Status, with an ErrorInfo among its details.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gradwire/wire/platform_json.hpp>

namespace gradwire::inline v0 {
namespace wire::platform {

inline constexpr std::string_view error_info_type = "type.googleapis.com/google.rpc.ErrorInfo";

struct status_detail {
  std::string type{};  // "@type"; the rest is there where it is an ErrorInfo
  std::string reason{};
  std::string domain{};
  text_map metadata{};  // quota_required, quota_available
};

void members(auto& visit, is<status_detail> auto& m) {
  visit("@type", m.type);
  visit.sparse("reason", m.reason);
  visit.sparse("domain", m.domain);
  visit.sparse("metadata", m.metadata);
}

// The code's name: "NOT_FOUND" for 5. Some gateways send the one, some the other.
struct status_code {
  std::string name{};

  static constexpr std::string_view names[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};

  bool empty() const noexcept { return name.empty(); }
  void put(json_writer& out) const {
    for (std::size_t i = 0; i < sizeof names / sizeof *names; ++i)
      if (names[i] == name) return out.integer(static_cast<std::int64_t>(i));
    out.string(name);
  }
  void take(const json_reader& in) {
    name = in.text();
    if (in.kind() != json_kind::number) return;
    for (std::size_t i = 0; i < sizeof names / sizeof *names; ++i)
      if (std::to_string(i) == in.text()) name = names[i];
  }
};

struct status {
  status_code code{};
  std::string message{};
  std::vector<status_detail> details{};

  bool empty() const noexcept { return code.empty() && message.empty(); }
};

void members(auto& visit, is<status> auto& m) {
  visit.sparse("code", m.code);
  visit.sparse("message", m.message);
  visit.sparse("details", m.details);
}

// Of any reply that is an error: {"error": {code, message, details}}, the same without "error", {"error": "text"}, or
// what is no JSON at all, then the first 200 characters. Never throws over the body.
inline status read_status(std::string_view body) {
  status found;
  const auto text = [&](const json_reader& from, const char* name) {
    from.member(name, [&](const json_reader& member) {
      if (found.message.empty() && member.kind() == json_kind::string) found.message = member.text();
    });
  };
  try {
    const json_document document(body);
    std::vector<validation_issue> ignored;
    const json_reader root(document, ignored);
    const auto take = [&](const json_reader& from) {
      if (from.kind() == json_kind::string) return void(found.message = from.text());
      if (from.kind() != json_kind::object) return;
      text(from, "message");
      text(from, "detail");
      from.member("code", [&](const json_reader& code) { found.code.take(code); });
      from.member("status", [&](const json_reader& code) {
        if (code.kind() == json_kind::string) found.code.take(code);
      });
      from.member("details", [&](const json_reader& list) {
        list.each([&](const json_reader& item) {
          if (item.kind() == json_kind::object) detail::take(item, found.details.emplace_back());
        });
      });
    };
    if (!root.member("error", take)) take(root);
  } catch (const error&) {
    found = {};
  }
  if (found.message.empty()) found.message = body.substr(0, 200);
  return found;
}

// The value of that name in any ErrorInfo, "" when there is none.
inline std::string metadata_of(const status& from, std::string_view name) {
  for (const auto& each : from.details)
    for (const auto& [key, value] : each.metadata)
      if (key == name) return value;
  return {};
}
inline std::string reason_of(const status& from) {
  for (const auto& each : from.details)
    if (!each.reason.empty()) return each.reason;
  return {};
}

// What the embedded platform answers: {"error": {…}}.
struct error_reply {
  platform::status error{};
};

void members(auto& visit, is<error_reply> auto& m) { visit("error", m.error); }

}  // namespace wire::platform
}  // namespace gradwire::inline v0
