// SPDX-License-Identifier: Apache-2.0
// What a client tells while it works: each request and its fate, what the server says about its queue, and what becomes
// of the session. `connect_options::on_event` receives them; logs, ledgers, timelines and progress lines are made of
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <gradwire/transport/network.hpp>

namespace gradwire::inline v0 {

struct client_event {
  enum class type : unsigned char {
    sent,             // a request goes out; a second one with the same operation number is a retry
    accepted,         // the server has it, under `request_id`
    retrying,         // an attempt failed, as `detail` says; the next one comes after `seconds`
    queue,            // the server says why it is not done: detail = "active", "paused_capacity", …; `seconds` so far
    finished,         // it has a result, after `seconds`
    failed,           // it has none, as `detail` says, after `seconds`
    computed,         // a custom loss and its gradient were evaluated on this side, in `seconds`
    session_at_risk,  // no heartbeat has come through for `seconds`
    session_lost,     // the server does not know the session any more: later calls fail at once
    trainer_restarted,  // the trainer is another process than before: what was not saved is lost
    notice              // the server has something to say to its user: detail
  };
  type what = type::sent;
  time_point at{};
  std::uint64_t operation = 0;  // counts the operations of this client from 1; 0: no operation
  std::string name{};           // "forward_backward", "optim_step", …
  std::string model_id{};       // "" where it concerns no model
  std::int64_t seq_id = -1;     // -1: it has none
  std::string request_id{};     // the server's name of it, once accepted
  int attempt = 0;              // of sending it, from 1
  std::size_t tokens = 0;       // targets in it
  std::size_t bytes = 0;        // sent: of the request's body; finished: of the result's
  double seconds = 0;
  std::string detail{};
};

// Called on the client's network thread: it must not wait for anything. What it throws is reported as a lost error.
using client_event_handler = std::function<void(const client_event&)>;

// Several handlers as one, called in order.
template <class... Handlers>
client_event_handler tell_all(Handlers... handlers) {
  return [handlers...](const client_event& event) { (handlers(event), ...); };
}

}  // namespace gradwire::inline v0
