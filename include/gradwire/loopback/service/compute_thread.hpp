// SPDX-License-Identifier: Apache-2.0
// The one thread on which the model runs, so that the server's thread always answers. Operations run in the order in
// which they arrive; samples from the same weights that wait together run together.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

template <class SampleJob>
class compute_thread {
 public:
  using task = std::function<void()>;
  using sampler = std::function<void(std::vector<SampleJob>&)>;

  explicit compute_thread(sampler run_samples) : run_samples_(std::move(run_samples)) {}
  ~compute_thread() { stop(); }

  void start() {
    thread_ = std::thread([this] { run(); });
  }

  void submit(task work) { push({std::move(work), {}}); }
  void submit(SampleJob job) {
    entry added;
    added.samples.push_back(std::move(job));
    push(std::move(added));
  }

  // Waits for the operation that is running; what is queued is dropped.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      queue_.clear();
    }
    arrived_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  struct entry {
    task work;                       // or …
    std::vector<SampleJob> samples;  // … one of these
  };

  void push(entry added) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      queue_.push_back(std::move(added));
    }
    arrived_.notify_all();
  }

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      arrived_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      entry next = std::move(queue_.front());
      queue_.pop_front();
      if (!next.samples.empty()) gather(lock, next.samples);
      lock.unlock();
      next.samples.empty() ? next.work() : run_samples_(next.samples);
      next = {};
      lock.lock();
    }
  }

  // Takes the waiting samples of the same weights, and gives those that are on their way a moment to arrive: clients
  // send the prompts of a batch one request after the other.
  void gather(std::unique_lock<std::mutex>& lock, std::vector<SampleJob>& jobs) {
    constexpr auto moment = std::chrono::milliseconds(1);
    const auto at_most = std::chrono::steady_clock::now() + std::chrono::milliseconds(8);
    do {
      for (auto it = queue_.begin(); it != queue_.end() && jobs.size() < most;) {
        if (it->samples.empty() && !jobs.front().has_fixed_weights()) return;  // that operation may change them
        if (it->samples.empty() || !it->samples.front().same_weights(jobs.front())) {
          ++it;
          continue;
        }
        jobs.push_back(std::move(it->samples.front()));
        it = queue_.erase(it);
      }
      if (stopping_ || !queue_.empty() || jobs.size() >= most) return;
    } while (std::chrono::steady_clock::now() < at_most &&
             arrived_.wait_for(lock, moment) == std::cv_status::no_timeout);
  }

  static constexpr std::size_t most = 256;
  sampler run_samples_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<entry> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
