// SPDX-License-Identifier: Apache-2.0
// What training_client and reference_client do, without types of batches and losses.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gradwire/trainer/options.hpp>
#include <gradwire/trainer/plain_batch.hpp>
#include <gradwire/trainer/results.hpp>
#include <gradwire/trainer/server_loss.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/future.hpp>

namespace gradwire::inline v0 {
namespace detail {

class model;
struct lowered_form;
class session_handle;
using session_owner = std::shared_ptr<session_handle>;

// A loss on a batch whose types are gone: value, metrics, and the slope in the batch's type and layout.
struct computed_loss {
  double loss = 0;
  std::vector<named_value> metrics{};
  shared<block> slope{};
};
using loss_function = std::function<computed_loss(const shared<block>& logprobs)>;  // logprobs are float32

class training_core : public std::enable_shared_from_this<training_core> {
 public:
  training_core(session_owner owner, std::shared_ptr<model> trained, training_client_options made_with, bool unload)
      : owner_(std::move(owner)), model_(std::move(trained)), made_with_(std::move(made_with)), unload_(unload) {}
  GRADWIRE_DECL ~training_core();
  training_core(const training_core&) = delete;
  training_core& operator=(const training_core&) = delete;

  GRADWIRE_DECL future<forward_result> forward(plain_batch data);
  GRADWIRE_DECL future<training_step> forward_backward(plain_batch data, server_loss::named loss);
  GRADWIRE_DECL future<training_step> forward_backward_custom(plain_batch data, loss_function loss, bool normalized,
                                                              std::shared_ptr<const lowered_form> form = nullptr);
  GRADWIRE_DECL future<optimizer_step> optim_step(const optim_step_options& options);
  GRADWIRE_DECL future<saved_weights> save_state(const save_state_options& options);
  GRADWIRE_DECL future<saved_weights> save_weights_for_sampler(const save_weights_options& options);
  GRADWIRE_DECL future<loaded_state> load_state(const load_state_options& options);

  GRADWIRE_DECL const std::string& model_id() const;
  GRADWIRE_DECL std::string trainer_boot_id() const;
  const session_owner& owner() const noexcept { return owner_; }
  const std::shared_ptr<model>& trained() const noexcept { return model_; }
  const training_client_options& made_with() const noexcept { return made_with_; }

 private:
  session_owner owner_;
  std::shared_ptr<model> model_;
  training_client_options made_with_;
  bool unload_;  // a reference model frees its place on the server when its last handle goes
};

// ---- shared with the other clients ----

// A future that is finished already, with an error. The call sent nothing.
template <class T>
future<T> failed_future(std::exception_ptr failure) {
  promise<T> ended;
  auto result = ended.get_future();
  ended.set_error(std::move(failure));
  return result;
}

GRADWIRE_DECL void check_name(const std::string& name);  // of a checkpoint; throws error{config}

}  // namespace detail
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/custom_call.hpp>
#include <gradwire/trainer/impl/held_gradients.hpp>
#include <gradwire/trainer/impl/model_calls.hpp>
#include <gradwire/trainer/impl/optim_step.hpp>
#include <gradwire/trainer/impl/training_core.hpp>
#endif
