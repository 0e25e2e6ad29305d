// SPDX-License-Identifier: Apache-2.0
// `data[i].loss_fn_inputs["weights"].data`: every column of one datum by its wire name, as flat values with dtype and
// shape, target_tokens included.
//
// A name finds the field that is called so; else the first field with that wire name. So "logprobs" is the field
// `logprobs` where the data has it, and else `old_logprobs`, whose key on the wire is "logprobs" too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <gradwire/datum/convert.hpp>
#include <gradwire/datum/data_error.hpp>
#include <gradwire/datum/field.hpp>

namespace gradwire::inline v0 {

// Read-only numbers of one tensor, whatever they are stored as. Values of candidates are stored in planes and read here
// row-major, [targets, K]. The datum or batch keeps them alive.
class tensor_values {
 public:
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = double;
    using difference_type = std::ptrdiff_t;
    using pointer = const double*;
    using reference = double;
    iterator() = default;
    iterator(const tensor_values* values, std::size_t i) noexcept : values_(values), i_(i) {}
    double operator*() const noexcept { return (*values_)[i_]; }
    iterator& operator++() noexcept {
      ++i_;
      return *this;
    }
    iterator operator++(int) noexcept { return {values_, i_++}; }
    bool operator==(const iterator& other) const noexcept { return i_ == other.i_; }

   private:
    const tensor_values* values_ = nullptr;
    std::size_t i_ = 0;
  };
  using value_type = double;
  using const_iterator = iterator;

  tensor_values() = default;
  tensor_values(const void* data, std::size_t size, number_kind kind, std::size_t planes = 1, std::size_t stride = 0,
                double single = 0) noexcept
      : data_(data), size_(size), planes_(planes), stride_(stride), single_(single), kind_(kind) {}

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  double operator[](std::size_t i) const noexcept {
    if (!data_) return single_;
    return detail::value_at(data_, kind_, planes_ == 1 ? i : i % planes_ * stride_ + i / planes_);
  }
  iterator begin() const noexcept { return {this, 0}; }
  iterator end() const noexcept { return {this, size_}; }

  // The stored values without a copy: T is their type (float in a batch, int32 for tokens); an error for another type
  // and for candidates, which are not contiguous.
  template <class T>
  std::span<const T> as() const {
    if (!data_ || planes_ != 1 || kind_ != detail::kind_of<T>()) refuse();
    return {static_cast<const T*>(data_), size_};
  }
  template <class T>
  operator std::span<const T>() const {
    return as<T>();
  }

 private:
  [[noreturn, gnu::cold, gnu::noinline]] static void refuse() {
    detail::refuse({}, {}, "these values are stored as another type, or not contiguously; read them one by one");
  }

  const void* data_ = nullptr;  // null: one value, single_
  std::size_t size_ = 0;
  std::size_t planes_ = 1;  // candidates
  std::size_t stride_ = 0;  // values from one plane to the next
  double single_ = 0;
  number_kind kind_ = number_kind::float32;
};

struct tensor_shape {
  std::size_t dimensions[2] = {};
  std::size_t rank = 0;

  constexpr tensor_shape() = default;
  constexpr tensor_shape(std::size_t rows) noexcept : dimensions{rows, 0}, rank(1) {}
  constexpr tensor_shape(std::size_t rows, std::size_t columns) noexcept : dimensions{rows, columns}, rank(2) {}
  constexpr std::size_t size() const noexcept { return rank; }
  constexpr std::size_t operator[](std::size_t i) const noexcept { return dimensions[i]; }
  constexpr const std::size_t* begin() const noexcept { return dimensions; }
  constexpr const std::size_t* end() const noexcept { return dimensions + rank; }
  constexpr bool operator==(const tensor_shape&) const noexcept = default;
};

struct tensor_view {
  std::string_view name;   // on the wire
  tensor_values data;      // flat, row-major
  std::string_view dtype;  // on the wire: "float32" or "int64"
  tensor_shape shape;      // {targets}, {targets, K}, or {1} for coarser values
};

namespace detail {

inline constexpr std::size_t no_slot = static_cast<std::size_t>(-1);

// The slots: 0 target_tokens, 1 weights, 2 … the fields in order.
[[gnu::noinline]] inline std::size_t find_slot(const field_info* const* infos, std::string_view name) noexcept {
  if (name == "target_tokens") return 0;
  if (name == "weights") return 1;
  for (std::size_t i = 0; infos[i]; ++i) {
    if (name == infos[i]->name) return i + 2;
  }
  for (std::size_t i = 0; infos[i]; ++i) {
    if (name == infos[i]->wire_name) return i + 2;
  }
  return no_slot;
}

[[noreturn, gnu::cold, gnu::noinline]] inline void no_such_input(const field_info* const* infos,
                                                                 std::string_view name) {
  std::string there = "there is no loss input \"";
  append_word(there, name);
  append_word(there, "\"; there are target_tokens, weights");
  for (std::size_t i = 0; infos[i]; ++i) {
    append_word(there, ", ");
    append_word(there, infos[i]->name);
    if (std::string_view(infos[i]->name) == infos[i]->wire_name) continue;
    append_word(there, " (on the wire: ");
    append_word(there, infos[i]->wire_name);
    append_word(there, ")");
  }
  throw_data_error({}, name, there);
}

}  // namespace detail

// Source: what owns the columns, a datum or a batch; `read_input(source, row, infos, slot)` reads it. A template, so
// that only who asks by name pays for the reading.
template <class Source>
class loss_inputs {
 public:
  class iterator {
   public:
    using value_type = tensor_view;
    using difference_type = std::ptrdiff_t;
    iterator() = default;
    iterator(const loss_inputs* inputs, std::size_t slot) noexcept : inputs_(inputs), slot_(slot) {}
    tensor_view operator*() const { return inputs_->read(slot_); }
    iterator& operator++() noexcept {
      ++slot_;
      return *this;
    }
    iterator operator++(int) noexcept { return {inputs_, slot_++}; }
    bool operator==(const iterator& other) const noexcept { return slot_ == other.slot_; }

   private:
    const loss_inputs* inputs_ = nullptr;
    std::size_t slot_ = 0;
  };

  loss_inputs() = default;
  loss_inputs(detail::shared<const Source> source, std::size_t row, const field_info* const* infos) noexcept
      : source_(std::move(source)), row_(row), infos_(infos) {}

  // Throws error (errc::data) that lists the names that are there.
  tensor_view at(std::string_view name) const {
    const std::size_t slot = detail::find_slot(infos_, name);
    if (slot == detail::no_slot) detail::no_such_input(infos_, name);
    return read(slot);
  }
  tensor_view operator[](std::string_view name) const { return at(name); }
  bool contains(std::string_view name) const noexcept { return detail::find_slot(infos_, name) != detail::no_slot; }

  // In the order target_tokens, weights, the fields as they were given; names are wire names.
  std::size_t size() const noexcept {
    std::size_t count = 2;
    while (infos_[count - 2]) ++count;
    return count;
  }
  iterator begin() const noexcept { return {this, 0}; }
  iterator end() const noexcept { return {this, size()}; }

  const Source& source() const noexcept { return *source_; }

 private:
  tensor_view read(std::size_t slot) const {
    tensor_view result = read_input(*source_, row_, infos_, slot);
    result.name = slot == 0 ? "target_tokens" : slot == 1 ? "weights" : infos_[slot - 2]->wire_name;
    return result;
  }

  detail::shared<const Source> source_;
  std::size_t row_ = 0;
  const field_info* const* infos_ = nullptr;  // of the fields, null at the end
};

}  // namespace gradwire::inline v0
