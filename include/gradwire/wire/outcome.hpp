// SPDX-License-Identifier: Apache-2.0
// Reads what a server answered: a future that is pending, failed, finished with a result in either encoding, or
// finished without a body; and the sentence in an error reply of any shape.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/protobuf.hpp>

namespace gradwire::inline v0 {
namespace wire {

constexpr bool is_protobuf(std::string_view content_type) noexcept {
  return content_type.find("application/x-protobuf") != std::string_view::npos ||
         content_type.find("application/protobuf") != std::string_view::npos;
}

namespace detail {

template <class M>
concept has_protobuf = requires(protozero::pbf_reader in, M& message) {
  read(in, message);
};

inline bool is_blank(std::string_view body) noexcept {
  for (const char c : body)
    if (!is_space(c)) return false;
  return true;
}

inline void read_queue(const json_reader& in, std::string& state, std::string& reason) {
  json_object_reader visit(in);
  visit("queue_state", state);
  visit("queue_state_reason", reason);
}

// `error` is text or an object with message and code; `detail` is text or a validation list.
inline void read_error(const json_reader& in, error_body& found) {
  const auto text = [](std::string& to) { return [&to](const json_reader& member) { to = member.text(); }; };
  in.member("message", text(found.message));
  in.member("category", text(found.code));
  in.member("error", [&](const json_reader& member) {
    if (member.kind() == json_kind::string) return void(found.message = member.text());
    member.member("message", text(found.message));
    for (const char* name : {"type", "code"}) member.member(name, text(found.code));
  });
  in.member("detail", [&](const json_reader& member) {
    if (member.kind() == json_kind::string) return void(found.message = member.text());
    std::string sentences;
    member.each([&](const json_reader& item) {
      validation_issue issue;
      item.member("type", text(issue.type));
      item.member("msg", text(issue.msg));
      item.member("loc", [&](const json_reader& loc) {
        loc.each([&](const json_reader& part) { issue.loc.emplace_back(part.text()); });
      });
      sentences += (sentences.empty() ? "" : "; ") + validation_error::place(issue) + ": " + issue.msg;
      found.issues.push_back(std::move(issue));
    });
    if (!sentences.empty()) found.message = std::move(sentences);
  });
  read_queue(in, found.queue_state, found.queue_state_reason);
}

}  // namespace detail

// Of any non-2xx reply. Never throws over the body: what is no JSON is shown as it is, shortened.
inline error_body read_error_body(std::string_view body) {
  error_body found;
  try {
    const json_document document(body);
    std::vector<validation_issue> ignored;
    detail::read_error(json_reader(document, ignored), found);
  } catch (const error&) {
    found = {};
  }
  constexpr std::size_t enough = 500;
  if (found.message.empty()) found.message = body.substr(0, enough);
  if (found.message.size() > enough) found.message.resize(enough);
  return found;
}

// Of a 2xx reply to retrieve_future. Throws errc::decode when the body is neither.
template <class Result>
outcome<Result> read_outcome(std::string_view content_type, std::string_view body) {
  outcome<Result> found;
  if (is_protobuf(content_type)) {
    if constexpr (detail::has_protobuf<Result>) {
      found.kind = outcome_kind::result;
      found.result = from_protobuf<Result>(body);
      return found;
    } else {
      throw error(errc::protocol, "the server answered protobuf where only JSON is known");
    }
  }
  if (detail::is_blank(body)) return found;
  const json_document document(body);
  std::vector<validation_issue> issues;
  const json_reader in(document, issues);
  if (in.is_null()) return found;
  std::string type, status;
  in.member("type", [&](const json_reader& member) { type = member.text(); });
  in.member("status", [&](const json_reader& member) { status = member.text(); });
  if (type == "try_again" || status == "complete_metadata") {
    found.kind = outcome_kind::pending;
    detail::read_queue(in, found.pending.queue_state, found.pending.queue_state_reason);
  } else if (in.has("error")) {
    error_body problem;
    detail::read_error(in, problem);
    found.kind = outcome_kind::failed;
    found.failure = {std::move(problem.message), std::move(problem.code)};
  } else {
    found.kind = outcome_kind::result;
    found.result = from_json<Result>(document);
  }
  return found;
}

}  // namespace wire
}  // namespace gradwire::inline v0
