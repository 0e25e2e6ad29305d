// SPDX-License-Identifier: Apache-2.0
// How rest_client searches for sessions: page after page.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include <gradwire/trainer/impl/service_call.hpp>
#include <gradwire/trainer/rest_client.hpp>
#include <gradwire/wire/messages_search.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline wire::search_sessions_request search_request(const session_search& which) {
  if (which.limit < 1 || which.limit > 200)
    throw error(errc::config, "search_sessions: a page has 1 to 200 sessions; given is " + std::to_string(which.limit));
  wire::search_sessions_request body;
  if (!which.id.empty()) body.session_id = which.id;
  if (!which.display_name.empty()) body.display_name = which.display_name;
  if (!which.project_ids.empty()) body.project_ids = which.project_ids;
  body.user_metadata = which.user_metadata;
  body.owner.type = which.of_everybody ? "accessible" : which.owner_urns.empty() ? "own" : "user";
  if (!which.of_everybody) body.owner.owner_urns = which.owner_urns;
  for (const std::string& status : which.statuses) {
    if (!body.statuses) body.statuses.emplace();
    body.statuses->push_back({.type = status});
  }
  body.limit = which.limit;
  return body;
}

inline found_session describe(wire::session_summary&& from) {
  found_session made{.id = std::move(from.session_id),
                     .created_at = std::move(from.created_at),
                     .owner = std::move(from.owner),
                     .project_id = std::move(from.project_id),
                     .checkpoints = from.checkpoints_count,
                     .display_name = from.display_name.value_or(""),
                     .user_metadata = from.user_metadata.value_or(metadata{})};
  if (from.status) made.status = from.status->type;
  if (from.status && from.status->reason) made.finish_reason = from.status->reason->type;
  return made;
}

using search_call = std::shared_ptr<service_call<std::vector<found_session>>>;

inline void search_page(const search_call& call, wire::search_sessions_request body, std::size_t most,
                        std::shared_ptr<std::vector<found_session>> found) {
  auto record = call->record("search_sessions", "/api/v1/sessions/search", wire::to_json(body), effect::reads);
  record.has_future = false;
  record.result_limit = std::size_t{64} << 20;
  run_for(call, std::move(record), [call, body, most, found](const operation_result& result) {
    auto reply = wire::from_json<wire::search_sessions_reply>(result.body);
    for (auto& each : reply.sessions)
      if (found->size() < most) found->push_back(describe(std::move(each)));
    const bool goes_on = reply.next_cursor && !reply.sessions.empty() && found->size() < most;
    if (!goes_on) return call->finish([&](const session_owner&) { return std::move(*found); });
    auto next = body;
    next.cursor = std::move(reply.next_cursor);
    search_page(call, std::move(next), most, found);
  });
}

}  // namespace detail

GRADWIRE_DECL future<std::vector<found_session>> rest_client::search_sessions(const session_search& which,
                                                                              std::size_t most) {
  return detail::begin_service_call<std::vector<found_session>>(owner_, [which, most](const auto& call) {
    detail::search_page(call, detail::search_request(which), most, std::make_shared<std::vector<found_session>>());
  });
}

}  // namespace gradwire::inline v0
