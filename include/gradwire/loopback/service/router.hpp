// SPDX-License-Identifier: Apache-2.0
// From a request to the function that answers it: the token, the route, the errors.
#pragma once

#include <zstd.h>

#include <gradwire/loopback/service/access_api.hpp>
#include <gradwire/loopback/service/checkpoint_api.hpp>
#include <gradwire/loopback/service/sampling_api.hpp>
#include <gradwire/loopback/service/search_api.hpp>
#include <gradwire/loopback/service/training_api.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// Answers now, or keeps the poll until the future is finished or the time is over.
inline void retrieve_future(service& it, call& request) {
  const auto given = parse<wire::retrieve_future_request>(request);
  const bool protobuf = wire::is_protobuf(request.request.header("Accept"));
  const std::uint64_t poll = it.futures.retrieve(given.request_id, protobuf, std::move(request.respond));
  if (poll == 0) return;
  it.http.load()->post_after(it.options.hold_seconds, [&it, id = given.request_id, poll] {
    wire::json_writer out;
    out.begin_object();
    out.key("type").string("try_again");
    out.key("request_id").string(id);
    out.key("queue_state").string("active");
    out.key("detail").string("Timeout waiting for result");
    out.end_object();
    it.futures.give_up(id, poll, json_reply(std::move(out).take(), it.options.try_again ? 200 : 408));
  });
}

inline http_response cancel_future(service&, call& request) {
  parse<wire::retrieve_future_request>(request);
  return json_reply("{}");  // what was begun is finished: the model's state depends on it
}

inline http_response debug_counters(service& it, call&) {
  if (!it.options.debug) throw refusal{404, "Not Found"};
  wire::json_writer out;
  out.begin_object();
  for (std::size_t i = 0; i < it.executed.size(); ++i) out.key(counter_names[i]).integer(it.executed[i]);
  out.end_object();
  return json_reply(std::move(out).take());
}

struct route {
  std::string_view method;
  std::string_view path;                               // after /api/v1/; a * is one segment
  http_response (*answer)(service&, call&) = nullptr;  // nullptr: …
  void (*answer_later)(service&, call&) = nullptr;     // … this one, which may keep the call
};

inline constexpr route routes[] = {
    {"GET", "healthz", health},
    {"GET", "get_server_capabilities", capabilities},
    {"POST", "client/config", client_config},
    {"POST", "client/dynamic_config", dynamic_config},
    {"POST", "telemetry", telemetry},
    {"POST", "create_session", create_session},
    {"POST", "session_heartbeat", heartbeat},
    {"POST", "sessions/*/finish", finish_session},
    {"POST", "sessions/search", search_sessions},
    {"PUT", "sessions/*/project", assign_session_project},
    {"GET", "sessions", list_sessions},
    {"GET", "sessions/*", get_session},
    {"POST", "create_model", create_model},
    {"POST", "unload_model", unload_model},
    {"POST", "get_info", get_info},
    {"POST", "forward", forward_backward},
    {"POST", "forward_backward", forward_backward},
    {"POST", "optim_step", optim_step},
    {"POST", "save_weights", save_weights},
    {"POST", "save_weights_for_sampler", save_weights_for_sampler},
    {"POST", "load_weights", load_weights},
    {"POST", "weights_info", weights_info},
    {"POST", "create_sampling_session", create_sampling_session},
    {"POST", "asample", sample},
    {"POST", "retrieve_future", nullptr, retrieve_future},
    {"POST", "retrieve_futures", nullptr, retrieve_futures},
    {"POST", "join_sampling_session", join_sampling_session},
    {"POST", "cancel_future", cancel_future},
    {"GET", "samplers/*", get_sampler},
    {"GET", "training_runs", list_training_runs},
    {"GET", "training_runs/*", get_training_run},
    {"GET", "training_runs/*/checkpoints", list_run_checkpoints},
    {"DELETE", "training_runs/*/checkpoints/*/*", delete_checkpoint},
    {"POST", "training_runs/*/checkpoints/*/*/publish", publish_checkpoint},
    {"DELETE", "training_runs/*/checkpoints/*/*/publish", unpublish_checkpoint},
    {"PUT", "training_runs/*/checkpoints/*/*/ttl", set_checkpoint_ttl},
    {"GET", "training_runs/*/checkpoints/*/*/archive", checkpoint_archive},
    {"GET", "training_runs/*/checkpoints/*/*/external_weights_urls", external_weights_urls},
    {"GET", "downloads/*/*", fetch_download},
    {"POST", "save_weights_external", save_weights_external},
    {"POST", "copy_weights", copy_weights},
    {"POST", "create_custom_loss", create_custom_loss},
    {"GET", "checkpoints", list_checkpoints},
    {"GET", "debug/counters", debug_counters},
};

// "%3A" -> ":"; text that is no escape stays as it is.
inline std::string percent_decoded(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
  };
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      decoded += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

// Whether the path is the pattern's, and what its * stand for.
inline bool matches(std::string_view pattern, std::string_view path, std::vector<std::string>& arguments) {
  arguments.clear();
  for (;;) {
    const auto end = pattern.find('/');
    const auto stop = path.find('/');
    const auto part = path.substr(0, stop);
    if (pattern.substr(0, end) == "*") {
      if (part.empty()) return false;
      arguments.push_back(percent_decoded(part));
    } else if (pattern.substr(0, end) != part) {
      return false;
    }
    if ((end == pattern.npos) != (stop == path.npos)) return false;
    if (end == pattern.npos) return true;
    pattern.remove_prefix(end + 1);
    path.remove_prefix(stop + 1);
  }
}

// Takes as long for a token that is wrong in its first character as for one that is wrong in its last.
inline bool same_token(std::string_view given, std::string_view expected) noexcept {
  unsigned difference = given.size() == expected.size() ? 0 : 1;
  for (std::size_t i = 0; i < expected.size(); ++i)
    difference |=
        static_cast<unsigned char>(i < given.size() ? given[i] : '\0') ^ static_cast<unsigned char>(expected[i]);
  return difference == 0;
}

inline void check_token(const service& it, const http_request& request) {
  std::string_view given = request.header("X-API-Key");
  constexpr std::string_view bearer = "Bearer ";
  if (given.empty() && request.header("Authorization").substr(0, bearer.size()) == bearer)
    given = request.header("Authorization").substr(bearer.size());
  if (given.empty()) throw refusal{401, "Missing API key"};
  if (!same_token(given, it.options.token)) throw refusal{403, "Invalid API key"};
}

// Before the body of a request is read: what has no right to be here takes no memory either. The tickets of downloads
// are secrets themselves.
inline std::optional<http_response> refuse_stranger(const service& it, const http_request& head) {
  const std::string_view target = head.target;
  const bool is_for_all =
      head.method == "GET" && (target == "/api/v1/healthz" || target.starts_with("/api/v1/downloads/"));
  try {
    if (!is_for_all) check_token(it, head);
    return std::nullopt;
  } catch (const refusal& refused) {
    return detail_reply(refused.status, refused.sentence);
  }
}

inline std::string unpacked(std::string_view body, std::size_t limit) {
  const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  std::string whole;
  std::string block(ZSTD_DStreamOutSize(), '\0');
  ZSTD_inBuffer in{body.data(), body.size(), 0};
  for (std::size_t left = 1; in.pos < in.size || left != 0;) {
    ZSTD_outBuffer out{block.data(), block.size(), 0};
    const std::size_t before = in.pos;
    left = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(left) || (out.pos == 0 && in.pos == before)) throw refusal{422, "the body is not zstd data"};
    if (whole.size() + out.pos > limit)
      throw refusal{413, "the decompressed body is over " + std::to_string(limit) + " bytes"};
    whole.append(block, 0, out.pos);
  }
  return whole;
}

inline void read_encoding(const service& it, http_request& request) {
  const std::string_view encoding = request.header("Content-Encoding");
  if (encoding == "zstd")
    request.body = unpacked(request.body, it.options.body_limit);
  else if (!encoding.empty() && encoding != "identity")
    throw refusal{415, "Content-Encoding may be zstd"};
  const std::string_view type = request.header("Content-Type");
  if (!type.empty() && request.method == "POST" && type.find("application/json") == type.npos &&
      !wire::is_protobuf(type))
    throw refusal{415, "Content-Type must be application/json, or application/x-protobuf for forward_backward"};
}

inline const route* find_route(call& request) {
  std::string_view path = request.request.target;
  path = path.substr(0, path.find('?'));
  constexpr std::string_view prefix = "/api/v1/";
  if (path.substr(0, prefix.size()) != prefix) throw refusal{404, "Not Found"};
  path.remove_prefix(prefix.size());
  bool other_method = false;
  for (const auto& known : routes) {
    if (!matches(known.path, path, request.arguments)) continue;
    if (known.method == request.request.method) return &known;
    other_method = true;
  }
  if (other_method) throw refusal{405, "Method Not Allowed"};
  throw refusal{404, "Not Found"};
}

inline void handle(service& it, call& request) {
  it.http.wait(nullptr);
  const route* found = find_route(request);
  if (found->answer != health && found->answer != fetch_download) check_token(it, request.request);
  read_encoding(it, request.request);
  if (found->answer == nullptr) return found->answer_later(it, request);
  auto reply = found->answer(it, request);
  request.respond(std::move(reply));
  crash_point("answered");
}

// Every way a request can end without an answer of its own ends here.
inline void serve(service& it, http_request request, http_server::responder to) {
  const auto respond = [to = std::move(to), boot_id = it.boot_id](http_response reply) {
    reply.headers.push_back({"X-Trainer-Boot", boot_id});
    to(std::move(reply));
  };
  call given{.request = std::move(request), .arguments = {}, .respond = respond};
  try {
    handle(it, given);
  } catch (const refusal& refused) {
    respond(detail_reply(refused.status, refused.sentence));
  } catch (const wire::validation_error& wrong) {
    respond(validation_reply(wrong.issues()));
  } catch (const error& wrong) {
    const bool unreadable = wrong.kind() == errc::decode;
    const wire::validation_issue issue{{"body"}, unreadable ? "decode_error" : "value_error", wrong.what()};
    respond(unreadable ? validation_reply({&issue, 1}) : detail_reply(400, wrong.what()));
  }
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
