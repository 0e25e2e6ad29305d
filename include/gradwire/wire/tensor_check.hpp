// SPDX-License-Identifier: Apache-2.0
// Whether a tensor that came over the wire holds together: shape against values, sparse rows in order and in range.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/wire/tensor.hpp>

namespace gradwire::inline v0 {
namespace wire {
namespace detail {

// The number of cells, or -1 when an extent is negative or the product does not fit.
inline std::int64_t cells(const shape_type& shape) noexcept {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0) return -1;
    if (extent != 0 && product > std::numeric_limits<std::int64_t>::max() / extent) return -1;
    product *= extent;
  }
  return product;
}

inline std::string sparse_fault(const sparse_rows& rows, const shape_type& shape, std::size_t values) {
  if (shape.size() != 2) return "a sparse tensor needs a shape of two extents";
  const auto& crow = rows.crow_indices;
  if (crow.size() != static_cast<std::size_t>(shape[0]) + 1) return "crow_indices must have rows + 1 entries";
  if (rows.col_indices.size() != values) return "col_indices must have one entry for each value";
  if (crow[0] != 0 || crow[crow.size() - 1] != static_cast<std::int64_t>(values))
    return "crow_indices must go from 0 to the number of values";
  for (std::size_t i = 1; i < crow.size(); ++i)
    if (crow[i] < crow[i - 1]) return "crow_indices must not decrease";
  for (const std::int64_t column : rows.col_indices)
    if (column < 0 || column >= shape[1]) return "a column index is outside the shape";
  return {};
}

// "" when it is well formed, else what is wrong.
inline std::string form_fault(const tensor& value) {
  const std::int64_t expected = cells(value.shape());
  if (expected < 0) return "shape has a negative or too large extent";
  if (const auto* rows = value.sparse()) return sparse_fault(*rows, value.shape(), value.size());
  if (static_cast<std::uint64_t>(expected) != value.size())
    return "shape asks for " + std::to_string(expected) + " values, there are " + std::to_string(value.size());
  return {};
}

}  // namespace detail

// The values of a tensor row-major, with the cells that sparse rows leave out as zero. `limit` bounds the cells that
// may be made, because a few bytes of sparse rows can claim any shape.
template <class T>
array<T> dense_values(const tensor& value, std::size_t limit = std::size_t{1} << 28) {
  const auto* rows = value.sparse();
  if (rows == nullptr) return value.values<T>();
  const auto count = static_cast<std::size_t>(detail::cells(value.shape()));
  if (count > limit) throw error(errc::data, "a sparse tensor of " + std::to_string(count) + " cells is too large");
  const array<T> given = value.values<T>();
  const auto columns = static_cast<std::size_t>(value.shape()[1]);
  std::vector<T> cells(count);
  for (std::size_t row = 0; row + 1 < rows->crow_indices.size(); ++row)
    for (auto i = static_cast<std::size_t>(rows->crow_indices[row]);
         i < static_cast<std::size_t>(rows->crow_indices[row + 1]); ++i)
      cells[row * columns + static_cast<std::size_t>(rows->col_indices[i])] = given[i];
  return cells;
}

}  // namespace wire
}  // namespace gradwire::inline v0
