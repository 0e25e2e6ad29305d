// SPDX-License-Identifier: Apache-2.0
// Answers in the shapes of the field's servers: {"detail": "sentence"}, {"detail": [{type, loc, msg, input}, …]}.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/transport/http_message.hpp>
#include <gradwire/wire/json_codec.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// Thrown anywhere below a request's handler, or by an operation; becomes the answer, or the future's failure.
struct refusal {
  int status = 400;
  std::string sentence{};
};

inline http_response json_reply(std::string body, int status = 200) {
  return {status, {{"Content-Type", "application/json"}}, std::move(body)};
}

template <class Message>
http_response message_reply(const Message& message) {
  return json_reply(wire::to_json(message, wire::nonfinite::null));
}

inline http_response detail_reply(int status, std::string_view sentence) {
  wire::json_writer out;
  out.begin_object();
  out.key("detail").string(sentence);
  out.end_object();
  return json_reply(std::move(out).take(), status);
}

inline http_response validation_reply(std::span<const wire::validation_issue> issues) {
  wire::json_writer out;
  out.begin_object();
  out.key("detail").begin_array();
  for (const auto& issue : issues) {
    out.begin_object();
    out.key("type").string(issue.type);
    out.key("loc").begin_array();
    for (const auto& part : issue.loc) {
      std::int64_t index = 0;
      const auto [end, problem] = std::from_chars(part.data(), part.data() + part.size(), index);
      if (problem == std::errc() && end == part.data() + part.size())
        out.integer(index);
      else
        out.string(part);
    }
    out.end_array();
    out.key("msg").string(issue.msg);
    out.key("input").null();  // the request is not echoed: it may be large, and it is the user's
    out.end_object();
  }
  out.end_array();
  out.end_object();
  return json_reply(std::move(out).take(), 422);
}

// One issue at "body" + place.
[[noreturn]] inline void invalid(std::vector<std::string> place, std::string type, std::string message) {
  place.insert(place.begin(), "body");
  throw wire::validation_error({{std::move(place), std::move(type), std::move(message)}});
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
