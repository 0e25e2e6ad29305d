// SPDX-License-Identifier: Apache-2.0
// From an objective and a batch to a plan with its numbers and its memory, and through the engine to the result.
#pragma once

#include <gradwire/gradient/arguments.hpp>
#include <gradwire/gradient/engine.hpp>
#include <gradwire/gradient/memory.hpp>
#include <gradwire/gradient/metric_names.hpp>

namespace gradwire::inline v0 {

struct metric_value {
  std::string_view name;
  double value = 0;
};

// What `auto [loss, slope]` takes apart.
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

namespace formula {

// Does any of the formulas read this value of the batch's shape?
template <shape_value What, class Formulas>
inline constexpr bool reads_shape = contains<terminal<What, extent::sequence>, program<Formulas, extent::batch>> ||
                                    contains<terminal<What, extent::group>, program<Formulas, extent::batch>> ||
                                    contains<terminal<What, extent::batch>, program<Formulas, extent::batch>>;

template <class Plan>
struct every_formula;
template <class Root, class... Metrics, class Variable>
struct every_formula<plan<Root, list<Metrics...>, Variable>> {
  template <class... Cs>
  static list<Root, Metrics..., body_of<Cs>..., typename crossing_traits<Cs>::parameter...> all(list<Cs...>);
  using type = decltype(all(typename plan<Root, list<Metrics...>, Variable>::crossings{}));
};

[[noreturn, gnu::noinline, gnu::cold]] inline void wrong_buffer() {
  throw error(errc::data, "into(buffer): the buffer was made for a batch of another shape, or for another extent");
}
inline void check_buffer(const layout& buffer, extent level, const layout& shape, extent wanted) {
  if (&buffer == &shape && level == wanted) return;
  bool same = level == wanted && buffer.sequences() == shape.sequences() && buffer.candidates() == shape.candidates();
  for (std::size_t s = 0; same && s < shape.sequences(); ++s) same = buffer.length[s] == shape.length[s];
  if (!same) wrong_buffer();
}

// chosen(…) and rejected(…) need one of each in every group.
template <class... Cs>
constexpr bool picks_roles(list<Cs...>) {
  return (requires { crossing_traits<Cs>::op::kind::role; } || ...);
}
[[noreturn, gnu::noinline, gnu::cold]] inline void no_pair(const layout& shape, std::size_t g) {
  detail::data_error({.datum = static_cast<std::int64_t>(shape.group_begin[g])},
                     {"the loss compares chosen with rejected, and group ", g,
                      " is no pair; make it with group(chosen(a), rejected(b))"});
}
inline void check_pairs(const layout& shape) {
  for (std::size_t g = 0; g < shape.groups(); ++g) {
    int of[3] = {};
    for (std::size_t s = shape.group_begin[g]; s < shape.group_begin[g + 1]; ++s) ++of[shape.role[s]];
    if (of[chosen_role] != 1 || of[rejected_role] != 1) no_pair(shape, g);
  }
}

// Which sums of the weights can no mean divide by: the first sequence's that has one, and the batch's.
struct weight_sums {
  static constexpr std::size_t none = std::size_t(-1);
  std::size_t bad_sequence = none;
  double total = 0;
  bool bad_total = false;

  weight_sums() = default;
  template <class Batch>
  explicit weight_sums(const Batch& batch) {
    bool any = false;
    for (std::size_t s = 0; s < batch.shape().sequences(); ++s) {
      if (batch.weight_count()[s] == 0) continue;
      any = true;
      const double sum = batch.weight_sum()[s];
      total += sum;
      if (bad_sequence == none && !(sum > 0)) bad_sequence = s;
    }
    bad_total = any && !(total > 0);
  }
  // Of these formulas, which divide by the sum of a sequence's weights, or of the batch's.
  template <class Formulas>
  bool forbid() const {
    if constexpr (reads_shape<shape_value::weight_sum, Formulas>)
      return bad_sequence != none || bad_total;
    else
      return reads_shape<shape_value::total_weight, Formulas> && bad_total;
  }
};

// A weight of one's own that a mean of the loss divides by, once its sums are there.
template <class C, class Context>
void check_own_weight(Context& c) {
  if constexpr (is_divisor<kind_t<C>>) {
    const double* const sum = static_cast<array_slot<C>&>(c.array).value;
    const double* const any = static_cast<array_slot<C>&>(c.array).adjoint;
    compensated total;
    bool found = false;
    for (std::size_t s = 0; s < c.shape.sequences(); ++s) {
      if (any[s] == 0) continue;
      total.add(sum[s]);
      found = true;
      if constexpr (std::is_same_v<kind_t<C>, own_weight_sum<extent::sequence>>)
        if (!(sum[s] > 0)) bad_own_weight(s, sum[s]);
    }
    if (found && !(total.total() > 0)) bad_own_weight(std::size_t(-1), total.total());
  }
}
template <class... Cs, class Context>
void check_own_weights(list<Cs...>, Context& c) {
  (check_own_weight<Cs>(c), ...);
}

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

inline constexpr std::size_t far_bytes = std::size_t{1} << 20;  // of a column, beyond which it comes from far away

// Does a metric divide by nothing here? Then it is absent.
template <class E, class Frame, class Context>
bool divides_by_nothing(tag<E>, Frame&, Context&) {
  return false;
}
template <class Op, class A, class B, class Frame, class Context>
requires std::is_base_of_v<divide_or_zero_op, Op>
bool divides_by_nothing(tag<node<Op, A, B>>, Frame& f, Context&) {
  return static_cast<slot_in<B, Frame>>(f).value.v == 0;
}
template <int Ddof, class X, class Frame, class Context>
bool divides_by_nothing(tag<node<statistic_op<extent::batch, standard_deviation<Ddof>>, X>>, Frame&, Context& c) {
  using C = node<statistic_op<extent::batch, standard_deviation<Ddof>>, X>;
  std::size_t n = 0;
  for (std::size_t s = 0; s < c.shape.sequences(); ++s)
    n += in_set<C>(c, s, [&](place at) { return value_of_body<X>(c, at); });
  return n <= Ddof;
}
template <class E, class... Es, class Context>
void read_metric(std::string_view name, list<Es...> nodes, Context& c, std::vector<metric_value>& out) {
  for (const metric_value& each : out)
    if (each.name == name) return;  // the same metric again
  frame<coarse_program<E, Context>> f;
  run_coarse(nodes, f, c, place{});
  if (!(divides_by_nothing(tag<Es>{}, f, c) || ...))
    out.push_back({name, static_cast<slot_in<E, decltype(f)>>(f).value.v});
}
template <int Offset, class Context>
void read_metrics(const metric_list<>&, const weight_sums&, Context&, std::vector<metric_value>&) {}
template <int Offset, class First, class... Rest, class Context>
void read_metrics(const metric_list<First, Rest...>& metrics, const weight_sums& sums, Context& c,
                  std::vector<metric_value>& out) {
  using here = bound<decltype(First::x), "", Offset>;
  using E = typename here::type;
  using formulas = typename every_formula<plan<E, list<>, typename Context::plan::variable>>::type;
  if (c.batch.total_count() > 0 && !sums.template forbid<formulas>())
    read_metric<E>(First::name.view(), program<list<E>, extent::batch>{}, c, out);
  read_metrics<here::next>(metrics.rest, sums, c, out);
}

// All types of an evaluation, under a name that is as short as what the user wrote.
template <bool WithMetrics, class Isa, class Loss, class Variable, class Batch>
struct evaluation_of {
  using isa = Isa;
  using batch = Batch;
  using objective = decltype(as_objective(std::declval<const Loss&>()));
  using loss_bound = bound<typename objective::loss_type>;
  using metric_type = decltype(objective::metrics);
  using metrics =
      typename std::conditional_t<WithMetrics, bound_metrics<metric_type, loss_bound::next>, tag<list<>>>::type;
  using plan = formula::plan<typename loss_bound::type, metrics, Variable>;
  using array_keys = typename array_list<plan, typename plan::crossings, plan::gradient_rank>::type;
  using formulas = typename every_formula<plan>::type;
  using numbers = typename keep_constants<typename gather_lets<list<>, formulas>::type>::type;
};

template <bool WithMetrics, class Isa, class Loss, class Variable, class Batch, class... Options>
void run_loss(const Loss& loss, const Batch& batch, evaluation<typename Batch::value_type>& result,
              const Options&... options) {
  using T = typename Batch::value_type;
  using own = evaluation_of<WithMetrics, Isa, Loss, Variable, Batch>;
  using loss_bound = typename own::loss_bound;
  using plan_type = typename own::plan;
  using array_keys = typename own::array_keys;
  using formulas = typename own::formulas;
  using context_type = context<own>;

  const auto goal = as_objective(loss);
  const layout& shape = batch.shape();
  if constexpr (picks_roles(typename plan_type::crossings{})) check_pairs(shape);
  constexpr bool weighs =
      reads_shape<shape_value::weight_sum, formulas> || reads_shape<shape_value::total_weight, formulas>;
  const weight_sums sums = weighs ? weight_sums(batch) : weight_sums();
  if (sums.template forbid<typename every_formula<plan<typename plan_type::root, list<>, Variable>>::type>())
    sums.bad_sequence != weight_sums::none ? bad_weight_sum(sums.bad_sequence, batch.weight_sum()[sums.bad_sequence])
                                           : bad_weight_sum(weight_sums::none, sums.total);

  context_type c{
      batch, shape,          {},     {}, nullptr, {}, plan_type::passes == 1 && shape.padded() * sizeof(T) > far_bytes,
      0,     shape.groups(), nullptr};
  fill_constants<"", 0>(goal.loss, c.constants);
  if constexpr (WithMetrics) fill_metrics<loss_bound::next>(goal.metrics, c.constants);
  if constexpr (WithMetrics && names_in<typename own::objective>.twice) compare_all_metrics(goal.metrics);
  if constexpr (reads_shape<shape_value::counted_groups, formulas>)
    for (std::size_t g = 0; g < shape.groups(); ++g) c.counted_groups += c.group_counted(g);

  constexpr bool reads_sizes = reads_shape<shape_value::counted_size, formulas>;
  const std::size_t in_arrays = array_doubles(array_keys{}, shape);
  const std::size_t doubles = in_arrays + (reads_sizes ? shape.groups() : 0);
  workspace local;
  const scratch_t own_scratch{local};
  const auto& scratch = option<is_scratch>(options..., own_scratch);
  double* memory = scratch.memory.take(doubles);
  __builtin_memset(memory, 0, doubles * sizeof(double));
  place_arrays(array_keys{}, c.array, memory, shape);
  if constexpr (reads_sizes) {
    double* const sizes = memory + in_arrays;
    for (std::size_t g = 0; g < shape.groups(); ++g)
      for (std::size_t s = shape.group_begin[g]; s < shape.group_begin[g + 1]; ++s) sizes[g] += c.counted(s);
    c.counted_sizes = sizes;
  }

  const serial_executor serial;
  const on_t<serial_executor> on_this_thread{serial};
  const auto& executor = option<is_on>(options..., on_this_thread);
  const auto run = [&](writable_column<T>& buffer) {
    c.slope = buffer.data();
    engine work(c, executor.executor);
    work.run();
    check_own_weights(typename plan_type::loss_crossings{}, c);
    if constexpr (Variable::level >= extent::sequence) {
      const double* const adjoint = static_cast<array_slot<Variable>&>(c.array).adjoint;
      for (std::size_t i = 0; i < buffer.size(); ++i) c.slope[i] = static_cast<T>(adjoint[i]);
    }
  };
  const no_option nowhere;
  const auto& target = option<is_into>(options..., nowhere);
  if constexpr (is_into<std::remove_cvref_t<decltype(target)>>::value) {
    check_buffer(target.buffer.shape(), target.buffer.level(), shape, Variable::level);
    run(target.buffer);
    result.slope = writable_column<T>(target.buffer);
  } else {
    writable_column<T> buffer(batch.layout_handle(), Variable::level);
    run(buffer);
    result.slope = std::move(buffer);
  }
  result.loss = batch_value<typename plan_type::root>(c);
  if constexpr (WithMetrics) read_metrics<loss_bound::next>(goal.metrics, sums, c, result.metrics);
}

}  // namespace formula

}  // namespace gradwire::inline v0
