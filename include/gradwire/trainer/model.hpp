// SPDX-License-Identifier: Apache-2.0
// The operations of one model in their order: one is submitted at a time, results overlap. A seq_id is taken when the
// body is made, and given back when the server has certainly not got it; a server that counts on from another number
// ("expected 5, got 7") is followed. Everything runs on the I/O thread.
#pragma once

#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/held_gradients.hpp>
#include <gradwire/trainer/session.hpp>

namespace gradwire::inline v0 {
namespace detail {

// The forward_backward calls since the last optimizer step.
struct gradient_window {
  std::size_t running = 0;
  std::size_t begun = 0;
  bool normalized = false;                     // a custom loss among them ends in a mean
  bool outlives = false;                       // its step was not executed: what fails in it counts in the next one
  bool before_load = false;                    // a load closed it, and no step
  std::exception_ptr failure;                  // of the first that failed
  std::vector<std::function<void()>> waiting;  // called when none is running
  std::shared_ptr<gradient_window> next;       // of the calls after the step, or load, that closed it

  // The step that closed it was certainly not executed, so that the next one takes these gradients along. `untold`: a
  // failure that this step's own error does not tell.
  void go_on(std::exception_ptr untold) {
    outlives = true;
    next->normalized = next->normalized || normalized;
    next->note(std::move(untold));
  }
  void note(std::exception_ptr what) {
    gradient_window* at = this;
    while (at->outlives) at = at->next.get();
    if (what && !at->failure) at->failure = std::move(what);
  }
};

class model : public std::enable_shared_from_this<model> {
 public:
  model(std::shared_ptr<session> of, std::string id) : session_(std::move(of)), id_(std::move(id)) {}

  using release_type = std::function<void()>;
  // Runs `job(release)` when every job before it has called its release, or has let go of it.
  GRADWIRE_DECL void enqueue(std::function<void(release_type)> job);

  using make_type = std::function<operation_record(std::int64_t seq_id)>;
  using done_type = std::function<void(const operation_outcome&)>;
  // Sends one request of this model: from within a job, and not before the request before it was acknowledged.
  // `make` may be called again with another seq_id, when the server has certainly not executed the first.
  GRADWIRE_DECL void submit(make_type make, call_deadline deadline, release_type acknowledged, done_type done);

  // ---- gradients that wait for a step ----
  // The handle counts as one pass until end_pass() is called with it, or its last copy goes.
  GRADWIRE_DECL std::shared_ptr<gradient_window> begin_pass();
  // `partly`: the trainer holds a part of this call's gradient, or may hold it.
  GRADWIRE_DECL void end_pass(const std::shared_ptr<gradient_window>& window, std::exception_ptr failure, bool partly);
  std::shared_ptr<gradient_window> close_window() {
    auto closed = std::exchange(window_, std::make_shared<gradient_window>());
    closed->next = window_;
    return closed;
  }

  // Set when the gradients on the trainer are not what the calls say, until a state is loaded.
  void taint(std::string why) {
    if (taint_.empty()) taint_ = std::move(why);
  }
  void clear_taint() { taint_.clear(); }
  const std::string& tainted() const noexcept { return taint_; }
  held_gradients& held() noexcept { return held_; }

  const std::shared_ptr<session>& of() const noexcept { return session_; }
  const std::string& id() const noexcept { return id_; }
  std::int64_t next_seq_id() const noexcept { return next_seq_id_; }

  // The trainer offered it when the model was made: what JSON batches then name.
  void use_comms_v2() noexcept { comms_v2_ = true; }
  bool speaks_comms_v2() const noexcept { return comms_v2_; }

  // Notes the name of a checkpoint; true when it is the first of that name.
  bool take_name(const std::string& name) { return names_.insert(name).second; }

 private:
  GRADWIRE_DECL void start_next();
  GRADWIRE_DECL void attempt(make_type make, call_deadline deadline, release_type acknowledged, done_type done,
                             bool may_follow);
  GRADWIRE_DECL bool settle_sequence(const operation& machine, std::int64_t seq_id, std::uint64_t epoch,
                                     bool acknowledged);

  std::shared_ptr<session> session_;
  std::string id_;
  std::deque<std::function<void(release_type)>> jobs_;
  std::shared_ptr<gradient_window> window_ = std::make_shared<gradient_window>();
  held_gradients held_;
  std::string taint_;
  std::set<std::string> names_;  // of the checkpoints that were asked for
  std::int64_t next_seq_id_ = 1;
  std::uint64_t epoch_ = 0;  // counts how often the server's count was followed
  bool busy_ = false;
  bool comms_v2_ = false;
};

}  // namespace detail
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/model.hpp>
#endif
