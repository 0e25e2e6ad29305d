// SPDX-License-Identifier: Apache-2.0
// A fixed set of threads that run one function together. Work is split by position, never by who is free, so that sums
// come out in the same order every time.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

namespace gradwire::inline v0 {
namespace loopback {

class thread_pool {
 public:
  explicit thread_pool(std::size_t size) : errors_(size < 1 ? 1 : size) {
    for (std::size_t worker = 1; worker < size; ++worker) threads_.emplace_back([this, worker] { work(worker); });
  }
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;
  ~thread_pool() {
    task_ = nullptr;
    wake();
    for (std::thread& thread : threads_) thread.join();
  }

  std::size_t size() const { return errors_.size(); }

  // f(worker) for every worker, the caller is worker 0; returns when all are done. Of several exceptions that of the
  // lowest worker is thrown. One caller at a time.
  template <class F>
  void run(F&& f) {
    context_ = &f;
    task_ = [](void* context, std::size_t worker) { (*static_cast<std::remove_reference_t<F>*>(context))(worker); };
    remaining_.store(static_cast<std::uint32_t>(threads_.size()), std::memory_order_relaxed);
    wake();
    execute(0);
    for (std::uint32_t left; (left = remaining_.load(std::memory_order_acquire)) != 0;) remaining_.wait(left);
    for (std::exception_ptr& error : errors_)
      if (error) {
        std::exception_ptr first = error;
        for (std::exception_ptr& other : errors_) other = nullptr;
        std::rethrow_exception(first);
      }
  }

 private:
  void wake() {
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  }

  void execute(std::size_t worker) {
    try {
      task_(context_, worker);
    } catch (...) {
      errors_[worker] = std::current_exception();
    }
  }

  void work(std::size_t worker) {
    for (std::uint32_t seen = 0;;) {
      round_.wait(seen, std::memory_order_acquire);
      ++seen;
      if (!task_) return;
      execute(worker);
      if (remaining_.fetch_sub(1, std::memory_order_acq_rel) == 1) remaining_.notify_all();
    }
  }

  void (*task_)(void*, std::size_t) = nullptr;
  void* context_ = nullptr;
  std::vector<std::exception_ptr> errors_;  // one for each worker
  std::atomic<std::uint32_t> round_{0};
  std::atomic<std::uint32_t> remaining_{0};
  std::vector<std::thread> threads_;
};

// Who computes one micro-batch: the calling thread alone, or all threads of a pool that share every matrix.
class team {
 public:
  team() = default;
  explicit team(thread_pool& pool) : pool_(&pool) {}

  std::size_t size() const { return pool_ ? pool_->size() : 1; }

  // f(begin, end, worker) on consecutive ranges that cover [0, n), with borders at multiples of `grain`.
  template <class F>
  void for_ranges(std::size_t n, std::size_t grain, F&& f) const {
    if (!pool_ || n <= grain) {
      if (n > 0) f(std::size_t{0}, n, std::size_t{0});
      return;
    }
    const std::size_t workers = pool_->size();
    pool_->run([&](std::size_t worker) {
      const std::size_t pieces = (n + grain - 1) / grain;
      const std::size_t begin = pieces * worker / workers * grain;
      const std::size_t end = std::min(pieces * (worker + 1) / workers * grain, n);
      if (begin < end) f(begin, end, worker);
    });
  }

 private:
  thread_pool* pool_ = nullptr;
};

}  // namespace loopback
}  // namespace gradwire::inline v0
