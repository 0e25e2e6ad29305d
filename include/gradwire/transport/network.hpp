// SPDX-License-Identifier: Apache-2.0
// What the client needs of the world: a clock, timers, HTTP exchanges, a thread for I/O and one for losses. `runtime`
// is the real one; a test plays it by hand.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/transport/http_message.hpp>
#include <gradwire/transport/proxy.hpp>
#include <gradwire/transport/retry_budget.hpp>
#include <gradwire/transport/secret.hpp>
#include <gradwire/transport/url.hpp>

namespace gradwire::inline v0 {

using time_point = std::chrono::steady_clock::time_point;
using duration = std::chrono::steady_clock::duration;

// A hundred years are for ever: longer, infinity too, could not be added to a point in time. What is no number is 0.
constexpr duration in_seconds(double seconds) {
  constexpr double longest = 100.0 * 365 * 24 * 3600;
  if (!(seconds > -longest)) seconds = seconds < 0 ? -longest : 0;
  return std::chrono::duration_cast<duration>(std::chrono::duration<double>(seconds < longest ? seconds : longest));
}

// Whom a request goes to. The key is written into the request's head by the transport and stands nowhere else.
struct http_peer {
  url address{};
  secret key{};
  std::string ca_file{};                    // PEM file with the certificates to trust; "": the system's
  double connect_timeout_seconds = 5;       // for name lookup, TCP, proxy and TLS together
  std::optional<http_proxy> proxy{};        // never used for an address on this machine
  std::vector<secret_header> headers{};     // beside the key's
  std::vector<http_header> open_headers{};  // no secrets: may be shown
  bool allow_key_over_http = false;         // also to another machine, readable by everybody on the way
  bool bearer = false;                      // the key also as Authorization: Bearer

  const http_proxy* way() const noexcept { return proxy && !address.is_loopback() ? &*proxy : nullptr; }
  bool has_credentials() const noexcept { return !key.empty() || !headers.empty(); }

  // `text` without anything that this peer must not show.
  std::string scrubbed(std::string text) const {
    text = key.removed_from(std::move(text));
    for (const secret_header& each : headers) text = each.value.removed_from(std::move(text));
    return proxy ? proxy->credentials.removed_from(std::move(text)) : text;
  }
};

// Who waits for whom: heartbeats never wait for a connection, polls share a limited number.
enum class traffic : unsigned char { control, submit, poll };

struct http_call {
  std::shared_ptr<const http_peer> to{};
  std::shared_ptr<const http_request> request{};  // shared, so that a retry sends the same bytes
  time_point deadline{};                          // for the whole exchange, header and body of the reply included
  std::size_t reply_limit = 1 << 20;              // bytes of the reply's body
  traffic kind = traffic::submit;
  std::shared_ptr<std::function<void()>>
      abort{};  // when given: becomes what ends the exchange early, on the I/O thread
};

struct http_failure {
  errc kind = errc::transport;  // transport, timeout, protocol or closed
  bool executed = false;        // true: the server may have acted on the request
  std::string sentence{};
};

using http_outcome = std::variant<http_response, http_failure>;

class network {
 public:
  virtual ~network() = default;
  virtual time_point now() const = 0;

  // All of these may be called from any thread; every task and callback runs on the one I/O thread.
  virtual void post(std::function<void()> task) = 0;
  virtual std::uint64_t start_timer(time_point when, std::function<void()> task) = 0;  // the number cancels it
  virtual void cancel_timer(std::uint64_t timer) = 0;
  virtual void send(http_call call, std::function<void(http_outcome)> done) = 0;

  // Runs on the thread for losses, one after another.
  virtual void compute(std::function<void()> task) = 0;

  // What all operations to this server share. On the I/O thread only.
  std::shared_ptr<retry_budget> budget_of(const url& server, const retry_policy& policy) {
    auto& found = budgets_[server.host_header()];
    if (!found) found = std::make_shared<retry_budget>(policy);
    return found;
  }

 private:
  std::map<std::string, std::shared_ptr<retry_budget>> budgets_;  // by host and port
};

}  // namespace gradwire::inline v0
