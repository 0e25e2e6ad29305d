// SPDX-License-Identifier: Apache-2.0
// Whose logprobs a column holds. A difference of two is a log-ratio only where the two belong together
// (expression/role.hpp).
#pragma once

namespace gradwire::inline v0 {

enum class role : unsigned char {
  none,       // no logprobs, or not said whose
  current,    // the trainer's, now
  old,        // the policy when it sampled
  sampler,    // the inference engine's own numbers
  reference,  // a frozen reference model's
  teacher     // of a teacher, for the same tokens
};

}  // namespace gradwire::inline v0
