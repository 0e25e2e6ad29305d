// SPDX-License-Identifier: Apache-2.0
// What the handles of one client share: whom to ask, the calls that run, and the end of all of them.
#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include <gradwire/platform/client_options.hpp>
#include <gradwire/transport/check_seconds.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/endpoint.hpp>
#include <gradwire/transport/future.hpp>
#include <gradwire/transport/network.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

class client_core;

// One call while it runs; flow.hpp says how. On the I/O thread only.
class flow : public std::enable_shared_from_this<flow> {
 public:
  explicit flow(std::shared_ptr<client_core> core) : core_(std::move(core)) {}
  inline virtual ~flow();
  flow(const flow&) = delete;
  flow& operator=(const flow&) = delete;

  client_core& core() const noexcept { return *core_; }
  inline network& net() const noexcept;
  inline void post(std::function<void()> task) const;  // from any thread, also when the network is gone
  inline bool is_closed() const noexcept;

  // Throws what the call was stopped with.
  void check() const {
    if (stopped) std::rethrow_exception(stopped);
  }

  virtual void give_up(std::exception_ptr why) = 0;  // what its user gets

  void cancel() {
    if (stopped || (pass_on && pass_on())) return;  // else its outcome is that of the call it waits for
    stop(why_of("cancelled", "cancelled; nothing more is sent"));
  }
  void close() { stop(why_of("the client was closed", "the client was closed")); }
  void stop(std::exception_ptr why) {
    const auto self = shared_from_this();
    stopped = why;
    give_up(std::move(why));
    if (wake) std::exchange(wake, nullptr)();
  }

  // What its user is told when it ends early.
  std::exception_ptr why_of(const char* what, const char* between_requests) const {
    return cancel_text ? cancel_text(what) : std::make_exception_ptr(error(errc::closed, between_requests));
  }

  std::coroutine_handle<> root{};
  std::function<void()> wake{};                                  // ends what it waits for
  std::function<bool()> pass_on{};                               // cancels the call that it waits for, if that can be
  std::function<std::exception_ptr(const char*)> cancel_text{};  // while a request is under way
  std::exception_ptr stopped{};
  bool over = false;  // it has an outcome

 private:
  std::shared_ptr<client_core> core_;
};

class client_core : public std::enable_shared_from_this<client_core> {
 public:
  client_core(const std::shared_ptr<network>& net, endpoint where, client_options options)
      : net_(net.get()), weak_net_(net), where_(std::move(where)), options_(std::move(options)) {
    v0::detail::check_seconds("call_timeout_seconds", options_.call_timeout_seconds);
    v0::detail::check_seconds(options_.retry);
  }

  network& net() const noexcept { return *net_; }
  std::shared_ptr<network> lock_net() const noexcept { return weak_net_.lock(); }
  const client_options& options() const noexcept { return options_; }
  const endpoint& where() const noexcept { return where_; }  // the address without what is not the control plane's
  bool is_closed() const noexcept { return closed_; }

  void add(flow& running) {
    running_.insert(&running);
    if (closed_) running.stopped = closed_error();
  }
  void forget(flow& over) noexcept { running_.erase(&over); }

  void close() {
    if (std::exchange(closed_, true)) return;
    while (!running_.empty()) {
      const auto first = (*running_.begin())->shared_from_this();
      running_.erase(first.get());
      if (!first->stopped) first->close();
    }
  }

  std::shared_ptr<const http_peer> api{};              // the control plane
  std::shared_ptr<const http_peer> inference{};        // completions, …
  std::shared_ptr<const http_peer> hot_load{};         // … hot loads and …
  std::shared_ptr<const http_peer> gateway{};          // … trainers, with the key in two headers
  std::string account{};                               // "": not asked yet
  std::map<std::string, std::string> served_models{};  // of the deployments that were seen
  std::set<std::string> with_replicas{};               // deployments that had one at the last look
  bool keeps_prompt_cache = false;                     // the deployments do not know reset_prompt_cache

 private:
  static std::exception_ptr closed_error() {
    return std::make_exception_ptr(error(errc::closed, "the client was closed"));
  }

  network* net_;  // outlives the calls: they run on its thread
  std::weak_ptr<network> weak_net_;
  endpoint where_;
  client_options options_;
  std::set<flow*> running_;
  bool closed_ = false;
};

inline flow::~flow() {
  if (!over) core_->forget(*this);
  if (root) root.destroy();
}
inline network& flow::net() const noexcept { return core_->net(); }
inline bool flow::is_closed() const noexcept { return core_->is_closed(); }
inline void flow::post(std::function<void()> task) const {
  if (const auto alive = core_->lock_net()) alive->post(std::move(task));
}

// What the clients hold: the last one that goes away ends the calls and stops the network.
class client_handle {
 public:
  client_handle(std::shared_ptr<network> net, std::shared_ptr<client_core> core)
      : net_(std::move(net)), core_(std::move(core)) {}
  ~client_handle() {
    try {
      if (v0::detail::role_of_this_thread == v0::detail::thread_role::io)
        core_->close();
      else
        net_->post([closing = core_] { closing->close(); });
    } catch (const std::exception&) {  // after fork(), or without memory: what runs ends with the network
    }
  }
  client_handle(const client_handle&) = delete;
  client_handle& operator=(const client_handle&) = delete;

  const std::shared_ptr<client_core>& core() const noexcept { return core_; }
  network& net() const noexcept { return *net_; }
  const std::shared_ptr<network>& shared_net() const noexcept { return net_; }

 private:
  std::shared_ptr<network> net_;
  std::shared_ptr<client_core> core_;
};

using client_owner = std::shared_ptr<client_handle>;

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
