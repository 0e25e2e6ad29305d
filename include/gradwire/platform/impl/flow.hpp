// SPDX-License-Identifier: Apache-2.0
// A call of the client that takes several steps, written as a coroutine: it runs on the network's I/O thread, between
// two steps it is nowhere, and no thread waits for it.
//
//   return start<trainer_job>(owner, "get", [id](flow& f) -> task<trainer_job> {
//     …  co_await sleep(f, 5);  auto trained = co_await wait_for(f, trainer.optim_step());  …
//   });
#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include <gradwire/platform/impl/client_core.hpp>
#include <gradwire/transport/future.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

// A step that is begun by co_await and ends with a value or an exception.
template <class T>
class [[nodiscard]] task {
 public:
  struct promise_type;
  using handle = std::coroutine_handle<promise_type>;

  struct promise_type {
    std::optional<T> value;
    std::exception_ptr failure;
    std::coroutine_handle<> then;

    struct last {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(handle ended) const noexcept { return ended.promise().then; }
      void await_resume() const noexcept {}
    };
    task get_return_object() { return task(handle::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    last final_suspend() const noexcept { return {}; }
    void return_value(T made) { value.emplace(std::move(made)); }
    void unhandled_exception() noexcept { failure = std::current_exception(); }
  };

  task(task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  task& operator=(task&&) = delete;
  ~task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> then) noexcept {
    handle_.promise().then = then;
    return handle_;
  }
  T await_resume() {
    if (handle_.promise().failure) std::rethrow_exception(handle_.promise().failure);
    return std::move(*handle_.promise().value);
  }

 private:
  explicit task(handle made) noexcept : handle_(made) {}
  handle handle_;
};

// The outermost coroutine of a call. The call owns its frame.
struct root_task {
  struct promise_type {
    root_task get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { v0::detail::report_lost_error(std::current_exception()); }
  };
  std::coroutine_handle<> handle;
};

template <class T>
struct call final : flow {
  using flow::flow;
  promise<T> ended;

  void give_up(std::exception_ptr why) override { ended.set_error(std::move(why)); }
};

// What a call does. It is kept until the call is over, with everything that it holds.
template <class T>
using steps = std::function<task<T>(flow&)>;

template <class T>
root_task run_call(call<T>& of, steps<T> body) {
  std::exception_ptr failure;
  try {
    of.check();
    T value = co_await body(of);
    of.ended.set_value(std::move(value));
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) of.ended.set_error(std::move(failure));
  of.core().forget(of);
  of.over = true;
}

// Runs body(flow&) on the I/O thread. What it holds must be copyable.
template <class T>
std::pair<future<T>, std::weak_ptr<flow>> start_on(const std::shared_ptr<client_core>& core, steps<T> body) {
  auto made = std::make_shared<call<T>>(core);
  auto result = made->ended.get_future();
  std::weak_ptr<flow> running = made;
  made->ended.on_cancel([gone = std::weak_ptr(made)] {
    const auto alive = gone.lock();
    if (alive) alive->post([alive] { alive->cancel(); });
  });
  core->net().post([made = std::move(made), body = std::move(body)] {
    made->core().add(*made);
    made->root = run_call<T>(*made, body).handle;
    made->root.resume();
  });
  return {std::move(result), std::move(running)};
}

template <class T>
future<T> start(const client_owner& owner, steps<T> body) {
  if (!owner) throw error(errc::config, "this client is empty; platform::client::connect() makes one");
  return start_on<T>(owner->core(), std::move(body)).first;
}

// --- what a step may wait for -----------------------------------------------------------------------------------------

// The common part: whoever comes first, the event or the end of the call, resumes it once.
template <class T>
struct arrival {
  std::optional<T> value;
  std::coroutine_handle<> waiting;
  bool over = false;

  // Keeps the call alive until it has been resumed.
  void arrive(const std::shared_ptr<flow>& of) {
    if (std::exchange(over, true)) return;
    of->wake = nullptr;
    of->pass_on = nullptr;
    waiting.resume();
  }
};

// These have constructors, because g++ 12 destroys the members of an aggregate twice that stands braced in a co_await.
struct sleep_until {
  sleep_until(flow& f, time_point until) : of(f), when(until) {}

  flow& of;
  time_point when;
  std::shared_ptr<arrival<bool>> shared = std::make_shared<arrival<bool>>();

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    shared->waiting = waiting;
    const auto self = of.shared_from_this();
    const auto state = shared;
    const auto timer = of.net().start_timer(when, [self, state] { state->arrive(self); });
    of.wake = [state, timer, gone = std::weak_ptr(self)] {
      if (const auto alive = gone.lock()) {
        alive->net().cancel_timer(timer);
        state->arrive(alive);
      }
    };
  }
  void await_resume() const { of.check(); }
};

inline sleep_until sleep(flow& of, double seconds) {
  v0::detail::check_seconds("a pause", seconds);
  return {of, of.net().now() + in_seconds(seconds)};
}

// One exchange; what comes back, a failure too, is its value.
struct exchange {
  exchange(flow& f, http_call call, bool abortable) : of(f), sent(std::move(call)), may_abort(abortable) {}

  flow& of;
  http_call sent;
  bool may_abort;  // when the call is cancelled; when the client is closed it is aborted in any case
  std::shared_ptr<arrival<http_outcome>> shared = std::make_shared<arrival<http_outcome>>();

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    shared->waiting = waiting;
    const auto self = of.shared_from_this();
    const auto state = shared;
    auto abort = std::make_shared<std::function<void()>>();
    sent.abort = abort;
    of.wake = [abort, may = may_abort, gone = std::weak_ptr(self)] {
      const auto alive = gone.lock();
      if (*abort && alive && (may || alive->is_closed())) std::exchange(*abort, nullptr)();
    };
    of.net().send(std::move(sent), [self, state](http_outcome came) {
      state->value.emplace(std::move(came));
      state->arrive(self);
    });
  }
  http_outcome await_resume() const { return std::move(*shared->value); }
};

// The outcome of another call. Who cancels this one cancels that one, which alone knows what has become of it: what it
// ends with is then the end of both. When the client is closed nobody waits for it any more, and it is cancelled too.
template <class T>
struct wait_for_future {
  wait_for_future(flow& f, future<T> inner) : of(f), from(std::move(inner)) {}

  flow& of;
  future<T> from;
  struct outcome {
    std::exception_ptr failure;
    std::optional<T> value;
  };
  struct arrived : arrival<outcome> {
    bool is_cancelled = false;
  };
  std::shared_ptr<arrived> shared = std::make_shared<arrived>();

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    shared->waiting = waiting;
    const auto self = of.shared_from_this();
    const auto state = shared;
    const auto cancel = [inner = v0::detail::future_access<T>::watch(from)] {
      const auto running = inner.lock();
      return running && running->cancel();
    };
    of.pass_on = [state, cancel] { return state->is_cancelled || (state->is_cancelled = cancel()); };
    of.wake = [state, cancel, gone = std::weak_ptr(self)] {
      cancel();
      if (const auto alive = gone.lock()) state->arrive(alive);
    };
    // The thread that finishes it may be another client's.
    v0::detail::future_access<T>::then(std::move(from), [self, state](std::exception_ptr failure, T* value) {
      auto came = std::make_shared<outcome>();
      came->failure = failure;
      if (value) came->value.emplace(std::move(*value));
      self->post([self, state, came] {
        if (state->over) return;
        if (state->is_cancelled)
          return self->stop(came->failure ? came->failure
                                          : self->why_of("cancelled", "cancelled; nothing more is sent"));
        state->value.emplace(std::move(*came));
        state->arrive(self);
      });
    });
  }
  T await_resume() const {
    of.check();
    if (shared->value->failure) std::rethrow_exception(shared->value->failure);
    return std::move(*shared->value->value);
  }
};

template <class T>
wait_for_future<T> wait_for(flow& of, future<T> from) {
  return {of, std::move(from)};
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
