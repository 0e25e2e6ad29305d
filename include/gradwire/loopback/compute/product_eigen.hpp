// SPDX-License-Identifier: Apache-2.0
// Matrix products by Eigen: as fast as the instruction set that this file is compiled for.
#pragma once

// g++ 12 takes the undefined operands inside its own AVX-512 intrinsics for a mistake of the program (GCC bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <Eigen/Core>
#pragma GCC diagnostic pop

#include <gradwire/loopback/compute/product.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

template <class T>
auto eigen_map(const matrix<T>& a) {
  using value = Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using mapped = std::conditional_t<std::is_const_v<T>, const value, value>;
  return Eigen::Map<mapped, Eigen::Unaligned, Eigen::OuterStride<>>(
      a.data, static_cast<Eigen::Index>(a.rows), static_cast<Eigen::Index>(a.columns),
      Eigen::OuterStride<>(static_cast<Eigen::Index>(a.stride)));
}

template <class T>
void eigen_multiply(const matrix<T>& c, T alpha, const matrix<const T>& a, const matrix<const T>& b, bool accumulate) {
  auto into = eigen_map(c);
  const auto assign = [&](const auto& left, const auto& right) {
    if (accumulate)
      into.noalias() += alpha * left * right;
    else
      into.noalias() = alpha * left * right;
  };
  const auto left = eigen_map(a), right = eigen_map(b);
  if (a.transposed)
    b.transposed ? assign(left.transpose(), right.transpose()) : assign(left.transpose(), right);
  else
    b.transposed ? assign(left, right.transpose()) : assign(left, right);
}

}  // namespace detail

template <class T>
product_table<T> eigen_products() {
  return {"Eigen", detail::eigen_multiply<T>};
}

}  // namespace loopback
}  // namespace gradwire::inline v0
