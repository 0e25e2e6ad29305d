// SPDX-License-Identifier: Apache-2.0
// What the compiler says before anything is generated: one sentence a mistake, on the user's line, with the way out.
// A sentence is a literal, so what varies goes into the name of an undefined template, which the next error prints.
#pragma once

#include <gradwire/gradient/plan.hpp>

namespace gradwire::inline v0 {

template <class... Fields>
struct batch_lacks_fields;  // deliberately undefined: the compiler prints the fields

namespace formula {

template <class List, class E>
struct gather_fields {
  using type = List;
};
template <class List, fixed_string Name, extent Level, fixed_string Wire>
struct gather_fields<List, field<Name, Level, Wire>> {
  using type = append_once<List, field<Name, Level, Wire>>;
};
template <class List, fixed_string Name, extent Level, fixed_string Wire, class... Xs>
struct gather_fields<List, node<within_op<field<Name, Level, Wire>>, Xs...>> {
  using with = append_once<List, field<Name, Level, Wire>>;
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

template <class... Fs>
constexpr bool name_missing(list<Fs...>) {
  return sizeof(batch_lacks_fields<Fs...>) != 0;
}

// True if everything is in order; otherwise exactly one sentence has been said.
template <class Loss, class Variable, class Batch, class Metrics>
consteval bool check_loss() {
  using missing = missing_fields<Batch, Loss, Metrics>;
  using lets = typename gather_lets<typename gather_lets<list<>, Loss>::type, Metrics>::type;
  if constexpr (Loss::level == extent::candidate) {
    static_assert(Loss::level == extent::batch,
                  "gradwire: the loss is still per candidate; reduce it with sum_over_candidates(...) first");
    return false;
  } else if constexpr (Loss::level == extent::token) {
    static_assert(
        Loss::level == extent::batch,
        "gradwire: the loss is still per token; end it with mean_over_tokens(...) and mean_over_sequences(...), "
        "or with mean_over_all_tokens(...)");
    return false;
  } else if constexpr (Loss::level == extent::sequence) {
    static_assert(Loss::level == extent::batch,
                  "gradwire: the loss is still per sequence; end it with mean_over_sequences(...)");
    return false;
  } else if constexpr (Loss::level == extent::group) {
    static_assert(Loss::level == extent::batch,
                  "gradwire: the loss is still per group; end it with mean_over_groups(...)");
    return false;
  } else if constexpr (!one_name_each(lets{})) {
    static_assert(one_name_each(lets{}),
                  "gradwire: one let name for two expressions; a name stands for one value, give each its own");
    return false;
  } else if constexpr (!active<Loss, Variable>) {
    static_assert(active<Loss, Variable>,
                  "gradwire: the loss does not depend on the field in wrt(...), or only behind stop_gradient(...): its "
                  "gradient would be zero everywhere");
    return false;
  } else if constexpr (missing::size != 0) {
    static_assert(missing::size == 0,
                  "gradwire: the loss reads fields that the data does not carry; they are named in the next error. Add "
                  "them to the datums or with(field = values, batch)");
    return name_missing(missing{});
  } else {
    return true;
  }
}

}  // namespace formula
}  // namespace gradwire::inline v0
