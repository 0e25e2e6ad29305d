// SPDX-License-Identifier: Apache-2.0
// Gradients that wait in the client for the optimizer step. A server that divides the accumulated gradient by the
// number of sequences (SkyRL's JAX backend) must be sent gradients times that number, and nobody knows it before the
// step.
//
// They keep 8 bytes a target (12 for a batch of double) and the batch itself alive until then.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <gradwire/trainer/plain_batch.hpp>
#include <gradwire/transport/cancellation.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/network.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct held_gradient {
  plain_batch data{};
  shared<block> slope{};     // dL/dlogprob, in the batch's type and layout
  shared<block> logprobs{};  // of the forward, float32: sent along, so that the server's ratio is 1
};

// Of one model. Jobs of the model run in their order, so what is held when a step runs is what was called before it.
struct held_gradients {
  std::vector<held_gradient> list{};  // in the order of the calls
  bool divides = false;               // the server does; known from the first custom loss on …
  bool sums = false;                  // … as is that it does not
  // What the trainer holds unstepped and divides by the same count.
  struct unstepped {
    std::size_t sequences = 0;  // of the server's own losses
    bool scaled = false;        // gradients that were sent for a step that was then not executed: their count is fixed
    explicit operator bool() const noexcept { return sequences > 0 || scaled; }
  } on_trainer{};

  std::size_t sequences() const noexcept {
    std::size_t sum = 0;
    for (const auto& each : list) sum += each.data.shape().sequences();
    return sum;
  }
  // Of a server's loss that was certainly not executed. A step sent without waiting may have taken them along.
  void forget(std::size_t sequences) noexcept {
    on_trainer.sequences -= on_trainer.sequences < sequences ? on_trainer.sequences : sequences;
  }
  // A step is about to be sent; what it takes with it. Given back when it was certainly not executed.
  unstepped take() noexcept { return std::exchange(on_trainer, {}); }
  void give_back(unstepped taken) noexcept {
    on_trainer.sequences += taken.sequences;
    on_trainer.scaled = on_trainer.scaled || taken.scaled;
  }
};

class model;
// Sends all of them, then calls `then`: with a failure when the step must not be sent. On the I/O thread.
GRADWIRE_DECL void send_held(const std::shared_ptr<model>& on, call_deadline deadline,
                             std::function<void(std::exception_ptr)> then);

}  // namespace detail
}  // namespace gradwire::inline v0
