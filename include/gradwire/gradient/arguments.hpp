// SPDX-License-Identifier: Apache-2.0
// The words of a call: wrt(field), at(batch), and optionally into(buffer), on(executor), with_scratch(workspace).
#pragma once

#include <gradwire/datum/column.hpp>
#include <gradwire/gradient/workspace.hpp>
#include <type_traits>

namespace gradwire::inline v0 {

template <class Field>
struct wrt_t {};
template <class Field>
constexpr wrt_t<Field> wrt(Field) {
  return {};
}
template <class Batch>
struct at_t {
  const Batch& batch;
};
template <class Batch>
constexpr at_t<Batch> at(const Batch& batch) {
  return {batch};
}

// Where the gradient goes, instead of a new column. The buffer must have been made for the batch's shape. What lies
// between its rows (data() has padding, buffer[s] has none) stays as it was, 0 in a new buffer.
template <class T>
struct into_t {
  writable_column<T>& buffer;
};
template <class T>
constexpr into_t<T> into(writable_column<T>& buffer) {
  return {buffer};
}
template <class Executor>
struct on_t {
  const Executor& executor;
};
template <class Executor>
constexpr on_t<Executor> on(const Executor& executor) {
  return {executor};
}
struct scratch_t {
  workspace& memory;
};
constexpr scratch_t with_scratch(workspace& memory) { return {memory}; }

namespace formula {

// What the call was asked for beside loss, field and batch.
struct no_option {};
template <class T>
struct is_into : std::false_type {};
template <class T>
struct is_into<into_t<T>> : std::true_type {};
template <class T>
struct is_on : std::false_type {};
template <class E>
struct is_on<on_t<E>> : std::true_type {};
template <class T>
struct is_scratch : std::is_same<T, scratch_t> {};

template <class T>
struct is_wrt : std::false_type {};
template <class F>
struct is_wrt<wrt_t<F>> : std::true_type {};
template <class T>
struct is_at : std::false_type {};
template <class B>
struct is_at<at_t<B>> : std::true_type {};

// The words of a call, each with its sentence.
template <class Variable, class Data, class... Options>
constexpr bool check_words() {
  constexpr bool options = ((is_into<Options>::value || is_on<Options>::value || is_scratch<Options>::value) && ...);
  static_assert(is_wrt<Variable>::value,
                "gradwire: the second argument says what the loss is differentiated by: wrt(logprobs)");
  static_assert(!is_wrt<Variable>::value || is_at<Data>::value,
                "gradwire: the third argument says for which data: at(batch)");
  static_assert(!is_wrt<Variable>::value || !is_at<Data>::value || options,
                "gradwire: after at(batch) come into(buffer), on(executor) and with_scratch(workspace), nothing else");
  return options;
}

template <template <class> class Is, class First, class... Rest>
constexpr const auto& option(const First& first, const Rest&... rest) {
  if constexpr (Is<First>::value || sizeof...(Rest) == 0)
    return first;
  else
    return option<Is>(rest...);
}

}  // namespace formula
}  // namespace gradwire::inline v0
