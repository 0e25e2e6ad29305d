// SPDX-License-Identifier: Apache-2.0
// Which exchange gets which connection, and when.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <gradwire/transport/impl/http_exchange.hpp>

namespace gradwire::inline v0 {
namespace detail {

// A line end in a header would begin another header.
inline bool has_control_characters(std::string_view text) {
  for (char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
  }
  return false;
}

inline void http_client::send(http_call call, std::function<void(http_outcome)> done) {
  const http_peer& to = *call.to;
  std::string refused = closed ? "the client was closed" : "";
  bool unsafe = !call.request->target.starts_with('/') || call.request->target.find(' ') != std::string::npos ||
                has_control_characters(call.request->target) || has_control_characters(call.request->method);
  for (const auto* const headers : {&to.open_headers, &call.request->headers})
    for (const http_header& h : *headers)
      unsafe = unsafe || h.name.empty() || has_control_characters(h.name) || has_control_characters(h.value);
  if (unsafe) refused = "a path or header has a character that cannot stand there";
  if (to.has_credentials() && !to.address.tls && !to.address.is_loopback()) {
    if (to.way()) {
      refused = "the key is not sent to " + to.address.host +
                " over http through a proxy; use https, or name the host in NO_PROXY";
    } else if (!to.allow_key_over_http) {
      refused = "the key is not sent to " + to.address.host + " over http; use https";
    }
  }
  if (!refused.empty()) return done(http_failure{closed ? errc::closed : errc::config, false, refused});
  http_pool& pool =
      pools[(to.address.tls ? "s:" : "p:") + to.address.host_header() + ":" + to.ca_file +
            (to.way() ? " " + to.way()->address.host_header() + " " + to.way()->credentials.reveal() : "")];
  const traffic kind = call.kind;
  auto exchange = std::make_shared<http_exchange>(*this, pool, std::move(call), std::move(done));
  running.insert(exchange);
  if (exchange->call.abort) {
    *exchange->call.abort = [gone = std::weak_ptr<http_exchange>(exchange)] {
      if (const auto alive = gone.lock()) alive->fail(errc::closed, alive->connected, "nobody waits for it any more");
    };
  }
  pool.waiting[static_cast<unsigned>(kind)].push_back(exchange);
  start_waiting(pool, kind);
  if (!exchange->started && !exchange->finished) exchange->wait_in_line();
}

inline void http_client::start_waiting(http_pool& pool, traffic kind) {
  auto& line = pool.waiting[static_cast<unsigned>(kind)];
  while (!line.empty() && pool.active[static_cast<unsigned>(kind)] < limit_of(kind)) {
    auto next = std::move(line.front());
    line.pop_front();
    if (next->finished) continue;
    ++pool.active[static_cast<unsigned>(kind)];
    try {
      next->start();
    } catch (...) {
      next->broken();
    }
  }
}

inline std::unique_ptr<either_stream> http_client::take_idle(http_pool& pool, traffic kind) {
  const auto now = std::chrono::steady_clock::now();
  std::unique_ptr<either_stream> found;
  while (!pool.idle.empty() && !found) {
    auto last = std::move(pool.idle.back());
    pool.idle.pop_back();
    const auto age = now - last.since;
    if (age > in_seconds(options.idle_seconds) || last.stream->is_stale()) continue;
    if (kind == traffic::submit && age > in_seconds(options.idle_submit_seconds)) {
      pool.idle.push_back(std::move(last));  // still good for a poll
      break;
    }
    found = std::move(last.stream);
  }
  return found;
}

inline void http_client::give_back(http_pool& pool, std::unique_ptr<either_stream> stream) {
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(pool.idle, [&](const auto& old) { return now - old.since > in_seconds(options.idle_seconds); });
  if (!closed && pool.idle.size() < options.max_polls + options.max_submits)
    pool.idle.push_back({std::move(stream), now});
}

inline void http_client::close() {
  closed = true;
  while (!running.empty()) {
    const auto each = *running.begin();
    running.erase(running.begin());
    try {
      each->fail(errc::closed, each->connected, "the client was closed");
    } catch (...) {
      each->broken();
    }
  }
  pools.clear();
}

}  // namespace detail
}  // namespace gradwire::inline v0
