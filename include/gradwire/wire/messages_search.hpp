// SPDX-License-Identifier: Apache-2.0
// Searching for sessions (POST sessions/search; experimental: it may change without notice), as plain values and with
// the members of their JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <gradwire/wire/json_object.hpp>

namespace gradwire::inline v0 {
namespace wire {

struct assign_project_request {  // PUT sessions/{id}/project
  std::string project_id{};
};

struct session_owners {
  std::string type = "own";  // "accessible": everybody's; "user": those of owner_urns
  std::vector<std::string> owner_urns{};
};

struct session_status_query {
  std::string type{};                                 // "active", "cancelled", "failed", "client_finished"
  std::optional<std::vector<std::string>> reasons{};  // of client_finished: "success", "errored", "interrupted"
};

struct session_cursor {
  std::string last_created_at{};  // ISO 8601
  std::string last_session_id{};
};

struct search_sessions_request {
  std::optional<std::string> session_id{};
  std::optional<std::vector<std::string>> project_ids{};
  metadata user_metadata{};                   // every pair must hold
  std::optional<std::string> display_name{};  // each word of it somewhere in the name, in whatever case
  session_owners owner{};
  std::optional<std::vector<session_status_query>> statuses{};
  std::int64_t limit = 50;  // 1 to 200
  std::optional<session_cursor> cursor{};
};

struct session_reason {
  std::string type{};
};

struct session_status {
  std::string type{};  // as in session_status_query
  std::optional<session_reason> reason{};
  std::optional<std::string> detail{};
  std::optional<std::string> message{};
};

struct session_summary {
  std::string session_id{};
  std::string created_at{};  // ISO 8601
  std::string owner{};
  std::string project_id{};
  std::optional<session_status> status{};  // none: neither finished nor known to be running
  std::int64_t checkpoints_count = 0;
  std::optional<std::string> display_name{};
  std::optional<metadata> user_metadata{};
  std::optional<std::int64_t> checkpoint_storage_bytes{};
};

struct search_sessions_reply {
  std::vector<session_summary> sessions{};      // newest first
  std::optional<session_cursor> next_cursor{};  // none: that was all
};

void members(auto& visit, is<assign_project_request> auto& m) { visit.required("project_id", m.project_id); }

void members(auto& visit, is<session_owners> auto& m) {
  visit("type", m.type);
  visit.unless_empty("owner_urns", m.owner_urns);
}

void members(auto& visit, is<session_status_query> auto& m) {
  visit.required("type", m.type);
  visit("reasons", m.reasons);
}

void members(auto& visit, is<session_cursor> auto& m) {
  visit.required("last_created_at", m.last_created_at);
  visit.required("last_session_id", m.last_session_id);
}

void members(auto& visit, is<search_sessions_request> auto& m) {
  visit("session_id", m.session_id);
  visit("project_ids", m.project_ids);
  visit("user_metadata", m.user_metadata);
  visit("display_name", m.display_name);
  visit("owner", m.owner);
  visit("statuses", m.statuses);
  visit("limit", m.limit);
  visit("cursor", m.cursor);
}

void members(auto& visit, is<session_reason> auto& m) { visit.required("type", m.type); }

void members(auto& visit, is<session_status> auto& m) {
  visit.required("type", m.type);
  visit("reason", m.reason);
  visit("detail", m.detail);
  visit("message", m.message);
}

void members(auto& visit, is<session_summary> auto& m) {
  visit.required("session_id", m.session_id);
  visit.required("created_at", m.created_at);
  visit("owner", m.owner);
  visit("project_id", m.project_id);
  visit("status", m.status);
  visit("checkpoints_count", m.checkpoints_count);
  visit("display_name", m.display_name);
  visit("user_metadata", m.user_metadata);
  visit("checkpoint_storage_bytes", m.checkpoint_storage_bytes);
}

void members(auto& visit, is<search_sessions_reply> auto& m) {
  visit("sessions", m.sessions);
  visit("next_cursor", m.next_cursor);
}

}  // namespace wire
}  // namespace gradwire::inline v0
