// SPDX-License-Identifier: Apache-2.0
// What a column is, where a formula or a batch must know: whose logprobs (a difference of two is a log-ratio only where
// the two belong together, expression/role.hpp), what a model other than the policy learns, or whole numbers that name
// something.
#pragma once

namespace gradwire::inline v0 {

enum class role : unsigned char {
  none,       // nothing of these, or not said
  current,    // the trainer's, now
  old,        // the policy when it sampled
  sampler,    // the inference engine's own numbers
  reference,  // a frozen reference model's
  teacher,    // of a teacher, for the same tokens
  learned,    // no logprobs, but the output of a model that learns: a critic's values, a reward model's score
  identity    // whole numbers that name a part or a datum: two that differ must not become one
};

}  // namespace gradwire::inline v0
