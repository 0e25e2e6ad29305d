// SPDX-License-Identifier: Apache-2.0
// One connection to a trainer: its address and dialect, the session with its heartbeat, and the operations that run.
// Everything runs on the network's I/O thread; the clients post to it. No Boost here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/options.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/future.hpp>
#include <gradwire/transport/network.hpp>
#include <gradwire/transport/operation.hpp>
#include <gradwire/wire/dialect.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct running_operation;

// An operation's outcome: exactly one of the two. `failure_body` is what the server said beside its sentence.
struct operation_outcome {
  std::exception_ptr failure{};
  operation_result* result = nullptr;
  const operation* machine = nullptr;  // empty: it was not sent, or this side broke down, and then …
  bool perhaps_sent = false;           // … it may have been sent
};

class session : public std::enable_shared_from_this<session> {
 public:
  GRADWIRE_DECL session(network& net, http_peer peer, connect_options options);

  // Calls `then(failure)` when the session exists; makes it at the first call.
  GRADWIRE_DECL void when_ready(std::function<void(std::exception_ptr)> then);

  // Runs one operation. `acknowledged` is called when the server has it and it goes on; `done` once, at its end.
  GRADWIRE_DECL void run(operation_record record, traffic kind, std::function<void()> acknowledged,
                         std::function<void(const operation_outcome&)> done,
                         std::shared_ptr<const http_peer> to = nullptr);  // nullptr: the trainer

  // A record with the session's paths and limits; `path` is without the prefix: "/api/v1/optim_step".
  GRADWIRE_DECL operation_record record(std::string name, const std::string& path, std::string body, effect what);

  GRADWIRE_DECL void tell(client_event event) const;  // to on_event, with the time now where it says none

  // Told of every reply: a note that the server attaches to it goes on to the user, once.
  GRADWIRE_DECL void saw(const http_response& reply);
  GRADWIRE_DECL void notice(const std::string& text);

  // No call can go on after this, as `why` says; what runs goes on.
  void end(std::exception_ptr why) {
    if (!lost_) lost_ = std::move(why);
  }

  GRADWIRE_DECL void close();  // on the I/O thread: everything that runs ends `closed`
  bool is_closed() const noexcept { return closed_; }
  const std::exception_ptr& lost() const noexcept { return lost_; }  // why every later call fails; usually empty

  network& net() const noexcept { return *net_; }
  const connect_options& options() const noexcept { return options_; }
  const http_peer& peer() const noexcept { return *peer_; }
  const std::string& id() const noexcept { return id_; }

  // Seconds that are left for making the session: all of its requests together have what one call has.
  double time_to_start() const { return std::max(0.0, std::chrono::duration<double>(start_by_ - net_->now()).count()); }
  const wire::dialect& dialect() const noexcept { return dialect_; }
  std::string boot_id() const {
    const std::lock_guard lock(boot_mutex_);
    return boot_id_;
  }
  std::int64_t take_model_number() noexcept { return next_model_++; }
  void note_model(const std::string& id) { models_.insert(id); }
  bool knows_model(const std::string& id) const { return models_.contains(id); }
  std::map<std::string, bool>& taken_names() noexcept { return taken_names_; }  // see resolve_save.hpp

  // Requests that may make a model which is not noted yet: those that run, and those whose fate nobody knows.
  void begin_creation() noexcept { ++creations_; }
  void end_creation() noexcept { --creations_; }
  int creations() const noexcept { return creations_; }
  std::int64_t take_sampler_number() noexcept { return next_sampler_++; }
  std::int64_t take_loss_number() noexcept { return next_loss_++; }
  bool is_recognised() const noexcept { return recognised_ || !options_.dialect.empty(); }  // else `tinker` is a guess
  std::size_t max_chunk_datums() const noexcept { return max_chunk_datums_; }
  std::size_t max_chunk_bytes() const noexcept { return max_chunk_bytes_; }
  // After a 413, in estimated bytes; what is JSON has a quarter of the limit (make_pass).
  void limit_chunk_bytes(std::size_t estimated) noexcept {
    max_chunk_bytes_ = std::min(max_chunk_bytes_, encoding_ == wire::encoding::json ? 4 * estimated : estimated);
  }

  // The encoding of batches, remembered for this server once one of them was refused.
  wire::encoding encoding() const noexcept { return encoding_; }
  bool may_change_encoding() const noexcept {
    return !encoding_settled_ && options_.wire == wire_format::automatic &&
           (dialect_.other_encoding || !is_recognised());
  }
  void change_encoding() noexcept {
    encoding_ = encoding_ == wire::encoding::json ? wire::encoding::protobuf : wire::encoding::json;
    encoding_settled_ = true;
    if (dialect_.name == "skyrl" && options_.dialect.empty()) dialect_ = *wire::find_dialect("skyrl-json");
  }
  void settle_encoding() noexcept { encoding_settled_ = true; }

 private:
  enum class state : unsigned char { none, starting, ready };

  GRADWIRE_DECL void start();
  GRADWIRE_DECL void create();
  GRADWIRE_DECL void recognise();
  GRADWIRE_DECL void use_dialect(const wire::dialect& row);
  GRADWIRE_DECL void take_config(const wire::client_config_reply& config);
  GRADWIRE_DECL void exchange_key(std::function<void(std::exception_ptr)> then);
  GRADWIRE_DECL void key_came(const operation_outcome& outcome);
  GRADWIRE_DECL void refresh_key_later(double seconds);
  GRADWIRE_DECL void started(std::exception_ptr failure);
  GRADWIRE_DECL void schedule_heartbeat();
  GRADWIRE_DECL void beat();
  GRADWIRE_DECL bool beaten(const operation_outcome& outcome);
  GRADWIRE_DECL void lose(const std::string& why);
  GRADWIRE_DECL void broke(std::exception_ptr why) noexcept;
  GRADWIRE_DECL void saw_boot(std::string_view id);

  friend struct running_operation;
  network* net_;                               // outlives the session's use of it: see session_handle
  std::shared_ptr<const http_peer> peer_;      // with the key that requests carry, and …
  std::shared_ptr<const http_peer> own_peer_;  // … with the user's own, where the server gives a passing one for it
  connect_options options_;
  wire::dialect dialect_;
  wire::encoding encoding_ = wire::encoding::protobuf;
  std::string id_;
  std::set<std::shared_ptr<running_operation>> running_;
  std::vector<std::function<void(std::exception_ptr)>> waiting_;
  std::exception_ptr lost_;       // the server ended the session
  std::set<std::string> models_;  // made here
  std::map<std::string, bool> taken_names_;
  mutable std::mutex boot_mutex_;
  std::string boot_id_;     // the trainer's process, where it says it; read by the user's threads too
  time_point last_beat_{};  // the last heartbeat that came through, or the beginning
  std::vector<std::function<void(std::exception_ptr)>> key_waiting_;  // for the exchange that runs
  std::uint64_t key_timer_ = 0;                                       // the next one
  time_point start_by_{};                                             // the session's making must have ended then
  std::uint64_t keys_made_ = 0;
  std::uint64_t operations_ = 0;
  std::uint64_t key_base_ = 0;
  std::int64_t next_model_ = 0;
  std::int64_t next_sampler_ = 0;
  std::int64_t next_loss_ = 0;
  std::set<std::string> notices_;
  std::size_t max_chunk_datums_ = 1024;
  std::size_t max_chunk_bytes_ = 5'000'000;
  int creations_ = 0;
  state state_ = state::none;
  bool encoding_settled_ = false;
  bool recognised_ = false;
  bool has_beaten_ = false;
  bool closed_ = false;
};

// What the clients hold: the last one that goes away closes the session and stops the network.
class session_handle {
 public:
  session_handle(std::shared_ptr<network> net, std::shared_ptr<session> opened)
      : net_(std::move(net)), session_(std::move(opened)) {}
  GRADWIRE_DECL ~session_handle();
  session_handle(const session_handle&) = delete;
  session_handle& operator=(const session_handle&) = delete;

  const std::shared_ptr<session>& get() const noexcept { return session_; }
  network& net() const noexcept { return *net_; }

 private:
  std::shared_ptr<network> net_;
  std::shared_ptr<session> session_;
};

using session_owner = std::shared_ptr<session_handle>;

// Text of an exception for a sentence about another one, without the library's name before it.
GRADWIRE_DECL std::string text_of_error(const std::exception_ptr& failure);

}  // namespace detail
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/session.hpp>
#endif
