// SPDX-License-Identifier: Apache-2.0
// One sequence and its columns:
//
//   datum d{prompt(question) + response(answer), old_logprobs = sampled.logprobs, advantage = 0.7};
//
// The model reads tokens 0 … n-2, its targets are tokens 1 … n-1. `weights` is 0 for the prompt's targets and 1 for the
// response's unless it is given, as values or as a mask. A per-token column has one value a target, or one a response
// token. The type names the columns only. A datum is an immutable handle: a copy shares.
//
// Data that is shifted already: datum{model_input(x), target_tokens = y, …}; its weights are 1 unless given. Top-K: K
// ids a target, `candidates = ids` (or target_tokens with K a row), as a range of rows or flat row-major; where K a
// target are given as target_tokens, the first is what masks see. Throws error (errc::data).
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>

#include <gradwire/datum/fields.hpp>
#include <gradwire/datum/make_datum.hpp>

namespace gradwire::inline v0 {

// The columns of a datum, as a type. weights and token ids are not in it: every datum has them.
template <class... Fields>
struct field_list {};

template <class List>
class datum;

// The type of a datum with these columns: std::vector<datum_of<old_logprobs, advantage>>.
template <auto... Fields>
using datum_of = datum<field_list<detail::plain<decltype(Fields)>...>>;

template <fixed_string Field>
struct field_given_twice;  // undefined: the compiler prints the name

namespace detail {

template <class F, class... Fields>
inline constexpr bool is_one_of = (std::is_same_v<F, Fields> || ...);

template <class F, class... Fields>
constexpr std::size_t slot_of() noexcept {
  std::size_t slot = 0;
  (void)((std::is_same_v<F, Fields> ? false : (++slot, true)) && ...);
  return slot;
}

template <class F>
inline constexpr bool is_implied = std::is_same_v<F, weights_field> || is_id_field<F>;

template <class F, bool Twice>
constexpr bool once() {
  if constexpr (Twice) {
    static_assert(!Twice, "gradwire: the field named in the next error is given twice; name each field once");
    return sizeof(field_given_twice<F::name>) != 0;
  }
  return true;
}

template <class Kept, class... Fields>
struct listed {
  using type = Kept;
};
template <class... Kept, class F, class... Rest>
struct listed<field_list<Kept...>, F, Rest...> {
  static constexpr bool twice = is_one_of<F, Rest...>;
  static_assert(once<F, twice>());
  using next = std::conditional_t<is_implied<F> || twice, field_list<Kept...>, field_list<Kept..., F>>;
  using type = typename listed<next, Rest...>::type;
};

struct datum_access {
  template <class Datum>
  static Datum make(const shared<const datum_core>& core) {
    return Datum(core);
  }
};

// What the datum's constructor needs of `field = values`, without its types.
template <class F, class Values>
void describe(column_input& input, named_column<F, Values>& named, std::size_t slot) {
  static_assert(
      F::info.level <= extent::sequence,
      "gradwire: a datum has no values per group or per batch; add them to the batch: with(field = values, batch)");
  input.field = &F::info;
  input.slot = slot;
  if constexpr (std::is_same_v<F, weights_field>) input.use = column_use::weights;
  if constexpr (std::is_same_v<F, targets_field>) {
    input.use = column_use::targets;
    input.add_ids = add_targets;
  }
  if constexpr (std::is_same_v<F, candidates_field>) {
    input.use = column_use::candidates;
    input.add_ids = add_candidates;
  }
  if constexpr (std::is_same_v<Values, numbers>) {
    input.values = &named.values;
  } else if constexpr (std::is_same_v<Values, single_number>) {
    static_assert(
        F::info.level >= extent::sequence,
        "gradwire: one number is given for a field that is per token or per candidate; give a range of numbers, or "
        "use a field that is per sequence, such as advantage");
    input.own = {.size = 1, .kind = named.values.kind, .single = true, .value = named.values.value};
  } else if constexpr (std::is_same_v<Values, number_rows>) {
    static_assert(
        F::info.level == extent::candidate || std::is_same_v<F, targets_field>,
        "gradwire: a datum is one sequence, so a column of it is one range of numbers; a range of ranges is for "
        "candidates (one row a token) or for with(field = rows, batch)");
    input.rows = &named.values;
    input.flatten = flattened;
  } else {
    static_assert(token_mask<Values> && std::is_same_v<F, weights_field>,
                  "gradwire: a datum takes numbers for its columns, and a mask for `weights` only");
    if constexpr (token_mask<Values>) {
      input.mask = &named.values;
      input.weigh = [](const void* mask, const token_context& token) {
        return static_cast<double>((*static_cast<const Values*>(mask))(token));
      };
    }
  }
}

}  // namespace detail

template <class... Fields>
class datum<field_list<Fields...>> {
 public:
  template <class... F, class... Values>
  explicit datum(const token_sequence& parts, named_column<F, Values>... columns) : datum(made(parts, columns...)) {}

  template <class... F, class... Values>
  explicit datum(const explicit_input& input, named_column<F, Values>... columns) : datum(made(input, columns...)) {
    static_assert(detail::is_one_of<detail::targets_field, F...>,
                  "gradwire: model_input(x) needs its targets, datum{model_input(x), target_tokens = y}; prompt(a) + "
                  "response(b) shifts by itself");
  }

  // The same columns in another order.
  template <class... Others>
  requires(!std::is_same_v<datum, datum<field_list<Others...>>> && sizeof...(Others) == sizeof...(Fields) &&
           (detail::is_one_of<Others, Fields...> && ...))
      datum(const datum<field_list<Others...>>& other)  // implicit, so that one vector takes both
      : datum(reordered<Others...>(other.core())) {}

  std::size_t size() const noexcept { return model_input.size(); }  // targets

  // The same datum, saying where its tokens come from: spans that cover model_input, and spans that cover the targets.
  datum with_provenance(std::span<const provenance_span> input, std::span<const provenance_span> targets) const {
    return datum(detail::shared<const detail::datum_core>(detail::with_spans(core(), input, targets)));
  }
  datum with_provenance(std::initializer_list<provenance_span> input,
                        std::initializer_list<provenance_span> targets) const {
    return with_provenance(std::span(input.begin(), input.size()), std::span(targets.begin(), targets.size()));
  }

  std::span<const std::int32_t> model_input;       // tokens that the model reads
  loss_inputs<detail::datum_core> loss_fn_inputs;  // every column by its wire name, target_tokens included

  const detail::datum_core& core() const noexcept { return loss_fn_inputs.source(); }

 private:
  friend struct detail::datum_access;
  static constexpr const field_info* infos_[] = {&Fields::info..., nullptr};

  explicit datum(detail::shared<const detail::datum_core> core)
      : model_input(core->tokens->input()), loss_fn_inputs(std::move(core), 0, infos_) {}

  template <class Tokens, class... F, class... Values>
  static detail::shared<const detail::datum_core> made(const Tokens& tokens, named_column<F, Values>&... columns) {
    constexpr bool same_fields =
        ((detail::is_implied<F> || detail::is_one_of<F, Fields...>)&&...) && (detail::is_one_of<Fields, F...> && ...);
    static_assert(same_fields, "gradwire: the columns given are not the columns of this datum type");
    if constexpr (same_fields) {
      detail::column_input inputs[sizeof...(F) + 1];
      std::size_t count = 0;
      (detail::describe(inputs[count++], columns, detail::slot_of<F, Fields...>()), ...);
      return detail::make_datum(detail::join_parts(tokens), std::span(inputs, count), sizeof...(Fields));
    }
  }
  template <class... Others>
  static detail::shared<const detail::datum_core> reordered(const detail::datum_core& from) {
    const std::size_t slots[] = {detail::slot_of<Fields, Others...>()..., 0};
    return detail::with_columns(from, std::span(slots, sizeof...(Fields)));
  }
};

template <class... F, class... Values>
datum(token_sequence, named_column<F, Values>...) -> datum<typename detail::listed<field_list<>, F...>::type>;
template <class... F, class... Values>
datum(explicit_input, named_column<F, Values>...) -> datum<typename detail::listed<field_list<>, F...>::type>;

}  // namespace gradwire::inline v0
