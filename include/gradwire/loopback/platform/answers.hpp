// SPDX-License-Identifier: Apache-2.0
// What the platform answers: messages as JSON, errors as google.rpc.Status, those of inference in the manner of the
// completions API.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/loopback/service/reply.hpp>
#include <gradwire/wire/platform_json.hpp>
#include <gradwire/wire/platform_status.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

namespace message = wire::platform;

// Thrown anywhere below a request's handler; becomes the answer.
struct refusal {
  int http_status = 400;
  std::string code = "INVALID_ARGUMENT";
  std::string sentence{};
  std::vector<message::status_detail> details{};
  std::vector<http_header> headers{};
};

inline refusal invalid(std::string sentence) { return {400, "INVALID_ARGUMENT", std::move(sentence), {}, {}}; }
inline refusal not_now(std::string sentence) { return {400, "FAILED_PRECONDITION", std::move(sentence), {}, {}}; }
inline refusal not_found(std::string sentence) { return {404, "NOT_FOUND", std::move(sentence), {}, {}}; }
inline refusal exists(std::string sentence) { return {409, "ALREADY_EXISTS", std::move(sentence), {}, {}}; }
inline refusal unavailable(std::string sentence) { return {503, "UNAVAILABLE", std::move(sentence), {}, {}}; }

inline refusal over_quota(std::string sentence, std::int64_t required, std::int64_t available) {
  message::status_detail detail{.type = std::string(message::error_info_type),
                                .reason = "QUOTA_EXCEEDED",
                                .domain = "training.fireworks.ai",
                                .metadata = {{"version", "1"},
                                             {"source", "lifecycle"},
                                             {"quota_required", std::to_string(required)},
                                             {"quota_available", std::to_string(available)}}};
  return {429, "RESOURCE_EXHAUSTED", std::move(sentence), {std::move(detail)}, {}};
}

inline std::string_view code_of(int http_status) {
  switch (http_status) {
    case 400:
      return "INVALID_ARGUMENT";
    case 401:
      return "UNAUTHENTICATED";
    case 403:
      return "PERMISSION_DENIED";
    case 404:
      return "NOT_FOUND";
    case 408:
    case 504:
      return "DEADLINE_EXCEEDED";
    case 409:
      return "ALREADY_EXISTS";
    case 429:
      return "RESOURCE_EXHAUSTED";
    case 501:
      return "UNIMPLEMENTED";
    case 502:
    case 503:
      return "UNAVAILABLE";
    default:
      return "INTERNAL";
  }
}

inline http_response reply(const refusal& refused) {
  message::error_reply body{{{refused.code}, refused.sentence, refused.details}};
  http_response made = detail::json_reply(message::to_json(body), refused.http_status);
  for (const auto& header : refused.headers) made.headers.push_back(header);
  return made;
}

// {"error": {"message": …, "type": …, "code": …}}
inline http_response inference_reply(const refusal& refused) {
  const bool mine = refused.http_status >= 400 && refused.http_status < 500;
  wire::json_writer out;
  out.begin_object();
  out.key("error").begin_object();
  out.key("object").string("error");
  out.key("type").string(mine ? "invalid_request_error" : "server_error");
  out.key("code").string(refused.code);
  out.key("message").string(refused.sentence);
  out.end_object();
  out.end_object();
  http_response made = detail::json_reply(std::move(out).take(), refused.http_status);
  for (const auto& header : refused.headers) made.headers.push_back(header);
  return made;
}

template <class Message>
http_response answer(const Message& message) {
  return detail::json_reply(message::to_json(message));
}

inline http_response empty_answer() { return detail::json_reply("{}"); }

// `object`, which is JSON text of an object, with one member more.
inline std::string with_member(std::string object, std::string_view member) {
  object.pop_back();
  object += (object.size() > 1 ? "," : "") + std::string(member) + "}";
  return object;
}

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
