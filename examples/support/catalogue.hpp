// SPDX-License-Identifier: Apache-2.0
// Every loss and every advantage estimator of the library as one row, without their types: what a program needs that
// lets its user pick a loss by name. The rows are generated from the headers (catalogue.cmake). A row evaluates with
// the library's own engine, in double, on one kind of batch, which has every standard field.
#pragma once

#include <gradwire/gradient/run.hpp>
#include <gradwire/gradient/tree.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "catalogue_fields.hpp"

namespace catalogue {

// The batch of all rows. What a user did not give is 0 there; batch_table.hpp knows what was given.
// A class of its own, because the compiler spells the types of a batch out in every name that it makes of one.
struct full_batch : gradwire::detail::batch_type<double, all_fields>::type {
  using batch_type = gradwire::detail::batch_type<double, all_fields>::type;
  full_batch(batch_type from) noexcept : batch_type(std::move(from)) {}
};

enum class kind : unsigned char { number, flag, integer, offset, bound };

struct parameter {
  std::string_view name, comment;
  kind what = kind::number;
  double standard = 0;         // its default; flags are 0 or 1
  std::string_view follows{};  // the parameter whose value is its default, if there is one
  std::size_t place = 0;       // bytes from the beginning of the preset
};

struct broken_rule {
  gradwire::rule what{};
  std::string_view reason;
};

// What presets and estimators have in common.
struct row {
  std::string_view name;         // as users write it: trl::dapo, skyrl::ppo+tis_token
  std::string_view description;  // the comment above the preset, may be empty
  std::string_view head;         // the comment at the head of its header: title, source, formula
  std::string_view header;       // gradwire/loss/trl/dapo.hpp
  std::vector<parameter> parameters;
  std::vector<const gradwire::field_info*> fields;  // what it reads, besides weights
  std::vector<broken_rule> breaks;                  // of the contract, by its own declaration
};

struct preset_row : row {
  const gradwire::field_info* variable = nullptr;  // what it is differentiated by
  int passes = 0;                                  // sweeps over the tokens
  bool pairs = false;                              // compares chosen with rejected
  gradwire::evaluation<double> (*evaluate_)(const row&, std::span<const double>, const full_batch&) = nullptr;
  gradwire::formula::tree (*reflect_)(const row&, std::span<const double>) = nullptr;

  // Loss and slope by the library's engine. values: one a parameter, in their order.
  gradwire::evaluation<double> evaluate(std::span<const double> values, const full_batch& batch) const {
    return evaluate_(*this, values, batch);
  }
  // And the metrics, which are read off the formula's tree: 8 of them in the engine would double a row's compile time.
  gradwire::evaluation<double> evaluate_with_metrics(std::span<const double> values, const full_batch& batch) const;
  gradwire::formula::tree reflect(std::span<const double> values) const { return reflect_(*this, values); }
};

struct estimator_row : row {
  // The advantage of every token, in the layout of a per-token column; 0 where masked.
  gradwire::column<double> (*evaluate_)(const row&, std::span<const double>, const full_batch&) = nullptr;
  gradwire::column<double> evaluate(std::span<const double> values, const full_batch& batch) const {
    return evaluate_(*this, values, batch);
  }
};

std::span<const preset_row> presets();
std::span<const estimator_row> estimators();

// Values in the order of the parameters: those that are set, else defaults. Throws error (errc::config) that lists the
// parameters where one is not known, and where a value does not fit its kind.
struct setting {
  std::string name;
  double value = 0;
};
std::vector<double> values_with(const row& of, std::span<const setting> settings);
inline std::vector<double> defaults(const row& of) { return values_with(of, {}); }

// Throws error (errc::config) that offers the nearest names.
const preset_row& preset(std::string_view name);
const estimator_row& estimator(std::string_view name);

inline bool reads(const row& of, std::string_view field) {
  for (const gradwire::field_info* each : of.fields)
    if (field == each->name) return true;
  return false;
}

// trl of trl::dapo; "paper" for those without a prefix.
inline std::string_view source_of(const row& of) {
  const std::size_t at = of.name.find("::");
  return at == std::string_view::npos ? "paper" : of.name.substr(0, at);
}

}  // namespace catalogue
