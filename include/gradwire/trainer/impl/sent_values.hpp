// SPDX-License-Identifier: Apache-2.0
// The numbers that a server's loss reads, as the wire's floats: all of a batch is checked before any of it is sent.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/trainer/impl/datum_builder.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct value_place {
  std::size_t sequence, group, target;
  std::size_t at;  // in the storage of a column of tokens or candidates
};

inline std::size_t group_holding(const layout& shape, std::size_t sequence) {
  const auto after = std::upper_bound(shape.group_begin.begin(), shape.group_begin.end(), sequence);
  return static_cast<std::size_t>(after - shape.group_begin.begin()) - 1;
}

inline std::size_t index_at(extent level, const plain_batch& data, const value_place& p) {
  return level == extent::candidate  ? p.at
         : level == extent::token    ? data.shape().offset[p.sequence] + p.target
         : level == extent::sequence ? p.sequence
         : level == extent::group    ? p.group
                                     : 0;
}

[[noreturn]] inline void does_not_fit_wire(const value_place& p, const std::string& name, double value) {
  char printed[40];
  std::snprintf(printed, sizeof printed, "%.9g", value);
  throw error(errc::data,
              "datum " + std::to_string(p.sequence) + ", token " + std::to_string(p.target) + ": '" + name +
                  "' would be sent as " + printed + ", which does not fit into the wire's float; nothing was sent",
              {.datum = static_cast<std::int64_t>(p.sequence),
               .token = static_cast<std::int64_t>(p.target),
               .column = name,
               .value = printed});
}

// An input has a name, that of the wire, and gives the value at a place as double.
template <class Input>
void check_fits_wire(const plain_batch& data, const std::vector<Input>& inputs) {
  const layout& shape = data.shape();
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    const std::size_t group = group_holding(shape, s);
    for (const Input& input : inputs) {
      for (std::size_t t = 0; t < shape.length[s]; ++t) {
        for (std::size_t k = 0; k < data.width(); ++k) {
          const value_place place{s, group, t, k * shape.padded() + shape.offset[s] + t};
          const double value = input(place);
          if (!std::isfinite(static_cast<float>(value))) does_not_fit_wire(place, input.name, value);
        }
      }
    }
  }
}

// The first request of a batch checks all of it: one that fails later would leave gradients on the trainer.
template <class Input>
std::vector<wire::datum> datums_with(const plain_batch& data, chunk_range range, const std::vector<Input>& inputs) {
  if (range.begin == 0) check_fits_wire(data, inputs);
  const datum_builder build{data};
  std::vector<wire::datum> made;
  for (std::size_t s = range.begin; s < range.end; ++s) {
    const std::size_t group = group_holding(data.shape(), s);
    made.push_back(build.begin(s));
    for (const Input& input : inputs) {
      made.back().loss_fn_inputs.push_back({input.name, build.made(s, [&](std::size_t at, std::size_t t) {
                                              return static_cast<float>(input(value_place{s, group, t, at}));
                                            })});
    }
  }
  return made;
}

}  // namespace detail
}  // namespace gradwire::inline v0
