// SPDX-License-Identifier: Apache-2.0
// What a training_model owns: trained values, their gradient, Adam's moments, and the weights that the decoder runs on.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/loopback/compute/random.hpp>
#include <gradwire/loopback/impl/frozen_model.hpp>
#include <gradwire/loopback/model/adam.hpp>

namespace gradwire::inline v0 {
namespace loopback {

struct training_model::state {
  std::mutex busy;
  frozen_model base;
  lora_options lora;
  std::shared_ptr<detail::compute_core> core;
  std::shared_ptr<const detail::model_weights> untied_base;  // if lm_head is adapted and the base ties it
  std::shared_ptr<detail::model_weights> weights;            // what the decoder runs on: for LoRA the merged ones
  adapter_layout adapters;                                   // LoRA only
  buffer<float> adapter_values;                              // LoRA only
  std::vector<tensor_entry> trained;                         // names as they are saved
  std::size_t size = 0;                                      // of the trained array
  buffer<float> gradient, first_moment, second_moment;
  std::vector<buffer<float>> thread_gradients;  // made when needed
  bool has_gradient = false;
  std::int64_t step = 0;

  bool full() const { return lora.rank == 0; }
  float* values() { return full() ? weights->values.data() : adapter_values.data(); }

  // Snapshots share the weights; whoever changes them takes a copy of his own first.
  void own_weights() {
    if (weights.use_count() > 1) weights = std::make_shared<detail::model_weights>(*weights);
  }

  void merge() {
    if (full()) return;
    own_weights();
    const detail::model_weights& from = *frozen();
    const std::lock_guard lock(core->busy);
    merge_adapters(core->products, team(core->pool), adapters, adapter_values.data(), from.values.data(),
                   weights->values.data());
  }

  // The frozen weights in the layout of `weights`.
  std::shared_ptr<const detail::model_weights> frozen() const {
    return untied_base ? untied_base : base.state_->weights;
  }

  gradient_target<float> target(float* into) {
    if (full()) return {into, nullptr, nullptr};
    return {into, &adapters, adapter_values.data()};
  }

  // f(begin, end, worker) over the trained array on all threads, in pieces of whole cache lines.
  template <class F>
  void for_parameters(F&& f) {
    const std::size_t lines = (size + 15) / 16;
    team(core->pool).for_ranges(lines, 4096, [&](std::size_t begin, std::size_t end, std::size_t worker) {
      f(16 * begin, std::min(16 * end, size), worker);
    });
  }

  void drop_gradient() { has_gradient = false; }

  // errc::data naming the first value that is not finite: such a state must not replace a good one.
  void require_finite(bool with_moments) {
    const std::pair<const char*, const float*> arrays[] = {{"", values()},
                                                           {"Adam's first moment of ", first_moment.data()},
                                                           {"Adam's second moment of ", second_moment.data()}};
    for (const auto& [what, data] : std::span(arrays).first(with_moments ? 3 : 1)) {
      const auto* bad = std::find_if(data, data + size, [](float value) { return !std::isfinite(value); });
      if (bad == data + size) continue;
      const auto at = static_cast<std::size_t>(bad - data);
      for (const tensor_entry& tensor : trained)
        if (at >= tensor.offset && at < tensor.offset + tensor.size) {
          error_details details;
          details.column = tensor.name;
          details.value = std::to_string(*bad);
          throw error(errc::data,
                      "not saved: " + (what + tensor.name) + "[" + std::to_string(at - tensor.offset) + "] is " +
                          details.value + "; load the last good state",
                      std::move(details));
        }
    }
  }
};

}  // namespace loopback
}  // namespace gradwire::inline v0
