// SPDX-License-Identifier: Apache-2.0
// The lanes of whatever target this file is compiled for, against the long double functions of the C library: dense
// ranges, edges, subnormals, both types. Compile with -march=x86-64, -march=haswell and -march=native to see all
// widths.
#include <gradwire/expression/lanes_math.hpp>
#include <gradwire/expression/scalar_math.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace {

using namespace gradwire;

template <class T>
using block = lanes<T, native_isa>;
template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();
template <class T>
constexpr T not_a_number = std::numeric_limits<T>::quiet_NaN();
template <class T>
constexpr T least_subnormal = std::numeric_limits<T>::denorm_min();
template <class T>
constexpr T greatest = std::numeric_limits<T>::max();

using types = std::tuple<float, double>;

// f of every value, block by block; the last block is padded with the last value.
template <class T, class F>
std::vector<T> apply_to(F f, const std::vector<T>& in) {
  std::vector<T> out;
  out.reserve(in.size());
  for (std::size_t i = 0; i < in.size(); i += block<T>::width) {
    alignas(64) T buffer[block<T>::width];
    for (std::size_t j = 0; j < block<T>::width; ++j) buffer[j] = in[std::min(i + j, in.size() - 1)];
    f(block<T>::load(buffer)).store(buffer);
    for (std::size_t j = 0; j < block<T>::width && i + j < in.size(); ++j) out.push_back(buffer[j]);
  }
  return out;
}

template <class T, class F>
T apply_one(F f, T x) {
  return apply_to(f, std::vector<T>{x})[0];
}

// Distance in units of the last place of T at the exact value; the unit of subnormals below. What rounds to infinity
// must be infinity.
template <class T>
long double ulps(T computed, long double exact) {
  if (std::isnan(exact) || std::isnan(computed)) return std::isnan(exact) && std::isnan(computed) ? 0.0L : 1e9L;
  const T nearest = static_cast<T>(exact);
  if (std::isinf(nearest) || std::isinf(computed)) {
    if (computed == nearest) return 0;
    // one of the two neighbours of the border of the range is a rounding error, not a mistake
    const long double last = static_cast<long double>(greatest<T>);
    const long double unit = last - static_cast<long double>(std::nextafter(greatest<T>, T(0)));
    if (std::isinf(exact) || (computed > 0) != (exact > 0)) return 1e9L;
    return std::fabs((std::isinf(computed) ? last + unit : std::fabs(static_cast<long double>(computed))) -
                     std::fabs(exact)) /
           unit;
  }
  int exponent = 0;
  std::frexp(exact, &exponent);  // |exact| in [2^(exponent-1), 2^exponent)
  exponent = std::max(exponent - std::numeric_limits<T>::digits,
                      std::numeric_limits<T>::min_exponent - std::numeric_limits<T>::digits);
  return std::fabs(static_cast<long double>(computed) - exact) / std::ldexp(1.0L, exponent);
}

template <class T>
struct worst_case {
  long double error = 0;
  T at = 0;
};

template <class T, class F, class G>
worst_case<T> worst(F f, G exact, const std::vector<T>& in) {
  worst_case<T> found;
  const auto out = apply_to<T>(f, in);
  for (std::size_t i = 0; i < in.size(); ++i)
    if (const auto e = ulps(out[i], exact(static_cast<long double>(in[i]))); !(e <= found.error)) found = {e, in[i]};
  return found;
}

template <class T, class F, class G>
void check(const char* name, double limit, F f, G exact, const std::vector<T>& in) {
  const auto found = worst<T>(f, exact, in);
  char text[200];
  std::snprintf(text, sizeof text, "%s<%s> on %zu values, %d lanes: at most %.3Lf ulp, at %.17g (%a)", name,
                sizeof(T) == 4 ? "float" : "double", in.size(), block<T>::width, found.error,
                static_cast<double>(found.at), static_cast<double>(found.at));
  BOOST_TEST_MESSAGE(text);
  BOOST_CHECK_MESSAGE(found.error <= static_cast<long double>(limit), text << ", allowed " << limit);
}

template <class T>
std::vector<T> uniform(T low, T high, std::size_t n) {
  std::mt19937_64 random(20251);
  std::uniform_real_distribution<T> values(low, high);
  std::vector<T> out(n);
  for (auto& x : out) x = values(random);
  out.push_back(low), out.push_back(high);
  return out;
}

// |x| spread evenly over the exponents between two powers of ten, both signs.
template <class T>
std::vector<T> magnitudes(double low_power, double high_power, std::size_t n) {
  std::vector<T> out;
  for (const auto power : uniform<double>(low_power, high_power, n)) {
    const T x = static_cast<T>(std::pow(10.0L, static_cast<long double>(power)));
    if (std::isfinite(x)) out.push_back(x), out.push_back(-x);
  }
  return out;
}

// Every bit pattern equally often: all exponents, NaN and infinity too.
template <class T>
std::vector<T> patterns(std::size_t n) {
  std::mt19937_64 random(1234);
  std::vector<T> out(n);
  for (auto& x : out) {
    using bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    x = __builtin_bit_cast(T, static_cast<bits>(random()));
  }
  return out;
}

template <class T>
std::vector<T> positive(std::vector<T> in) {
  for (auto& x : in) x = std::fabs(x);
  return in;
}

// n values on each side of x, one representable number apart
template <class T>
std::vector<T> around(T x, int n) {
  std::vector<T> out{x};
  T up = x, down = x;
  for (int i = 0; i < n; ++i) {
    up = std::nextafter(up, infinity<T>), down = std::nextafter(down, -infinity<T>);
    out.push_back(up), out.push_back(down);
  }
  return out;
}

// exp(d) - d - 1: the series where the difference would cancel
long double exact_k3(long double d) {
  if (std::fabs(d) > 2) return std::expm1(d) - d;
  long double term = d * d / 2, sum = 0;
  for (int n = 3; n < 60 && term != 0; ++n) sum += term, term *= d / n;
  return sum;
}

constexpr auto exp_of = [](auto x) { return exp(x); };
constexpr auto expm1_of = [](auto x) { return expm1(x); };
constexpr auto log_of = [](auto x) { return log(x); };
constexpr auto log1p_of = [](auto x) { return log1p(x); };
constexpr auto k3_of = [](auto x) { return k3_with_slope(x).value; };
constexpr auto k3_slope_of = [](auto x) { return k3_with_slope(x).expm1; };

template <class T>
constexpr bool is_double = sizeof(T) == 8;
template <class T>
constexpr std::size_t many = 400000;

template <class T>
bool same_bits(T a, T b) {
  return __builtin_memcmp(&a, &b, sizeof a) == 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(lanes_of_the_target)

BOOST_AUTO_TEST_CASE_TEMPLATE(exponential, T, types) {
  const auto exact = [](long double x) { return std::exp(x); };
  const T over = is_double<T> ? T(709.8) : T(88.73), under = is_double<T> ? T(-745.2) : T(-103.98);
  check<T>("exp near 0", 1.5, exp_of, exact, uniform<T>(-2, 2, many<T>));
  check<T>("exp over the range", 1.5, exp_of, exact, uniform<T>(under, over, many<T>));
  check<T>("exp of subnormal results", 1.5, exp_of, exact,
           uniform<T>(under, is_double<T> ? T(-708) : T(-87), many<T> / 4));
  check<T>("exp of any bits", 1.5, exp_of, exact, patterns<T>(many<T> / 4));
  check<T>("exp of small arguments", 1.5, exp_of, exact, magnitudes<T>(is_double<T> ? -320 : -44, 0, many<T> / 4));
  for (const double border : is_double<T> ? std::vector<double>{709.782712893384, -708.39641853226408,
                                                                -745.13321910194122, -744.44007192138122}
                                          : std::vector<double>{88.7228394, -87.3365479, -103.972084, -103.278929})
    check<T>("exp at a border", 1.5, exp_of, exact, around(static_cast<T>(border), 1000));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(exponential_edges, T, types) {
  BOOST_CHECK_EQUAL(apply_one(exp_of, infinity<T>), infinity<T>);
  BOOST_CHECK_EQUAL(apply_one(exp_of, greatest<T>), infinity<T>);
  BOOST_CHECK_EQUAL(apply_one(exp_of, -infinity<T>), T(0));
  BOOST_CHECK_EQUAL(apply_one(exp_of, -greatest<T>), T(0));
  BOOST_CHECK_EQUAL(apply_one(exp_of, T(0)), T(1));
  BOOST_CHECK_EQUAL(apply_one(exp_of, T(-0.0)), T(1));
  BOOST_CHECK_EQUAL(apply_one(exp_of, least_subnormal<T>), T(1));
  BOOST_CHECK(std::isnan(apply_one(exp_of, not_a_number<T>)));
  BOOST_CHECK(std::isnan(apply_one(exp_of, -not_a_number<T>)));
  // ln of the greatest number, rounded down, is the last argument with a finite result; the next overflows
  const T last = is_double<T> ? T(0x1.62e42fefa39efp+9) : T(0x1.62e42ep+6);
  BOOST_CHECK(std::isfinite(apply_one(exp_of, last)));
  BOOST_CHECK_EQUAL(apply_one(exp_of, std::nextafter(last, infinity<T>)), infinity<T>);
  // the least subnormal is the last result above 0
  const T least = is_double<T> ? T(-745.1332191019411) : T(-103.97207);
  BOOST_CHECK_EQUAL(apply_one(exp_of, least), least_subnormal<T>);
  BOOST_CHECK_EQUAL(apply_one(exp_of, least - T(0.001)), T(0));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(exponential_minus_one, T, types) {
  const auto exact = [](long double x) { return std::expm1(x); };
  const T over = is_double<T> ? T(709.8) : T(88.73);
  check<T>("expm1 near 0", 1.5, expm1_of, exact, uniform<T>(-2, 2, many<T>));
  check<T>("expm1 over the range", 1.5, expm1_of, exact, uniform<T>(-over, over, many<T>));
  check<T>("expm1 of small arguments", 1.5, expm1_of, exact, magnitudes<T>(is_double<T> ? -320 : -44, 0, many<T> / 4));
  check<T>("expm1 of any bits", 1.5, expm1_of, exact, patterns<T>(many<T> / 4));
  check<T>("expm1 at ln2/2", 1.5, expm1_of, exact, around(T(0.34657359), 5000));
  check<T>("expm1 at -ln2/2", 1.5, expm1_of, exact, around(T(-0.34657359), 5000));
  check<T>("expm1 at the border", 1.5, expm1_of, exact,
           around(is_double<T> ? T(709.782712893384) : T(88.7228394), 1000));
  BOOST_CHECK_EQUAL(apply_one(expm1_of, infinity<T>), infinity<T>);
  BOOST_CHECK_EQUAL(apply_one(expm1_of, -infinity<T>), T(-1));
  BOOST_CHECK_EQUAL(apply_one(expm1_of, -greatest<T>), T(-1));
  BOOST_CHECK(std::isnan(apply_one(expm1_of, not_a_number<T>)));
  for (const T x : {T(0.0), T(-0.0), least_subnormal<T>, -least_subnormal<T>})
    BOOST_CHECK(same_bits(apply_one(expm1_of, x), x));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(logarithm, T, types) {
  const auto exact = [](long double x) { return std::log(x); };
  check<T>("log near 1", 1.5, log_of, exact, uniform<T>(T(0.5), T(2), many<T>));
  check<T>("log at 1", 1.5, log_of, exact, around(T(1), 5000));
  check<T>("log over the range", 1.5, log_of, exact, positive(patterns<T>(many<T>)));
  check<T>("log of subnormals", 1.5, log_of, exact,
           positive(magnitudes<T>(is_double<T> ? -323.5 : -45, is_double<T> ? -300 : -37, many<T> / 4)));
  for (const T x : {T(0.70710678), T(1.41421356), std::numeric_limits<T>::min(), greatest<T>})
    check<T>("log at a border", 1.5, log_of, exact, positive(around(x, 1000)));
  BOOST_CHECK_EQUAL(apply_one(log_of, T(0.0)), -infinity<T>);
  BOOST_CHECK_EQUAL(apply_one(log_of, T(-0.0)), -infinity<T>);
  BOOST_CHECK_EQUAL(apply_one(log_of, infinity<T>), infinity<T>);
  BOOST_CHECK_EQUAL(apply_one(log_of, T(1)), T(0));
  for (const T x : {T(-1), -least_subnormal<T>, -infinity<T>, not_a_number<T>})
    BOOST_CHECK(std::isnan(apply_one(log_of, x)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(logarithm_of_one_plus, T, types) {
  const auto exact = [](long double x) { return std::log1p(x); };
  check<T>("log1p near 0", 1.5, log1p_of, exact, uniform<T>(T(-0.999), T(2), many<T>));
  check<T>("log1p near -1", 1.5, log1p_of, exact, around(T(-1) + std::numeric_limits<T>::epsilon() * 6000, 5000));
  check<T>("log1p over the range", 1.5, log1p_of, exact, positive(patterns<T>(many<T>)));
  check<T>("log1p of small arguments", 1.5, log1p_of, exact,
           magnitudes<T>(is_double<T> ? -320 : -44, -0.001, many<T> / 2));
  for (const T x : {T(-0.29289322), T(0.41421356), T(1), T(3), greatest<T>})
    check<T>("log1p at a border", 1.5, log1p_of, exact, around(x, 1000));
  BOOST_CHECK_EQUAL(apply_one(log1p_of, T(-1)), -infinity<T>);
  BOOST_CHECK_EQUAL(apply_one(log1p_of, infinity<T>), infinity<T>);
  for (const T x : {T(-1.5), -infinity<T>, not_a_number<T>, std::nextafter(T(-1), T(-2))})
    BOOST_CHECK(std::isnan(apply_one(log1p_of, x)));
  for (const T x : {T(0.0), T(-0.0), least_subnormal<T>, -least_subnormal<T>})
    BOOST_CHECK(same_bits(apply_one(log1p_of, x), x));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(k3_and_its_slope, T, types) {
  const auto slope = [](long double x) { return std::expm1(x); };
  const auto both = [&](const char* name, const std::vector<T>& in) {
    check<T>((std::string("k3 ") + name).c_str(), 4, k3_of, exact_k3, in);
    check<T>((std::string("k3 slope ") + name).c_str(), 2, k3_slope_of, slope, in);
  };
  const T over = is_double<T> ? T(709.8) : T(88.73);
  both("over training's differences", uniform<T>(-2, 2, 2 * many<T>));
  both("over the range", uniform<T>(-over, over, many<T>));
  both("from tiny to small", magnitudes<T>(is_double<T> ? -300 : -37, -3, many<T>));
  both("from small to 1", magnitudes<T>(-3, 0, many<T>));
  both("far out", magnitudes<T>(0, is_double<T> ? 308 : 38, many<T> / 4));
  for (const double x : {0.34657359, 0.35, 0.6931471805599453, 0.75, 1.0, 1.0397207, 1.7328679}) {
    both("around", around(static_cast<T>(x), 5000));
    both("around", around(static_cast<T>(-x), 5000));
  }
  both("at the border", around(is_double<T> ? T(709.782712893384) : T(88.7228394), 1000));
  both("at the lower bound", around(is_double<T> ? T(-700) : T(-80), 1000));
  BOOST_CHECK_EQUAL(apply_one(k3_of, T(0)), T(0));
  BOOST_CHECK_EQUAL(apply_one(k3_slope_of, T(0)), T(0));
  BOOST_CHECK_EQUAL(apply_one(k3_of, infinity<T>), infinity<T>);
  BOOST_CHECK_EQUAL(apply_one(k3_of, -infinity<T>), infinity<T>);
  BOOST_CHECK_EQUAL(apply_one(k3_slope_of, infinity<T>), infinity<T>);
  BOOST_CHECK_EQUAL(apply_one(k3_slope_of, -infinity<T>), T(-1));
  BOOST_CHECK_EQUAL(apply_one(k3_of, -greatest<T>), greatest<T>);
  BOOST_CHECK(std::isnan(apply_one(k3_of, not_a_number<T>)));
  BOOST_CHECK(std::isnan(apply_one(k3_slope_of, not_a_number<T>)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sigmoids, T, types) {
  const auto sigmoid_of = [](auto x) { return sigmoid(x); };
  const auto log_sigmoid_of = [](auto x) { return log_sigmoid(x); };
  const auto exact_sigmoid = [](long double x) {
    return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
  };
  const auto exact_log = [](long double x) { return std::min(x, 0.0L) - std::log1p(std::exp(-std::fabs(x))); };
  const T wide = is_double<T> ? T(760) : T(110);
  for (const auto& in :
       {uniform<T>(-40, 40, many<T>), uniform<T>(-wide, wide, many<T> / 4), patterns<T>(many<T> / 4)}) {
    check<T>("sigmoid", 3, sigmoid_of, exact_sigmoid, in);
    check<T>("log_sigmoid", 3, log_sigmoid_of, exact_log, in);
  }
  BOOST_CHECK_EQUAL(apply_one(log_sigmoid_of, -infinity<T>), -infinity<T>);
  BOOST_CHECK_EQUAL(apply_one(log_sigmoid_of, infinity<T>), T(0));
  BOOST_CHECK_EQUAL(apply_one(sigmoid_of, -infinity<T>), T(0));
  BOOST_CHECK_EQUAL(apply_one(sigmoid_of, infinity<T>), T(1));
  BOOST_CHECK(std::isnan(apply_one(log_sigmoid_of, not_a_number<T>)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(log_of_what_is_left, T, types) {
  const auto log1mexp_of = [](auto x) { return log1mexp(x); };
  const auto exact = [](long double x) { return x > -0.5L ? std::log(-std::expm1(x)) : std::log1p(-std::exp(x)); };
  auto negative = magnitudes<T>(is_double<T> ? -300 : -37, is_double<T> ? 3 : 2, many<T>);
  for (auto& x : negative) x = -std::fabs(x);
  check<T>("log1mexp", 4, log1mexp_of, exact, negative);
  check<T>("log1mexp", 4, log1mexp_of, exact, uniform<T>(-3, T(-1e-6), many<T>));
  BOOST_CHECK_EQUAL(apply_one(log1mexp_of, T(0)), -infinity<T>);
  BOOST_CHECK_EQUAL(apply_one(log1mexp_of, -infinity<T>), T(0));
  BOOST_CHECK(std::isnan(apply_one(log1mexp_of, T(0.5))));
  BOOST_CHECK(std::isnan(apply_one(log1mexp_of, not_a_number<T>)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(elementary, T, types) {
  const auto in = patterns<T>(many<T> / 4);
  const auto square_roots = apply_to<T>([](auto x) { return sqrt(x); }, in);
  const auto floors = apply_to<T>([](auto x) { return floor(x); }, in);
  const auto absolute = apply_to<T>([](auto x) { return abs(x); }, in);
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (std::isnan(in[i])) {
      BOOST_REQUIRE(std::isnan(square_roots[i]) && std::isnan(floors[i]) && std::isnan(absolute[i]));
      continue;
    }
    BOOST_REQUIRE(same_bits(floors[i], std::floor(in[i])));
    BOOST_REQUIRE(same_bits(absolute[i], std::fabs(in[i])));
    if (in[i] >= 0)
      BOOST_REQUIRE(same_bits(square_roots[i], std::sqrt(in[i])));
    else
      BOOST_REQUIRE(std::isnan(square_roots[i]));
  }
  for (const T x : uniform<T>(-1000, 1000, 10000))
    BOOST_REQUIRE(same_bits(apply_one([](auto y) { return floor(y); }, x), std::floor(x)));
  for (const T x : {T(-0.0), T(0.0), T(-0.5), T(0.5), T(-1), T(1), T(2.5), T(-2.5), infinity<T>, -infinity<T>})
    BOOST_CHECK(same_bits(apply_one([](auto y) { return floor(y); }, x), std::floor(x)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(arithmetic_and_comparison, T, types) {
  using L = block<T>;
  const L two = L::broadcast(2), count = L::iota();
  for (int i = 0; i < L::width; ++i) {
    BOOST_CHECK_EQUAL((count * two - two / L::broadcast(4) + -count)[i], static_cast<T>(i) - T(0.5));
    BOOST_CHECK_EQUAL((count < two)[i], i < 2);
    BOOST_CHECK_EQUAL((count <= two)[i], i <= 2);
    BOOST_CHECK_EQUAL((count > two)[i], i > 2);
    BOOST_CHECK_EQUAL((count >= two)[i], i >= 2);
    BOOST_CHECK_EQUAL((count == two)[i], i == 2);
    BOOST_CHECK_EQUAL((count != two)[i], i != 2);
    BOOST_CHECK_EQUAL(((!(count < two)) & (count < L::broadcast(3)))[i], i == 2);
    BOOST_CHECK_EQUAL(((count < two) | (count == two))[i], i <= 2);
    BOOST_CHECK_EQUAL(((count < two) ^ (count <= two))[i], i == 2);
    BOOST_CHECK_EQUAL(L::mask_type::broadcast(true)[i], true);
    BOOST_CHECK_EQUAL(L::mask_type::broadcast(false)[i], false);
  }
  BOOST_CHECK(same_bits(L::broadcast(T(-0.0))[0], T(-0.0)));
  L sum = count;
  sum += two, sum *= two, sum -= count, sum /= two;
  BOOST_CHECK_EQUAL(sum[1], T(2.5));
  const L bad = L::broadcast(not_a_number<T>);
  BOOST_CHECK((bad != bad)[0]);
  BOOST_CHECK(!(bad == bad)[0]);
  BOOST_CHECK(!(bad < two)[0]);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(selection_never_leaks, T, types) {
  using L = block<T>;
  for (const T bad : {not_a_number<T>, infinity<T>, -infinity<T>, least_subnormal<T>}) {
    const auto first = L::iota() == L::zero();
    const L chosen = select(first, L::broadcast(bad), L::broadcast(7)),
            kept = select_or_zero(!first, L::broadcast(bad));
    BOOST_CHECK(same_bits(chosen[0], bad));
    BOOST_CHECK(same_bits(kept[0], T(0)));
    for (int i = 1; i < L::width; ++i) {
      BOOST_CHECK_EQUAL(chosen[i], T(7));
      BOOST_CHECK(same_bits(kept[i], bad));
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(least_and_greatest_give_the_second_operand_of_ties_and_nan, T, types) {
  using L = block<T>;
  const auto minimum = [](T a, T b) { return min(L::broadcast(a), L::broadcast(b))[0]; };
  const auto maximum = [](T a, T b) { return max(L::broadcast(a), L::broadcast(b))[0]; };
  BOOST_CHECK_EQUAL(minimum(1, 2), T(1));
  BOOST_CHECK_EQUAL(maximum(1, 2), T(2));
  BOOST_CHECK(same_bits(minimum(T(0.0), T(-0.0)), T(-0.0)));
  BOOST_CHECK(same_bits(minimum(T(-0.0), T(0.0)), T(0.0)));
  BOOST_CHECK(same_bits(maximum(T(0.0), T(-0.0)), T(-0.0)));
  BOOST_CHECK_EQUAL(minimum(not_a_number<T>, 2), T(2));
  BOOST_CHECK(std::isnan(minimum(2, not_a_number<T>)));
  BOOST_CHECK_EQUAL(maximum(not_a_number<T>, 2), T(2));
  BOOST_CHECK(std::isnan(maximum(2, not_a_number<T>)));
  const auto clamped = [](T x) { return clamp(L::broadcast(x), L::broadcast(-1), L::broadcast(1))[0]; };
  BOOST_CHECK_EQUAL(clamped(-3), T(-1));
  BOOST_CHECK_EQUAL(clamped(3), T(1));
  BOOST_CHECK_EQUAL(clamped(T(0.5)), T(0.5));
  BOOST_CHECK(std::isnan(clamped(not_a_number<T>)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sums_are_double_and_keep_long_rows, T, types) {
  accumulator<T, native_isa> sum;
  long double exact = 0;
  const auto values = uniform<T>(0, 1, 3'000'000);
  alignas(64) T buffer[block<T>::width];
  for (std::size_t i = 0; i + block<T>::width <= values.size(); i += block<T>::width) {
    for (std::size_t j = 0; j < block<T>::width; ++j)
      buffer[j] = values[i + j], exact += static_cast<long double>(values[i + j]);
    sum.add(block<T>::load(buffer));
  }
  BOOST_CHECK_SMALL(static_cast<double>(static_cast<long double>(sum.total()) / exact - 1), 1e-15);
  accumulator<T, native_isa> few;  // less than one inner block, every lane
  few.add(block<T>::iota());
  few.add(block<T>::broadcast(1));
  BOOST_CHECK_EQUAL(few.total(), block<T>::width * (block<T>::width - 1) / 2 + block<T>::width);
}

namespace {
struct counting_isa : native_isa {
  static inline int count = 0;
  static void on_exponential() { ++count; }
};
}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(exponentials_are_counted, T, types) {
  using L = lanes<T, counting_isa>;
  const auto counted = [](auto f) {
    counting_isa::count = 0;
    alignas(64) T result[L::width];
    f(L::broadcast(T(-0.5))).store(result);
    return counting_isa::count + (std::isfinite(result[0]) ? 0 : 1000);
  };
  BOOST_CHECK_EQUAL(counted(exp_of), 1);
  BOOST_CHECK_EQUAL(counted(expm1_of), 1);
  BOOST_CHECK_EQUAL(counted([](auto x) { return k3_with_slope(x).value; }), 1);
  BOOST_CHECK_EQUAL(counted([](auto x) { return sigmoid(x); }), 1);
  BOOST_CHECK_EQUAL(counted([](auto x) { return log_sigmoid(x); }), 1);
  BOOST_CHECK_EQUAL(counted([](auto x) { return log1mexp(x); }), 2);
  BOOST_CHECK_EQUAL(counted([](auto x) { return log(-x); }), 0);
}

BOOST_AUTO_TEST_CASE(one_double_has_the_same_functions) {
  const auto near = [](double computed, long double exact, double limit) {
    BOOST_CHECK_MESSAGE(ulps(computed, exact) <= static_cast<long double>(limit), computed << " against " << exact);
  };
  for (const double x : uniform<double>(-30, 30, 2000)) {
    const long double e = x;
    near(detail::exp(x), std::exp(e), 1);
    near(detail::expm1(x), std::expm1(e), 1);
    near(detail::log(std::fabs(x)), std::log(std::fabs(e)), 1);
    near(detail::log_sigmoid(x), std::min(e, 0.0L) - std::log1p(std::exp(-std::fabs(e))), 3);
    near(detail::sigmoid(x), x < 0 ? std::exp(e) / (1 + std::exp(e)) : 1 / (1 + std::exp(-e)), 3);
    const auto pair = detail::k3_with_slope(x);
    near(pair.value, exact_k3(e), 4);
    near(pair.expm1, std::expm1(e), 2);
    const double negative = -std::fabs(x);
    near(detail::log1mexp(negative),
         negative > -0.5 ? std::log(-std::expm1(static_cast<long double>(negative)))
                         : std::log1p(-std::exp(static_cast<long double>(negative))),
         3);
  }
  BOOST_CHECK_EQUAL(detail::min(not_a_number<double>, 2.0), 2);
  BOOST_CHECK(std::isnan(detail::min(2.0, not_a_number<double>)));
  BOOST_CHECK(std::isnan(detail::clamp(not_a_number<double>, 0, 1)));
  BOOST_CHECK_EQUAL(detail::select_or_zero(false, not_a_number<double>), 0);
}

BOOST_AUTO_TEST_SUITE_END()
