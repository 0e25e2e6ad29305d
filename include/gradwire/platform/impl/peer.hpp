// SPDX-License-Identifier: Apache-2.0
// Whom a platform client's requests go to. Every peer of a client is made here, so that no address, wherever it came from,
// gets the key without what peer_at() asks of it: no plain http to another machine, no proxy but the address's own.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <gradwire/platform/client_options.hpp>
#include <gradwire/trainer/impl/peer.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

// Throws error{config}. `bearer`: the key also as Authorization.
inline std::shared_ptr<const http_peer> peer_for(const std::string& address, const secret& key,
                                                 const client_options& options, bool bearer) {
  connect_options how;
  how.ca_file = options.ca_file;
  how.proxy = options.proxy;
  how.allow_key_over_http = options.allow_key_over_http;
  how.headers = options.headers;
  auto made = v0::detail::peer_at(address, key, {}, how);
  made.bearer = bearer;
  return std::make_shared<const http_peer>(std::move(made));
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
