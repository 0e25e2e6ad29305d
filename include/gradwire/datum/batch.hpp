// SPDX-License-Identifier: Apache-2.0
// Datums of one kind as columns: ragged, contiguous, grouped, shared and immutable.
//
//   batch data{group(d1, d2), group(d3, d4)};      // float, the wire's type
//   auto data = batch_of<double>(group(d1, d2));   // double
//   batch data{d1, d2, d3};                        // every datum its own group; also a std::vector of datums or groups
//
// A batch is a handle: copies share. data[i] shows datum i as it goes over the wire. Throws error (errc::data) that
// names the datum by its index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <gradwire/datum/batch_state.hpp>
#include <gradwire/datum/group.hpp>
#include <gradwire/datum/ragged.hpp>

namespace gradwire::inline v0 {

template <class T, class... Fields>
class batch;

// One datum of a batch.
struct batch_datum {
  std::span<const std::int32_t> model_input;        // tokens that the model reads
  loss_inputs<detail::batch_state> loss_fn_inputs;  // every column by its wire name, target_tokens included

  std::size_t size() const noexcept { return model_input.size(); }  // targets
};

namespace detail {

struct batch_access {
  template <class Batch>
  static const shared<const batch_state>& state(const Batch& data) noexcept {
    return data.state_;
  }
  template <class Batch>
  static Batch make(shared<const batch_state> state) noexcept {
    return Batch(std::move(state));
  }
};

// A group whose columns come in another order.
template <class List, class Other>
void reorder(datum_cores& members, const datum_group<Other>& from) {
  for (std::size_t i = 0; i < from.members.datums.size(); ++i) {
    add_datum<List>(members, datum_access::make<datum<Other>>(from.members.datums[i]), from.members.roles[i]);
  }
}

template <class List, class X>
void collect(datum_cores& parts, const X& x) {
  if constexpr (is_datum<X>) {
    add_datum<List>(parts, x, no_role);
    parts.group_sizes.push_back(1);
  } else if constexpr (std::is_same_v<X, datum_group<List>>) {
    parts.add_group(x.members);
  } else if constexpr (requires { x.members; }) {
    datum_cores members;
    reorder<List>(members, x);
    parts.add_group(members);
  } else {
    for (const auto& each : x) collect<List>(parts, each);
  }
}

// The fields of a datum, a group, or a range of them.
template <class X>
struct fields_of {};
template <class X>
requires requires(const X& x) { *std::ranges::begin(x); }
struct fields_of<X> : fields_of<plain<decltype(*std::ranges::begin(std::declval<const X&>()))>> {};
template <class List>
struct fields_of<datum<List>> {
  using type = List;
};
template <class List>
struct fields_of<datum_group<List>> {
  using type = List;
};

template <class T, class List>
struct batch_type;
template <class T, class... Fields>
struct batch_type<T, field_list<Fields...>> {
  using type = batch<T, Fields...>;
};

}  // namespace detail

template <class T, class... Fields>
class batch {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "gradwire: a batch holds float or double");

 public:
  using value_type = T;
  template <class F>
  static constexpr bool has = std::is_same_v<F, detail::weights_field> || detail::is_one_of<F, Fields...>;

  template <class First, class... Rest>
  requires requires { typename detail::fields_of<First>::type; }
  explicit batch(const First& first, const Rest&... rest) {
    detail::datum_cores parts;
    (detail::collect<field_list<Fields...>>(parts, first), ..., detail::collect<field_list<Fields...>>(parts, rest));
    state_ = detail::make_batch<T>(parts, infos);
  }

  // ---- datums ----
  std::size_t size() const noexcept { return shape().sequences(); }
  batch_datum operator[](std::size_t s) const { return {input_tokens(s), {state_, s, infos}}; }
  class iterator {
   public:
    using value_type = batch_datum;
    using difference_type = std::ptrdiff_t;
    iterator() = default;
    iterator(const batch* data, std::size_t s) noexcept : data_(data), s_(s) {}
    batch_datum operator*() const { return (*data_)[s_]; }
    iterator& operator++() noexcept {
      ++s_;
      return *this;
    }
    iterator operator++(int) noexcept { return {data_, s_++}; }
    bool operator==(const iterator& other) const noexcept { return s_ == other.s_; }

   private:
    const batch* data_ = nullptr;
    std::size_t s_ = 0;
  };
  iterator begin() const noexcept { return {this, 0}; }
  iterator end() const noexcept { return {this, size()}; }
  std::span<const std::int32_t> input_tokens(std::size_t s) const noexcept { return state_->tokens->rows[s]->input(); }
  std::span<const std::int32_t> target_tokens(std::size_t s) const noexcept {
    return state_->tokens->rows[s]->targets();
  }
  std::span<const std::int32_t> candidate_tokens(std::size_t s) const noexcept {  // row-major [targets, K]
    return state_->tokens->rows[s]->candidate_ids;
  }

  // ---- columns ----
  const layout& shape() const noexcept { return *state_->shape; }
  const detail::shared<const layout>& layout_handle() const noexcept { return state_->shape; }

  template <class F>
  const T* data(F = {}) const noexcept {
    return detail::values_of<T>(*storage<F>());
  }
  template <class F>
  gradwire::column<T> column(F field = {}) const noexcept {  // shares
    return {storage<F>(), state_->shape, field.level};
  }

  // ---- weights ----
  const double* weight_sum() const noexcept { return state_->weights->sum.data(); }      // Σ w of sequence s
  const double* weight_count() const noexcept { return state_->weights->count.data(); }  // number of w ≠ 0
  double total_weight() const noexcept { return state_->weights->total; }
  double total_count() const noexcept { return state_->weights->total_count; }
  std::size_t counted_sequences() const noexcept { return state_->weights->counted_sequences; }  // with any w ≠ 0

  static constexpr const field_info* infos[] = {&Fields::info..., nullptr};  // the fields at run time, null at the end

 private:
  friend struct detail::batch_access;
  explicit batch(detail::shared<const detail::batch_state> state) noexcept : state_(std::move(state)) {}

  template <class F>
  const detail::shared<const detail::block>& storage() const noexcept {
    static_assert(has<F>, "gradwire: the batch does not carry this field; add it: with(field = values, batch)");
    constexpr std::size_t slot = std::is_same_v<F, detail::weights_field> ? 0 : 1 + detail::slot_of<F, Fields...>();
    return state_->columns[slot];
  }

  detail::shared<const detail::batch_state> state_;
};

template <class... Fields, class... Rest>
batch(datum<field_list<Fields...>>, Rest...) -> batch<float, Fields...>;
template <class... Fields, class... Rest>
batch(datum_group<field_list<Fields...>>, Rest...) -> batch<float, Fields...>;
template <class... Fields, class Allocator>
batch(std::vector<datum<field_list<Fields...>>, Allocator>) -> batch<float, Fields...>;
template <class... Fields, class Allocator>
batch(std::vector<datum_group<field_list<Fields...>>, Allocator>) -> batch<float, Fields...>;

// A batch of another value type, or from any range: batch_of<double>(group(d1, d2), …), batch_of<float>(range).
template <class T, class First, class... Rest>
auto batch_of(const First& first, const Rest&... rest) {
  return typename detail::batch_type<T, typename detail::fields_of<First>::type>::type(first, rest...);
}

// A per-token column as rows of their real lengths.
template <class F, class T, class... Fields>
ragged_view<const T> rows_of(F field, const batch<T, Fields...>& data) noexcept {
  return {data.data(field), data.shape()};
}

}  // namespace gradwire::inline v0
