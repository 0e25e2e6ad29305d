// SPDX-License-Identifier: Apache-2.0
// Every loss once more, in float with its defaults: the rows that catalogue.cmake has generated, compiled with the
// headers in rows/ in place of those of the catalogue.
#pragma once

#include <gradwire/gradient/run.hpp>
#include <span>
#include <string_view>
#include <vector>

#include "catalogue_fields.hpp"

namespace float_catalogue {

// A class of its own for short names, as catalogue::full_batch.
struct full_batch : gradwire::detail::batch_type<float, catalogue::all_fields>::type {
  using batch_type = gradwire::detail::batch_type<float, catalogue::all_fields>::type;
  full_batch(batch_type from) noexcept : batch_type(std::move(from)) {}
};

struct preset_row {
  std::string_view name;
  gradwire::evaluation<float> (*evaluate)(const full_batch&) = nullptr;
};
struct estimator_row {};
std::span<const preset_row> presets();
std::span<const estimator_row> estimators();

}  // namespace float_catalogue
