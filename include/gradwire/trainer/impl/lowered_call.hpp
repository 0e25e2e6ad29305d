// SPDX-License-Identifier: Apache-2.0
// The request of a loss that lower() has recognised.
#pragma once

#include <string>
#include <vector>

#include <gradwire/trainer/impl/plain_batch.hpp>
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
  double operator()(std::size_t s, std::size_t group, std::size_t t) const {
    const std::size_t index = level == extent::token      ? data.shape().offset[s] + t
                              : level == extent::sequence ? s
                              : level == extent::group    ? group
                                                          : 0;
    return value_at(data.state->columns[slot]->data, data.state->kind, index);
  }
};

// The servers have no mask: an advantage of 0 stands for it, with a logprob of 0, whose ratio overflows nowhere.
inline std::vector<wire::datum> datums_for_form(const plain_batch& data, chunk_range range, const lowered_form& form) {
  const datum_builder build{data};
  const layout& shape = data.shape();
  const auto scale = [&](std::size_t s, std::size_t t) {
    const double weight = data.weight(s, t);
    return form.scale * (form.counts_weights || weight == 0 ? weight : 1.0);
  };
  std::vector<wire::datum> made;
  std::size_t group = 0;
  for (std::size_t s = range.begin; s < range.end; ++s) {
    while (shape.group_begin[group + 1] <= s) ++group;
    made.push_back(build.begin(s));
    auto& inputs = made.back().loss_fn_inputs;
    if (form.name == "cross_entropy") {
      inputs.push_back(
          {"weights", build.made(s, [&](std::size_t, std::size_t t) { return static_cast<float>(scale(s, t)); })});
      continue;
    }
    const column_reader advantage(data, form.advantage), old(data, form.old_field);
    const auto weighed = [&](std::size_t t) {
      const double by = scale(s, t);
      return by == 0 ? 0.0 : by * advantage(s, group, t);
    };
    inputs.push_back({"logprobs", build.made(s, [&](std::size_t, std::size_t t) {
                        return weighed(t) == 0 ? 0.0f : static_cast<float>(old(s, group, t));
                      })});
    inputs.push_back(
        {"advantages", build.made(s, [&](std::size_t, std::size_t t) { return static_cast<float>(weighed(t)); })});
  }
  return made;
}

}  // namespace detail
}  // namespace gradwire::inline v0
