// SPDX-License-Identifier: Apache-2.0
// How session.hpp works.
#pragma once

#include <random>
#include <utility>

#include <gradwire/trainer/impl/running_operation.hpp>
#include <gradwire/trainer/session.hpp>
#include <gradwire/transport/check_seconds.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/json_codec.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline void check_times(const connect_options& given) {
  check_seconds("operation_timeout_seconds", given.operation_timeout_seconds);
  check_seconds("heartbeat_seconds", given.heartbeat_seconds);
  check_seconds("session_risk_seconds", given.session_risk_seconds);
  check_seconds("session_limit_seconds", given.session_limit_seconds);
  check_seconds("first_contact_seconds", given.first_contact_seconds);
  check_seconds(given.retry);
  check_seconds(given.connections);
}

GRADWIRE_DECL session::session(network& net, http_peer peer, connect_options options)
    : net_(&net), peer_(std::make_shared<const http_peer>(std::move(peer))), options_(std::move(options)) {
  check_times(options_);
  std::random_device entropy;
  key_base_ = (std::uint64_t{entropy()} << 32) | entropy();
  const std::string base_url = peer_->address.text() + "/";
  const auto* const by_address = wire::recognise({.base_url = base_url});
  dialect_ = by_address ? *by_address : wire::dialects[0];
  if (!options_.dialect.empty()) {
    const auto* const row = wire::find_dialect(options_.dialect);
    if (!row) {
      std::string known;
      for (const auto& each : wire::dialects) known += (known.empty() ? "" : ", ") + std::string(each.name);
      throw error(errc::config, "no dialect is called '" + options_.dialect + "'; there are " + known);
    }
    dialect_ = *row;
  }
  encoding_ = options_.wire == wire_format::json       ? wire::encoding::json
              : options_.wire == wire_format::protobuf ? wire::encoding::protobuf
                                                       : dialect_.body;
}

GRADWIRE_DECL operation_record session::record(std::string name, const std::string& path, std::string body,
                                               effect what) {
  operation_record made;
  made.name = std::move(name);
  made.target = peer_->address.prefix + path;
  made.poll_target = peer_->address.prefix + "/api/v1/retrieve_future";
  made.body = std::move(body);
  made.effect = what;
  made.time_limit_seconds = options_.operation_timeout_seconds;
  made.key_source = (own_peer_ ? own_peer_ : peer_)->key.where();
  constexpr const char* digits = "0123456789abcdef";
  std::uint64_t number = key_base_;
  for (int i = 0; i < 16; ++i, number >>= 4) made.idempotency_key += digits[number & 15];
  made.idempotency_key += "-" + std::to_string(++keys_made_);
  return made;
}

GRADWIRE_DECL void session::run(operation_record record, traffic kind, std::function<void()> acknowledged,
                                std::function<void(const operation_outcome&)> done,
                                std::shared_ptr<const http_peer> to) {
  std::shared_ptr<running_operation> made;
  try {
    made = std::make_shared<running_operation>(shared_from_this(), std::move(record), key_base_ + keys_made_, kind);
    if (const auto& cancel = made->machine.record().cancel) {
      cancel->stops.push_back([gone = std::weak_ptr(made)]() -> std::exception_ptr {
        const auto alive = gone.lock();
        return alive ? alive->cancel() : nullptr;
      });
    }
    running_.insert(made);
  } catch (...) {  // it never was
    operation_outcome outcome;
    outcome.failure = std::current_exception();
    return done(outcome);
  }
  made->number = ++operations_;
  made->acknowledged = std::move(acknowledged);
  made->done = std::move(done);
  made->peer = std::move(to);
  if (closed_) return made->close();
  made->guarded([&] { made->act(made->machine.begin(net_->now())); });
}

GRADWIRE_DECL void session::tell(client_event event) const {
  if (!options_.on_event) return;
  if (event.at == time_point{}) event.at = net_->now();
  try {
    options_.on_event(event);
  } catch (...) {
    report_lost_error(std::current_exception());  // the operations must not suffer
  }
}

GRADWIRE_DECL void session::when_ready(std::function<void(std::exception_ptr)> then) {
  if (closed_) return then(std::make_exception_ptr(error(errc::closed, "the client was closed")));
  if (lost_) return then(lost_);
  if (state_ == state::ready) return then(nullptr);
  waiting_.push_back(std::move(then));
  if (state_ == state::starting) return;
  state_ = state::starting;
  start_by_ = net_->now() + in_seconds(options_.operation_timeout_seconds);
  try {
    start();
  } catch (...) {
    started(std::current_exception());
  }
}

GRADWIRE_DECL session_handle::~session_handle() {
  if (role_of_this_thread == thread_role::io) {
    session_->close();
    return;
  }
  for (int tries = 3; tries > 0; --tries) {  // a moment without memory must not leave futures without an outcome
    try {
      net_->post([closing = session_] { closing->close(); });
      return;
    } catch (const std::bad_alloc&) {
    } catch (const error&) {
      return;  // another process after fork(): there is nothing to close
    }
  }
}

GRADWIRE_DECL std::string text_of_error(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    return sentence_of(e.what());
  } catch (...) {
    return "an exception without text";
  }
}

}  // namespace detail
}  // namespace gradwire::inline v0

#include <gradwire/trainer/impl/key_exchange.hpp>
#include <gradwire/trainer/impl/session_life.hpp>
#include <gradwire/trainer/impl/session_start.hpp>
