// SPDX-License-Identifier: Apache-2.0
// Searching for sessions.
#pragma once

#include <algorithm>
#include <tuple>

#include <gradwire/loopback/service/session_api.hpp>
#include <gradwire/wire/messages_search.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// Each word of `wanted` somewhere in `name`, in whatever case.
inline bool has_words(std::string_view name, std::string_view wanted) {
  const auto lower = [](std::string_view text) {
    std::string made(text);
    for (char& c : made) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return made;
  };
  const std::string in = lower(name), words = lower(wanted);
  for (std::size_t begin = 0; begin < words.size();) {
    const std::size_t end = std::min(words.find(' ', begin), words.size());
    if (in.find(words.substr(begin, end - begin)) == in.npos) return false;
    begin = end + 1;
  }
  return true;
}

inline bool is_wanted(const session_entry& entry, const wire::search_sessions_request& query) {
  if (query.session_id || query.display_name) {
    const bool by_id = query.session_id && *query.session_id == entry.id;
    const bool by_name = query.display_name && has_words(entry.display_name, *query.display_name);
    if (!by_id && !by_name) return false;
  }
  for (const auto& pair : query.user_metadata)
    if (std::find(entry.user_metadata.begin(), entry.user_metadata.end(), pair) == entry.user_metadata.end())
      return false;
  if (query.owner.type == "user") return false;  // whoever has the token is the only one here, without a URN
  if (query.project_ids &&
      std::find(query.project_ids->begin(), query.project_ids->end(), entry.project_id) == query.project_ids->end())
    return false;
  if (!query.statuses) return true;
  return std::any_of(query.statuses->begin(), query.statuses->end(), [&](const wire::session_status_query& status) {
    if (status.type != (entry.finished ? "client_finished" : "active")) return false;
    return !status.reasons || !entry.finished ||
           std::find(status.reasons->begin(), status.reasons->end(), entry.finish_reason) != status.reasons->end();
  });
}

// A project is whatever a session is said to belong to.
inline http_response assign_session_project(service& it, call& request) {
  const auto given = parse<wire::assign_project_request>(request);
  const auto found = it.sessions.find(request.arguments.at(0));
  if (found == it.sessions.end()) throw refusal{404, "Session not found"};
  found->second.project_id = given.project_id;
  return {204, {}, {}};
}

inline http_response search_sessions(service& it, call& request) {
  const auto query = parse<wire::search_sessions_request>(request);
  if (query.limit < 1 || query.limit > 200) invalid({"limit"}, "value_error", "must be 1 to 200");
  std::vector<const session_entry*> found;
  for (const auto& [id, entry] : it.sessions) {
    const bool earlier = !query.cursor || std::tie(entry.created_at, entry.id) <
                                              std::tie(query.cursor->last_created_at, query.cursor->last_session_id);
    if (earlier && is_wanted(entry, query)) found.push_back(&entry);
  }
  std::sort(found.begin(), found.end(), [](const auto* a, const auto* b) {
    return std::tie(b->created_at, b->id) < std::tie(a->created_at, a->id);
  });
  wire::search_sessions_reply reply;
  const std::size_t page = static_cast<std::size_t>(query.limit);
  if (found.size() > page) {
    found.resize(page);
    reply.next_cursor = {found.back()->created_at, found.back()->id};
  }
  for (const session_entry* each : found) {
    wire::session_summary row{
        .session_id = each->id, .created_at = each->created_at, .owner = "local", .project_id = each->project_id};
    row.status = wire::session_status{.type = each->finished ? "client_finished" : "active"};
    if (each->finished) row.status->reason = wire::session_reason{each->finish_reason};
    for (const auto& [name, model] : it.models)
      if (model->session_id == each->id) row.checkpoints_count += static_cast<std::int64_t>(it.store.list(name).size());
    if (!each->display_name.empty()) row.display_name = each->display_name;
    if (!each->user_metadata.empty()) row.user_metadata = each->user_metadata;
    reply.sessions.push_back(std::move(row));
  }
  return message_reply(reply);
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
