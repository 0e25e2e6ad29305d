// SPDX-License-Identifier: Apache-2.0
// From a request to the function that answers it: the key, the route, the faults, the errors.
#pragma once

#include <algorithm>
#include <iterator>

#include <gradwire/loopback/platform/admin_api.hpp>
#include <gradwire/loopback/platform/completion_api.hpp>
#include <gradwire/loopback/platform/gateway.hpp>
#include <gradwire/loopback/platform/shape_api.hpp>
#include <gradwire/loopback/service/router.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

struct route {
  std::string_view method;
  std::string_view path;                             // a * is one segment without ':', *:verb one that ends in it
  std::string_view operation;                        // its name in faults
  http_response (*answer)(world&, call&) = nullptr;  // nullptr: …
  void (*answer_later)(world&, call&) = nullptr;     // … this one, which keeps the call
};

inline constexpr route routes[] = {
    {"GET", "/v1/accounts", "list_accounts", list_accounts},
    {"GET", "/v1/accounts/*", "get_account", get_account},
    {"GET", "/v1/accounts/*/models", "list_models", list_models},
    {"GET", "/v1/accounts/*/models/*", "get_model", get_model},
    {"GET", "/v1/accounts/*/trainingShapes", "list_shapes", list_shapes},
    {"GET", "/v1/accounts/*/trainingShapes/*", "get_shape", get_shape},
    {"GET", "/v1/accounts/*/trainingShapes/*/versions", "list_shape_versions", list_shape_versions},
    {"GET", "/v1/accounts/*/trainingShapes/*/versions/*", "get_shape_version", get_shape_version},
    {"GET", "/v1/accounts/*/deploymentShapes/*/versions", "list_deployment_shapes", list_deployment_shape_versions},
    {"GET", "/v1/accounts/*/deploymentShapes/*/versions/*", "get_deployment_shape", get_deployment_shape_version},
    {"POST", "/v1/accounts/*/deploymentShapeVersions:match", "match_deployment_shapes", match_deployment_shapes},
    {"POST", "/v1/accounts/*/rlorTrainerJobs", "create_job", create_job},
    {"GET", "/v1/accounts/*/rlorTrainerJobs", "list_jobs", list_jobs},
    {"GET", "/v1/accounts/*/rlorTrainerJobs/*", "get_job", get_job},
    {"DELETE", "/v1/accounts/*/rlorTrainerJobs/*", "delete_job", delete_job},
    {"POST", "/v1/accounts/*/rlorTrainerJobs/*:resume", "resume_job", resume_job},
    {"POST", "/v1/accounts/*/rlorTrainerJobs/*:cancel", "cancel_job", cancel_job},
    {"POST", "/v1/accounts/*/rlorTrainerJobs/*:executeTrainStep", "execute_train_step", execute_train_step},
    {"GET", "/v1/accounts/*/rlorTrainerJobs/*/checkpoints", "list_checkpoints", list_job_checkpoints},
    {"POST", "/v1/accounts/*/checkpoints/*:promote", "promote", promote},
    {"GET", "/v1/accounts/*/operations/*", "get_operation", get_operation},
    {"POST", "/v1/accounts/*/deployments", "create_deployment", create_deployment},
    {"GET", "/v1/accounts/*/deployments", "list_deployments", list_deployments},
    {"GET", "/v1/accounts/*/deployments/*", "get_deployment", get_deployment},
    {"PATCH", "/v1/accounts/*/deployments/*", "update_deployment", update_deployment},
    {"PATCH", "/v1/accounts/*/deployments/*:scale", "scale_deployment", scale_deployment},
    {"DELETE", "/v1/accounts/*/deployments/*", "delete_deployment", delete_deployment},
    {"POST", "/hot_load/v1/models/hot_load", "hot_load", begin_hot_load},
    {"GET", "/hot_load/v1/models/hot_load", "hot_load_status", hot_load_state},
    {"POST", "/inference/v1/completions", "completions", nullptr, complete},
    {"GET", "/gradwire/faults", "", list_faults},
    {"POST", "/gradwire/faults", "", set_fault},
    {"DELETE", "/gradwire/faults", "", clear_faults},
    {"GET", "/gradwire/counts", "", tell_counts},
    {"POST", "/gradwire/clock", "", move_clock},
};
// Faults can name every operation there is, and no other.
static_assert(std::ranges::all_of(known_operations, [](std::string_view each) {
  return std::ranges::count(routes, each, &route::operation) == 1;
}));
static_assert(std::size(known_operations) + std::ranges::count(routes, "", &route::operation) == std::size(routes));

// Whether the path is the pattern's, and what its * stand for.
inline bool is_at(std::string_view pattern, std::string_view path, std::vector<std::string>& arguments) {
  arguments.clear();
  const auto wanted = message::split_path(pattern), given = message::split_path(path);
  if (wanted.size() != given.size()) return false;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!wanted[i].starts_with('*')) {
      if (wanted[i] != given[i]) return false;
      continue;
    }
    std::string value = detail::percent_decoded(given[i]);
    const std::string verb = wanted[i].substr(1);
    if (!value.ends_with(verb)) return false;
    value.resize(value.size() - verb.size());
    if (value.empty() || value.find(':') != value.npos) return false;
    arguments.push_back(std::move(value));
  }
  return true;
}

inline const route& find_route(call& request) {
  bool other_method = false;
  for (const auto& known : routes) {
    if (!is_at(known.path, request.query.path, request.arguments)) continue;
    if (known.method == request.request.method) return known;
    other_method = true;
  }
  if (other_method) throw refusal{405, "UNIMPLEMENTED", "Method Not Allowed", {}, {}};
  throw not_found("Not Found");
}

inline std::string_view key_of(const http_request& request) {
  constexpr std::string_view bearer = "Bearer ";
  const std::string_view key = request.header("X-API-Key");
  const std::string_view other = request.header("Authorization");
  return key.empty() && other.starts_with(bearer) ? other.substr(bearer.size()) : key;
}

// Before the body of a request is read: what has no right to be here takes no memory either.
inline std::optional<http_response> refuse_stranger(const world& it, const http_request& head) {
  const std::string_view key = key_of(head);
  if (key.empty()) return reply({401, "UNAUTHENTICATED", "the request has no API key", {}, {}});
  if (detail::same_token(key, it.options.token)) return std::nullopt;
  const bool samples_only = !it.options.inference_token.empty() && detail::same_token(key, it.options.inference_token);
  if (samples_only && head.target.starts_with("/inference/")) return std::nullopt;
  return reply({401,
                "UNAUTHENTICATED",
                samples_only ? "this key is for inference only; training takes a key with the scope for it"
                             : "the API key is not known",
                {},
                {}});
}

inline void check_body(const http_request& request) {
  const std::string_view type = request.header("Content-Type"), coding = request.header("Content-Encoding");
  const bool json = type.empty() || type.find("application/json") != type.npos;
  if ((!json || (!coding.empty() && coding != "identity")) && !request.body.empty())
    throw refusal{415, "INVALID_ARGUMENT", "the body must be application/json, without a Content-Encoding", {}, {}};
}

// The answer that goes out: the operation's own, or what a fault has made of it.
inline http_server::responder losing(http_server::responder respond, int status) {
  return [respond = std::move(respond), status](const http_response&) {
    respond(reply({status, std::string(code_of(status)), "the connection to the platform broke", {}, {}}));
  };
}

inline void handle(world& it, call& request, const http_server::responder& respond) {
  const route& found = find_route(request);
  check_body(request.request);
  if (!found.operation.empty())
    if (const auto struck = it.faults.strikes("refuse", found.operation)) {
      refusal refused{struck->status, std::string(code_of(struck->status)), "the platform is not well", {}, {}};
      if (!struck->retry_after.empty()) refused.headers.push_back({"Retry-After", struck->retry_after});
      throw refused;
    }
  if (found.operation == "get_job" && it.faults.happens("job_vanishes")) throw not_found("there is no such job");
  request.respond = respond;
  if (const auto lost = it.faults.strikes("lose_reply", found.operation))
    request.respond = losing(respond, lost->status);
  if (found.answer == nullptr) return found.answer_later(it, request);
  auto made = found.answer(it, request);
  request.respond(std::move(made));
}

// Every way a request can end without an answer of its own ends here.
inline void serve(world& it, http_request request, const http_server::responder& respond) {
  if (it.closing) return respond(reply(unavailable("the platform is going away")));
  it.requests.add(request);
  if (serve_trainer(it, request, respond)) return;
  call given{.request = std::move(request)};
  given.query = message::split_target(given.request.target);
  const bool inference = given.query.path.starts_with("/inference/");
  const auto refuse = [&](const refusal& refused) { respond(inference ? inference_reply(refused) : reply(refused)); };
  try {
    handle(it, given, respond);
  } catch (const refusal& refused) {
    refuse(refused);
  } catch (const detail::refusal& refused) {
    refuse({refused.status, std::string(code_of(refused.status)), refused.sentence, {}, {}});
  } catch (const error& wrong) {
    const int status = wrong.details().http_status == 507 ? 507 : 400;
    refuse({status, status == 507 ? "RESOURCE_EXHAUSTED" : "INVALID_ARGUMENT", wrong.what(), {}, {}});
  } catch (const std::filesystem::filesystem_error& wrong) {
    const bool full = wrong.code() == std::errc::no_space_on_device || wrong.code() == std::errc::file_too_large;
    refuse({full ? 507 : 500,
            full ? "RESOURCE_EXHAUSTED" : "INTERNAL",
            "the platform's folder cannot be written: " + wrong.code().message(),
            {},
            {}});
  }
}

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
