// SPDX-License-Identifier: Apache-2.0
// The one short template that joins the halves: a loss on a typed batch becomes a function of logprobs, without types.
//
// A loss is a formula (an aggregate whose call returns one, or the formula itself), or a plain function
//
//   custom_value f(const batch<…>& data, ragged_view<const T> logprobs, ragged_view<T> gradients);
//
// that fills `gradients` (all 0 when it is called) with dL/dlogprob; it may return a double instead. It is called once.
#pragma once

#include <concepts>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <gradwire/datum/with.hpp>
#include <gradwire/gradient/gradient.hpp>
#include <gradwire/gradient/table.hpp>
#include <gradwire/gradient/tree.hpp>
#include <gradwire/trainer/training_core.hpp>

namespace gradwire::inline v0 {

// What a plain function returns.
struct custom_value {
  double loss = 0;
  std::vector<named_value> metrics{};

  custom_value() = default;
  custom_value(double value) : loss(value) {}
  custom_value(double value, std::vector<named_value> measured) : loss(value), metrics(std::move(measured)) {}
};

namespace detail {

template <class F, class Batch, class T>
concept loss_procedure = requires(F& f, const Batch& data, ragged_view<const T> logprobs, ragged_view<T> gradients) {
  { f(data, logprobs, gradients) } -> std::convertible_to<custom_value>;
};

using candidate_field = plain<decltype(fields::candidate_logprobs)>;

// What the loss is differentiated by: the logprobs of the targets, or of all candidates where it reads those.
template <class Loss>
consteval bool is_over_candidates() {
  return formula::reads<plain<decltype(as_objective(std::declval<const Loss&>()).loss)>, candidate_field>;
}

// Is the loss divided by a number of the batch already? A plain function does not say.
template <class Loss>
consteval bool ends_in_a_mean() {
  if constexpr (objective_like<Loss> || expression<Loss> || requires(const Loss& loss) { loss(); })
    return formula::is_normalised<plain<decltype(as_objective(std::declval<const Loss&>()).loss)>>;
  else
    return false;
}

template <class T>
column<T> as_column_of(const shared<block>& logprobs, const shared<const layout>& shape, extent level) {
  column<float> arrived(logprobs, shape, level);
  if constexpr (std::is_same_v<T, float>) {
    return arrived;
  } else {
    writable_column<T> converted(shape, level);
    for (std::size_t i = 0; i < arrived.size(); ++i) converted.data()[i] = static_cast<T>(arrived.data()[i]);
    return converted;
  }
}

// Ends a loss that is not finite: error{data} that names datum, token and the sub-expression where it began. `bad`: the
// first element of the slope that is not finite, −1 if all are.
[[noreturn]] GRADWIRE_DECL void throw_not_finite(const formula::tree& formula, const formula::table& data,
                                                 const batch_state& state, std::string_view variable, double loss,
                                                 std::int64_t bad, double slope);

template <class Loss, class Variable, class Batch, class Found>
void check_finite(const Loss& loss, Variable, const Batch& data, const Found& found) {
  const std::int64_t bad = first_not_finite(found.slope);
  if (bad < 0 && found.loss - found.loss == 0) return;
  throw_not_finite(reflect(as_objective(loss).loss), formula::table_of(data), *batch_access::state(data),
                   Variable::name.view(), found.loss, bad,
                   bad < 0 ? 0.0 : static_cast<double>(found.slope.data()[bad]));
}

GRADWIRE_DECL void check_level(const plain_batch& data, bool over_candidates, bool procedure);

template <class T, class... Fields, class Loss>
loss_function make_loss_function(const batch<T, Fields...>& data, Loss&& given) {
  using loss_type = std::decay_t<Loss>;  // a plain function's name is a pointer to it
  using batch_type = batch<T, Fields...>;
  auto loss = std::make_shared<loss_type>(std::forward<Loss>(given));
  if constexpr (loss_procedure<loss_type, batch_type, T>) {
    check_level(erase_type(data), false, true);
    return [data, loss](const shared<block>& arrived) -> computed_loss {
      const auto current = as_column_of<T>(arrived, data.layout_handle(), extent::token);
      auto memory = allocate_rows(data.shape(), extent::token, sizeof(T), result_slot);
      std::memset(memory->data, 0, data.shape().padded() * sizeof(T));
      const ragged_view<T> gradients(reinterpret_cast<T*>(memory->data), data.shape());
      custom_value value = (*loss)(data, rows(current), gradients);
      return {value.loss, std::move(value.metrics), std::move(memory)};
    };
  } else {
    constexpr bool over_candidates = is_over_candidates<loss_type>();
    check_level(erase_type(data), over_candidates, false);
    return [data, loss](const shared<block>& arrived) -> computed_loss {
      constexpr auto variable = [] {
        if constexpr (over_candidates)
          return fields::candidate_logprobs;
        else
          return fields::logprobs;
      }();
      const auto known = with(variable = as_column_of<T>(arrived, data.layout_handle(), variable.level), data);
      auto found = evaluate(*loss, wrt(variable), at(known));
      check_finite(*loss, variable, known, found);
      computed_loss computed;
      computed.loss = found.loss;
      for (const auto& m : found.metrics) computed.metrics.push_back({std::string(m.name), m.value});
      // Nobody else has the slope yet, so it may be cleaned in place.
      computed.slope = shared<block>(const_cast<block*>(found.slope.storage().get()));
      return computed;
    };
  }
}

}  // namespace detail
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/custom_loss.hpp>
#endif
