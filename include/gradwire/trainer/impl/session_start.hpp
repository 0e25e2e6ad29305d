// SPDX-License-Identifier: Apache-2.0
// How a session begins: what the server says about itself, a key of its own where it wants one, the session, and which
// row of the table of servers it is.
#pragma once

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <gradwire/trainer/impl/session.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/outcome.hpp>

namespace gradwire::inline v0 {
namespace detail {

// A question about the server itself, which it may not know.
inline operation_record question(session& of, std::string name, const std::string& path, std::string body) {
  auto asked = of.record(std::move(name), path, std::move(body), effect::reads);
  if (asked.body.empty()) asked.method = "GET";
  asked.has_future = false;
  asked.time_limit_seconds = std::min(asked.time_limit_seconds, 60.0);
  asked.unreachable_seconds = of.options().first_contact_seconds;
  return asked;
}

// … that is only asked to recognise the server: its answer is not worth waiting for.
inline operation_record question_in_passing(session& of, std::string name, const std::string& path, std::string body) {
  auto asked = question(of, std::move(name), path, std::move(body));
  asked.time_limit_seconds =
      std::min({asked.time_limit_seconds, of.options().first_contact_seconds, of.time_to_start()});
  return asked;
}

constexpr bool is_not_there(int status) noexcept { return status == 404 || status == 405 || status == 501; }

GRADWIRE_DECL void session::use_dialect(const wire::dialect& row) {
  dialect_ = row;
  if (options_.wire == wire_format::automatic) encoding_ = dialect_.body;
  recognised_ = true;
}

GRADWIRE_DECL void session::take_config(const wire::client_config_reply& config) {
  max_chunk_datums_ = static_cast<std::size_t>(std::max<std::int64_t>(1, config.fwdbwd_max_chunk_len));
  max_chunk_bytes_ = static_cast<std::size_t>(std::max<std::int64_t>(1, config.fwdbwd_max_chunk_bytes_count));
  if (options_.dialect.empty()) {
    if (const auto* row = wire::recognise({.config = &config})) use_dialect(*row);
    if (config.create_model_via_load_weights) dialect_.create_via_load = true;
  }
  if (config.sequence) {
    dialect_.order = *config.sequence == "dedupe"   ? wire::sequencing::dedupes
                     : *config.sequence == "strict" ? wire::sequencing::strict
                                                    : wire::sequencing::unknown;
    if (!options_.order) options_.order = dialect_.order;  // recognise() takes a whole row
  }
}

// A server that does not know the question has the defaults.
GRADWIRE_DECL void session::start() {
  auto asked = question(*this, "client/config", "/api/v1/client/config",
                        wire::to_json(wire::client_config_request{options_.sdk_version}));
  asked.time_limit_seconds = std::min(asked.time_limit_seconds, time_to_start());
  run(std::move(asked), traffic::control, nullptr, [self = shared_from_this()](const operation_outcome& outcome) {
    if (outcome.failure) {
      if (!outcome.machine) return self->started(outcome.failure);
      const error& failed = *outcome.machine->failure();
      if (failed.kind() != errc::status || !is_not_there(failed.details().http_status))
        return self->started(outcome.failure);
      return self->create();
    }
    try {
      const auto config = wire::from_json<wire::client_config_reply>(
          wire::detail::is_blank(outcome.result->body) ? "{}" : outcome.result->body);
      self->take_config(config);
      if (config.pjwt_auth_enabled) {
        return self->exchange_key(
            [self](std::exception_ptr failure) { failure ? self->started(failure) : self->create(); });
      }
    } catch (const error&) {
      return self->started(std::make_exception_ptr(
          error(errc::decode, "the reply to client/config cannot be read; is this address a trainer? " +
                                  text_of_error(std::current_exception()))));
    }
    self->create();
  });
}

GRADWIRE_DECL void session::create() {
  wire::create_session_request request;
  request.tags = options_.tags;
  request.user_metadata = options_.user_metadata;
  request.sdk_version = options_.sdk_version;
  if (!options_.project_id.empty()) request.project_id = options_.project_id;
  if (!options_.display_name.empty()) request.display_name = options_.display_name;
  auto asked = question(*this, "create_session", "/api/v1/create_session", wire::to_json(request));
  asked.time_limit_seconds = std::min(asked.time_limit_seconds, time_to_start());
  run(std::move(asked), traffic::control, nullptr, [self = shared_from_this()](const operation_outcome& outcome) {
    if (outcome.failure) return self->started(outcome.failure);
    try {
      const auto made = wire::from_json<wire::create_session_reply>(outcome.result->body);
      self->id_ = made.session_id;
      for (const auto& text : {made.info_message, made.warning_message, made.error_message}) self->notice(text);
    } catch (const error&) {
      return self->started(std::current_exception());
    }
    self->recognise();
  });
}

// Most servers are known by what they have said by now; one that gives uuids says who it is with its models.
GRADWIRE_DECL void session::recognise() {
  if (!options_.dialect.empty() || recognised_) return started(nullptr);
  const std::string base_url = peer_->address.text() + "/";
  if (const auto* row = wire::recognise({.base_url = base_url, .session_id = id_})) {
    use_dialect(*row);
    if (row->name != "skyrl") return started(nullptr);
    // Its releases that take JSON only have an endpoint that the later ones lack; {} is refused before anything is
    // done.
    return run(question_in_passing(*this, "forward", "/api/v1/forward", "{}"), traffic::control, nullptr,
               [self = shared_from_this()](const operation_outcome& outcome) {
                 const error* const failed =
                     outcome.machine && outcome.failure ? &*outcome.machine->failure() : nullptr;
                 if (failed && failed->kind() == errc::status && failed->details().http_status == 422)
                   self->use_dialect(*wire::find_dialect("skyrl-json"));
                 else if (!failed || failed->kind() != errc::status || !is_not_there(failed->details().http_status))
                   self->dialect_.order = wire::sequencing::unknown;  // it did not say which release it is
                 self->started(nullptr);
               });
  }
  if (!wire::detail::is_uuid(id_)) return started(nullptr);
  auto asked = question_in_passing(*this, "capabilities", "/api/v1/get_server_capabilities", "");
  run(std::move(asked), traffic::control, nullptr, [self = shared_from_this()](const operation_outcome& outcome) {
    if (!outcome.failure) {
      try {
        const auto models = wire::from_json<wire::server_capabilities_reply>(outcome.result->body);
        if (const auto* row = wire::recognise({.session_id = self->id_, .capabilities = &models})) {
          self->use_dialect(*row);
        }
      } catch (const error&) {  // it is only asked to recognise the server
      }
    }
    self->started(nullptr);
  });
}

// What a server says to its user is told once.
GRADWIRE_DECL void session::notice(const std::string& text) {
  if (text.empty() || notices_.size() > 100 || !notices_.insert(text).second) return;
  const std::string shown = peer_->scrubbed(printable(text, 500));
  if (!options_.on_event) {
    std::fprintf(stderr, "gradwire: the trainer says: %s\n", shown.c_str());
    return;
  }
  client_event event;
  event.what = client_event::type::notice;
  event.detail = shown;
  tell(std::move(event));
}

GRADWIRE_DECL void session::saw(const http_response& reply) {
  saw_boot(reply.header("X-Trainer-Boot"));
  const auto note = reply.header("x-deprecation-note");
  if (note.empty()) return;
  const auto level = reply.header("x-deprecation-level");
  notice((level.empty() ? "deprecated: " : std::string(level) + ", deprecated: ") + std::string(note));
}

// A 401 that says that the passing key has run out was not executed: a new key, and the same once more. What does not
// get one by its deadline ends with the 401.
GRADWIRE_DECL bool running_operation::replay_with_new_key(const http_response& reply) {
  if (reply.status != 401 || replayed || peer || !owner->own_peer_) return false;
  if (reply.header("WWW-Authenticate").find("invalid_token") == std::string_view::npos) return false;
  replayed = true;
  if (sent_to != owner->peer_) return send_again(), true;  // another one has had it renewed meanwhile
  const auto refusal = std::make_shared<const http_response>(reply);
  timer = owner->net().start_timer(machine.deadline(), [self = shared_from_this(), refusal] {
    self->timer = 0;
    if (self->finished) return;
    self->guarded([&] { self->act(self->machine.on_reply(self->owner->net().now(), *refusal)); });
  });
  owner->exchange_key([self = shared_from_this(), refusal](const std::exception_ptr& failure) {
    if (self->finished || self->timer == 0 || self->owner->is_closed()) return;
    self->owner->net().cancel_timer(std::exchange(self->timer, 0));
    self->guarded(
        [&] { failure ? self->act(self->machine.on_reply(self->owner->net().now(), *refusal)) : self->send_again(); });
  });
  return true;
}

}  // namespace detail
}  // namespace gradwire::inline v0
