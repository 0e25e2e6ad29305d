// SPDX-License-Identifier: Apache-2.0
// The client of kills.cpp, as a process of its own: a whole lifecycle in which every line of the journal may be the last
// thing that it does. Not run unless named.
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include <gradwire/platform/lifecycle.hpp>
#include <gradwire/platform/training_loop.hpp>
#include <gradwire/trainer.hpp>

#include "../support/crash_points.hpp"

using namespace gradwire;

namespace {

auto batch_of(std::int64_t number) {
  std::vector<int> first, second;
  for (int t = 0; t < 6; ++t) {
    first.push_back(static_cast<int>((number * 31 + t * 7) % 256));
    second.push_back(static_cast<int>((number * 17 + t * 11) % 256));
  }
  return batch(std::vector{datum{response(first)}, datum{response(second)}});
}

// The deployment samples with the trainer's weights, to the bits that bf16 keeps.
void check_served(const platform::lifecycle_parts& made) {
  const std::vector<std::int32_t> asked{40, 50, 60};
  auto trainer = made.trainer;
  const auto sampled = made.sampler.sample(asked, {.max_tokens = 3, .temperature = 0}).result().sequences.at(0);
  const auto trained = trainer.forward(batch(std::vector{datum{prompt(asked) + response(sampled.tokens)}})).result();
  for (std::size_t t = 0; t < sampled.tokens.size(); ++t)
    if (!(std::abs(trained[0][asked.size() - 1 + t] - sampled.model_logprobs.at(t)) < 0.05F))
      throw std::runtime_error("the deployment does not serve the trainer's weights");
}

std::string promotable(const platform::client& at, const std::string& job) {
  for (const auto& row : at.checkpoints().list(job).result())
    if (row.promotable) return row.name;
  throw std::runtime_error("no checkpoint can be promoted");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(roles, *boost::unit_test::disabled())

BOOST_AUTO_TEST_CASE(client) {
  if (!wanted().point.empty()) gradwire::detail::journal_write = &deadly_journal;
  const auto hosted = platform::client::connect({setting("URL"), setting("TOKEN")});
  platform::lifecycle_options options;
  options.journal = setting("JOURNAL");
  options.job_wait.poll_seconds = options.deployment_wait.poll_seconds = options.hot_load_wait.poll_seconds = 0.01;
  const platform::lifecycle run(hosted,
                                {.training_shape = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200",
                                 .reference_shape = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200-forward-only",
                                 .base_model = "accounts/fireworks/models/qwen3-8b",
                                 .model = {.seed = 1}},
                                options);
  if (!run.state().closing) {
    auto made = run.open().result();
    if (made.serves != made.step) run.publish(made.step).result();
    check_served(made);
    constexpr std::int64_t steps = 6;
    platform::training_loop loop(made.trainer, {.gradient_accumulation_steps = 2, .optim = {.learning_rate = 1e-3}},
                                 made.step);
    double loss = 0;
    while (loop.steps() < steps) {
      const std::int64_t step = loop.steps() + 1;
      for (int part = 0; part < 2; ++part) {
        auto fed = loop.feed(batch_of(2 * step + part), server_loss::cross_entropy{});
        loss = fed.step.result().loss;
        if (fed.optim) fed.optim->result();
      }
      if (step % 2 == 0) run.publish(step).result();
      if (step % 2 == 0 && step < steps) run.save_state(step).result();
    }
    check_served(made);
    // Whoever wrote the last line of the promotion is dead: it is certain that nothing of it is on its way.
    if (run.state().promoted.empty())
      run.promote({.checkpoint = promotable(hosted, made.policy.id()), .output_model = "trained", .again = true})
          .result();
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.17g", loss);
    std::ofstream(setting("RESULT")) << digits;
  }
  run.close().result();
}

BOOST_AUTO_TEST_SUITE_END()
