// SPDX-License-Identifier: Apache-2.0
// The request of a loss that lower() has recognised.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <gradwire/trainer/impl/sent_values.hpp>
#include <gradwire/trainer/impl/training_core.hpp>
#include <gradwire/trainer/lowered_form.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline std::size_t slot_of_field(const field_info* const* infos, std::string_view name) {
  for (std::size_t i = 0; infos[i]; ++i)
    if (infos[i]->name == name) return i + 1;  // 0 are the weights
  throw error(errc::data, "lower(): the batch does not carry " + std::string(name), {.column = std::string(name)});
}

inline bool sums_its_losses(model& on) {
  const session& of = *on.of();
  return on.held().sums || (of.is_recognised() && of.dialect().custom_loss == wire::lowering::cross_entropy);
}

// Throws where this server, or this batch, does not give the loss's own gradient.
inline void check_form(model& on, const plain_batch& data, const lowered_form& form) {
  const session& of = *on.of();
  const std::string server = "this server (" + std::string(of.dialect().name) + ")";
  if (on.held().divides || (of.is_recognised() && of.dialect().custom_loss == wire::lowering::importance_sampling))
    throw error(errc::config,
                "lower(): " + server + " divides its losses by the tokens and sequences of a step, so that its " +
                    form.name + " is not this loss. Leave lower() out: custom losses are right there",
                {.operation = "forward_backward"});
  if (form.name != "cross_entropy" && !of.dialect().policy_losses_as_written)
    throw error(errc::config,
                "lower(): " + server + " caps the ratio in its " + form.name +
                    ", so that it is not this loss. Leave lower() out",
                {.operation = "forward_backward"});
  if (!form.needs_no_negative || !form.counts_weights) return;
  for (std::size_t s = 0; s < data.shape().sequences(); ++s)
    for (std::size_t t = 0; t < data.shape().length[s]; ++t)
      if (data.weight(s, t) < 0)
        throw error(
            errc::data,
            "lower(): datum " + std::to_string(s) + ", token " + std::to_string(t) +
                " has a negative weight, which would turn the minimum of the server's ppo into a maximum. Leave "
                "lower() out",
            {.datum = static_cast<std::int64_t>(s),
             .token = static_cast<std::int64_t>(t),
             .column = "weights",
             .value = std::to_string(data.weight(s, t))});
}

inline std::vector<server_loss::setting> config_of(const lowered_form& form) {
  if (form.name != "ppo" && form.name != "cispo") return {};
  return {{"clip_low_threshold", form.low}, {"clip_high_threshold", form.high}};
}

// A column of the batch as one value a target.
struct column_reader {
  const plain_batch& data;
  std::size_t slot;
  extent level;
  column_reader(const plain_batch& of, std::string_view field)
      : data(of), slot(slot_of_field(of.infos, field)), level(of.infos[slot - 1]->level) {}
  double operator()(const value_place& p) const {
    return value_at(data.state->columns[slot]->data, data.state->kind, index_at(level, data, p));
  }
};

// Weights, or where there is an advantage that, or where there is a logprob too the logprob. The servers have no mask:
// an advantage of 0 stands for it, with a logprob of 0, whose ratio overflows nowhere.
struct form_input {
  std::string name;
  const plain_batch& data;
  const lowered_form& form;
  std::optional<column_reader> advantage{}, logprob{};

  double operator()(const value_place& p) const {
    const double weight = data.weight(p.sequence, p.target);
    const double by = form.scale * (form.counts_weights || weight == 0 ? weight : 1.0);
    if (!advantage) return by;
    const double weighed = by == 0 ? 0.0 : by * (*advantage)(p);
    if (!logprob) return weighed;
    return weighed == 0 ? 0.0 : (*logprob)(p);
  }
};

inline std::vector<wire::datum> datums_for_form(const plain_batch& data, chunk_range range, const lowered_form& form) {
  if (form.name == "cross_entropy") return datums_with<form_input>(data, range, {{"weights", data, form}});
  const column_reader advantage(data, form.advantage), old(data, form.old_field);
  return datums_with<form_input>(data, range,
                                 {{"logprobs", data, form, advantage, old}, {"advantages", data, form, advantage}});
}

}  // namespace detail
}  // namespace gradwire::inline v0
