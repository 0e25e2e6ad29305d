// SPDX-License-Identifier: Apache-2.0
// The one operation that the decoder asks of a linear algebra library, C = alpha A B or C += alpha A B, and the table
// through which it is called. product_xtensor.hpp and product_eigen.hpp fill the table; nothing else includes them.
#pragma once

#include <cstddef>

namespace gradwire::inline v0 {
namespace loopback {

// A row-major matrix in someone else's memory. `rows` and `columns` are those of the memory; a transposed one is read
// the other way round.
template <class T>
struct matrix {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;  // elements from one row to the next
  bool transposed = false;

  operator matrix<const T>() const { return {data, rows, columns, stride, transposed}; }
};

template <class T>
matrix<T> as_matrix(T* data, std::size_t rows, std::size_t columns, std::size_t stride = 0) {
  return {data, rows, columns, stride == 0 ? columns : stride, false};
}

template <class T>
matrix<T> transpose(matrix<T> a) {
  a.transposed = !a.transposed;
  return a;
}

template <class T>
struct product_table {
  const char* name = "";
  void (*multiply)(const matrix<T>& c, T alpha, const matrix<const T>& a, const matrix<const T>& b,
                   bool accumulate) = nullptr;
};

}  // namespace loopback
}  // namespace gradwire::inline v0
