// SPDX-License-Identifier: Apache-2.0
// Matrix products by xtensor-blas, that is by the BLAS that the program is linked with (OpenBLAS). Each call uses one
// thread: the engine has threads of its own.
#pragma once

#include <xtensor-blas/xblas.hpp>
#include <xtensor/xadapt.hpp>

#include <array>
#include <string>

#include <gradwire/loopback/compute/product.hpp>

// Weak, because only OpenBLAS has them.
extern "C" {
[[gnu::weak]] void openblas_set_num_threads(int count);
[[gnu::weak]] char* openblas_get_corename(void);
}

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

template <class T>
void xtensor_multiply(const matrix<T>& c, T alpha, const matrix<const T>& a, const matrix<const T>& b,
                      bool accumulate) {
  const T beta = accumulate ? T{1} : T{0};
  const auto dense = [](const auto& m) { return m.stride == m.columns; };
  if (dense(a) && dense(b) && dense(c)) {
    const auto adapt = [](const auto& m) {
      return xt::adapt<xt::layout_type::row_major>(m.data, m.rows * m.columns, xt::no_ownership(),
                                                   std::array<std::size_t, 2>{m.rows, m.columns});
    };
    auto into = adapt(c);
    xt::blas::gemm(adapt(a), adapt(b), into, a.transposed, b.transposed, alpha, beta);
    return;
  }
  // xt::blas::gemm takes the leading dimension from the shape; rows that are further apart go to the layer below it.
  using index = xt::blas_index_t;
  const auto operation = [](bool transposed) { return transposed ? cxxblas::Trans : cxxblas::NoTrans; };
  cxxblas::gemm<index>(cxxblas::RowMajor, operation(a.transposed), operation(b.transposed), static_cast<index>(c.rows),
                       static_cast<index>(c.columns), static_cast<index>(a.transposed ? a.rows : a.columns), alpha,
                       a.data, static_cast<index>(a.stride), b.data, static_cast<index>(b.stride), beta, c.data,
                       static_cast<index>(c.stride));
}

}  // namespace detail

template <class T>
product_table<T> xtensor_products() {
  if (openblas_set_num_threads) openblas_set_num_threads(1);
  return {"xtensor-blas", detail::xtensor_multiply<T>};
}

// Measured on a Zen 5, GFLOP/s of one core for the shapes of a training step: OpenBLAS's AVX-512 kernels 250, Eigen
// compiled for AVX-512 195, both with AVX2 130, Eigen for the x86-64 baseline 50. OpenBLAS chooses its kernels at run
// time (0.3.21 takes a Zen 5 for AVX2 only; OPENBLAS_CORETYPE=SkylakeX in the environment says otherwise), Eigen when
// it is compiled. Where they are equal Eigen is taken: its rows do not depend on the rows beside them.
inline bool xtensor_is_fastest() {
  if (!openblas_get_corename) return false;  // a reference BLAS is slower than anything
#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
  const std::string core = openblas_get_corename();
  return core == "SkylakeX" || core == "Cooperlake" || core == "Sapphirerapids" || core == "SapphireRapids";
#else
  return true;
#endif
}

}  // namespace loopback
}  // namespace gradwire::inline v0
