// SPDX-License-Identifier: Apache-2.0
// The handle of an operation that runs: `.result()` blocks until it is finished and gives its value, or throws what it
// threw, unchanged. With <gradwire/transport/awaitable.hpp> it is also awaitable with any Asio completion token.
//
//   future<step> f = trainer.forward_backward(data, cross_entropy{});     // runs at once
//   step s = f.result();                     // or f.result(std::chrono::seconds(5)): error{timeout}, f stays usable
//
// Dropping a future does not stop its operation, and its destructor never blocks; an error that then arrives, or is
// already in it unread, goes to on_lost_error once. `.cancel()` stops what can be stopped: what was not sent is not
// sent, what is on its way ends outcome_unknown, and of what the trainer has only the result is given up.
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <gradwire/error.hpp>
#include <gradwire/transport/lost_error.hpp>

namespace gradwire::inline v0 {

template <class T>
class promise;

namespace detail {

// The threads that finish futures must not wait for one: they would wait for themselves.
enum class thread_role : unsigned char { user, io, compute };
inline thread_local thread_role role_of_this_thread = thread_role::user;

// A hundred years are for ever: longer could not be added to a point in time. Compared as a float: hours::max() has no
// value in nanoseconds.
template <class Rep, class Period>
constexpr std::chrono::nanoseconds limit_of_wait(std::chrono::duration<Rep, Period> limit) {
  constexpr std::chrono::nanoseconds longest = std::chrono::hours(100 * 365 * 24);
  const double seconds = std::chrono::duration<double>(limit).count();
  if (!(seconds > 0)) return std::chrono::nanoseconds(0);
  return seconds < std::chrono::duration<double>(longest).count()
             ? std::chrono::duration_cast<std::chrono::nanoseconds>(limit)
             : longest;
}

struct future_core {
  std::mutex mutex;
  std::condition_variable finished;
  bool done = false;
  bool received = false;   // a user has seen the outcome, or a continuation will
  bool abandoned = false;  // no future is left
  std::exception_ptr failure;
  std::function<void()> continuation;
  std::function<void()> stop;  // asks the operation to end early

  // Runs `publish` unless there is an outcome already; then wakes whoever waits.
  template <class Publish>
  bool finish(Publish&& publish) {
    std::function<void()> next, never;
    std::exception_ptr lost;
    {
      std::lock_guard lock(mutex);
      if (done) return false;
      publish();
      done = true;
      next = std::move(continuation);
      never = std::exchange(stop, nullptr);
      if (failure && abandoned && !received) {
        received = true;
        lost = failure;
      }
      finished.notify_all();
    }
    if (lost) report_lost_error(lost);
    try {
      if (next) next();
    } catch (...) {
      report_lost_error(std::current_exception());  // a callback threw; the others must not suffer
    }
    return true;
  }

  void abandon() noexcept {
    std::exception_ptr lost;
    {
      std::lock_guard lock(mutex);
      abandoned = true;
      if (done && failure && !received) lost = failure;
      if (lost) received = true;
    }
    if (lost) report_lost_error(lost);
  }

  bool is_ready() {
    std::lock_guard lock(mutex);
    return done;
  }

  bool cancel() {
    std::function<void()> ask;
    {
      std::lock_guard lock(mutex);
      if (done || !stop) return false;
      ask = std::exchange(stop, nullptr);
    }
    ask();
    return true;
  }

  void wait(const std::chrono::nanoseconds* limit) {
    std::unique_lock lock(mutex);
    if (!done && role_of_this_thread != thread_role::user) {
      throw error(errc::config, role_of_this_thread == thread_role::io
                                    ? "result() in a callback would wait for the thread that it blocks; await the "
                                      "future with a completion token there"
                                    : "result() inside a loss function would block the thread that computes losses; "
                                      "get what the loss needs before the call and let the function capture it");
    }
    const auto is_done = [this] { return done; };
    if (!limit) {
      finished.wait(lock, is_done);
    } else if (!finished.wait_for(lock, *limit, is_done)) {
      throw error(errc::timeout,
                  "the operation is not finished within the time given to result(); it goes on, and "
                  "result() may be called again");
    }
    received = true;
    if (failure) std::rethrow_exception(failure);
  }

  void then(std::function<void()> next) {
    {
      std::lock_guard lock(mutex);
      received = true;
      if (!done) {
        continuation = std::move(next);
        return;
      }
    }
    next();
  }
};

template <class T>
struct future_state : future_core {
  std::optional<T> value;
};

template <class T>
struct future_access;

}  // namespace detail

template <class T>
class [[nodiscard]] future {
 public:
  using value_type = T;

  future() = default;
  future(future&&) noexcept = default;
  future& operator=(future&& other) noexcept {
    drop();
    state_ = std::move(other.state_);
    return *this;
  }
  ~future() { drop(); }

  bool valid() const noexcept { return state_ != nullptr; }
  bool ready() const { return core().is_ready(); }

  const T& result() const& { return waited(nullptr); }
  T result() && { return std::move(waited(nullptr)); }
  template <class Rep, class Period>
  const T& result(std::chrono::duration<Rep, Period> limit) const& {
    const auto longest = detail::limit_of_wait(limit);
    return waited(&longest);
  }
  template <class Rep, class Period>
  T result(std::chrono::duration<Rep, Period> limit) && {
    const auto longest = detail::limit_of_wait(limit);
    return std::move(waited(&longest));
  }

  // Asks the operation to end early; its outcome says what became of it. False, and nothing happens, when it has one
  // already or cannot be cancelled. A forward_backward that the trainer has stays in its gradients: no step follows
  // until a state is loaded.
  bool cancel() { return core().cancel(); }

  // Completes `token` with (std::exception_ptr, T) on the token's executor and empties this future.
  // Defined in <gradwire/transport/awaitable.hpp>, the only place that needs Asio.
  template <class CompletionToken>
  auto async_wait(CompletionToken&& token) &&;

 private:
  friend class promise<T>;
  friend struct detail::future_access<T>;
  explicit future(std::shared_ptr<detail::future_state<T>> state) noexcept : state_(std::move(state)) {}

  detail::future_state<T>& core() const {
    if (!state_) throw error(errc::config, "this future is empty: it was made without an operation, or moved from");
    return *state_;
  }
  T& waited(const std::chrono::nanoseconds* limit) const {
    core().wait(limit);
    return *core().value;
  }
  void drop() noexcept {
    if (state_) state_->abandon();
    state_.reset();
  }

  std::shared_ptr<detail::future_state<T>> state_;
};

// The other end. One outcome: the first one given counts. A promise that goes away without one gives error{closed}.
template <class T>
class promise {
 public:
  promise() : state_(std::make_shared<detail::future_state<T>>()) {}
  promise(promise&&) noexcept = default;
  promise& operator=(promise&&) = delete;
  ~promise() {
    if (!state_ || state_->is_ready()) return;
    std::exception_ptr why;
    try {
      why = std::make_exception_ptr(error(errc::closed, "the client was closed before the operation finished"));
    } catch (...) {
      why = std::current_exception();  // no memory for a sentence
    }
    set_error(std::move(why));
  }

  future<T> get_future() { return future<T>(state_); }

  // What future::cancel() calls, once, on the thread of the caller. It must not own this promise.
  void on_cancel(std::function<void()> stop) {
    std::lock_guard lock(state_->mutex);
    if (!state_->done) state_->stop = std::move(stop);
  }

  bool set_value(T value) {
    return state_->finish([&] { state_->value.emplace(std::move(value)); });
  }
  bool set_error(std::exception_ptr failure) {
    return state_->finish([&] { state_->failure = std::move(failure); });
  }

 private:
  std::shared_ptr<detail::future_state<T>> state_;
};

namespace detail {

template <class T>
struct future_access {
  static std::shared_ptr<future_state<T>> release(future<T>&& from) {
    static_cast<void>(from.core());
    return std::move(from.state_);
  }
  static std::weak_ptr<future_core> watch(const future<T>& from) { return from.state_; }

  // Runs `next(failure, value pointer)` when `from` is finished, on the thread that finishes it.
  template <class Next>
  static void then(future<T>&& from, Next next) {
    auto state = release(std::move(from));
    auto* const core = state.get();
    core->then([state = std::move(state), next = std::move(next)]() mutable {
      next(state->failure, state->value ? &*state->value : nullptr);
    });
  }
};

}  // namespace detail
}  // namespace gradwire::inline v0
