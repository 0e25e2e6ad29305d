// SPDX-License-Identifier: Apache-2.0
// One model on a trainer. Every call returns a future at once; the calls of one client are carried out in their order,
// and their results may be read in any. A handle: copies share, and the last handle of a service ends what still runs.
//
//   auto step  = trainer.forward_backward_custom(data, my_grpo{.beta = 0.02});
//   auto optim = trainer.optim_step({.learning_rate = 1e-4});      // sent once the step has succeeded
//   log(step.result(), optim.result());
#pragma once

#include <concepts>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <gradwire/trainer/accumulate.hpp>
#include <gradwire/trainer/custom_loss.hpp>
#include <gradwire/trainer/lower.hpp>
#include <gradwire/trainer/model_info.hpp>
#include <gradwire/trainer/save_and_sample.hpp>
#include <gradwire/trainer/training_core.hpp>

namespace gradwire::inline v0 {

namespace detail {

// A template, so that `{.name = …}` can only mean the options.
template <class Text>
concept text = std::convertible_to<const Text&, std::string_view>;

template <class Batch>
plain_batch erase_type(const accumulated<Batch>& parts) {
  auto plain = erase_type(parts.whole);
  plain.borders = parts.borders;
  return plain;
}

}  // namespace detail

class training_client {
 public:
  training_client() = default;  // empty; create_training_client() gives a usable one
  explicit training_client(std::shared_ptr<detail::training_core> core) noexcept : core_(std::move(core)) {}

  // The logprob of every target under the model as it is now. No gradient.
  template <class T, class... Fields>
  future<forward_result> forward(const batch<T, Fields...>& data) {
    return core().forward(detail::erase_type(data));
  }

  // One of the server's own losses: server_loss::cross_entropy{}, server_loss::ppo{…} … Adds to the gradients on the
  // server.
  template <class T, class... Fields>
  future<training_step> forward_backward(const batch<T, Fields...>& data,
                                         const std::convertible_to<server_loss::named> auto& loss) {
    return core().forward_backward(detail::erase_type(data), server_loss::named(loss));
  }

  // A loss of one's own: a formula or a plain function (custom_loss.hpp). It is computed on a thread of this client;
  // its gradient is sent when all of it is finite. What the loss throws comes out of result() unchanged. lower(loss)
  // takes one request instead of two where the loss is one of the server's (lower.hpp).
  template <class T, class... Fields, class Loss>
  future<training_step> forward_backward_custom(const batch<T, Fields...>& data, Loss&& loss) {
    return custom(data, data, std::forward<Loss>(loss));
  }
  template <class T, class... Fields, class Loss>
  future<training_step> forward_backward_custom(const accumulated<batch<T, Fields...>>& parts, Loss&& loss) {
    return custom(parts, parts.whole, std::forward<Loss>(loss));
  }

  // Applies the gradients. Sent when every forward_backward since the last step has succeeded; when one has failed it
  // ends as `closed` and nothing is sent.
  future<optimizer_step> optim_step(const optim_step_options& options = {}) { return core().optim_step(options); }

  // Weights and optimizer, to go on from.
  future<saved_weights> save_state(const save_state_options& options) { return core().save_state(options); }
  future<saved_weights> save_state(const detail::text auto& name) {
    return core().save_state({.name = std::string(name)});
  }
  future<loaded_state> load_state(const load_state_options& options) { return core().load_state(options); }
  future<loaded_state> load_state(const detail::text auto& path) {
    return core().load_state({.path = std::string(path)});
  }

  // Weights to sample from.
  future<saved_weights> save_weights_for_sampler(const save_weights_options& options) {
    return core().save_weights_for_sampler(options);
  }

  // … or at once, without a name for them: of the weights as they are, or of those that inflight saves replace.
  future<sampling_client> save_weights_and_get_sampling_client(
      sampling_client_kind kind = sampling_client_kind::snapshot) {
    return detail::run_save_and_sample(core(), kind);
  }

  // Weights in Hugging Face's format, for rest_client::external_weights_urls.
  future<external_export> save_weights_external(const save_external_options& options) {
    return detail::run_save_external(core(), options);
  }

  // What the trainer says of this model.
  future<model_info> get_info() { return detail::run_get_info(core()); }

  // Frees the model's place on the trainer, behind the calls made so far. What was not saved is lost.
  future<completed> unload() { return detail::run_unload(core()); }

  const std::string& model_id() const { return core().model_id(); }
  // Of the trainer's process, as its last reply named it; "" where the trainer does not.
  std::string trainer_boot_id() const { return core().trainer_boot_id(); }
  const std::shared_ptr<detail::training_core>& handle() const noexcept { return core_; }

 private:
  detail::training_core& core() const {
    if (!core_) throw error(errc::config, "this training client is empty; create_training_client() makes one");
    return *core_;
  }

  template <class Data, class Batch, class Loss>
  future<training_step> custom(const Data& data, const Batch& whole, Loss&& loss) {
    try {
      if constexpr (detail::is_lowered<std::decay_t<Loss>>)
        return core().forward_backward_custom(detail::erase_type(data), detail::make_loss_function(whole, loss.loss),
                                              false, std::make_shared<detail::lowered_form>(loss.form));
      else
        return core().forward_backward_custom(detail::erase_type(data),
                                              detail::make_loss_function(whole, std::forward<Loss>(loss)),
                                              detail::ends_in_a_mean<std::decay_t<Loss>>());
    } catch (const error&) {
      return detail::failed_future<training_step>(std::current_exception());
    }
  }

  std::shared_ptr<detail::training_core> core_;
};

}  // namespace gradwire::inline v0
