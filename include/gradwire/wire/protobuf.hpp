// SPDX-License-Identifier: Apache-2.0
// to_protobuf(message) and from_protobuf<message>(bytes) for the three messages that have a protobuf form:
// forward_backward_request, forward_backward_reply, sample_reply.
#pragma once

#include <gradwire/wire/protobuf_reply.hpp>
#include <gradwire/wire/protobuf_request.hpp>
#include <gradwire/wire/protobuf_sampling.hpp>

namespace gradwire::inline v0 {
namespace wire {

// Throws errc::decode when the bytes are not that message.
template <class M>
M from_protobuf(std::string_view bytes) {
  M message{};
  try {
    detail::read(protozero::pbf_reader(bytes.data(), bytes.size()), message);
  } catch (const protozero::exception& problem) {
    detail::malformed(problem.what());
  }
  return message;
}

}  // namespace wire
}  // namespace gradwire::inline v0
