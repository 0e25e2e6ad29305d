// SPDX-License-Identifier: Apache-2.0
// What can be asked of a model, and of which server.
#pragma once

#include <string>

#include <gradwire/error.hpp>
#include <gradwire/trainer/options.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/messages.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline void check_optimizer(const std::string& optimizer, const wire::dialect& knows) {
  if (optimizer != "adamw" && !knows.optimizers)
    throw error(errc::config, "this server (" + std::string(knows.name) +
                                  ") has AdamW only; leave optimizer at 'adamw' (given is '" +
                                  printable(optimizer, 40) + "')");
}

inline void check_model_options(const training_client_options& o, const wire::dialect& knows) {
  if (o.base_model.empty())
    throw error(errc::config, "base_model is empty; name the model as the server calls it (capabilities() lists them)");
  if (o.lora_rank < 0)
    throw error(errc::config,
                "lora_rank is " + std::to_string(o.lora_rank) + "; it must be 0 (every parameter) or more");
  if (o.lora_rank == 0 && !knows.full_parameter) {
    throw error(errc::config,
                "this server (" + std::string(knows.name) + ") trains adapters only; give a lora_rank of 1 or more");
  }
  check_optimizer(o.optimizer, knows);
  if (o.lora_alpha && !knows.lora_alpha) {
    throw error(errc::config, "this server (" + std::string(knows.name) + ") does not take lora_alpha; leave it out");
  }
}

inline wire::optimizer_config optimizer_config_of(const std::string& optimizer) {
  wire::optimizer_config made{.type = optimizer};
  if (optimizer == "dimuon") made.version = 1;
  return made;
}

}  // namespace detail
}  // namespace gradwire::inline v0
