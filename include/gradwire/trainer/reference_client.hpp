// SPDX-License-Identifier: Apache-2.0
// A frozen model: what a trainer was at one moment, or an untrained base. It only runs forward, with the same
// arithmetic as the trainer, so that the difference of two logprobs is that of the weights. Freed when its last handle
// goes.
#pragma once

#include <memory>
#include <utility>

#include <gradwire/trainer/training_core.hpp>

namespace gradwire::inline v0 {

class reference_client {
 public:
  reference_client() = default;  // empty; create_reference_client() gives a usable one
  explicit reference_client(std::shared_ptr<detail::training_core> core) noexcept : core_(std::move(core)) {}

  // with(ref_logprobs = reference.forward(data).result(), data)
  template <class T, class... Fields>
  future<forward_result> forward(const batch<T, Fields...>& data) {
    if (!core_) throw error(errc::config, "this reference client is empty; create_reference_client() makes one");
    return core_->forward(detail::erase_type(data));
  }

 private:
  std::shared_ptr<detail::training_core> core_;
};

}  // namespace gradwire::inline v0
