// SPDX-License-Identifier: Apache-2.0
// A loss of one's own, evaluated without any trainer: value, metrics and dL/dlogprob per token.
#include <cstdio>
#include <vector>

// [loss]
#include <gradwire/loss.hpp>
using namespace gradwire;          // datum, prompt, response, batch …
using namespace gradwire::fields;  // logprobs, old_logprobs, ref_logprobs, advantage, weights …

struct my_grpo {
  double clip = 0.2;   // trust region of the ratio, dimensionless
  double beta = 0.04;  // weight of the KL to the reference, per nat

  constexpr auto operator()() const {
    auto ratio = let<"ratio">(exp(logprobs - old_logprobs));
    auto gain = min(ratio * advantage, clamp(ratio, 1 - clip, 1 + clip) * advantage);
    auto kl = let<"kl">(k3(logprobs, ref_logprobs));  // exp(d) - d - 1, accurate near d = 0
    return objective(mean_over_sequences(mean_over_tokens(beta * kl - gain)), metric<"kl">(mean_over_all_tokens(kl)),
                     metric<"clip_fraction">(mean_over_all_tokens(abs(ratio - 1) > clip)));
  }
};
// [loss]

int main() {
  const std::vector<int> question{11, 12, 13}, good{21, 22, 2}, bad{31, 2};
  datum d1{prompt(question) + response(good),  // weights 0 0 1 1 1: the targets are shifted by one
           old_logprobs = {-1.2, -0.4, -0.1}, ref_logprobs = {-1.1, -0.6, -0.1}, advantage = 0.7};
  datum d2{prompt(question) + response(bad), old_logprobs = {-0.9, -0.3}, ref_logprobs = {-1.0, -0.3},
           advantage = -0.7};
  batch data{group(d1, d2)};

  // What a trainer's forward pass would say now:
  const std::vector<std::vector<double>> now{{0, 0, -1.0, -0.3, -0.2}, {0, 0, -1.4, -0.5}};
  const auto known = with(logprobs = now, data);

  const auto result = evaluate(my_grpo{.beta = 0.02}, wrt(logprobs), at(known));
  std::printf("loss %+.6f\n", result.loss);
  for (const auto& [name, value] : result.metrics)
    std::printf("%.*s %.6f\n", static_cast<int>(name.size()), name.data(), value);
  for (std::size_t s = 0; s < known.size(); ++s) {
    std::printf("dL/dlogprob of sequence %zu:", s);
    for (float slope : result.slope[s]) std::printf(" %+.4f", static_cast<double>(slope));
    std::printf("\n");
  }
}
