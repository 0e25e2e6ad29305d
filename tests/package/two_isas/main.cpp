// SPDX-License-Identifier: Apache-2.0
// Runs both and compares each with the formula written out with <cmath>.
#include <cmath>
#include <cstdio>

#include "two_isas.hpp"

using namespace two_isas;

static int wrong = 0;

static void expect(const char* who, const char* what, double value, double expected) {
  if (std::abs(value - expected) > 1e-13 * (1 + std::abs(expected))) {
    std::printf("%s: %s is %.17g, expected %.17g\n", who, what, value, expected);
    ++wrong;
  }
}

static void check(const char* who, const outcome& got) {
  double loss = 0;
  for (int s = 0; s < sequences; ++s)
    for (int t = 0; t < length; ++t) {
      double a = advantage_of(s), ratio = std::exp(current_logprob(s, t) - old_logprob(s, t));
      double d = ref_logprob(s, t) - current_logprob(s, t);
      double clipped = std::fmin(std::fmax(ratio, 1 - clip), 1 + clip);
      double share = 1.0 / (sequences * length);
      loss += share * (beta * (std::expm1(d) - d) - std::fmin(ratio * a, clipped * a));
      double slope = share * (-beta * std::expm1(d) - (ratio * a <= clipped * a ? ratio * a : 0));
      expect(who, "a slope", got.slope.at(static_cast<std::size_t>(s * length + t)), slope);
    }
  expect(who, "the loss", got.loss, loss);
}

int main() {
  outcome baseline = evaluate_baseline(), native = evaluate_native();
  check("baseline", baseline);
  check("native", native);
  std::printf("baseline runs on %d bytes, native on %d\n", baseline.lane_bytes, native.lane_bytes);
  int expected = 16;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) expected = 32;
  if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    expected = 64;
#endif
  if (baseline.lane_bytes != 16 || native.lane_bytes != expected) {
    std::printf("expected 16 and %d\n", expected);
    ++wrong;
  }
  return wrong ? 1 : 0;
}
