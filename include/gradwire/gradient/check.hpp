// SPDX-License-Identifier: Apache-2.0
// What the compiler says before anything is generated: one sentence a mistake, on the user's line, with the way out.
// A sentence is a literal, so what varies goes into the name of an undefined template, which the next error prints.
#pragma once

#include <gradwire/datum/fields.hpp>
#include <gradwire/gradient/lint.hpp>
#include <gradwire/gradient/metric_names.hpp>
#include <gradwire/gradient/plan.hpp>

namespace gradwire::inline v0 {

template <class... Fields>
struct batch_lacks_fields;  // deliberately undefined: the compiler prints the fields

namespace formula {

template <class List, class E>
struct gather_fields {
  using type = List;
};
template <class List, fixed_string Name, extent Level, fixed_string Wire, role Role>
struct gather_fields<List, field<Name, Level, Wire, Role>> {
  using type = append_once<List, field<Name, Level, Wire, Role>>;
};
template <class List, fixed_string Name, extent Level, fixed_string Wire, role Role, class... Xs>
struct gather_fields<List, node<within_op<field<Name, Level, Wire, Role>>, Xs...>> {
  using with = append_once<List, field<Name, Level, Wire, Role>>;
  using type = typename gather_fields<with, list<Xs...>>::type;
};
template <class List>
struct gather_fields<List, list<>> {
  using type = List;
};
template <class List, class First, class... Rest>
struct gather_fields<List, list<First, Rest...>> {
  using type = typename gather_fields<typename gather_fields<List, First>::type, list<Rest...>>::type;
};
template <class List, class Op, class... Xs>
struct gather_fields<List, node<Op, Xs...>> {
  using type = typename gather_fields<List, list<Xs...>>::type;
};

template <class Batch>
struct lacks {
  template <class F>
  struct test {
    static constexpr bool value = !Batch::template has<F>;
  };
};
template <class Batch, class... Es>
using missing_fields =
    typename filter<lacks<Batch>::template test, typename gather_fields<list<>, list<Es...>>::type>::type;

// The numbers of loss and metrics are counted through, so that none share a place by accident. Equal metrics are one
// formula.
template <class Metrics, int Offset, class Before = list<>>
struct bound_metrics {
  using type = Before;
};
template <class First, class... Rest, int Offset, class Before>
struct bound_metrics<metric_list<First, Rest...>, Offset, Before> {
  using here = bound<decltype(First::x), "", Offset>;
  using type = typename bound_metrics<metric_list<Rest...>, here::next, append_once<Before, typename here::type>>::type;
};

enum class verdict : unsigned char {
  fine,
  wrong_variable,
  per_candidate,
  per_token,
  per_sequence,
  per_group,
  name_clash,
  metric_clash,
  no_gradient,
  k1_as_loss,
  metric_mean,
  idle_term,
  missing_fields
};

template <class Missing>
struct named_fields;
template <class... Fields>
struct named_fields<list<Fields...>> {
  batch_lacks_fields<Fields...> the_batch_lacks;  // what the compiler prints
};
template <>
struct named_fields<list<>> {};

// The sentences, in a class of no loss: the compiler repeats the types of what it looks into with every line. And a
// class, because after a failed static_assert it still has a value and the compiler says nothing more.
template <verdict Found>
struct review {
  static_assert(
      Found != verdict::wrong_variable,
      "gradwire: wrt(...) takes a field that is per candidate, per token or per sequence, and not the weights, "
      "which every reduction reads");
  static_assert(Found != verdict::per_candidate,
                "gradwire: the loss is still per candidate; reduce it with sum_over_candidates(...) first");
  static_assert(
      Found != verdict::per_token,
      "gradwire: the loss is still per token; end it with mean_over_tokens(...) and mean_over_sequences(...), or "
      "with mean_over_all_tokens(...)");
  static_assert(Found != verdict::per_sequence,
                "gradwire: the loss is still per sequence; end it with mean_over_sequences(...)");
  static_assert(Found != verdict::per_group,
                "gradwire: the loss is still per group; end it with mean_over_groups(...)");
  static_assert(Found != verdict::name_clash,
                "gradwire: one let name for two expressions; a name stands for one value, give each its own");
  static_assert(Found != verdict::metric_clash,
                "gradwire: one metric name for two expressions; a name stands for one number, give each its own");
  static_assert(Found != verdict::no_gradient,
                "gradwire: the loss does not depend on the field in wrt(...), or only behind stop_gradient(...): its "
                "gradient would be zero everywhere");
  static_assert(
      Found != verdict::k1_as_loss,
      "gradwire: k1 in the loss: its gradient ignores the reference (k1 is logprobs - ref_logprobs). Use k2(...), "
      "whose gradient is that of the "
      "reverse KL, or k3(...); k1 is for metrics and rewards. Where it is meant: "
      "allow<lint::k1_as_loss>(k1(...))");
  static_assert(
      Found != verdict::metric_mean,
      "gradwire: a denominator may read data, never logprobs; a mean where a condition on logprobs holds is for "
      "metrics. In the loss use mean_over_all_tokens(where(condition, x, 0))");
  static_assert(
      Found != verdict::idle_term,
      "gradwire: a term of the loss reads data but carries no gradient: it moves the reported loss and trains "
      "nothing. Take stop_gradient(...) away, make it a metric, or write allow<lint::no_gradient>(...)");
  static_assert(
      Found != verdict::missing_fields,
      "gradwire: the loss reads fields that the data does not carry; they are named in the next error. Add them "
      "to the datums or with(field = values, batch)");
};

// What is wrong with a loss, as the user wrote it: an aggregate has a shorter name than its formula.
template <class Loss, class Variable, class Batch>
struct check_loss {
  using objective = decltype(as_objective(std::declval<const Loss&>()));
  using loss_bound = bound<typename objective::loss_type>;
  using root = typename loss_bound::type;
  using metrics = typename bound_metrics<decltype(objective::metrics), loss_bound::next>::type;
  using missing = missing_fields<Batch, root, metrics>;
  using lets = typename gather_lets<typename gather_lets<list<>, root>::type, metrics>::type;
  static constexpr bool takes_variable =
      Variable::level <= extent::sequence && !std::is_same_v<Variable, detail::weights_field>;
  static constexpr verdict found = !takes_variable                    ? verdict::wrong_variable
                                   : root::level == extent::candidate ? verdict::per_candidate
                                   : root::level == extent::token     ? verdict::per_token
                                   : root::level == extent::sequence  ? verdict::per_sequence
                                   : root::level == extent::group     ? verdict::per_group
                                   : !one_name_each(lets{})           ? verdict::name_clash
                                   : names_in<objective>.clash        ? verdict::metric_clash
                                   : !active<root, Variable>          ? verdict::no_gradient
                                   : has_k1_as_loss<root, Variable>() ? verdict::k1_as_loss
                                   : has_metric_mean<root>            ? verdict::metric_mean
                                   : has_idle_term<root, Variable>    ? verdict::idle_term
                                   : missing::size != 0               ? verdict::missing_fields
                                                                      : verdict::fine;
  static constexpr bool ok = found == verdict::fine;
  static_assert(sizeof(review<found>) != 0);
  using names =
      typename std::conditional_t<found == verdict::missing_fields, named_fields<missing>, named_fields<list<>>>;
  static_assert(sizeof(names) != 0);
};

}  // namespace formula
}  // namespace gradwire::inline v0
