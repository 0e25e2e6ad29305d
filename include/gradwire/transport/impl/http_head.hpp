// SPDX-License-Identifier: Apache-2.0
// What the HTTP server refuses of a request's head: a name that is not this machine's, and whatever two readers could
// understand in two ways.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <gradwire/transport/http.hpp>
#include <gradwire/transport/http_server.hpp>

namespace gradwire::inline v0 {
namespace detail {

// A page of another site that resolves its own name to 127.0.0.1 (DNS rebinding) still sends its own name here. So a
// name must be one that we know; an address is nobody's name.
inline bool is_own_host(std::string_view host, const http_server_options& options) {
  const std::string_view name = host.substr(0, host.find(']') == host.npos ? host.find(':') : host.find(']') + 1);
  const std::string_view port = host.substr(name.size());
  if (!port.empty() && (port.size() == 1 || port.find_first_not_of("0123456789", 1) != port.npos)) return false;
  if (name == "127.0.0.1" || same_text(name, "localhost") || name == "[::1]") return true;
  for (const std::string& known : options.host_names)
    if (same_text(name, known)) return true;
  if (!options.allow_other_machines) return false;
  const bool in_brackets = name.size() > 2 && name.front() == '[' && name.back() == ']';
  error_code no_address;
  asio::ip::make_address(std::string(in_brackets ? name.substr(1, name.size() - 2) : name), no_address);
  return !no_address;
}

// What is wrong with the bytes of a request's head, as far as they have come; "" when nothing is. The parser reads over
// all of these, and another reader before or behind us may read them differently.
inline std::string_view fault_of_head(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '\n' && (i == 0 || text[i - 1] != '\r')) return "a line ends without a carriage return";
    if (byte == '\r' && i + 1 < text.size() && text[i + 1] != '\n') return "a carriage return inside a line";
    if (i > 0 && text[i - 1] == '\n' && (byte == ' ' || byte == '\t')) return "a folded line";
    if ((byte < 0x20 && byte != '\t' && byte != '\r' && byte != '\n') || byte == 0x7f) return "a control character";
  }
  return {};
}

// The same for what the parser has made of a request.
template <class Head>
std::string_view ambiguity_of(const Head& head) {
  if (head.count(http::field::host) != 1) return "a request needs exactly one Host";
  if (const std::string_view fault = ambiguous_framing(head); !fault.empty()) return fault;
  if (!view_of(head.target()).starts_with('/')) return "a request's target begins with '/'";
  return {};
}

}  // namespace detail
}  // namespace gradwire::inline v0
