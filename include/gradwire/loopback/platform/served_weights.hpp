// SPDX-License-Identifier: Apache-2.0
// A deployment's own copy of the weights, and the thread on which they are loaded and sampled from. It knows the
// trainer's snapshots by their files only.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/loopback/loaded_snapshot.hpp>
#include <gradwire/loopback/platform/answers.hpp>
#include <gradwire/loopback/platform/completion_text.hpp>
#include <gradwire/loopback/service/compute_thread.hpp>
#include <gradwire/transport/http_server.hpp>
#include <gradwire/wire/platform_completions.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

// A completion on its way; what goes wrong on purpose is decided when it arrives.
struct completion_job {
  std::string id{}, model{}, request_id{};
  std::vector<std::int32_t> prompt{};
  sample_options options{};
  bool stream = false, logprobs = false, echo = false, raw_output = false, token_ids = false, metrics = false;
  bool no_new_tokens = false;  // max_tokens 0: the prompt is scored
  bool cut_stream = false, only_done = false, mismatch = false, no_sampling_logprob = false;
  std::int64_t created = 0;
  std::chrono::steady_clock::time_point arrived = std::chrono::steady_clock::now();
  http_server::responder respond{};

  bool same_weights(const completion_job&) const noexcept { return true; }
  bool has_fixed_weights() const noexcept { return false; }  // a load may be waiting
};

class served_weights {
 public:
  explicit served_weights(const frozen_model& base)
      : base_(base), held_(base), compute_([this](std::vector<completion_job>& jobs) { run(jobs); }) {
    compute_.start();
  }

  const frozen_model& base() const noexcept { return base_; }  // for its shape and tokenizer

  void complete(completion_job job) { compute_.submit(std::move(job)); }

  // `done` is called on this thread of weights with "" or why the snapshot was refused; then nothing has changed.
  void load(std::filesystem::path folder, std::string identity, std::optional<std::string> previous,
            std::function<void(std::string problem)> done) {
    compute_.submit([this, folder = std::move(folder), identity = std::move(identity), previous = std::move(previous),
                     done = std::move(done)] {
      std::string problem;
      try {
        held_ = held_.load(folder, identity, previous);
      } catch (const std::exception& refused) {
        problem = refused.what();
      }
      done(std::move(problem));
    });
  }

  // After what is queued.
  void after_all(std::function<void()> task) { compute_.submit(std::move(task)); }
  void stop() { compute_.stop(); }

 private:
  void run(std::vector<completion_job>& jobs) {
    try {
      answer(jobs);
    } catch (const std::exception&) {
      for (auto& job : jobs) try {
          answer({&job, 1});
        } catch (const error& problem) {
          job.respond(inference_reply(invalid(problem.what())));
        }
    }
  }
  void answer(std::span<completion_job> jobs);  // completions.hpp

  const frozen_model base_;
  loaded_snapshot held_;  // compute thread
  detail::compute_thread<completion_job> compute_;
};

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
