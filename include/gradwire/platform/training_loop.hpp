// SPDX-License-Identifier: Apache-2.0
// Several forward_backward calls for each step of the optimizer, as gradient_accumulation_steps of a job says:
//
//   training_loop loop(trainer, {.gradient_accumulation_steps = 4, .optim = {.learning_rate = 1e-5}});
//   for (const auto& data : micro_batches) {
//     auto fed = loop.feed(data, my_grpo{});          // every 4th call is followed by optim_step
//     log(fed.step.result());
//     if (fed.optim) log(fed.optim->result());
//   }
//   if (auto rest = loop.finish()) log(rest->result());   // what is left of a last group of fewer
//
// The gradients of the k calls add up on the trainer: a loss that is a sum has the gradient of all of them, one that ends
// in a mean has k times the gradient of their mean; accumulate() (trainer/accumulate.hpp) gives the mean of all parts at
// once. optim.grad_accumulation_normalization has the trainer divide a sum; default none.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <gradwire/trainer/training_client.hpp>

namespace gradwire::inline v0 {
namespace platform {

struct training_loop_options {
  int gradient_accumulation_steps = 1;  // forward_backward calls for each optim_step
  optim_step_options optim{};
  // When given: the learning rate of step 1, 2, … instead of optim's.
  std::function<double(std::int64_t step)> learning_rate{};
};

struct fed_batch {
  future<training_step> step{};
  std::optional<future<optimizer_step>> optim{};  // where this call was the last of its group
  std::int64_t number = 0;                        // of the optimizer's step that it is part of, from 1
};

class training_loop {
 public:
  // `steps_done`: of a run that goes on.
  explicit training_loop(training_client trainer, training_loop_options options = {}, std::int64_t steps_done = 0)
      : trainer_(std::move(trainer)), options_(std::move(options)), steps_(steps_done) {
    if (options_.gradient_accumulation_steps < 1)
      throw error(
          errc::config,
          "gradient_accumulation_steps is " + std::to_string(options_.gradient_accumulation_steps) +
              "; it is the number of forward_backward calls for each optim_step, 1 or more",
          {.column = "gradient_accumulation_steps", .value = std::to_string(options_.gradient_accumulation_steps)});
  }

  // One forward_backward: of a loss of one's own, or of one of the server's.
  template <class Data, class Loss>
  fed_batch feed(const Data& data, Loss&& loss) {
    fed_batch fed;
    fed.number = steps_ + 1;
    if constexpr (std::convertible_to<Loss, server_loss::named>) {
      fed.step = trainer_.forward_backward(data, std::forward<Loss>(loss));
    } else {
      fed.step = trainer_.forward_backward_custom(data, std::forward<Loss>(loss));
    }
    if (++pending_ == options_.gradient_accumulation_steps) fed.optim = step();
    return fed;
  }

  // Steps with what was fed since the last step, if anything was.
  std::optional<future<optimizer_step>> finish() {
    if (pending_ == 0) return {};
    return step();
  }

  std::int64_t steps() const noexcept { return steps_; }  // optim_step calls, those before this loop included
  int pending() const noexcept { return pending_; }       // forward_backward calls since the last one
  training_client& trainer() noexcept { return trainer_; }

 private:
  future<optimizer_step> step() {
    optim_step_options how = options_.optim;
    if (options_.learning_rate) how.learning_rate = options_.learning_rate(steps_ + 1);
    pending_ = 0;
    ++steps_;
    return trainer_.optim_step(how);
  }

  training_client trainer_;
  training_loop_options options_;
  std::int64_t steps_ = 0;
  int pending_ = 0;
};

}  // namespace platform
}  // namespace gradwire::inline v0
