// SPDX-License-Identifier: Apache-2.0
// A reference of a trainer's weights: a state that is saved behind the trainer's calls, and a second model into which it
// is loaded. Whatever ends the making, a failure or a caller who gives up, frees both again.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <gradwire/trainer/impl/model_calls.hpp>
#include <gradwire/trainer/impl/service_call.hpp>
#include <gradwire/trainer/reference_client.hpp>

namespace gradwire::inline v0 {
namespace detail {

// What is on the server and is not the caller's yet.
class reference_parts {
 public:
  reference_parts(std::shared_ptr<session> of, std::string state) : of_(std::move(of)), state_(std::move(state)) {}
  reference_parts(const reference_parts&) = delete;
  reference_parts& operator=(const reference_parts&) = delete;
  ~reference_parts() {
    try {
      if (of_->is_closed()) return;
      free_state();
      if (made_) free_model(made_);
    } catch (const std::exception&) {  // no memory: the session's end frees the model
    }
  }

  const std::string& state() const noexcept { return state_; }
  void own(std::shared_ptr<model> made) noexcept { made_ = std::move(made); }
  void give_model_away() noexcept { made_ = nullptr; }
  void free_state() {
    if (!state_.empty()) delete_checkpoint(of_, std::exchange(state_, {}));
  }

 private:
  std::shared_ptr<session> of_;
  std::string state_;  // its path
  std::shared_ptr<model> made_;
};

// Nobody wants the reference any more. A save that has begun goes on: only its answer says what there is to delete.
inline std::exception_ptr give_up_save(const std::weak_ptr<client_call<saved_weights>>& waiting) {
  const auto save = waiting.lock();
  if (!save) return nullptr;
  if (save->deadline.cancel->stops.empty()) return save->deadline.cancel->cancel();
  return std::make_exception_ptr(error(errc::closed,
                                       "cancelled: the state that is being saved for it is deleted when it is there, "
                                       "and nothing more is made"));
}

inline future<reference_client> make_reference(const session_owner& owner, const training_core& from) {
  const auto save = begin_call<saved_weights>(from.trained());
  const auto saved = std::make_shared<future<saved_weights>>(save->ended.get_future());
  from.owner()->net().post([save] { enqueue_save(save, {.name = fresh_name("reference-")}); });
  const auto then = [waiting = std::weak_ptr(save), saved, options = from.made_with()](const auto& call) {
    call->deadline.cancel->stops.push_back([waiting] { return give_up_save(waiting); });
    const auto go_on = [call, options](std::exception_ptr failure, saved_weights* state) {
      if (failure) return call->fail(failure);
      try {
        const auto parts = std::make_shared<reference_parts>(call->of, state->path);
        if (call->deadline.is_cancelled()) return;
        create_model(call, options, false, [call, options, parts](std::shared_ptr<model> made) {
          parts->own(made);
          if (call->deadline.is_cancelled()) return;
          load_first(call, made, {.path = parts->state(), .with_optimizer = false}, [call, made, options, parts] {
            parts->free_state();
            call->finish([&](const session_owner& alive) {
              reference_client ready(std::make_shared<training_core>(alive, made, options, true));
              parts->give_model_away();
              return ready;
            });
          });
        });
      } catch (...) {
        call->fail(std::current_exception());
      }
    };
    future_access<saved_weights>::then(std::move(*saved), go_on);
  };
  return begin_service_call<reference_client>(owner, then);
}

}  // namespace detail
}  // namespace gradwire::inline v0
