// SPDX-License-Identifier: Apache-2.0
// A tensor as the wire knows it: a dtype, a shape, row-major values. What is stored may differ from what is written
// (int32 tokens go out as int64, a double column as float32), so that a body is serialised straight from the batch.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/wire/array.hpp>

namespace gradwire::inline v0 {
namespace wire {

// Numbers of the protobuf enum. Requests carry float32 and int64 only; the others occur in replies.
enum class dtype : unsigned char { unspecified = 0, float32 = 1, int64 = 2, int32 = 3, bfloat16 = 4 };

constexpr std::string_view to_string(dtype type) noexcept {
  constexpr std::string_view names[] = {"unspecified", "float32", "int64", "int32", "bfloat16"};
  return names[static_cast<unsigned>(type)];
}

using shape_type = std::vector<std::int64_t>;

// Compressed sparse rows of a 2-D tensor: the values are the non-zeros, row by row.
struct sparse_rows {
  array<std::int64_t> crow_indices;  // rows + 1 entries, from 0 to the number of values
  array<std::int64_t> col_indices;   // one a value
};

class tensor {
 public:
  using storage_type = std::variant<array<float>, array<double>, array<std::int32_t>, array<std::int64_t>>;

  tensor() = default;

  // An empty shape means one dimension. Floating storage is written as float32, integers as int64, unless said.
  tensor(array<float> values, shape_type shape = {}, wire::dtype type = wire::dtype::float32)
      : tensor(storage_type(std::move(values)), std::move(shape), type) {}
  tensor(array<double> values, shape_type shape = {}, wire::dtype type = wire::dtype::float32)
      : tensor(storage_type(std::move(values)), std::move(shape), type) {}
  tensor(array<std::int32_t> values, shape_type shape = {}, wire::dtype type = wire::dtype::int64)
      : tensor(storage_type(std::move(values)), std::move(shape), type) {}
  tensor(array<std::int64_t> values, shape_type shape = {}, wire::dtype type = wire::dtype::int64)
      : tensor(storage_type(std::move(values)), std::move(shape), type) {}

  wire::dtype dtype() const noexcept { return dtype_; }
  const shape_type& shape() const noexcept { return shape_; }
  const storage_type& storage() const noexcept { return storage_; }
  std::size_t size() const noexcept {
    return std::visit([](const auto& values) { return values.size(); }, storage_);
  }

  // The values as they are stored; nullptr when they are stored as another type.
  template <class T>
  const array<T>* as() const noexcept {
    return std::get_if<array<T>>(&storage_);
  }

  // The values as T: the stored ones when they are T already, else converted into a new run.
  template <class T>
  array<T> values() const {
    if (const auto* same = as<T>()) return *same;
    std::vector<T> converted(size());
    std::visit(
        [&](const auto& stored) {
          for (std::size_t i = 0; i < stored.size(); ++i) converted[i] = static_cast<T>(stored[i]);
        },
        storage_);
    return converted;
  }

  const sparse_rows* sparse() const noexcept { return sparse_.get(); }
  void set_sparse(sparse_rows rows) { sparse_ = std::make_shared<const sparse_rows>(std::move(rows)); }

 private:
  tensor(storage_type values, shape_type shape, wire::dtype type)
      : storage_(std::move(values)), shape_(std::move(shape)), dtype_(type) {
    if (shape_.empty()) shape_.push_back(static_cast<std::int64_t>(size()));
  }

  storage_type storage_;
  shape_type shape_;
  std::shared_ptr<const sparse_rows> sparse_;
  wire::dtype dtype_ = wire::dtype::unspecified;
};

struct named_tensor {
  std::string name;  // "target_tokens", "weights", "logprobs", …
  tensor value{};
};

using named_tensors = std::vector<named_tensor>;

// nullptr when there is none of that name. The last of several counts, as in a protobuf map.
inline const tensor* find(const named_tensors& tensors, std::string_view name) noexcept {
  for (auto item = tensors.rbegin(); item != tensors.rend(); ++item)
    if (item->name == name) return &item->value;
  return nullptr;
}

}  // namespace wire
}  // namespace gradwire::inline v0
