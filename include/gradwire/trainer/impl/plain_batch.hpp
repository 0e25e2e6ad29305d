// SPDX-License-Identifier: Apache-2.0
// How batch_messages.hpp works.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include <gradwire/trainer/impl/batch_messages.hpp>
#include <gradwire/trainer/impl/datum_builder.hpp>
#include <gradwire/trainer/impl/sent_values.hpp>

namespace gradwire::inline v0 {
namespace detail {

// About the protobuf of a datum: inputs as int32, targets as int64 with a float each, and the tensors' names and shapes.
constexpr std::size_t estimated_bytes(std::size_t inputs, std::size_t targets) {
  return 64 + 4 * inputs + 12 * targets;
}

GRADWIRE_DECL std::size_t estimated_bytes(const std::vector<wire::datum>& data) {
  std::size_t bytes = 0;
  for (const wire::datum& each : data) {
    std::size_t inputs = 0;
    for (const wire::chunk& part : each.model_input) {
      if (const auto* text = std::get_if<wire::encoded_text>(&part)) inputs += text->tokens.size();
      if (const auto* picture = std::get_if<wire::image>(&part)) bytes += picture->data.size();
    }
    const wire::tensor* const targets = wire::find(each.loss_fn_inputs, "target_tokens");
    bytes += estimated_bytes(inputs, targets ? targets->size() : 0);
  }
  return bytes;
}

GRADWIRE_DECL std::vector<chunk_range> plan_chunks(const plain_batch& data, std::size_t max_datums,
                                                   std::size_t max_bytes) {
  const layout& shape = data.shape();
  std::vector<chunk_range> chunks;
  std::size_t bytes = 0;
  std::size_t border = 0;
  for (std::size_t g = 0; g < shape.groups(); ++g) {
    const chunk_range group{shape.group_begin[g], shape.group_begin[g + 1]};
    std::size_t group_bytes = 0;
    for (std::size_t s = group.begin; s < group.end; ++s) {
      group_bytes += estimated_bytes(shape.length[s], shape.length[s] * data.width());
      for (const auto& picture : data.state->tokens->rows[s]->images) group_bytes += picture.bytes.size;
    }
    const bool must_begin = border < data.borders.size() && data.borders[border] <= group.begin;
    while (border < data.borders.size() && data.borders[border] <= group.begin) ++border;
    const bool fits = !chunks.empty() && !must_begin && group.end - chunks.back().begin <= max_datums &&
                      bytes + group_bytes <= max_bytes;
    if (!fits) {
      chunks.push_back(group);
      bytes = 0;
    }
    chunks.back().end = group.end;
    bytes += group_bytes;
  }
  return chunks;
}

GRADWIRE_DECL std::vector<wire::datum> datums_with_zero_weights(const plain_batch& data, chunk_range range) {
  const datum_builder build{data};
  std::size_t longest = 0;
  for (std::size_t s = range.begin; s < range.end; ++s)
    longest = std::max(longest, data.shape().length[s] * data.width());
  const wire::array<float> zeros(std::vector<float>(longest, 0.0f));
  std::vector<wire::datum> made;
  for (std::size_t s = range.begin; s < range.end; ++s) {
    made.push_back(build.begin(s));
    made.back().loss_fn_inputs.push_back(
        {"weights", wire::tensor(zeros.slice(0, data.shape().length[s] * data.width()), build.shape_of(s))});
  }
  return made;
}

GRADWIRE_DECL std::vector<wire::datum> datums_with_slope(const plain_batch& data, chunk_range range,
                                                         const block& slope) {
  const datum_builder build{data};
  std::vector<wire::datum> made;
  for (std::size_t s = range.begin; s < range.end; ++s) {
    made.push_back(build.begin(s));
    made.back().loss_fn_inputs.push_back({"weights", build.made(s, [&](std::size_t at, std::size_t) {
                                            const auto value =
                                                static_cast<float>(value_at(slope.data, data.state->kind, at));
                                            return value == 0 ? 0.0f : -value;
                                          })});
  }
  return made;
}

GRADWIRE_DECL std::vector<wire::datum> datums_with_scaled_slope(const plain_batch& data, chunk_range range,
                                                                const block& slope, const block& logprobs,
                                                                double sequences) {
  const datum_builder build{data};
  std::vector<wire::datum> made;
  for (std::size_t s = range.begin; s < range.end; ++s) {
    const double scale = static_cast<double>(data.shape().length[s]) * sequences;
    made.push_back(build.begin(s));
    made.back().loss_fn_inputs.push_back({"logprobs", build.made(s, [&](std::size_t at, std::size_t) {
                                            const auto value =
                                                static_cast<float>(value_at(logprobs.data, number_kind::float32, at));
                                            return std::isfinite(value) ? value : 0.0f;
                                          })});
    made.back().loss_fn_inputs.push_back({"advantages", build.made(s, [&](std::size_t at, std::size_t) {
                                            return static_cast<float>(-value_at(slope.data, data.state->kind, at) *
                                                                      scale);
                                          })});
  }
  return made;
}

GRADWIRE_DECL void check_inputs(const plain_batch& data, const server_loss::named& loss) {
  for (const std::string& name : loss.inputs) {
    if (find_slot(data.infos, name) != no_slot) continue;
    std::string way_out = name == "logprobs"     ? "add old_logprobs = … to the datums"
                          : name == "advantages" ? "add advantage = … or token_advantage = … to the datums"
                                                 : "add a field with this wire name to the datums";
    throw error(errc::data,
                "the server's loss " + loss.name + " reads '" + name + "', which the batch does not carry; " + way_out,
                {.column = name});
  }
}

// A column as a server's loss reads it. Masked is a token for the server by an advantage of 0.
struct loss_input {
  std::string name;
  const plain_batch& data;
  const block& column;
  extent level;
  bool is_weights, is_advantages, weighs;

  loss_input(const plain_batch& of, const server_loss::named& loss, const std::string& input, std::size_t slot)
      : name(input),
        data(of),
        column(*of.state->columns[slot - 1]),
        level(slot == 1 ? extent::token : of.infos[slot - 2]->level),
        is_weights(slot == 1),
        is_advantages(input == "advantages"),
        weighs(is_advantages && std::find(loss.inputs.begin(), loss.inputs.end(), "weights") == loss.inputs.end()) {}

  double operator()(const value_place& p) const {
    const double value = value_at(column.data, data.state->kind, index_at(level, data, p));
    if (is_weights) return value;
    const double weight = data.weight(p.sequence, p.target);
    if (weight == 0) return is_advantages || !std::isfinite(static_cast<float>(value)) ? 0.0 : value;
    return weighs ? value * weight : value;
  }
};

inline void check_settings(const server_loss::named& loss) {
  for (const server_loss::setting& each : loss.config) {
    const double* const number = std::get_if<double>(&each.value);
    if (number == nullptr || std::isfinite(*number)) continue;
    const std::string value = std::to_string(*number);
    throw error(errc::config,
                "the setting " + each.name + " of the server's loss " + loss.name + " is " + value +
                    "; settings are finite numbers",
                {.operation = "forward_backward", .value = value});
  }
}

GRADWIRE_DECL std::vector<wire::datum> datums_for_loss(const plain_batch& data, chunk_range range,
                                                       const server_loss::named& loss) {
  check_settings(loss);
  std::vector<loss_input> inputs;
  for (const std::string& name : loss.inputs)
    if (name != "target_tokens") inputs.emplace_back(data, loss, name, find_slot(data.infos, name));
  return datums_with(data, range, inputs);
}

[[noreturn]] inline void wrong_rows(const std::string& sentence, std::int64_t datum, std::int64_t token, double value,
                                    bool has_value) {
  std::string text;
  if (has_value) {
    char buffer[40];
    std::snprintf(buffer, sizeof buffer, "%.9g", value);
    text = buffer;
  }
  throw error(errc::data, sentence + (has_value ? " " + text : ""),
              {.datum = datum, .token = token, .column = "logprobs", .value = text});
}

GRADWIRE_DECL void read_logprobs(const plain_batch& data, chunk_range range, const wire::forward_backward_reply& reply,
                                 block& logprobs) {
  const layout& shape = data.shape();
  const std::size_t count = range.end - range.begin;
  if (reply.loss_fn_outputs.size() != count) {
    wrong_rows("the trainer returned outputs for " + std::to_string(reply.loss_fn_outputs.size()) + " datums, " +
                   std::to_string(count) + " were sent",
               -1, -1, 0, false);
  }
  auto* const out = reinterpret_cast<float*>(logprobs.data);
  for (std::size_t s = range.begin; s < range.end; ++s) {
    const auto datum = static_cast<std::int64_t>(s);
    const wire::tensor* const given = wire::find(reply.loss_fn_outputs[s - range.begin], "logprobs");
    if (!given) wrong_rows("the trainer returned no logprobs for datum " + std::to_string(s), datum, -1, 0, false);
    const auto values = given->values<float>();
    if (values.size() != shape.length[s] * data.width()) {
      wrong_rows("datum " + std::to_string(s) + ": " + std::to_string(values.size()) + " logprobs for " +
                     std::to_string(shape.length[s] * data.width()) + " targets",
                 datum, -1, 0, false);
    }
    for (std::size_t t = 0; t < shape.length[s]; ++t) {
      const bool counts = data.weight(s, t) != 0;
      for (std::size_t k = 0; k < data.width(); ++k) {
        const float value = values[t * data.width() + k];
        // A log of rounded probabilities may come out a little above 0.
        if (counts && !(std::isfinite(value) && value < 1e-3f)) {
          wrong_rows(
              "datum " + std::to_string(s) + ", token " + std::to_string(t) + ": the trainer returned the logprob",
              datum, static_cast<std::int64_t>(t), static_cast<double>(value), true);
        }
        out[k * shape.padded() + shape.offset[s] + t] = value;
      }
    }
  }
}

template <class T>
void check_slope_of(const plain_batch& data, T* slope) {
  const layout& shape = data.shape();
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    for (std::size_t k = 0; k < data.width(); ++k) {
      T* const row = slope + k * shape.padded() + shape.offset[s];
      for (std::size_t t = 0; t < shape.length[s]; ++t) {
        if (std::isfinite(static_cast<float>(row[t]))) continue;
        if (data.weight(s, t) == 0) {
          row[t] = 0;
          continue;
        }
        char value[40];
        std::snprintf(value, sizeof value, "%.9g", static_cast<double>(row[t]));
        throw error(errc::data,
                    "the gradient of the loss is " + std::string(value) + " at datum " + std::to_string(s) +
                        ", token " + std::to_string(t) +
                        (std::isfinite(row[t]) ? ", which does not fit into the wire's float" : "") +
                        "; nothing was sent back",
                    {.datum = static_cast<std::int64_t>(s),
                     .token = static_cast<std::int64_t>(t),
                     .column = "gradient",
                     .value = value});
      }
    }
  }
}

GRADWIRE_DECL void check_slope(const plain_batch& data, block& slope) {
  if (data.state->kind == number_kind::float32) {
    check_slope_of(data, reinterpret_cast<float*>(slope.data));
  } else {
    check_slope_of(data, reinterpret_cast<double*>(slope.data));
  }
}

GRADWIRE_DECL double plain_cross_entropy(const plain_batch& data, const block& logprobs) {
  const layout& shape = data.shape();
  double sum = 0;
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    for (std::size_t t = 0; t < shape.length[s]; ++t) {
      const double weight = data.weight(s, t);
      if (weight != 0) sum -= weight * value_at(logprobs.data, number_kind::float32, shape.offset[s] + t);
    }
  }
  return sum;
}

GRADWIRE_DECL double count_of_weights(const plain_batch& data) { return data.state->weights->total_count; }

}  // namespace detail
}  // namespace gradwire::inline v0
