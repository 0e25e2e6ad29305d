// SPDX-License-Identifier: Apache-2.0
// What a server would misread in silence is refused before it is sent, and what it does not know is left out.
#pragma once

#include <string>
#include <variant>

#include <gradwire/error.hpp>
#include <gradwire/wire/dialect.hpp>
#include <gradwire/wire/messages_training.hpp>

namespace gradwire::inline v0 {
namespace wire {

// Provenance changes nothing but for losses that read it: it goes only to a server that is known to take it, so that one
// program runs on all of them. Throws errc::config where the loss reads it.
inline void leave_out_unknown_spans(forward_backward_request& request, const dialect& server, encoding body,
                                    std::size_t first = 0) {
  if (server.spans == provenance::both || (server.spans == provenance::protobuf && body == encoding::protobuf)) return;
  for (std::size_t i = 0; i < request.data.size(); ++i) {
    datum& each = request.data[i];
    if (request.loss_fn == "stable_reinforce" && !each.model_input_spans.empty())
      throw error(errc::config,
                  "stable_reinforce reads where each datum comes from, and this server (" + std::string(server.name) +
                      ") is not known to take that in this encoding",
                  {.datum = static_cast<std::int64_t>(first + i), .column = "model_input_spans"});
    each.model_input_spans.clear();
    each.loss_fn_input_spans.clear();
  }
}

// Throws errc::config: text settings that the server would lose, targets of K a position that it would flatten. `first`:
// the number of the request's first datum in the user's batch.
inline void check_body(const forward_backward_request& request, const dialect& server, std::size_t first = 0) {
  const std::string name = "this server (" + std::string(server.name) + ")";
  if (!server.text_config)
    for (const auto& item : request.loss_fn_config)
      if (std::holds_alternative<std::string>(item.value))
        throw error(errc::config,
                    name + " takes numbers as settings of a loss; '" + item.name + "' is text, which it would lose");
  if (server.matrix_targets) return;
  for (std::size_t i = 0; i < request.data.size(); ++i) {
    const auto* const targets = find(request.data[i].loss_fn_inputs, "target_tokens");
    if (targets != nullptr && targets->shape().size() > 1)
      throw error(errc::config,
                  name + " takes one target a position, not " + std::to_string(targets->shape()[1]) + " candidates",
                  {.datum = static_cast<std::int64_t>(first + i), .column = "target_tokens"});
  }
}

}  // namespace wire
}  // namespace gradwire::inline v0
