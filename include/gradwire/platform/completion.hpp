// SPDX-License-Identifier: Apache-2.0
// What a deployment is asked to sample, and what it sampled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/results.hpp>

namespace gradwire::inline v0 {
namespace platform {

// Nothing is cut off unless it is asked for: a deployment's own defaults would bias a policy gradient.
struct completion_options {
  int num_samples = 1;  // requests side by side
  int max_tokens = 128;
  double temperature = 1;
  double top_p = 1;
  int top_k = 0;                       // 0: all
  std::optional<std::int64_t> seed{};  // of the first sample; the others count on from it
  std::vector<std::string> stop{};     // texts to stop at; empty: the model's own end of text
  bool logprobs = true;
  bool echo = false;                    // the prompt's logprobs too
  bool stream = true;                   // the reply comes as events, so that one that is cut off is seen
  int top_logprobs = 0;                 // of the k most probable tokens at each position
  int attempts = 7;                     // of each sample
  int not_loaded_retries = 10;          // within an attempt, while no weights are loaded yet, each after …
  double not_loaded_pause_seconds = 5;  // …
  double attempt_timeout_seconds = 600;
};

struct completion {
  std::vector<std::int32_t> tokens{};    // without the prompt
  std::vector<float> logprobs{};         // of these, under what was sampled from: temperature and truncation included
  std::vector<float> model_logprobs{};   // … under the model itself; empty where the deployment does not tell
  std::vector<float> prompt_logprobs{};  // with echo: of the prompt's tokens from the second on
  std::vector<std::vector<token_logprob>> top_logprobs{};  // at each token; empty unless asked for
  std::string text{};
  gradwire::stop_reason stop_reason = gradwire::stop_reason::stop;
  std::string request_id{};  // ours, the same in every attempt
  int attempts = 1;
  std::vector<std::pair<std::string, std::string>> server_metrics{};  // prefill-queue-duration, …
};

struct completions {
  std::vector<completion> sequences{};
  std::size_t tokens = 0;  // sampled, all sequences
  double elapsed_seconds = 0;
};

}  // namespace platform
}  // namespace gradwire::inline v0
