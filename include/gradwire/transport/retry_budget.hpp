// SPDX-License-Identifier: Apache-2.0
// How often all operations of a program together may ask one server again: a bucket of retries that refills with time
// and with every success. An empty bucket delays a retry, it never fails an operation, so a server in trouble is not
// met by everybody at once and no result is given up for it.
#pragma once

#include <algorithm>
#include <chrono>

#include <gradwire/transport/policy.hpp>

namespace gradwire::inline v0 {

class retry_budget {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit retry_budget(const retry_policy& policy) noexcept
      : size_(policy.budget_retries), per_second_(policy.budget_retries_per_second), left_(size_) {}

  // One retry, or `cost` of them: a retry after a timeout counts twice. False: not now.
  bool take(time_point now, double cost = 1) noexcept {
    if (size_ <= 0) return true;  // no budget
    if (filled_ != time_point{} && now > filled_) {
      left_ = std::min(size_, left_ + per_second_ * std::chrono::duration<double>(now - filled_).count());
    }
    filled_ = std::max(filled_, now);
    if (left_ < std::min(cost, size_)) return false;
    left_ -= cost;
    return true;
  }

  // A success: what its last retry took, or a fifth of a retry when it took none.
  void give_back(double cost) noexcept { left_ = std::min(size_, left_ + std::max(cost, 0.2)); }

  double left() const noexcept { return left_; }

 private:
  double size_;
  double per_second_;
  double left_;
  time_point filled_{};
};

}  // namespace gradwire::inline v0
