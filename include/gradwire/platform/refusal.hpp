// SPDX-License-Identifier: Apache-2.0
// The platform's no, with what a program may want to know of it. details().http_status has the status.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gradwire/error.hpp>

namespace gradwire::inline v0 {
namespace platform {

class refusal : public error {
 public:
  refusal(const std::string& sentence, error_details details, std::string code, std::string reason,
          std::vector<std::pair<std::string, std::string>> metadata)
      : error(errc::status, sentence, std::move(details)),
        code_(std::move(code)),
        reason_(std::move(reason)),
        metadata_(std::move(metadata)) {}

  const std::string& code() const noexcept { return code_; }      // "RESOURCE_EXHAUSTED"; "": not said
  const std::string& reason() const noexcept { return reason_; }  // "GPU_QUOTA_EXCEEDED"; …
  const std::vector<std::pair<std::string, std::string>>& metadata() const noexcept { return metadata_; }

 private:
  std::string code_;
  std::string reason_;
  std::vector<std::pair<std::string, std::string>> metadata_;
};

}  // namespace platform
}  // namespace gradwire::inline v0
