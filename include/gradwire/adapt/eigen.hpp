// SPDX-License-Identifier: Apache-2.0
// Eigen arrays as columns and columns as Eigen arrays:
//
//   datum{…, old_logprobs = probabilities.log()};                              // evaluated once, into the column
//   with(advantage = rewards - rewards.mean(), data);                          // one value a sequence
//   auto slope = as_eigen(gradient.slope[i]);                                  // an Eigen::Map, no copy
//
// An expression is read when `field = expression` is, so that nothing it refers to has to live longer. An rvalue vector
// moves. A matrix [targets, K] holds candidates, whatever its storage order.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#include <Eigen/Core>

#include <gradwire/datum/column.hpp>
#include <gradwire/datum/inputs.hpp>
#include <gradwire/datum/numbers.hpp>

namespace gradwire::inline v0 {

namespace detail {

template <class X>
concept eigen_expression = std::derived_from<X, Eigen::DenseBase<X>>;
template <class X>
concept eigen_vector = eigen_expression<X> && std::derived_from<X, Eigen::PlainObjectBase<X>> &&
    bool(X::IsVectorAtCompileTime);

}  // namespace detail

template <detail::eigen_expression Source>
struct column_source<Source> {
  using value = typename Source::Scalar;
  static_assert(detail::arithmetic<value>, "gradwire: a column takes an Eigen expression of float, double or integers");

  // A vector gives its memory away.
  static numbers take(Source&& vector) requires detail::eigen_vector<Source> {
    detail::shared<detail::boxed<Source>> owner(new detail::boxed<Source>(std::move(vector)));
    const Source& moved = owner->container;
    return {.data = moved.data(),
            .size = static_cast<std::size_t>(moved.size()),
            .kind = detail::kind_of<value>(),
            .owner = std::move(owner)};
  }

  static numbers take(const Source& expression) {
    const auto size = static_cast<std::size_t>(expression.size());
    auto memory = detail::allocate_compact(size * sizeof(value));
    using row_major = Eigen::Matrix<value, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    Eigen::Map<row_major> out(reinterpret_cast<value*>(memory->data), expression.rows(), expression.cols());
    out.noalias() = expression.matrix();
    return {.data = memory->data,
            .size = size,
            .kind = detail::kind_of<value>(),
            .width = Source::IsVectorAtCompileTime ? 0 : static_cast<std::size_t>(expression.cols()),
            .owner = std::move(memory)};
  }
};

// A row, a slope, any span as an array over the same memory; writable if the span is.
template <class T>
auto as_eigen(std::span<T> values) {
  using array = Eigen::Array<std::remove_const_t<T>, Eigen::Dynamic, 1>;
  using mapped = std::conditional_t<std::is_const_v<T>, const array, array>;
  return Eigen::Map<mapped>(values.data(), static_cast<Eigen::Index>(values.size()));
}

// A column with one value a sequence, group or batch.
template <class T>
auto as_eigen(const column<T>& values) {
  if (values.level() <= extent::token) {
    detail::refuse({}, {}, "a column that is %s has rows; view one: as_eigen(column, sequence)",
                   to_string(values.level()));
  }
  return as_eigen(std::span<const T>(values.data(), values.size()));
}

// One sequence of a per-token column.
template <class T>
auto as_eigen(const column<T>& values, std::size_t sequence) {
  if (values.level() != extent::token) {
    detail::refuse({}, {}, "a column that is %s has no rows of tokens", to_string(values.level()));
  }
  return as_eigen(values[sequence]);
}

// One sequence of a per-candidate column as [targets, K]; a plane is a column of the array.
template <class T>
auto candidates_as_eigen(const column<T>& values, std::size_t sequence) {
  if (values.level() != extent::candidate) {
    detail::refuse({}, {}, "a column that is %s has no candidates", to_string(values.level()));
  }
  const layout& shape = values.shape();
  using array = Eigen::Array<T, Eigen::Dynamic, Eigen::Dynamic>;
  return Eigen::Map<const array, Eigen::Unaligned, Eigen::OuterStride<>>(
      values.data() + shape.offset[sequence], static_cast<Eigen::Index>(shape.length[sequence]),
      static_cast<Eigen::Index>(shape.candidates()), Eigen::OuterStride<>(static_cast<Eigen::Index>(shape.padded())));
}

// as_eigen<float>(data[i].loss_fn_inputs["weights"]); T is the type of the stored values.
template <class T>
auto as_eigen(const tensor_view& tensor) {
  return as_eigen(tensor.data.as<T>());
}

}  // namespace gradwire::inline v0
