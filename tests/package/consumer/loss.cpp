// SPDX-License-Identifier: Apache-2.0
// What <gradwire/loss.hpp> gives a project that has nothing but a compiler. The expected numbers are worked out by hand: three answer
// tokens of weight 1 in one sequence, so the loss is -(−0.5 − 1 − 1.5) / 3 = 1 and each slope is −1/3.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <cstdio>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct plain_nll {
  constexpr auto operator()() const { return mean_over_sequences(mean_over_tokens(-logprobs)); }
};

int main() {
  std::vector<std::int32_t> question{11, 12}, answer{21, 22, 23};
  std::vector<float> current{-0.5F, -1.0F, -1.5F};
  batch data{group(datum{prompt(question) + response(answer), logprobs = current})};
  auto [loss, slope] = value_and_gradient(plain_nll{}, wrt(logprobs), at(data));
  double sum = 0;
  for (std::size_t t = 0; t < data.shape().tokens(); ++t) sum += static_cast<double>(slope.data()[t]);
  std::printf("loss %.9g, sum of slopes %.9g\n", loss, sum);
  return loss > 0.999999 && loss < 1.000001 && sum > -1.000001 && sum < -0.999999 ? 0 : 1;
}
