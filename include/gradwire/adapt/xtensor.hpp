// SPDX-License-Identifier: Apache-2.0
// xtensor arrays as columns and columns as xtensor arrays:
//
//   datum{…, old_logprobs = xt::log(probabilities)};                                  // evaluated once
//   with(advantage = (rewards - xt::mean(rewards)()) / xt::stddev(rewards)(), data);  // one value a sequence
//   auto slope = as_xtensor(gradient.slope[i]);                                       // no copy
//
// An expression is read when `field = expression` is, so that nothing it refers to has to live longer. An rvalue
// container moves, gradwire::view(x) borrows one (a bare view(x) is xt::view). Two dimensions [targets, K] are
// candidates. xtensor moved its headers in 0.26; both places are looked for.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#if __has_include(<xtensor/xadapt.hpp>)
#include <xtensor/xadapt.hpp>
#include <xtensor/xnoalias.hpp>
#else
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/core/xnoalias.hpp>
#endif

#include <gradwire/datum/column.hpp>
#include <gradwire/datum/inputs.hpp>
#include <gradwire/datum/numbers.hpp>

namespace gradwire::inline v0 {

template <class Source>
requires(xt::is_xexpression<Source>::value) struct column_source<Source> {
  // A container gives its memory away.
  template <class Given>
  requires(!std::is_lvalue_reference_v<Given> && !std::is_const_v<Given> && detail::number_range<Given> &&
           std::is_base_of_v<xt::xcontainer<Given>, Given>) static numbers take(Given&& container) {
    const std::size_t width = columns_of(container);
    numbers result = detail::take_range(std::move(container));
    result.width = width;
    return result;
  }

  template <class Given>
  static numbers take(const Given& expression) {
    using value = std::remove_cv_t<typename Given::value_type>;
    static_assert(detail::arithmetic<value>,
                  "gradwire: a column takes an xtensor expression of float, double or integers");
    const std::vector<std::size_t> shape(expression.shape().begin(), expression.shape().end());
    const std::size_t size = expression.size();
    auto memory = detail::allocate_compact(size * sizeof(value));
    auto out =
        xt::adapt<xt::layout_type::row_major>(reinterpret_cast<value*>(memory->data), size, xt::no_ownership(), shape);
    xt::noalias(out) = expression;
    return {.data = memory->data,
            .size = size,
            .kind = detail::kind_of<value>(),
            .width = columns_of(expression),
            .owner = std::move(memory)};
  }

 private:
  template <class Given>
  static std::size_t columns_of(const Given& given) {
    return given.dimension() == 2 ? static_cast<std::size_t>(given.shape()[1]) : 0;
  }
};

// A row, a slope, any span as a one-dimensional array over the same memory; writable if the span is.
template <class T>
auto as_xtensor(std::span<T> values) {
  return xt::adapt(values.data(), values.size(), xt::no_ownership(), std::array<std::size_t, 1>{values.size()});
}

// A column with one value a sequence, group or batch.
template <class T>
auto as_xtensor(const column<T>& values) {
  if (values.level() <= extent::token) {
    detail::refuse({}, {}, "a column that is %s has rows; view one: as_xtensor(column, sequence)",
                   to_string(values.level()));
  }
  return as_xtensor(std::span<const T>(values.data(), values.size()));
}

// One sequence of a per-token column.
template <class T>
auto as_xtensor(const column<T>& values, std::size_t sequence) {
  if (values.level() != extent::token) {
    detail::refuse({}, {}, "a column that is %s has no rows of tokens", to_string(values.level()));
  }
  return as_xtensor(values[sequence]);
}

// One sequence of a per-candidate column as [targets, K]; the strides go over the planes.
template <class T>
auto candidates_as_xtensor(const column<T>& values, std::size_t sequence) {
  if (values.level() != extent::candidate) {
    detail::refuse({}, {}, "a column that is %s has no candidates", to_string(values.level()));
  }
  const layout& shape = values.shape();
  const std::array<std::size_t, 2> dimensions{shape.length[sequence], shape.candidates()};
  const std::array<std::size_t, 2> strides{1, shape.padded()};
  const std::size_t size = dimensions[0] * dimensions[1];  // xtensor counts elements here, whatever the strides are
  return xt::adapt(values.data() + shape.offset[sequence], size, xt::no_ownership(), dimensions, strides);
}

// as_xtensor<float>(data[i].loss_fn_inputs["weights"]); T is the type of the stored values.
template <class T>
auto as_xtensor(const tensor_view& tensor) {
  return as_xtensor(tensor.data.as<T>());
}

}  // namespace gradwire::inline v0
