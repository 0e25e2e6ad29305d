// SPDX-License-Identifier: Apache-2.0
// One request to the platform: the operation machine says what to send and when, this carries it out.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <gradwire/platform/impl/answer.hpp>
#include <gradwire/platform/impl/flow.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/platform.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

// What a call that ends early tells while this stands; what a step around it has set stays.
class early_end {
 public:
  early_end(flow& f, std::function<std::exception_ptr(const char*)> text) : of_(f), is_mine_(!f.cancel_text) {
    if (is_mine_) of_.cancel_text = std::move(text);
  }
  ~early_end() {
    if (is_mine_) of_.cancel_text = nullptr;
  }
  early_end(const early_end&) = delete;
  early_end& operator=(const early_end&) = delete;

 private:
  flow& of_;
  const bool is_mine_;
};

inline std::string named(const question& asked) {
  return asked.name + (asked.subject.empty() ? "" : " " + asked.subject);
}

inline std::exception_ptr cut_off(const question& asked, errc kind, const std::string& how) {
  const bool unknown = kind == errc::outcome_unknown;
  return std::make_exception_ptr(error(
      kind,
      named(asked) + ": " + how + (unknown ? "; the platform may or may not have done it. " + advice(asked) : "")));
}

// In a handler of `no`: what is said to a later attempt, or found after it, says nothing of one whose answer was lost.
[[noreturn]] inline void throw_unknown(const question& asked, const error& no, const std::string& way_out) {
  if (no.kind() == errc::outcome_unknown) throw;
  throw error(errc::outcome_unknown,
              v0::detail::sentence_of(no.what()) + ". An earlier attempt to " + named(asked) +
                  " was not answered, and may have been carried out. " + way_out,
              no.details());
}

inline operation_record record_of(const flow& f, const question& asked, const http_peer& to) {
  operation_record record;
  record.name = asked.name;
  record.method = asked.method;
  record.target = to.address.prefix + asked.target;
  record.body = asked.body;
  record.effect = asked.effect;
  record.has_future = false;
  record.any_reply = true;  // an operation's answer may have an error in it, and still be the answer
  record.result_limit = asked.reply_limit;
  record.time_limit_seconds = std::max(f.core().options().call_timeout_seconds, asked.attempt_seconds);
  record.headers = asked.headers;
  return record;
}

inline task<answer> ask(flow& f, question asked) {
  f.check();
  client_core& core = f.core();
  const auto peer = asked.to ? asked.to : core.api;
  retry_policy policy = core.options().retry;
  policy.submit_timeout_seconds = asked.attempt_seconds;
  const auto seed = static_cast<std::uint64_t>(f.net().now().time_since_epoch().count());
  auto budget = f.net().budget_of(peer->address, policy);
  operation machine(record_of(f, asked, *peer), policy, seed, std::move(budget));
  const early_end told(f, [&machine, &asked, &f](const char* what) {
    const errc kind = machine.cancelled(f.net().now()).kind();
    return cut_off(asked, kind, kind == errc::outcome_unknown ? std::string(what) + " while it was being sent" : what);
  });
  answer said;
  std::string body;  // of the last reply
  int sends = 0;
  const time_point begun = f.net().now();
  operation_action action = machine.begin(begun);
  try {
    while (action.what != operation_action::kind::done) {
      if (action.what == operation_action::kind::wait) {
        co_await sleep_until(f, action.until);
        action = machine.on_timer(f.net().now());
        continue;
      }
      ++sends;
      http_call sent;
      sent.to = peer;
      sent.request = action.request;
      sent.deadline = action.until;
      sent.reply_limit = action.reply_limit;
      exchange under_way{f, std::move(sent), asked.effect == effect::reads};
      http_outcome came = co_await under_way;
      const time_point now = f.net().now();
      const double elapsed = std::chrono::duration<double>(now - begun).count();
      if (auto* reply = std::get_if<http_response>(&came)) {
        body = reply->body;
        said.status = reply->status;
        if (std::find(asked.also.begin(), asked.also.end(), reply->status) != asked.also.end()) {
          f.check();
          said.body = std::move(body);
          said.attempts = sends;
          said.elapsed_seconds = elapsed;
          said.maybe_earlier = machine.maybe_executed();
          co_return said;
        }
        if (is_quota(*reply)) throw_refusal(core, asked, reply->status, body, sends, elapsed);
        action = machine.on_reply(now, std::move(*reply));
      } else {
        action = f.is_closed() ? machine.on_close(now) : machine.on_failure(now, std::get<http_failure>(came));
      }
      f.check();
    }
    if (machine.failure()) throw_failure(core, asked, machine, body);
    if (machine.result()->status >= 300) {
      error_details details;
      details.operation = asked.name;
      details.http_status = machine.result()->status;
      throw error(errc::protocol,
                  heading(asked, sends, machine.result()->elapsed_seconds) +
                      "the platform answered with a redirect, which is not followed because the key would go with it. "
                      "Give the final address",
                  std::move(details));
    }
  } catch (const error& no) {
    if (asked.effect == effect::reads || !machine.maybe_executed()) throw;
    throw_unknown(asked, no, advice(asked));
  }
  said.status = machine.result()->status;
  said.body = std::move(machine.result()->body);
  said.attempts = sends;
  said.elapsed_seconds = machine.result()->elapsed_seconds;
  co_return said;
}

// The answer as a message; what cannot be read is told with the question.
template <class M>
M read_answer(const client_core& core, const question& asked, const answer& said) {
  try {
    return wire::platform::from_json<M>(said.body);
  } catch (const error& wrong) {
    error_details details;
    details.operation = asked.name;
    details.value = asked.subject;
    details.attempts = said.attempts;
    details.http_status = said.status;
    throw error(errc::decode,
                scrubbed(core, heading(asked, said.attempts, said.elapsed_seconds) +
                                   "the platform's answer cannot be read: " + v0::detail::sentence_of(wrong.what()) + ": " +
                                   v0::detail::printable(said.body, 120)),
                std::move(details));
  }
}

template <class M>
task<M> ask_for(flow& f, question asked) {
  const question kept = asked;
  const answer said = co_await ask(f, std::move(asked));
  co_return read_answer<M>(f.core(), kept, said);
}

// … nothing where there is none.
template <class M>
task<std::optional<M>> ask_if_there(flow& f, question asked) {
  asked.also = {404};
  const question kept = asked;
  const answer said = co_await ask(f, std::move(asked));
  std::optional<M> found;
  if (said.status != 404) found = read_answer<M>(f.core(), kept, said);
  co_return found;
}

// One exchange without a second try: the status, 0 when there was none. For looking whether somebody is there.
inline task<int> probe(flow& f, std::shared_ptr<const http_peer> peer, http_request request, double seconds) {
  f.check();
  request.target = peer->address.prefix + request.target;
  http_call sent;
  sent.to = std::move(peer);
  sent.request = std::make_shared<const http_request>(std::move(request));
  sent.deadline = f.net().now() + in_seconds(seconds);
  exchange under_way{f, std::move(sent), true};
  const http_outcome came = co_await under_way;
  f.check();
  const auto* reply = std::get_if<http_response>(&came);
  co_return reply ? reply->status : 0;
}

// The one account of the key.
inline task<std::string> account(flow& f) {
  client_core& core = f.core();
  if (!core.account.empty()) co_return core.account;
  question asked;
  asked.name = "find the account of the key";
  asked.target = "/v1/accounts?pageSize=2";
  const auto found = co_await ask_for<wire::platform::accounts_reply>(f, std::move(asked));
  if (found.accounts.size() != 1) {
    std::string ids;
    for (const auto& each : found.accounts) ids += (ids.empty() ? "" : ", ") + wire::platform::last_segment(each.name);
    throw error(
        errc::config,
        scrubbed(core, found.accounts.empty()
                           ? "the key belongs to no account; take a key of the account that is to "
                             "pay for the training"
                           : "the key belongs to more than one account (" + ids + "); take a key of one of them"));
  }
  const auto name = found.accounts.front().name;
  if (!name.starts_with("accounts/") || name.find('/', 9) != std::string::npos || name.size() == 9)
    throw error(errc::protocol, "the platform calls the key's account '" + v0::detail::printable(name, 80) +
                                    "', which is no accounts/<id>");
  core.account = name.substr(9);
  co_return core.account;
}

// A list with all its pages; `part(reply)` gives the items of one.
template <class Reply, class Item>
task<std::vector<Item>> list_all(flow& f, question asked, wire::platform::query_parameters query,
                                 std::function<std::vector<Item>(Reply&)> part) {
  std::vector<Item> all;
  std::string token;
  const std::string path = asked.target;
  for (int pages = 0; pages < 10000; ++pages) {
    question page = asked;
    auto parameters = query;
    if (!token.empty()) parameters.emplace_back("pageToken", token);
    page.target = path + wire::platform::query_text(parameters);
    Reply reply = co_await ask_for<Reply>(f, std::move(page));
    for (auto& each : part(reply)) all.push_back(std::move(each));
    if (reply.next_page_token.empty() || reply.next_page_token == token) break;
    token = reply.next_page_token;
  }
  co_return all;
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
