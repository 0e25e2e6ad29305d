// SPDX-License-Identifier: Apache-2.0
// Memory for the reductions of an evaluation. A caller that keeps one across calls makes them free of allocations.
#pragma once

#include <cstddef>
#include <vector>

namespace gradwire::inline v0 {

// Scratch memory of an evaluation, in doubles. It grows and never shrinks.
class workspace {
 public:
  double* take(std::size_t doubles) {
    if (memory_.size() < doubles) memory_.resize(doubles);
    return memory_.data();
  }

 private:
  std::vector<double> memory_;
};

}  // namespace gradwire::inline v0
