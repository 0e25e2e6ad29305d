// SPDX-License-Identifier: Apache-2.0
// What a server would misread in silence is refused before it is sent.
#pragma once

#include <string>
#include <variant>

#include <gradwire/error.hpp>
#include <gradwire/wire/dialect.hpp>
#include <gradwire/wire/messages_training.hpp>

namespace gradwire::inline v0 {
namespace wire {

// Throws errc::config: text settings that the server would lose, and targets of K a position that it would flatten.
inline void check_body(const forward_backward_request& request, const dialect& server) {
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
                  {.datum = static_cast<std::int64_t>(i), .column = "target_tokens"});
  }
}

}  // namespace wire
}  // namespace gradwire::inline v0
