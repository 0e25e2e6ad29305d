// SPDX-License-Identifier: Apache-2.0
// The linear algebra backends against three loops, in every combination of transposes, strides and accumulation; and
// the kernels that stand on their own.
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cmath>
#include <stdexcept>
#include <vector>

#include <gradwire/loopback/compute/lanes.hpp>
#include <gradwire/loopback/compute/product_eigen.hpp>
#include <gradwire/loopback/compute/product_xtensor.hpp>
#include <gradwire/loopback/compute/random.hpp>
#include <gradwire/loopback/compute/thread_pool.hpp>

#include "../support/larger.hpp"

namespace {

using namespace gradwire::loopback;

template <class T>
void check_backend(const product_table<T>& products) {
  random_stream random(5);
  const std::size_t shapes[][3] = {{1, 1, 1}, {4, 3, 5}, {1, 17, 8}, {33, 16, 7}, {64, 50, 40}, {3, 70, 129}};
  for (const auto& [m, n, k] : shapes)
    for (const bool a_transposed : {false, true})
      for (const bool b_transposed : {false, true})
        for (const std::size_t apart : {std::size_t{0}, std::size_t{3}})
          for (const bool accumulate : {false, true}) {
            const auto make = [&](std::size_t rows, std::size_t columns) {
              std::vector<T> values(rows * (columns + apart));
              for (T& each : values) each = static_cast<T>(random.normal());
              return values;
            };
            const std::size_t ar = a_transposed ? k : m, ac = a_transposed ? m : k;
            const std::size_t br = b_transposed ? n : k, bc = b_transposed ? k : n;
            const std::vector<T> a = make(ar, ac), b = make(br, bc), before = make(m, n);
            std::vector<T> c = before;
            if (!accumulate)  // what was there must not matter, not even NaN
              for (std::size_t i = 0; i < m; ++i)
                for (std::size_t j = 0; j < n; ++j) c[i * (n + apart) + j] = std::numeric_limits<T>::quiet_NaN();
            matrix<const T> left = as_matrix(a.data(), ar, ac, ac + apart);
            matrix<const T> right = as_matrix(b.data(), br, bc, bc + apart);
            left.transposed = a_transposed, right.transposed = b_transposed;
            products.multiply(as_matrix(c.data(), m, n, n + apart), T{1.5}, left, right, accumulate);
            double worst = 0;
            for (std::size_t i = 0; i < m; ++i)
              for (std::size_t j = 0; j < n + apart; ++j) {
                double expected = double(before[i * (n + apart) + j]);
                if (j < n) {
                  double sum = 0;
                  for (std::size_t x = 0; x < k; ++x)
                    sum += double(a_transposed ? a[x * (ac + apart) + i] : a[i * (ac + apart) + x]) *
                           double(b_transposed ? b[j * (bc + apart) + x] : b[x * (bc + apart) + j]);
                  expected = (accumulate ? expected : 0) + 1.5 * sum;
                } else if (i + 1 == m) {
                  continue;  // after the last row there is nothing
                }
                const double difference = std::abs(double(c[i * (n + apart) + j]) - expected);
                worst = difference >= worst || difference != difference ? difference : worst;
              }
            const double tolerance = std::is_same_v<T, float> ? 1e-4 : 1e-12;
            BOOST_TEST(worst < tolerance, products.name << " " << m << "x" << n << "x" << k << " transposed "
                                                        << a_transposed << b_transposed << " apart " << apart
                                                        << " accumulate " << accumulate << ": " << worst);
          }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(products)

BOOST_AUTO_TEST_CASE(eigen) {
  check_backend(eigen_products<float>());
  check_backend(eigen_products<double>());
}

BOOST_AUTO_TEST_CASE(xtensor_blas) {
  check_backend(xtensor_products<float>());
  check_backend(xtensor_products<double>());
}

BOOST_AUTO_TEST_CASE(exponential_in_float) {
  double worst = 0;
  for (float x = -87; x < 88; x += 0.00137F) {
    const lanes<float> several = exponential<lanes<float>>(broadcast<lanes<float>>(x));
    const float one = exponential(x);
    const double exact = std::exp(double(x));
    worst = larger(worst, std::abs(double(one) - exact) / exact);
    worst = larger(worst, std::abs(double(several[lane_count<lanes<float>> - 1]) - exact) / exact);
  }
  BOOST_TEST(worst < 1.5 * 0x1p-24 * 2, worst);  // 1.5 units in the last place
  BOOST_TEST(exponential(0.0F) == 1.0F);
  BOOST_TEST(exponential(-1e30F) == 0.0F);
  BOOST_TEST(exponential(-INFINITY) == 0.0F);
  BOOST_TEST(exponential(200.0F) == INFINITY);
  BOOST_TEST(std::isnan(exponential(NAN)));
}

BOOST_AUTO_TEST_CASE(sums_and_maxima_of_any_length) {
  std::vector<float> x;
  for (std::size_t n = 1; n < 100; ++n) {
    x.push_back(static_cast<float>((n * 37) % 101));
    double sum = 0;
    float highest = 0;
    for (const float each : x) sum += double(each), highest = std::max(highest, each);
    BOOST_TEST(sum_over_lanes<float>(n, [&]<class V>(std::size_t i) { return load<V>(x.data() + i); }) == float(sum));
    BOOST_TEST(maximum_of(x.data(), n) == highest);
    std::vector<float> roots(n);
    for_lanes<float>(
        n, [&]<class V>(std::size_t i) { store<V>(roots.data() + i, square_root<V>(load<V>(x.data() + i))); });
    for (std::size_t i = 0; i < n; ++i) BOOST_TEST(roots[i] == std::sqrt(x[i]));
  }
}

BOOST_AUTO_TEST_CASE(threads_cover_everything_once) {
  for (const std::size_t threads : {1U, 2U, 7U}) {
    thread_pool pool(threads);
    const team together(pool);
    for (std::size_t n = 0; n < 300; n += 7) {
      std::vector<std::atomic<int>> seen(n);
      std::atomic<int> misplaced{0};
      together.for_ranges(n, 16, [&](std::size_t begin, std::size_t end, std::size_t worker) {
        misplaced += worker >= threads || begin % 16 != 0;
        for (std::size_t i = begin; i < end; ++i) ++seen[i];
      });
      for (const auto& each : seen) BOOST_TEST(each == 1);
      BOOST_TEST(misplaced == 0);
    }
    for (int round = 0; round < 200; ++round)
      BOOST_CHECK_EXCEPTION(pool.run([&](std::size_t worker) { throw std::runtime_error(std::to_string(worker)); }),
                            std::runtime_error, [](const auto& e) { return std::string(e.what()) == "0"; });
  }
}

BOOST_AUTO_TEST_SUITE_END()
