// SPDX-License-Identifier: Apache-2.0
// How session.hpp works.
#pragma once

#include <random>
#include <utility>

#include <gradwire/trainer/session.hpp>
#include <gradwire/wire/json_codec.hpp>

namespace gradwire::inline v0 {
namespace detail {

// Carries out what an operation decides.
struct running_operation : std::enable_shared_from_this<running_operation> {
  running_operation(std::shared_ptr<session> of, operation_record record, std::uint64_t seed, traffic priority)
      : owner(std::move(of)), machine(std::move(record), owner->options().retry, seed), kind(priority) {}

  void act(const operation_action& action) {
    if (action.what == operation_action::kind::done) return finish();
    if (action.what == operation_action::kind::send) {
      http_call call{peer ? peer : owner->peer_, action.request, action.until, action.reply_limit,
                     action.is_poll ? traffic::poll : kind};
      owner->net().send(std::move(call),
                        [self = shared_from_this()](http_outcome outcome) { self->arrived(std::move(outcome)); });
    } else if (action.what == operation_action::kind::wait) {
      timer = owner->net().start_timer(action.until, [self = shared_from_this()] {
        self->timer = 0;
        if (!self->finished) self->act(self->machine.on_timer(self->owner->net().now()));
      });
    }
    if (machine.settled() && acknowledged) std::exchange(acknowledged, nullptr)();
  }

  void arrived(http_outcome outcome) {
    if (finished) return;
    const time_point now = owner->net().now();
    if (auto* reply = std::get_if<http_response>(&outcome)) {
      act(machine.on_reply(now, std::move(*reply)));
    } else {
      act(machine.on_failure(now, std::get<http_failure>(outcome)));
    }
  }

  void close() {
    if (!finished) act(machine.on_close(owner->net().now()));
  }

  void finish() {
    if (finished) return;
    finished = true;
    const auto self = shared_from_this();
    if (timer && !owner->is_closed()) owner->net().cancel_timer(timer);
    owner->running_.erase(self);
    acknowledged = nullptr;
    operation_outcome outcome;
    outcome.machine = &machine;
    if (machine.failure()) {
      outcome.failure = std::make_exception_ptr(*machine.failure());
    } else {
      outcome.result = &*machine.result();
    }
    std::exchange(done, nullptr)(outcome);
  }

  std::shared_ptr<session> owner;
  operation machine;
  traffic kind;
  std::shared_ptr<const http_peer> peer;  // empty: the session's, as it is at each attempt
  std::uint64_t timer = 0;
  std::function<void()> acknowledged;
  std::function<void(const operation_outcome&)> done;
  bool finished = false;
};

GRADWIRE_DECL session::session(network& net, http_peer peer, connect_options options)
    : net_(&net), peer_(std::make_shared<const http_peer>(std::move(peer))), options_(std::move(options)) {
  std::random_device entropy;
  key_base_ = (std::uint64_t{entropy()} << 32) | entropy();
  dialect_ = wire::detect_dialect(peer_->address.text() + "/");
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
  constexpr const char* digits = "0123456789abcdef";
  std::uint64_t number = key_base_;
  for (int i = 0; i < 16; ++i, number >>= 4) made.idempotency_key += digits[number & 15];
  made.idempotency_key += "-" + std::to_string(++keys_made_);
  return made;
}

GRADWIRE_DECL void session::run(operation_record record, traffic kind, std::function<void()> acknowledged,
                                std::function<void(const operation_outcome&)> done) {
  auto made = std::make_shared<running_operation>(shared_from_this(), std::move(record), key_base_ + keys_made_, kind);
  made->acknowledged = std::move(acknowledged);
  made->done = std::move(done);
  running_.insert(made);
  if (closed_) return made->close();
  made->act(made->machine.begin(net_->now()));
}

GRADWIRE_DECL void session::when_ready(std::function<void(std::exception_ptr)> then) {
  if (closed_) return then(std::make_exception_ptr(error(errc::closed, "the client was closed")));
  if (lost_) return then(lost_);
  if (state_ == state::ready) return then(nullptr);
  waiting_.push_back(std::move(then));
  if (state_ == state::starting) return;
  state_ = state::starting;
  start();
}

// What the server says about itself is optional; a server that does not know the question has the defaults.
GRADWIRE_DECL void session::start() {
  auto asked = record("client/config", "/api/v1/client/config",
                      wire::to_json(wire::client_config_request{options_.sdk_version}), effect::reads);
  asked.has_future = false;
  asked.time_limit_seconds = std::min(asked.time_limit_seconds, 60.0);
  asked.unreachable_seconds = options_.first_contact_seconds;
  run(std::move(asked), traffic::control, nullptr, [self = shared_from_this()](const operation_outcome& outcome) {
    if (outcome.failure) {
      const error& failed = *outcome.machine->failure();
      const int status = failed.details().http_status;
      if (failed.kind() != errc::status || (status != 404 && status != 405 && status != 501))
        return self->started(outcome.failure);
    } else {
      try {
        const auto config = wire::from_json<wire::client_config_reply>(outcome.result->body);
        self->max_chunk_datums_ = static_cast<std::size_t>(std::max<std::int64_t>(1, config.fwdbwd_max_chunk_len));
        self->max_chunk_bytes_ =
            static_cast<std::size_t>(std::max<std::int64_t>(1, config.fwdbwd_max_chunk_bytes_count));
        if (self->options_.dialect.empty()) {
          self->dialect_ = wire::detect_dialect(self->peer_->address.text() + "/", &config);
          if (self->options_.wire == wire_format::automatic) self->encoding_ = self->dialect_.body;
        }
        if (config.pjwt_auth_enabled) {
          return self->exchange_key(
              [self](std::exception_ptr failure) { failure ? self->started(failure) : self->create(); });
        }
      } catch (const error&) {
        return self->started(std::make_exception_ptr(
            error(errc::decode, "the reply to client/config cannot be read; is this address a trainer? " +
                                    text_of_error(std::current_exception()))));
      }
    }
    self->create();
  });
}

GRADWIRE_DECL void session::create() {
  wire::create_session_request request;
  request.tags = options_.tags;
  request.sdk_version = options_.sdk_version;
  auto asked = record("create_session", "/api/v1/create_session", wire::to_json(request), effect::reads);
  asked.has_future = false;
  asked.time_limit_seconds = std::min(asked.time_limit_seconds, 60.0);
  asked.unreachable_seconds = options_.first_contact_seconds;
  run(std::move(asked), traffic::control, nullptr, [self = shared_from_this()](const operation_outcome& outcome) {
    if (outcome.failure) return self->started(outcome.failure);
    try {
      self->id_ = wire::from_json<wire::create_session_reply>(outcome.result->body).session_id;
    } catch (const error&) {
      return self->started(std::current_exception());
    }
    self->started(nullptr);
  });
}

// After a failure the next call tries again.
GRADWIRE_DECL void session::started(std::exception_ptr failure) {
  state_ = failure ? state::none : state::ready;
  if (!failure) schedule_heartbeat();
  for (const auto& then : std::exchange(waiting_, {})) then(failure);
}

GRADWIRE_DECL void session::schedule_heartbeat() {
  if (closed_ || options_.heartbeat_seconds <= 0) return;
  heartbeat_timer_ = net_->start_timer(net_->now() + in_seconds(options_.heartbeat_seconds),
                                       [self = shared_from_this()] { self->beat(); });
}

GRADWIRE_DECL void session::beat() {
  if (closed_) return;
  auto asked = record("session_heartbeat", "/api/v1/session_heartbeat",
                      wire::to_json(wire::session_heartbeat_request{id_}), effect::reads);
  asked.has_future = false;
  asked.time_limit_seconds = options_.heartbeat_seconds;  // the next one is due then
  run(std::move(asked), traffic::control, nullptr, [self = shared_from_this()](const operation_outcome& outcome) {
    if (outcome.failure && outcome.machine->failure()->details().http_status == 410) {
      self->lost_ = std::make_exception_ptr(
          error(errc::closed, "the trainer has ended this session; connect again and load the last saved state"));
      return;
    }
    self->schedule_heartbeat();
  });
}

GRADWIRE_DECL void session::close() {
  if (closed_) return;
  closed_ = true;
  const auto all = running_;
  for (const auto& each : all) each->close();
  running_.clear();
  const auto failure = std::make_exception_ptr(error(errc::closed, "the client was closed"));
  for (const auto& then : std::exchange(waiting_, {})) then(failure);
}

GRADWIRE_DECL session_handle::~session_handle() {
  if (role_of_this_thread == thread_role::io) {
    session_->close();
  } else {
    net_->post([closing = session_] { closing->close(); });
  }
}

GRADWIRE_DECL std::string text_of_error(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    const std::string_view text = e.what();
    return std::string(text.starts_with("gradwire: ") ? text.substr(10) : text);
  } catch (...) {
    return "an exception without text";
  }
}

}  // namespace detail
}  // namespace gradwire::inline v0

#include <gradwire/trainer/impl/key_exchange.hpp>
