// SPDX-License-Identifier: Apache-2.0
// What start_options.no_op answers instead of a model.
#pragma once

#include <algorithm>
#include <vector>

#include <gradwire/loopback/service/batch.hpp>
#include <gradwire/loopback/service/service.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

inline example_logprobs no_op_logprobs(const prepared_batch& batch) {
  example_logprobs all;
  for (const auto& datum : batch.data) all.emplace_back(datum.targets.size(), -1.0F);
  return all;
}

inline wire::sample_reply no_op_samples(const sample_job& job) {
  const std::size_t count = std::min<std::size_t>(job.options.max_tokens, 4096);
  wire::sample_reply reply;
  for (std::size_t i = 0; i < job.options.num_samples; ++i)
    reply.sequences.push_back({.stop_reason = wire::stop_reason::length,
                               .tokens = std::vector<std::int32_t>(count, 0),
                               .logprobs = std::vector<float>(count, -1.0F)});
  if (job.options.prompt_logprobs) reply.prompt_logprobs = std::vector<float>(job.prompt.size(), -1.0F);
  return reply;
}

inline void run_no_op_samples(service& it, const std::vector<sample_job>& jobs) {
  for (const auto& job : jobs) {
    it.count(counter::sample);
    it.publish(job.request_id, {.result = no_op_samples(job)});
  }
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
