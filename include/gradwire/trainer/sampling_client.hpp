// SPDX-License-Identifier: Apache-2.0
// Samples from saved weights or a base model. Calls run side by side.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/options.hpp>
#include <gradwire/trainer/results.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/future.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct sampling_session;
class session_handle;
using session_owner = std::shared_ptr<session_handle>;

struct sampling_core {
  session_owner owner;
  std::shared_ptr<sampling_session> sampled;  // operations hold this, so that they do not keep the client open
};

GRADWIRE_DECL future<samples> run_sample(const sampling_core& core, std::vector<std::int64_t> prompt,
                                         sample_options options);
GRADWIRE_DECL future<std::vector<float>> run_compute_logprobs(const sampling_core& core,
                                                              std::vector<std::int64_t> tokens);

template <class Range>
concept token_range = std::ranges::input_range<Range> && std::integral<std::ranges::range_value_t<Range>>;

template <token_range Range>
std::vector<std::int64_t> copy_tokens(const Range& tokens) {
  std::vector<std::int64_t> copied;
  for (const auto token : tokens) copied.push_back(static_cast<std::int64_t>(token));
  return copied;
}

}  // namespace detail

class sampling_client {
 public:
  sampling_client() = default;  // empty; create_sampling_client() gives a usable one
  explicit sampling_client(std::shared_ptr<detail::sampling_core> core) noexcept : core_(std::move(core)) {}

  // Goes on from the prompt's token ids.
  template <detail::token_range Tokens>
  future<samples> sample(const Tokens& prompt, const sample_options& options = {}) {
    return detail::run_sample(checked(), detail::copy_tokens(prompt), options);
  }
  future<samples> sample(std::initializer_list<std::int64_t> prompt, const sample_options& options = {}) {
    return detail::run_sample(checked(), prompt, options);
  }

  // The logprob of each token given those before it; NaN for the first, which has none before it.
  template <detail::token_range Tokens>
  future<std::vector<float>> compute_logprobs(const Tokens& tokens) {
    return detail::run_compute_logprobs(checked(), detail::copy_tokens(tokens));
  }

 private:
  const detail::sampling_core& checked() const {
    if (!core_) throw error(errc::config, "this sampling client is empty; create_sampling_client() makes one");
    return *core_;
  }

  std::shared_ptr<detail::sampling_core> core_;
};

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/sampling_client.hpp>
#endif
