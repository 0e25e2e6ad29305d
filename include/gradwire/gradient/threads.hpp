// SPDX-License-Identifier: Apache-2.0
// An executor with threads of its own:
//
//   thread_executor threads(2);
//   auto [loss, slope] = value_and_gradient(my_grpo{}, wrt(logprobs), at(data), on(threads));
//
// The result has the same bits as with one thread. A worker watches for new work for some microseconds before it
// sleeps, because a sweep over 10⁵ tokens takes about as long as waking a thread; it yields while it watches, so that
// more threads than cores cost little. Each thread begins with its own contiguous share of the pieces, the same in every
// call, so that the columns that it reads stay in its core's cache from one call to the next; then it helps the others.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace gradwire::inline v0 {

class thread_executor {
 public:
  explicit thread_executor(unsigned threads = std::thread::hardware_concurrency()) {
    shares_ = std::vector<share>(threads > 1 ? threads : 1);
    for (unsigned i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
  }
  thread_executor(const thread_executor&) = delete;
  thread_executor& operator=(const thread_executor&) = delete;
  ~thread_executor() {
    stop_.store(true, std::memory_order_release);
    generation_.fetch_add(1, std::memory_order_acq_rel);
    generation_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  unsigned threads() const noexcept { return static_cast<unsigned>(workers_.size()) + 1; }

  // Calls piece(i) for i = 0 … pieces - 1, each once, on any of the threads; returns when all are done. One caller at a
  // time has the threads, others wait for it. The first exception of a piece is rethrown when every piece has ended.
  template <class Piece>
  void operator()(std::size_t pieces, Piece&& piece) const {
    if (pieces < 2 || workers_.empty()) {
      for (std::size_t i = 0; i < pieces; ++i) piece(i);
      return;
    }
    const std::lock_guard one_caller(caller_);
    object_ = const_cast<void*>(static_cast<const void*>(&piece));
    call_ = [](void* object, std::size_t i) { (*static_cast<std::remove_reference_t<Piece>*>(object))(i); };
    for (std::size_t i = 0; i < shares_.size(); ++i) {
      shares_[i].next.store(pieces * i / shares_.size(), std::memory_order_relaxed);
      shares_[i].end = pieces * (i + 1) / shares_.size();
    }
    busy_.store(workers_.size(), std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_acq_rel);
    generation_.notify_all();
    take_pieces(0);
    for (int i = 0; busy_.load(std::memory_order_acquire) != 0; ++i) {
      if (i < watch) {
        pause();
      } else {
        std::this_thread::yield();
      }
    }
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  static constexpr int watch = 2000;  // looks before giving way: some microseconds

  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  // The pieces of one thread, taken from the front by itself and, when they have no more of their own, by others.
  struct alignas(64) share {
    std::atomic<std::size_t> next{0};
    std::size_t end = 0;
  };

  void take_pieces(std::size_t self) const {
    for (std::size_t k = 0; k < shares_.size(); ++k) {
      share& from = shares_[(self + k) % shares_.size()];
      for (std::size_t i; (i = from.next.fetch_add(1, std::memory_order_relaxed)) < from.end;) {
        try {
          call_(object_, i);
        } catch (...) {
          const std::lock_guard lock(failing_);
          if (!failure_) failure_ = std::current_exception();
        }
      }
    }
  }

  void work(std::size_t self) const {
    for (unsigned seen = 0;;) {
      for (int i = 0; generation_.load(std::memory_order_acquire) == seen && i < watch; ++i) pause();
      generation_.wait(seen, std::memory_order_acquire);
      seen = generation_.load(std::memory_order_acquire);
      if (stop_.load(std::memory_order_acquire)) return;
      take_pieces(self);
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  mutable std::mutex caller_, failing_;
  mutable std::exception_ptr failure_;
  mutable void* object_ = nullptr;
  mutable void (*call_)(void*, std::size_t) = nullptr;
  mutable std::vector<share> shares_;
  mutable std::atomic<std::size_t> busy_{0};
  mutable std::atomic<unsigned> generation_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace gradwire::inline v0
