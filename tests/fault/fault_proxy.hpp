// SPDX-License-Identifier: Apache-2.0
// A proxy between a client and a server of this machine that does what networks and gateways do wrong, on request. A
// rule says which request it is about (the n-th, each k-th, by method, path, body, by the attempt of the same body, or
// with a probability) and what happens to it. Every decision follows from the rules and the seed: a probability is
// drawn from a hash of (seed, rule, method, path, body, attempt), with random ids left out of the body, so neither the
// timing of threads nor another run changes which request is hit. Every request leaves an entry in the log.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace faults {

enum class fault : unsigned char {
  pass,               // nothing
  refuse,             // reset, and the port is closed for `ms`: connection refused
  reset,              // reset before the answer; `deliver`: the server has acted
  reset_mid_request,  // reset while the request still arrives; the server never sees it
  reset_mid_body,     // reset after the part `at` of the answer's body
  truncate,           // an ordinary end after the part `at` of the answer's body, below its length; or `chunked`
  delay,              // by `ms`, before the request goes on, or with `late` before the answer does
  garbage,            // `bytes` random bytes for an answer's body, or with `raw_status` instead of any HTTP
  corrupt,            // `bytes` bytes of the answer's body replaced
  respond,            // `status`, `headers`, `body`; or `raw` as it is; `deliver`: the server has acted all the same
  respond_long,       // `status` and a body of `bytes` times `body`, never held in memory
  duplicate,          // delivered `copies` times, `at_once` or one after another; the first answer counts
  drip,               // the answer in pieces of `bytes`, `ms` apart
  stall,              // no more for `ms` (0: for ever) at `where`
};

enum class place : unsigned char { before_reply, in_head, in_body, not_reading };

struct rule {
  std::string id{};
  fault what = fault::pass;

  // ---- which requests; everything that is given must hold ----
  std::string method{};
  std::string path{};          // its end
  std::string holding{};       // text of the body
  std::vector<int> nth{};      // of those that passed the lines above, from 1
  int every = 0;               // …
  int from = 1;                // …
  int to = 1 << 30;            // …
  std::vector<int> attempt{};  // the j-th time that this very method, path and body comes
  double probability = 1;
  int most = 1 << 30;       // firings
  bool on_connect = false;  // a connection instead of a request; only nth, every, from, to count

  // ---- what happens ----
  bool deliver = true;
  bool late = false;
  bool raw_status = false;
  bool chunked = false;
  bool at_once = false;
  double at = 0.5;
  int ms = 0;
  int copies = 2;
  std::size_t bytes = 64;
  place where = place::before_reply;
  int status = 503;
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  std::string raw{};
};

struct log_entry {
  int number = 0;      // of the request, from 1
  int connection = 0;  // …
  std::string method{};
  std::string path{};
  std::string body{};  // as it came
  std::string sha{};   // of it
  int attempt = 0;     // the j-th delivery of this method, path and body to the proxy
  std::int64_t seq_id = -1;
  std::string key{};   // X-Idempotency-Key
  std::string rule{};  // that fired
  int delivered = 0;   // times that the server got it
  int status = 0;      // that the client was shown
  bool auth = false;   // credentials were there; they are never kept
  double seconds = 0;  // since the proxy began
};

class fault_proxy {
 public:
  // Listens on 127.0.0.1 and forwards to this port there.
  fault_proxy(std::uint16_t upstream, std::vector<rule> rules, std::uint64_t seed = 0);
  ~fault_proxy();  // cuts every connection
  fault_proxy(const fault_proxy&) = delete;
  fault_proxy& operator=(const fault_proxy&) = delete;

  std::uint16_t port() const noexcept;
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port()); }
  std::vector<log_entry> log() const;
  int connections() const;

  // Cuts the connections that are there and refuses new ones for so long.
  void refuse_for(int ms);

  // Replaces the rules; their counters begin anew.
  void set(std::vector<rule> rules);

  struct state;

 private:
  std::shared_ptr<state> state_;
};

// The usual mixture of a bad day, together with this probability for each request.
std::vector<rule> mixed(double rate);

std::string sha256(std::string_view text);

}  // namespace faults
