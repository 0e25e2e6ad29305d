// SPDX-License-Identifier: Apache-2.0
// What the handles of a trainer job share.
#pragma once

#include <memory>
#include <string>

#include <gradwire/platform/trainer_job.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

class client_handle;
using client_owner = std::shared_ptr<client_handle>;

struct job_handle {
  client_owner owner{};
  trainer_job info{};
  std::string url{};      // of the trainer, through the gateway
  bool existed = false;   // it was there before the create
  bool doubtful = false;  // … or an attempt whose answer was lost has made it
};

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
