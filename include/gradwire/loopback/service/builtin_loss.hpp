// SPDX-License-Identifier: Apache-2.0
// The losses that the server computes itself, per token, with the slope by the token's logprob. All are sums over
// tokens, never averages. l: the model's logprob now, o: the sampler's ("logprobs"), A: "advantages", w: "weights" (1
// if absent), r = exp(l - o):
//
//   cross_entropy        -w l
//   importance_sampling  -w r A
//   ppo                  -w min(r A, clip(r, low, high) A)        low, high = 0.8, 1.2
//   cispo                -w stop_gradient(clip(r, low, high)) A l low, high = 0, 4
//   dro                  -w (l A - beta/2 (l - o)^2)              beta = 0.01, over every position
//
// The settings are clip_low_threshold, clip_high_threshold and beta; the thresholds may also be columns. The defaults
// are the hosted service's (and TuFT's for dro); they differ from server to server, so clients should send them.
#pragma once

#include <cmath>
#include <optional>
#include <span>
#include <string_view>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

enum class builtin_loss : unsigned char { cross_entropy, importance_sampling, ppo, cispo, dro };

inline constexpr std::string_view builtin_loss_names[] = {"cross_entropy", "importance_sampling", "ppo", "cispo",
                                                          "dro"};

constexpr std::optional<builtin_loss> find_builtin_loss(std::string_view name) noexcept {
  for (unsigned i = 0; i < std::size(builtin_loss_names); ++i)
    if (builtin_loss_names[i] == name) return static_cast<builtin_loss>(i);
  return {};
}

constexpr bool uses_clip(builtin_loss loss) noexcept {
  return loss == builtin_loss::ppo || loss == builtin_loss::cispo;
}

struct loss_settings {
  builtin_loss loss = builtin_loss::cross_entropy;
  double clip_low = 0;
  double clip_high = 0;
  double beta = 0.01;
};

constexpr loss_settings default_settings(builtin_loss loss) noexcept {
  if (loss == builtin_loss::ppo) return {.loss = loss, .clip_low = 0.8, .clip_high = 1.2};
  if (loss == builtin_loss::cispo) return {.loss = loss, .clip_low = 0, .clip_high = 4};
  return {.loss = loss};
}

// One value for each target, or empty.
struct loss_columns {
  std::span<const float> weights{};
  std::span<const float> logprobs{};
  std::span<const float> advantages{};
  std::span<const float> clip_low{};
  std::span<const float> clip_high{};
};

struct value_and_slope {
  double value = 0;
  double slope = 0;
};

inline value_and_slope evaluate(const loss_settings& settings, const loss_columns& columns, std::size_t i, double l) {
  if (settings.loss == builtin_loss::cross_entropy) return {-l, -1};
  const double o = columns.logprobs[i];
  const double a = columns.advantages[i];
  if (settings.loss == builtin_loss::dro) {
    const double distance = l - o;
    return {-(l * a - settings.beta / 2 * distance * distance), -(a - settings.beta * distance)};
  }
  const double ratio = std::exp(l - o);
  const double low = columns.clip_low.empty() ? settings.clip_low : static_cast<double>(columns.clip_low[i]);
  const double high = columns.clip_high.empty() ? settings.clip_high : static_cast<double>(columns.clip_high[i]);
  const double clipped = ratio < low ? low : ratio > high ? high : ratio;
  switch (settings.loss) {
    case builtin_loss::importance_sampling:
      return {-ratio * a, -ratio * a};
    case builtin_loss::cispo:
      return {-clipped * a * l, -clipped * a};
    default:
      break;
  }
  const bool unclipped = ratio * a <= clipped * a;  // the minimum is the one that moves with the ratio
  return unclipped ? value_and_slope{-ratio * a, -ratio * a} : value_and_slope{-clipped * a, 0};
}

// Sum over the targets; writes dL/dlogprob where `slope` is not empty. A token of weight 0 counts for nothing, whatever
// its other columns are. Returns the index of the first token whose value or slope is not finite in `bad`.
inline double sum_of_loss(const loss_settings& settings, const loss_columns& columns, std::span<const float> logprobs,
                          std::span<float> slope, std::optional<std::size_t>& bad) {
  double sum = 0;
  for (std::size_t i = 0; i < logprobs.size(); ++i) {
    const double weight = columns.weights.empty() ? 1 : static_cast<double>(columns.weights[i]);
    value_and_slope at{};
    if (weight != 0) {
      at = evaluate(settings, columns, i, static_cast<double>(logprobs[i]));
      at = {weight * at.value, weight * at.slope};
    }
    const auto narrow = static_cast<float>(at.slope);
    if (!bad && !(std::isfinite(at.value) && std::isfinite(narrow))) bad = i;
    sum += at.value;
    if (!slope.empty()) slope[i] = narrow;
  }
  return sum;
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
