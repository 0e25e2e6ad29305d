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

GRADWIRE_DECL void session::exchange_key(std::function<void(std::exception_ptr)> then) {
  if (!own_peer_) own_peer_ = peer_;
  auto asked = record("auth/token", "/api/v1/auth/token", "{}", effect::reads);
  asked.has_future = false;
  asked.time_limit_seconds = std::min(asked.time_limit_seconds, 60.0);
  auto made = std::make_shared<running_operation>(shared_from_this(), std::move(asked), key_base_, traffic::control);
  made->peer = own_peer_;
  made->done = [self = shared_from_this(), then = std::move(then)](const operation_outcome& outcome) {
    if (outcome.failure) return then(outcome.failure);
    try {
      const wire::json_document document(outcome.result->body);
      const auto* const given = document.find(document.root(), "jwt");
      if (!given || given->kind != wire::json_kind::string)
        throw error(errc::protocol, "the reply to auth/token has no jwt");
      http_peer with_token = *self->own_peer_;
      with_token.key = secret(std::string(given->text), "the server's token");
      self->peer_ = std::make_shared<const http_peer>(std::move(with_token));
      self->refresh_key_later(lifetime_of(given->text) / 2);
    } catch (const error&) {
      return then(std::current_exception());
    }
    then(nullptr);
  };
  running_.insert(made);
  if (closed_) return made->close();
  made->act(made->machine.begin(net_->now()));
}

GRADWIRE_DECL void session::refresh_key_later(double seconds) {
  if (closed_) return;
  net_->start_timer(net_->now() + in_seconds(std::max(seconds, 1.0)), [self = shared_from_this()] {
    if (self->closed_) return;
    self->exchange_key([self](std::exception_ptr failure) {
      if (failure) self->refresh_key_later(60);  // the old one is good for as long again
    });
  });
}

}  // namespace detail
}  // namespace gradwire::inline v0
