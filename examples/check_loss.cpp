// SPDX-License-Identifier: Apache-2.0
// A loss under the tools that look for mistakes, on a batch of four rollouts: the gradient against finite differences,
// the culprit of an overflow, all values token by token, two losses side by side, and logprobs that lie one position
// off.
#include <cmath>
#include <iostream>
#include <vector>

#include <gradwire/gradient/check_gradient.hpp>
#include <gradwire/gradient/culprit.hpp>
#include <gradwire/gradient/difference.hpp>
#include <gradwire/gradient/dump.hpp>
#include <gradwire/gradient/gradient_metrics.hpp>
#include <gradwire/gradient/shift_check.hpp>
#include <gradwire/loss.hpp>

using namespace gradwire;
using namespace gradwire::fields;

struct my_grpo {
  double clip = 0.2;   // trust region of the ratio, dimensionless
  double beta = 0.04;  // weight of the KL to the reference, per nat

  constexpr auto operator()() const {
    auto ratio = let<"ratio">(exp(logprobs - old_logprobs));
    auto gain = let<"gain">(min(ratio * advantage, clamp(ratio, 1 - clip, 1 + clip) * advantage));
    auto kl = let<"kl">(k3(logprobs, ref_logprobs));
    return objective(mean_over_all_tokens(beta * kl - gain), metric<"kl">(mean_over_all_tokens(kl)),
                     metric<"clip_fraction">(mean_over_all_tokens(abs(ratio - 1) > clip)));
  }
};

// [wrong]
struct soft_cap_op {  // 1 - e^-x, with a sign forgotten in its derivative
  template <class V>
  static V value(V x) {
    return V::broadcast(1) - exp(-x);
  }
  template <class V>
  static V derivative(V x, V) {
    return -exp(-x);
  }
};
inline constexpr function<soft_cap_op> soft_cap{};
// [wrong]

// Four rollouts of six tokens in two groups; the trainer's logprobs have moved away from those of the sampler.
auto rollouts() {
  int next = 0;
  const auto noise = [&] { return std::sin(12.9898 * ++next); };
  const auto rollout = [&](int id, double reward) {
    std::vector<int> answer;
    std::vector<double> now{0, 0}, old, reference;  // the targets 0 and 1 are prompt
    for (int t = 0; t < 6; ++t) {
      answer.push_back(id + t);
      now.push_back(-1.2 + noise());
      old.push_back(now.back() + 0.15 * noise());
      reference.push_back(now.back() + 0.3 * noise());
    }
    return datum{prompt({1, 2, 3}) + response(answer), logprobs = now, old_logprobs = old, ref_logprobs = reference,
                 advantage = reward};
  };
  const auto a = rollout(110, 1.0), b = rollout(120, -1.0), c = rollout(130, 0.0), d = rollout(140, 0.5);
  return batch{group(a, b), group(c, d)};
}

int main() {
  const auto data = rollouts();

  std::cout << "--- is the gradient right?\n";
  // [check]
  std::cout << check_gradient(my_grpo{}, at(data));
  // [check]
  std::cout << "\n--- and with an operation of one's own whose derivative is not that of its value?\n";
  std::cout << check_gradient(mean_over_all_tokens(soft_cap(exp(logprobs - old_logprobs))), at(data));

  std::cout << "\n--- why is it inf?\n";
  // [culprit]
  std::vector<std::vector<double>> old{
      {-9, -1, -1, -1, -1, -1}, {-1, -1, -1, -1, -1, -1}, {-1, -1, -1, -1, -1, -1}, {-1, -1, -1, -95, -1, -1}};
  if (const auto found =
          find_culprit(mean_over_all_tokens(exp(logprobs - old_logprobs)), at(with(old_logprobs = old, data))))
    std::cout << *found;
  // [culprit]

  std::cout << "\n--- what happens at each token? (two lines of all)\n";
  // [dump]
  const std::string lines = dump(my_grpo{}, at(data), dump_format::jsonl);
  // [dump]
  std::size_t begin = 0;
  for (int line = 0; line < 4; ++line) {
    const std::size_t end = lines.find('\n', begin) + 1;
    if (line > 1) std::cout << lines.substr(begin, end - begin);
    begin = end;
  }

  std::cout << "\n--- what does another normalisation change?\n";
  // [difference]
  auto ratio = exp(logprobs - old_logprobs);
  auto gain = min(ratio * advantage, clamp(ratio, 0.8, 1.2) * advantage);
  std::cout << difference(my_grpo{.beta = 0}, mean_over_sequences(sum_over_tokens(-gain)), wrt(logprobs), at(data));
  // [difference]
  std::cout << "\n--- and another formula?\n";
  std::cout << difference(my_grpo{}, mean_over_all_tokens(-logprobs), wrt(logprobs), at(data), {.worst = 3});

  std::cout << "\n--- are the old logprobs those of the same tokens?\n";
  // [shift]
  std::cout << shift_check(data);  // old_logprobs against logprobs
  // [shift]
  std::cout << "\n--- and if the sampler had counted from the next token?\n";
  std::vector<std::vector<float>> shifted;
  for (std::size_t s = 0; s < data.size(); ++s) {
    const auto row = data.column(old_logprobs)[s];
    shifted.emplace_back(row.begin() + 1, row.end());
    shifted.back().push_back(-1);
  }
  std::cout << shift_check(with(old_logprobs = shifted, data));

  std::cout << "\n--- what does the gradient look like?\n";
  // [metrics]
  const auto [loss, slope] = value_and_gradient(my_grpo{}, wrt(logprobs), at(data));
  for (const auto& [name, value] : gradient_metrics(slope, data)) std::cout << name << " " << value << "\n";
  // [metrics]
}
