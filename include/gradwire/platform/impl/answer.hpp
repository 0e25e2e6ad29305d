// SPDX-License-Identifier: Apache-2.0
// What the platform is asked, what it answered, and the sentence for a no: what was done, to what, how often and for how
// long, why not, and the way out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/platform/impl/client_core.hpp>
#include <gradwire/platform/refusal.hpp>
#include <gradwire/transport/impl/reply_head.hpp>
#include <gradwire/transport/operation.hpp>
#include <gradwire/wire/platform_status.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

struct question {
  std::string name{};     // "create trainer job"
  std::string subject{};  // "grpo-1"; "": none
  std::string method = "GET";
  std::string target{};  // path and query behind the address
  std::string body{};
  gradwire::effect effect = gradwire::effect::reads;
  std::shared_ptr<const http_peer> to{};  // nullptr: the control plane
  std::vector<http_header> headers{};
  double attempt_seconds = 30;
  std::size_t reply_limit = std::size_t{64} << 20;
  std::vector<int> also{};  // statuses that are answers and not errors
  std::vector<std::pair<int, std::string>> ways_out{};
  std::string way_out_unknown{};  // what to do when nobody knows whether it was done
};

struct answer {
  int status = 200;
  std::string body{};
  int attempts = 0;
  double elapsed_seconds = 0;
  bool maybe_earlier = false;  // an attempt before this one may have been executed
};

inline std::string advice(const question& asked) {
  return asked.way_out_unknown.empty() ? "Look at what is there before you repeat it" : asked.way_out_unknown;
}

// A key may stand in what a server says.
inline std::string scrubbed(const client_core& core, std::string text) { return core.api->scrubbed(std::move(text)); }

inline std::string heading(const question& asked, int attempts, double elapsed) {
  return asked.name + (asked.subject.empty() ? "" : " " + v0::detail::printable(asked.subject, 200)) + " (" +
         std::to_string(attempts) + (attempts == 1 ? " attempt, " : " attempts, ") + v0::detail::seconds_text(elapsed) +
         "): ";
}

inline std::string way_out(const client_core& core, const question& asked, int status) {
  for (const auto& [code, text] : asked.ways_out)
    if (code == status) return text;
  switch (status) {
    case 400:
      return "check the names and values that were given";
    case 401:
      return "check the key: it must be one that may train, a key for inference alone is not taken; it was " +
             (core.api->key.empty() ? "not given" : core.api->key.where());
    case 403:
      return "the key's account may not use it; ask who owns it, or take another key";
    case 404:
      return "it is not there, or this key may not see it; check its name";
    case 409:
      return "it is there already, or in a state that does not allow this; look at it first";
    case 429:
      return "wait until something of yours ends, take a smaller shape, or ask for more quota";
    default:
      return status >= 500 ? "the platform is in trouble; try again later" : "";
  }
}

[[noreturn]] inline void throw_refusal(const client_core& core, const question& asked, int status,
                                       std::string_view body, int attempts, double elapsed) {
  const auto said = wire::platform::read_status(body);
  std::string text = heading(asked, attempts, elapsed) + "the platform answered " + std::to_string(status);
  const std::string message = v0::detail::printable(said.message, 500);
  if (!message.empty()) text += ": " + message;
  std::string beside = said.code.name;
  const auto add = [&](const std::string& more) { beside += (beside.empty() ? "" : ", ") + more; };
  const std::string reason = wire::platform::reason_of(said);
  if (!reason.empty()) add("reason " + reason);
  const std::string required = wire::platform::metadata_of(said, "quota_required");
  const std::string available = wire::platform::metadata_of(said, "quota_available");
  if (!required.empty()) add("required " + required);
  if (!available.empty()) add("available " + available);
  if (!beside.empty()) text += " (" + v0::detail::printable(beside, 200) + ")";
  std::string way = way_out(core, asked, status);
  if (!way.empty()) {
    if (way[0] >= 'a' && way[0] <= 'z') way[0] = static_cast<char>(way[0] - 'a' + 'A');
    text += ". " + way;
  }
  error_details details;
  details.operation = asked.name;
  details.attempts = attempts;
  details.elapsed_seconds = elapsed;
  details.http_status = status;
  details.value = asked.subject;
  wire::platform::text_map metadata;
  for (const auto& each : said.details)
    for (const auto& [key, value] : each.metadata) metadata.emplace_back(key, scrubbed(core, value));
  throw refusal(scrubbed(core, std::move(text)), std::move(details), scrubbed(core, said.code.name),
                scrubbed(core, reason), std::move(metadata));
}

// What a machine's failure means here; its own sentences speak of a trainer.
[[noreturn]] inline void throw_failure(const client_core& core, const question& asked, const operation& machine,
                                       std::string_view reply_body) {
  const error& told = *machine.failure();
  const error_details& known = told.details();
  const bool last_said_no = told.kind() == errc::status || told.kind() == errc::timeout;  // a no that never changed
  if (last_said_no && known.http_status >= 400)
    throw_refusal(core, asked, known.http_status, reply_body, known.attempts, known.elapsed_seconds);
  std::string text = heading(asked, known.attempts, known.elapsed_seconds);
  const std::string last = v0::detail::printable(machine.last_trouble(), 500);
  const std::string cause = last.empty() ? "" : ": " + last;
  switch (told.kind()) {
    case errc::outcome_unknown:
      text += "the platform may or may not have done it (" + last + "); it is not sent again. " + advice(asked);
      break;
    case errc::transport:
      text += "the platform cannot be reached at " + core.api->address.text() + cause +
              ". Check the address and the network";
      break;
    case errc::timeout:
      text += "the limit of " + v0::detail::seconds_text(machine.record().time_limit_seconds) + " passed; last" + cause;
      break;
    default: {
      std::string theirs = told.what();
      const auto at = theirs.find("): ");  // behind the machine's own heading
      theirs = at == std::string::npos ? theirs : theirs.substr(at + 3);
      for (std::size_t from = 0; (from = theirs.find("the trainer", from)) != std::string::npos; from += 12)
        theirs.replace(from, 11, "the platform");
      text += theirs;
    }
  }
  error_details details = known;
  details.operation = asked.name;
  details.value = asked.subject;
  throw error(told.kind(), scrubbed(core, std::move(text)), std::move(details));
}

// A 429 that says what is missing will not pass by waiting a few seconds; one without is a request too many.
inline bool is_quota(const http_response& reply) {
  if (reply.status != 429 || !reply.header("Retry-After").empty()) return false;
  const auto said = wire::platform::read_status(reply.body);
  return !wire::platform::metadata_of(said, "quota_required").empty() ||
         v0::detail::has_word(wire::platform::reason_of(said), "quota") || v0::detail::has_word(said.message, "quota");
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
