// SPDX-License-Identifier: Apache-2.0
// What a trainer says of a model, its export and its end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <gradwire/trainer/options.hpp>
#include <gradwire/trainer/records.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/future.hpp>

namespace gradwire::inline v0 {

struct model_info {
  std::string model_id{};
  std::string base_model{};
  std::string tokenizer_id{};  // "": not said
  std::string architecture{};  // …
  std::optional<bool> is_lora{};
  std::optional<std::int64_t> lora_rank{};
  std::string optimizer{};  // "adamw", …; "": not said
};

struct external_export {
  std::string path{};  // for rest_client::external_weights_urls
  std::optional<std::int64_t> size_bytes{};
  double elapsed_seconds = 0;
};

namespace detail {

class training_core;

GRADWIRE_DECL future<model_info> run_get_info(const training_core& core);
GRADWIRE_DECL future<external_export> run_save_external(const training_core& core,
                                                        const save_external_options& options);
GRADWIRE_DECL future<completed> run_unload(const training_core& core);

}  // namespace detail
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/training_core.hpp>
//
#include <gradwire/trainer/impl/model_info.hpp>
#endif
