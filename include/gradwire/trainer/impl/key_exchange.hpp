// SPDX-License-Identifier: Apache-2.0
// A server may want the user's key only once, and give a passing one (a JWT) for it that all other requests carry. It
// is exchanged anew when half of its life is over.
#pragma once

#include <algorithm>
#include <charconv>
#include <memory>
#include <string>
#include <utility>

#include <gradwire/trainer/impl/session.hpp>
#include <gradwire/wire/base64.hpp>
#include <gradwire/wire/json_document.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline double number_of(const wire::json_document& document, std::string_view name, double otherwise) {
  const auto* const node = document.find(document.root(), name);
  double value = otherwise;
  if (node && node->kind == wire::json_kind::number)
    std::from_chars(node->text.data(), node->text.data() + node->text.size(), value);
  return value;
}

// Seconds from issue to expiry; 600 when the token does not say.
inline double lifetime_of(std::string_view jwt) {
  constexpr double unknown = 600;
  const auto first = jwt.find('.');
  const auto second = first == jwt.npos ? jwt.npos : jwt.find('.', first + 1);
  if (second == jwt.npos) return unknown;
  std::string part(jwt.substr(first + 1, second - first - 1));
  for (char& c : part) c = c == '-' ? '+' : c == '_' ? '/' : c;
  while (part.size() % 4 != 0) part += '=';
  try {
    const std::string claims = wire::from_base64(part).value_or("");
    const wire::json_document document(claims);
    const double issued = number_of(document, "iat", 0), expires = number_of(document, "exp", 0);
    return issued > 0 && expires > issued ? expires - issued : unknown;
  } catch (const error&) {
    return unknown;
  }
}

// One exchange for all who wait for a key.
GRADWIRE_DECL void session::exchange_key(std::function<void(std::exception_ptr)> then) {
  key_waiting_.push_back(std::move(then));
  if (key_waiting_.size() > 1) return;
  operation_record asked;
  try {
    if (!own_peer_) own_peer_ = peer_;
    asked = record("auth/token", "/api/v1/auth/token", "{}", effect::reads);
  } catch (...) {
    key_waiting_.pop_back();
    throw;
  }
  asked.has_future = false;
  asked.time_limit_seconds = std::min(asked.time_limit_seconds, 60.0);
  if (state_ == state::starting) asked.time_limit_seconds = std::min(asked.time_limit_seconds, time_to_start());
  run(
      std::move(asked), traffic::control, nullptr,
      [self = shared_from_this()](const operation_outcome& outcome) { self->key_came(outcome); }, own_peer_);
}

GRADWIRE_DECL void session::key_came(const operation_outcome& outcome) {
  std::exception_ptr failure = outcome.failure;
  try {
    if (!failure) {
      const wire::json_document document(outcome.result->body);
      const auto* const given = document.find(document.root(), "jwt");
      if (!given || given->kind != wire::json_kind::string)
        throw error(errc::protocol, "the reply to auth/token has no jwt");
      http_peer with_token = *own_peer_;
      with_token.key = secret(std::string(given->text), "the server's token");
      peer_ = std::make_shared<const http_peer>(std::move(with_token));
      refresh_key_later(lifetime_of(given->text) / 2);
    }
  } catch (...) {
    failure = std::current_exception();
  }
  std::exception_ptr broken;
  for (const auto& then : std::exchange(key_waiting_, {})) {
    try {
      then(failure);
    } catch (...) {  // the others are told all the same
      broken = std::current_exception();
    }
  }
  if (broken) std::rethrow_exception(broken);
}

// Instead of the time that was set before.
GRADWIRE_DECL void session::refresh_key_later(double seconds) {
  if (closed_) return;
  if (key_timer_ != 0) net_->cancel_timer(std::exchange(key_timer_, 0));
  key_timer_ = net_->start_timer(net_->now() + in_seconds(std::max(seconds, 1.0)), [self = shared_from_this()] {
    self->key_timer_ = 0;
    if (self->closed_) return;
    self->exchange_key([self](std::exception_ptr failure) {
      if (failure) self->refresh_key_later(60);  // the old one is good for as long again
    });
  });
}

}  // namespace detail
}  // namespace gradwire::inline v0
