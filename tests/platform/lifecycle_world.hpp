// SPDX-License-Identifier: Apache-2.0
// A lifecycle and the embedded platform that it runs on.
#pragma once

#include <boost/test/unit_test.hpp>

#include <string>
#include <utility>
#include <vector>

#include <gradwire/loopback/platform.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/platform/lifecycle.hpp>
#include <gradwire/trainer.hpp>

#include "../support/temporary_folder.hpp"

namespace living {

using namespace gradwire;

inline const std::string shape = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200";
inline const std::string forward_only = shape + "-forward-only";
inline const std::string model = "accounts/fireworks/models/qwen3-8b";

inline platform::lifecycle_plan whole_plan() {
  return {.training_shape = shape, .reference_shape = forward_only, .base_model = model};
}

struct world {
  temporary_folder folder{folder_in_memory()};
  loopback::platform hosted;
  platform::client client;

  explicit world(loopback::platform_options options = {})
      : hosted(loopback::start_platform(std::move(options))), client(connect()) {}

  platform::client connect() const {
    return platform::client::connect(
        hosted.endpoint(),
        {.call_timeout_seconds = 20, .retry = {.first_pause_seconds = 0.01, .longest_pause_seconds = 0.05}});
  }
  platform::lifecycle_options options(const std::string& name = "lifecycle.jsonl") const {
    platform::lifecycle_options chosen;
    chosen.journal = (folder.path / name).string();
    chosen.job_wait.poll_seconds = chosen.deployment_wait.poll_seconds = chosen.hot_load_wait.poll_seconds = 0.02;
    chosen.hot_load_wait.ready_seconds = 60;  // on a slow machine, too
    chosen.settle_seconds = 0.2;
    chosen.promote_wait.poll_seconds = 0.02;
    chosen.warm_up = {.tries = 3, .pause_seconds = 0.05};
    return chosen;
  }
  platform::lifecycle run(platform::lifecycle_plan plan = whole_plan(),
                          const std::string& name = "lifecycle.jsonl") const {
    return platform::lifecycle(client, std::move(plan), options(name));
  }
};

inline auto some_batch(int number) {
  std::vector<int> tokens;
  for (int t = 0; t < 6; ++t) tokens.push_back((number * 31 + t * 7) % 256);
  return batch(std::vector{datum{response(tokens)}});
}

inline void step(training_client trainer, int number) {
  auto done = trainer.forward_backward_custom(some_batch(number), sft_nll{});
  auto updated = trainer.optim_step({.learning_rate = 1e-4});
  done.result();
  updated.result();
}

template <class Call>
std::string refusal(Call&& call, errc kind) {
  try {
    call();
  } catch (const error& said) {
    BOOST_TEST((said.kind() == kind), said.what());
    return said.what();
  }
  BOOST_ERROR("no error");
  return "";
}

inline bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace living
