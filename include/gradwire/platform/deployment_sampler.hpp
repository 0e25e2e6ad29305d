// SPDX-License-Identifier: Apache-2.0
// Samples from a deployment: token ids in, token ids and their logprobs out, through OpenAI-style completions.
//
//   auto sampler = client.deployments().sampler("rollouts").result();
//   for (const auto& c : sampler.sample(prompt_tokens, {.num_samples = 8, .max_tokens = 64}).result().sequences) …
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/platform/completion.hpp>
#include <gradwire/trainer/sampling_client.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/future.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

class client_handle;
using client_owner = std::shared_ptr<client_handle>;

}  // namespace detail

class deployment_sampler {
 public:
  deployment_sampler() = default;  // empty; deployments().sampler(id) gives a usable one
  deployment_sampler(detail::client_owner owner, std::string model) noexcept
      : owner_(std::move(owner)), model_(std::move(model)) {}

  template <gradwire::detail::token_range Tokens>
  future<completions> sample(const Tokens& prompt, const completion_options& options = {}) const {
    return run({prompt.begin(), prompt.end()}, options);
  }
  future<completions> sample(std::initializer_list<std::int32_t> prompt, const completion_options& options = {}) const {
    return run({prompt.begin(), prompt.end()}, options);
  }

  const std::string& model() const noexcept { return model_; }  // accounts/<a>/deployments/<d>

 private:
  GRADWIRE_DECL future<completions> run(std::vector<std::int32_t> prompt, completion_options options) const;
  detail::client_owner owner_{};
  std::string model_{};
};

}  // namespace platform
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform/impl/deployment_sampler.hpp>
#endif
