// SPDX-License-Identifier: Apache-2.0
// How runtime.hpp works.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include <unistd.h>

#include <gradwire/transport/future.hpp>
#include <gradwire/transport/impl/http_client.hpp>
#include <gradwire/transport/runtime.hpp>

namespace gradwire::inline v0 {
namespace detail {

// Shared with both threads, so that the runtime may be destroyed on one of them (by a callback that owns the client).
struct runtime_state {
  explicit runtime_state(runtime_options options) : client(io, options) {}

  const pid_t process = ::getpid();
  asio::io_context io{1};
  http_client client;
  std::map<std::uint64_t, std::unique_ptr<asio::steady_timer>> timers;  // I/O thread only
  std::atomic<std::uint64_t> last_timer{0};
  std::thread io_thread;

  std::mutex mutex;
  std::condition_variable work_came;
  std::deque<std::function<void()>> work;
  bool closing = false;
  std::thread compute_thread;

  // At once on the I/O thread, so that what it throws reaches the caller (asio::dispatch keeps it for run()).
  template <class F>
  void run_soon(F task) {
    if (io.get_executor().running_in_this_thread()) return task();
    asio::post(io, std::move(task));
  }

  void run_io() {
    role_of_this_thread = thread_role::io;
    const auto guard = asio::make_work_guard(io);
    for (bool stopped = false; !stopped;) {
      try {
        io.run();
        stopped = true;
      } catch (...) {
        report_lost_error(std::current_exception());  // a callback threw; the others must not suffer
      }
    }
  }

  void run_work() {
    role_of_this_thread = thread_role::compute;
    std::unique_lock lock(mutex);
    for (;;) {
      work_came.wait(lock, [this] { return closing || !work.empty(); });
      if (closing) return;
      auto task = std::move(work.front());
      work.pop_front();
      lock.unlock();
      try {
        task();
      } catch (...) {
        report_lost_error(std::current_exception());
      }
      task = nullptr;
      lock.lock();
    }
  }
};

inline void join_or_detach(std::thread& thread) {
  if (!thread.joinable()) return;
  if (thread.get_id() == std::this_thread::get_id()) {
    thread.detach();
  } else {
    thread.join();
  }
}

}  // namespace detail

GRADWIRE_DECL runtime::runtime(runtime_options options) : state_(std::make_shared<detail::runtime_state>(options)) {
  state_->io_thread = std::thread([state = state_] { state->run_io(); });
  try {
    state_->compute_thread = std::thread([state = state_] { state->run_work(); });
  } catch (...) {
    state_->io.stop();
    state_->io_thread.join();
    throw;
  }
}

GRADWIRE_DECL runtime::~runtime() {
  if (::getpid() != state_->process) {  // after fork() there is nobody to stop, and what they held is not to be touched
    new std::shared_ptr<detail::runtime_state>(std::move(state_));
    return;
  }
  {
    std::lock_guard lock(state_->mutex);
    state_->closing = true;
  }
  state_->work_came.notify_all();
  // No owner: the last one waits for a lookup that hangs, and must be the thread that is made for that below.
  const auto close = [state = state_.get()] {
    state->client.close();
    state->timers.clear();
    state->io.stop();
  };
  bool posted = false;
  if (state_->io_thread.get_id() != std::this_thread::get_id()) {
    try {
      detail::asio::post(state_->io, close);
      posted = true;
    } catch (...) {  // no memory: stop it first and close afterwards
      state_->io.stop();
    }
  }
  if (posted) {
    detail::join_or_detach(state_->io_thread);
  } else {
    if (state_->io_thread.get_id() != std::this_thread::get_id()) state_->io_thread.join();
    close();
    detail::join_or_detach(state_->io_thread);
  }
  detail::join_or_detach(state_->compute_thread);
  for (std::unique_lock lock(state_->mutex); !state_->work.empty(); lock.lock()) {  // what never ran
    auto task = std::move(state_->work.front());
    state_->work.pop_front();
    lock.unlock();
    task = nullptr;
  }
  if (detail::lookups_running > 0) std::thread([waits = std::move(state_)] {}).detach();  // for the lookup to end
}

GRADWIRE_DECL time_point runtime::now() const { return std::chrono::steady_clock::now(); }

GRADWIRE_DECL void runtime::post(std::function<void()> task) {
  if (::getpid() != state_->process) {
    throw error(errc::config, "this client was made before fork(), and its threads did not come along; make a new one");
  }
  detail::asio::post(state_->io, std::move(task));
}

GRADWIRE_DECL std::uint64_t runtime::start_timer(time_point when, std::function<void()> task) {
  const std::uint64_t number = ++state_->last_timer;
  state_->run_soon([state = state_.get(), number, when, task = std::move(task)]() mutable {
    auto& timer = state->timers[number] = std::make_unique<detail::asio::steady_timer>(state->io, when);
    timer->async_wait([state, number, task = std::move(task)](detail::error_code stopped) {
      if (stopped || state->timers.erase(number) == 0) return;
      task();
    });
  });
  return number;
}

GRADWIRE_DECL void runtime::cancel_timer(std::uint64_t timer) {
  state_->run_soon([state = state_.get(), timer] { state->timers.erase(timer); });
}

GRADWIRE_DECL void runtime::send(http_call call, std::function<void(http_outcome)> done) {
  state_->run_soon([state = state_.get(), call = std::move(call), done = std::move(done)]() mutable {
    state->client.send(std::move(call), std::move(done));
  });
}

GRADWIRE_DECL void runtime::compute(std::function<void()> task) {
  {
    std::lock_guard lock(state_->mutex);
    if (state_->closing) return;
    state_->work.push_back(std::move(task));
  }
  state_->work_came.notify_one();
}

}  // namespace gradwire::inline v0
