// SPDX-License-Identifier: Apache-2.0
// The log of a run: FOLDER/metrics.jsonl, a line a step, and the same numbers as a TensorBoard event file.
//
//   run_log log({.folder = "runs/first"});
//   log.write(step, result, updated, {{"reward", mean_reward}});
//
//   {"step":3,"time":1732233600.25,"loss":0.31,"kl":0.002,"reward":0.5,…}     a number that is not finite is null
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gradwire/trainer/event_file.hpp>
#include <gradwire/trainer/results.hpp>
#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {

// A folder that is not there yet, and is made: RUNS/20251122-140305-NAME, with -2, -3 … where two begin in one second.
GRADWIRE_DECL std::string new_run_folder(const std::string& runs, const std::string& name);

struct run_log_options {
  std::string folder{};     // made if it is not there
  bool jsonl = true;        // metrics.jsonl, appended to
  bool tensorboard = true;  // events.out.tfevents.…
};

class run_log {
 public:
  GRADWIRE_DECL explicit run_log(run_log_options options);
  GRADWIRE_DECL ~run_log();
  run_log(const run_log&) = delete;
  run_log& operator=(const run_log&) = delete;

  // Each is on disk when the call returns. Names are kept as they are given; '/' groups them in TensorBoard.
  GRADWIRE_DECL void write(std::int64_t step, const std::vector<named_value>& values);

  // "loss", the loss's metrics, "tokens", "tokens_per_second", the optimizer's metrics under "optimizer/", and `more`.
  GRADWIRE_DECL void write(std::int64_t step, const training_step& done, const optimizer_step& updated,
                           const std::vector<named_value>& more = {});

  const std::string& folder() const noexcept { return options_.folder; }

 private:
  run_log_options options_;
  std::mutex mutex_;
  std::optional<event_file> events_;
  int file_ = -1;
};

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/run_log.hpp>
#endif
