// SPDX-License-Identifier: Apache-2.0
// How rest_client.hpp works, second part: sessions and samplers.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/impl/rest_client.hpp>
#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/messages_search.hpp>

namespace gradwire::inline v0 {

GRADWIRE_DECL future<std::vector<std::string>> rest_client::sessions(page_options which, access_scope scope) {
  return detail::ask<std::vector<std::string>>(
      owner_,
      [which, scope](const auto& call) {
        return detail::get(call, "sessions",
                           "/api/v1/sessions" + detail::query_of(which) + detail::scope_of(scope, '&'));
      },
      [](const operation_result& result, const auto&) {
        return wire::from_json<wire::sessions_reply>(result.body).sessions;
      });
}

GRADWIRE_DECL future<session_description> rest_client::session(const std::string& id, access_scope scope) {
  return detail::ask<session_description>(
      owner_,
      [id, scope](const auto& call) {
        return detail::get(call, "session", "/api/v1/sessions/" + wire::url_segment(id) + detail::scope_of(scope, '?'));
      },
      [](const operation_result& result, const auto&) {
        auto reply = wire::from_json<wire::session_info_reply>(result.body);
        return session_description{std::move(reply.training_run_ids), std::move(reply.sampler_ids),
                                   reply.user_metadata.value_or(metadata{}), reply.display_name.value_or("")};
      });
}

GRADWIRE_DECL future<completed> rest_client::assign_session_project(const std::string& id,
                                                                    const std::string& project_id) {
  return detail::ask<completed>(
      owner_,
      [id, project_id](const auto& call) {
        auto record = call.record("assign_session_project", "/api/v1/sessions/" + wire::url_segment(id) + "/project",
                                  wire::to_json(wire::assign_project_request{project_id}), effect::reads);
        record.method = "PUT";
        record.any_reply = true;
        return record;
      },
      [](const operation_result& result, const auto&) { return detail::read_change(result); });
}

GRADWIRE_DECL future<sampler_description> rest_client::sampler(const std::string& id) {
  return detail::ask<sampler_description>(
      owner_,
      [id](const auto& call) { return detail::get(call, "sampler", "/api/v1/samplers/" + wire::url_segment(id)); },
      [](const operation_result& result, const auto&) {
        auto reply = wire::from_json<wire::sampler_info_reply>(result.body);
        return sampler_description{reply.sampler_id, reply.base_model, reply.model_path.value_or("")};
      });
}

}  // namespace gradwire::inline v0
