// SPDX-License-Identifier: Apache-2.0
// A column and a function of one's own: a likelihood in which tokens weigh more where the sampler was uncertain,
// through a softplus of its entropy. The column is data and has no gradient; for an entropy bonus see
// docs/loss_language.md.
#include <gradwire/loss.hpp>

#include <cstdio>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

inline constexpr field<"entropy", per_token> entropy{};  // nats, of the sampler's distribution at the token

struct softplus_op {  // log(1 + e^x)
  template <class V>
  static V value(V x) {
    return -log_sigmoid(-x);
  }
  template <class V>
  static V derivative(V x, V) {
    return sigmoid(x);
  }
};
inline constexpr function<softplus_op> softplus{};

int main() {
  const std::vector<int> question{11, 12}, answer{21, 22, 2};
  batch data{datum{prompt(question) + response(answer), logprobs = {-1.0, -0.3, -0.2}, entropy = {1.5, 0.8, 0.1}}};

  const auto loss = mean_over_all_tokens(-softplus(entropy) * logprobs);  // uncertain tokens weigh more
  const auto [value, slope] = value_and_gradient(loss, wrt(logprobs), at(data));
  std::printf("loss %.6f, slopes", value);
  for (float g : slope[0]) std::printf(" %+.4f", static_cast<double>(g));
  std::printf("\n");
}
