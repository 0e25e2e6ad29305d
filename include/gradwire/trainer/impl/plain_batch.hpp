// SPDX-License-Identifier: Apache-2.0
// How batch_messages.hpp works.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include <gradwire/trainer/impl/batch_messages.hpp>
#include <gradwire/trainer/impl/datum_builder.hpp>

namespace gradwire::inline v0 {
namespace detail {

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
      group_bytes += shape.length[s] * (4 + 12 * data.width());  // the input's tokens, and targets and weights
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

GRADWIRE_DECL std::vector<wire::datum> datums_for_loss(const plain_batch& data, chunk_range range,
                                                       const server_loss::named& loss) {
  const datum_builder build{data};
  const bool reads_weights = std::find(loss.inputs.begin(), loss.inputs.end(), "weights") != loss.inputs.end();
  std::vector<wire::datum> made;
  for (std::size_t s = range.begin; s < range.end; ++s) {
    made.push_back(build.begin(s));
    for (const std::string& name : loss.inputs) {
      if (name == "target_tokens") continue;
      const std::size_t slot = find_slot(data.infos, name);
      const block& column = *data.state->columns[slot - 1];
      const extent level = slot == 1 ? extent::token : data.infos[slot - 2]->level;
      const std::size_t group = static_cast<std::size_t>(std::upper_bound(data.shape().group_begin.begin(),
                                                                          data.shape().group_begin.end(), s) -
                                                         data.shape().group_begin.begin()) -
                                1;
      made.back().loss_fn_inputs.push_back(
          {name, build.made(s, [&](std::size_t at, std::size_t t) {
             const std::size_t index = level == extent::candidate  ? at
                                       : level == extent::token    ? data.shape().offset[s] + t
                                       : level == extent::sequence ? s
                                       : level == extent::group    ? group
                                                                   : 0;
             const double value = value_at(column.data, data.state->kind, index);
             const double weight = data.weight(s, t);
             if (slot == 1) return static_cast<float>(value);
             if (weight == 0) return name == "advantages" || !std::isfinite(value) ? 0.0f : static_cast<float>(value);
             return static_cast<float>(name == "advantages" && !reads_weights ? value * weight : value);
           })});
    }
  }
  return made;
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
