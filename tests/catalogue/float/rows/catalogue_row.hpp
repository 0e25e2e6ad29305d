// SPDX-License-Identifier: Apache-2.0
// For the generated rows: a row is the float evaluation of the loss, and nothing of an estimator.
#pragma once

#include "../../../../examples/support/catalogue_row.hpp"
#include "../float_rows.hpp"

namespace float_catalogue {

struct parameter {};
template <class Preset, class M>
parameter parameter_of(const char*, const char*, const char*, M Preset::*) {
  return {};
}

// A preset without its metrics, under a short name.
template <class Preset>
struct loss_of {
  auto operator()() const { return gradwire::as_objective(Preset{}).loss; }
};

template <class Preset>
gradwire::evaluation<float> evaluate_preset(const full_batch& batch) {
  using loss = decltype(loss_of<Preset>{}());
  using variable = decltype(catalogue::variable_of<Preset, loss>());
  auto found = gradwire::value_and_gradient(loss_of<Preset>{}, gradwire::wrt(variable{}), gradwire::at(batch));
  return {found.loss, std::move(found.slope), {}};
}

template <class Preset>
preset_row make_loss(const char* name, const char*, const char*, const char*, const std::vector<parameter>&) {
  return {name, &evaluate_preset<Preset>};
}
template <class Estimator>
estimator_row make_advantage(const char*, const char*, const char*, const char*, const std::vector<parameter>&) {
  return {};
}

}  // namespace float_catalogue

#define catalogue float_catalogue
