// SPDX-License-Identifier: Apache-2.0
// Compiled twice: with the machine's own instruction set as evaluate_native, with the bare x86-64 as evaluate_baseline.
// The batch, the loss and every type of the library are the same in both, so a kernel that were not told apart by
// its instruction set would be merged by the linker, and one of the two would run the other's code.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

#include "two_isas.hpp"

using namespace gradwire;
using namespace gradwire::fields;

struct clipped_policy {
  constexpr auto operator()() const {
    auto ratio = exp(logprobs - old_logprobs);
    auto gain = min(ratio * advantage, clamp(ratio, 1 - two_isas::clip, 1 + two_isas::clip) * advantage);
    return mean_over_sequences(mean_over_tokens(two_isas::beta * k3(logprobs, ref_logprobs) - gain));
  }
};

two_isas::outcome two_isas::EVALUATE() {
  std::vector<std::int32_t> question{1, 2, 3}, answer(two_isas::length, 7);
  auto row = [&](int s) {
    std::vector<double> current, old, reference;
    for (int t = 0; t < two_isas::length; ++t) {
      current.push_back(two_isas::current_logprob(s, t));
      old.push_back(two_isas::old_logprob(s, t));
      reference.push_back(two_isas::ref_logprob(s, t));
    }
    return datum{prompt(question) + response(answer), logprobs = current, old_logprobs = old, ref_logprobs = reference,
                 advantage = two_isas::advantage_of(s)};
  };
  auto data = batch_of<double>(group(row(0), row(1), row(2)));
  auto [loss, slope] = value_and_gradient(clipped_policy{}, wrt(logprobs), at(data));

  two_isas::outcome result{.loss = loss, .lane_bytes = native_isa::bytes};
  for (std::size_t s = 0; s < two_isas::sequences; ++s) {  // the answer's targets are the last of the row
    const double* row_end = slope.data() + data.shape().offset[s] + data.shape().length[s];
    result.slope.insert(result.slope.end(), row_end - two_isas::length, row_end);
  }
  return result;
}
