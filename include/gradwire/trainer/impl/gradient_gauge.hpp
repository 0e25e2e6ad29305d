// SPDX-License-Identifier: Apache-2.0
// The size of a gradient that a trainer has accumulated: by the norm that its optimizer reports, or by what a step in
// the gradient's direction does.
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/impl/probe_link.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline bool about(double ratio, double expected) { return std::abs(ratio - expected) < 0.05 * expected; }

class gradient_gauge {
 public:
  using batches = std::vector<wire::forward_backward_request>;

  explicit gradient_gauge(probe_link& link) noexcept : link_(link) {}

  // optim_step reports it under this name; "": it does not.
  void use_norm(std::string name) { norm_ = std::move(name); }

  static probe_datum sequence(float weight) {
    return {{11, 7, 23, 5, 17, 3}, {weight, weight, weight, weight, weight}, {}, {}};
  }
  static probe_datum other_sequence() { return {{2, 19, 13, 29}, {1, 1, 1}, {}, {}}; }

  bool has_norm() const noexcept { return !norm_.empty(); }

  // Finds a step that is small enough to be linear and large enough to be seen.
  bool find_step() {
    for (scale_ = 1e-6; scale_ < 1e3; scale_ *= 4)
      if (by_step({link_.body({sequence(1)})}, 0) > 0.002) return true;
    return false;
  }

  double size(const batches& requests) {
    if (!has_norm()) return by_step(requests, 0);
    for (const auto& each : requests) link_.pass(each);
    const auto metrics = link_.step({.learning_rate = 0}).step_metrics();
    const double* const norm = wire::find(metrics, norm_);
    if (norm == nullptr || !std::isfinite(*norm)) throw error(errc::data, "the gradient norm that is reported is none");
    return *norm;
  }

  // How far a step moves the logprobs. With betas of 0 and an eps far above the gradient Adam's step is lr/eps times
  // it.
  double by_step(const batches& requests, double clip) {
    constexpr double eps = 1e5;
    const auto before = logprobs();
    for (const auto& each : requests) link_.pass(each);
    link_.step({.learning_rate = scale_ * eps, .beta1 = 0, .beta2 = 0, .eps = eps, .grad_clip_norm = clip});
    const auto after = logprobs();
    double sum = 0;
    for (std::size_t i = 0; i < before.size() && i < after.size(); ++i)
      sum += std::pow(static_cast<double>(after[i]) - static_cast<double>(before[i]), 2);
    return std::sqrt(sum);
  }

  // Of the sequence and the other one.
  std::vector<float> logprobs() {
    auto request = link_.body({sequence(0), other_sequence()});
    request.forward_only = true;
    std::vector<float> all;
    for (const auto& each : link_.pass(request).outputs().loss_fn_outputs)
      if (const auto* values = wire::find(each, "logprobs"))
        for (const float value : wire::dense_values<float>(*values)) all.push_back(value);
    return all;
  }

 private:
  probe_link& link_;
  std::string norm_;
  double scale_ = 0;
};

}  // namespace detail
}  // namespace gradwire::inline v0
