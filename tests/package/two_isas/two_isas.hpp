// SPDX-License-Identifier: Apache-2.0
// One loss, used by two files that are compiled for different instruction sets and linked into one program.
#pragma once

#include <vector>

namespace two_isas {

// Three sequences, each with `length` answer tokens; numbers that reach both sides of the clip.
inline constexpr int sequences = 3;
inline constexpr int length = 37;
inline constexpr double clip = 0.2, beta = 0.04;
inline double current_logprob(int s, int t) { return -0.1 - 0.031 * ((t * 7 + s * 5) % 23); }
inline double old_logprob(int s, int t) { return -0.1 - 0.029 * ((t * 11 + s * 3) % 19); }
inline double ref_logprob(int s, int t) { return -0.1 - 0.027 * ((t * 5 + s * 13) % 29); }
inline double advantage_of(int s) { return s == 0 ? 1.25 : s == 1 ? -0.75 : 0.5; }

struct outcome {
  double loss = 0;
  std::vector<double> slope{};  // sequences · length values, in order
  int lane_bytes = 0;           // width of the vector registers the kernel was written for
};
outcome evaluate_baseline();
outcome evaluate_native();

}  // namespace two_isas
