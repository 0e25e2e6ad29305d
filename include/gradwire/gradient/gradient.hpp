// SPDX-License-Identifier: Apache-2.0
// Value and gradient of a loss on a batch:
//
//   auto [loss, slope] = value_and_gradient(my_grpo{}, wrt(logprobs), at(data));      // slope: dL/dlogprob per token
//   auto all = evaluate(my_grpo{}, wrt(logprobs), at(data));                          // and the metrics
//   … , into(buffer), on(executor), with_scratch(workspace)                           // in any order, optional
//
// The data must carry the field in wrt(…) and every field that the loss reads; the compiler says which are missing.
// Throws error(errc::data) where weights that a mean divides by have a sum ≤ 0 without all being 0.
#pragma once

#include <gradwire/gradient/engine.hpp>

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

// Where the gradient goes, instead of a new column. The buffer must have been made for the batch's shape.
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

struct metric_value {
  std::string_view name;
  double value = 0;
};

// A double that is also the first element of `auto [loss, slope]`.
template <class T>
struct value_and_slope {
  double loss = 0;
  column<T> slope;  // dL/d(field of wrt), in the field's layout; 0 at masked positions
};
template <class T>
struct evaluation {
  double loss = 0;
  column<T> slope;
  std::vector<metric_value> metrics;  // those of the objective, in its order; absent where nothing can be averaged
};

namespace detail {

template <class F>
struct array_size {  // of a reduction: values, adjoints, and for sorting a permutation and scratch
  static std::size_t elements(const layout& shape) {
    constexpr extent to = crossing_traits<F>::to;
    return to == extent::candidate || to == extent::token ? 0
           : to == extent::sequence                       ? shape.sequences()
           : to == extent::group                          ? shape.groups()
                                                          : 1;
  }
  static std::size_t total(const layout& shape) { return (crossing_traits<F>::coupled ? 4 : 2) * elements(shape); }
  static void place(array_slot<F>& slot, double* memory, const layout& shape) {
    slot = {memory, memory + elements(shape), memory + 2 * elements(shape)};
  }
};
template <class E>
struct array_size<import_of<E>> {
  static std::size_t total(const layout& shape) { return shape.sequences(); }
  static void place(array_slot<import_of<E>>& slot, double* memory, const layout&) { slot = {nullptr, memory, nullptr}; }
};

template <class... Fs>
std::size_t array_doubles(list<Fs...>, const layout& shape) {
  return (array_size<Fs>::total(shape) + ... + std::size_t{0});
}
template <class... Fs>
void place_arrays(list<Fs...>, arrays<list<Fs...>>& all, double* memory, const layout& shape) {
  ((array_size<Fs>::place(all.template of<Fs>(), memory, shape), memory += array_size<Fs>::total(shape)), ...);
}

template <class... Cs>
constexpr bool selects(list<Cs...>) {
  return ((crossing_traits<Cs>::coupled && crossing_traits<Cs>::from == extent::token) || ...);
}

// Does any of the formulas read this value of the batch's shape?
template <shape_value What, class Formulas>
inline constexpr bool reads_shape = contains<terminal<What, extent::sequence>, program<Formulas, extent::batch>> ||
                                    contains<terminal<What, extent::batch>, program<Formulas, extent::batch>>;

template <class Plan>
struct every_formula;
template <class Root, class... Metrics, class Variable>
struct every_formula<plan<Root, list<Metrics...>, Variable>> {
  template <class... Cs>
  static list<Root, Metrics..., body_of<Cs>...> all(list<Cs...>);
  using type = decltype(all(typename plan<Root, list<Metrics...>, Variable>::crossings{}));
};

template <class Batch>
void check_weights(const Batch& batch, bool per_sequence) {
  double total = 0;
  bool any = false;
  for (std::size_t s = 0; s < batch.shape().sequences(); ++s) {
    if (batch.weight_count()[s] == 0) continue;
    any = true;
    const double sum = batch.weight_sum()[s];
    total += sum;
    if (per_sequence && !(sum > 0)) bad_weight_sum(s, sum);
  }
  if (any && !(total > 0)) bad_weight_sum(0, total);
}

// The numbers of loss and metrics are counted through, so that none share a place by accident.
template <class Metrics, int Offset>
struct bound_metrics;
template <int Offset>
struct bound_metrics<metric_list<>, Offset> {
  using type = list<>;
};
template <class First, class... Rest, int Offset>
struct bound_metrics<metric_list<First, Rest...>, Offset> {
  using here = bound<decltype(First::x), "", Offset>;
  template <class... Es>
  static list<typename here::type, Es...> prepend(list<Es...>);
  using type = decltype(prepend(typename bound_metrics<metric_list<Rest...>, here::next>::type{}));
};
template <int Offset, class Table>
void fill_metrics(const metric_list<>&, Table&) {}
template <int Offset, class First, class... Rest, class Table>
void fill_metrics(const metric_list<First, Rest...>& metrics, Table& table) {
  fill_constants<"", Offset>(metrics.first.x, table);
  fill_metrics<bound<decltype(First::x), "", Offset>::next>(metrics.rest, table);
}

template <class List>
struct keep_constants {
  template <class E>
  struct test {
    static constexpr bool value = !is_let<E>;
  };
  using type = typename filter<test, List>::type;
};

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

template <template <class> class Is, class First, class... Rest>
constexpr const auto& option(const First& first, const Rest&... rest) {
  if constexpr (Is<First>::value || sizeof...(Rest) == 0)
    return first;
  else
    return option<Is>(rest...);
}

template <class Objective, class Variable, class Batch>
consteval bool check_objective() {
  using loss_bound = bound<typename Objective::loss_type>;
  return check_loss<typename loss_bound::type, Variable, Batch,
                    typename bound_metrics<decltype(Objective::metrics), loss_bound::next>::type>();
}

template <bool WithMetrics, class Isa, class Objective, class Variable, class Batch, class... Options>
void run_loss(const Objective& goal, const Batch& batch, evaluation<typename Batch::value_type>& result,
              const Options&... options) {
  using T = typename Batch::value_type;
  using loss_bound = bound<typename Objective::loss_type>;
  using metric_type = decltype(Objective::metrics);
  using metrics =
      typename std::conditional_t<WithMetrics, bound_metrics<metric_type, loss_bound::next>, tag<list<>>>::type;
  using plan_type = plan<typename loss_bound::type, metrics, Variable>;
  using array_keys = typename array_list<plan_type, typename plan_type::crossings, plan_type::gradient_rank>::type;
  using formulas = typename every_formula<plan_type>::type;
  using numbers = typename keep_constants<typename gather_lets<list<>, formulas>::type>::type;
  using table = constant_table<numbers>;
  using context_type = context<plan_type, Batch, table, arrays<array_keys>, Isa>;

  const layout& shape = batch.shape();
  if constexpr (reads_shape<shape_value::weight_sum, formulas> || reads_shape<shape_value::total_weight, formulas>)
    check_weights(batch, reads_shape<shape_value::weight_sum, formulas>);

  context_type c{batch, shape, {}, {}, {}, nullptr, nullptr};
  fill_constants<"", 0>(goal.loss, c.constants);
  if constexpr (WithMetrics) fill_metrics<loss_bound::next>(goal.metrics, c.constants);
  if constexpr (reads_shape<shape_value::counted_groups, formulas>)
    for (std::size_t g = 0; g < shape.groups(); ++g) c.totals.counted_groups += c.group_counted(g);

  const std::size_t doubles = array_doubles(array_keys{}, shape);
  constexpr bool needs_store = selects(typename plan_type::crossings{});
  workspace local;
  const scratch_t own_scratch{local};
  const auto& scratch = option<is_scratch>(options..., own_scratch);
  double* memory = scratch.memory.take(doubles + (needs_store ? shape.padded() : 0));
  __builtin_memset(memory, 0, doubles * sizeof(double));
  place_arrays(array_keys{}, c.array, memory, shape);
  if constexpr (needs_store) {
    c.store = memory + doubles;
    for (std::size_t i = 0; i < shape.padded(); ++i) c.store[i] = -__builtin_inf();
  }

  const serial_executor serial;
  const on_t<serial_executor> on_this_thread{serial};
  const auto& executor = option<is_on>(options..., on_this_thread);
  const auto run = [&](writable_column<T>& buffer) {
    c.slope = buffer.data();
    engine work(c, executor.executor);
    work.run();
  };
  const no_option nowhere;
  const auto& target = option<is_into>(options..., nowhere);
  if constexpr (is_into<std::remove_cvref_t<decltype(target)>>::value) {
    run(target.buffer);
    result.slope = writable_column<T>(target.buffer);
  } else {
    writable_column<T> buffer(batch.layout_handle(), Variable::level);
    run(buffer);
    result.slope = std::move(buffer);
  }
  result.loss = batch_value<typename plan_type::root>(c);
  if constexpr (WithMetrics) read_metrics(goal.metrics, metrics{}, c, result.metrics);
}

template <class Context>
void read_metrics(const metric_list<>&, list<>, Context&, std::vector<metric_value>&) {}
template <class First, class... Rest, class E, class... Es, class Context>
void read_metrics(const metric_list<First, Rest...>& metrics, list<E, Es...>, Context& c, std::vector<metric_value>& out) {
  if (c.batch.total_count() > 0) out.push_back({First::name.view(), batch_value<E>(c)});
  read_metrics(metrics.rest, list<Es...>{}, c, out);
}

}  // namespace detail

// Value, gradient and metrics.
template <class Isa = native_isa, class Loss, class Variable, class Batch, class... Options>
evaluation<typename Batch::value_type> evaluate(const Loss& loss, wrt_t<Variable>, at_t<Batch> at, const Options&... options) {
  evaluation<typename Batch::value_type> result;
  const auto goal = as_objective(loss);
  using objective_type = std::remove_cvref_t<decltype(goal)>;
  if constexpr (detail::check_objective<objective_type, Variable, Batch>())
    detail::run_loss<true, Isa, objective_type, Variable>(goal, at.batch, result, options...);
  return result;
}

// Value and gradient only: metrics cost nothing.
template <class Isa = native_isa, class Loss, class Variable, class Batch, class... Options>
value_and_slope<typename Batch::value_type> value_and_gradient(const Loss& loss, wrt_t<Variable>, at_t<Batch> at,
                                                               const Options&... options) {
  evaluation<typename Batch::value_type> result;
  const auto goal = as_objective(loss);
  using objective_type = std::remove_cvref_t<decltype(goal)>;
  if constexpr (detail::check_objective<objective_type, Variable, Batch>())
    detail::run_loss<false, Isa, objective_type, Variable>(goal, at.batch, result, options...);
  return {result.loss, std::move(result.slope)};
}

// Sweeps over the tokens that value and gradient of a loss take: a constant of its type.
template <class Loss, class Field>
consteval int token_passes(Field) {
  using objective_type = decltype(as_objective(std::declval<const Loss&>()));
  return detail::plan<typename detail::bound<typename objective_type::loss_type>::type, detail::list<>, Field>::passes;
}

}  // namespace gradwire::inline v0
