// SPDX-License-Identifier: Apache-2.0
// What can go wrong, as one typed exception. The sentence says what happened and the way out; the details name the
// place (datum, token, value) or the operation (name, seq_id, request id, attempts, elapsed time). Never a key.
#pragma once

#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>

namespace gradwire::inline v0 {

enum class errc : unsigned char {
  transport,        // the connection failed before the server can have acted (refused, reset, TLS, DNS)
  timeout,          // the deadline of the operation passed
  status,           // the server answered with an error status or a failed future
  protocol,         // the server answered something that the protocol does not allow here
  decode,           // the answer could not be read as JSON or protobuf
  data,             // the user's data: a datum, column, token or value is wrong
  config,           // an option, name or path is wrong
  closed,           // the client was closed, or an earlier operation of the same model failed
  outcome_unknown,  // the operation mutates and may or may not have been executed
};

constexpr const char* to_string(errc kind) noexcept {
  constexpr const char* names[] = {"transport", "timeout", "status", "protocol",       "decode",
                                   "data",      "config",  "closed", "outcome_unknown"};
  return names[static_cast<unsigned>(kind)];
}

// Every member is optional; -1 and "" mean "not known".
struct error_details {
  std::string operation{};     // "forward_backward", "optim_step", …
  std::int64_t seq_id = -1;    // position in the model's sequence of operations
  std::string request_id{};    // the server's name of the future
  int attempts = 0;            // times the request was sent
  double elapsed_seconds = 0;  // since the operation began
  int http_status = 0;         // 0: no reply
  std::int64_t datum = -1;     // index in the batch, or in the list that was given
  std::int64_t token = -1;     // position in the datum's targets; of a token id, in its tokens
  std::string column{};        // the field's name, or a tensor's name on the wire
  std::string value{};         // the offending value, printed
  std::exception_ptr cause{};  // why the call before it failed, where that is why this one was not sent
};

class error : public std::runtime_error {
 public:
  error(errc kind, const std::string& sentence, error_details details = {})
      : std::runtime_error(std::string("gradwire: ").append(sentence)),
        kind_(kind),
        details_(static_cast<error_details&&>(details)) {}

  errc kind() const noexcept { return kind_; }
  const error_details& details() const noexcept { return details_; }

 private:
  errc kind_;
  error_details details_;
};

}  // namespace gradwire::inline v0
