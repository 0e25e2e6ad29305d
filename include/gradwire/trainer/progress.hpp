// SPDX-License-Identifier: Apache-2.0
// The progress line of a training loop, redrawn in place on a terminal, and a line every 20 steps in a file:
//
//   GRPO  [#######.............] 42/120  loss -0.013  reward 0.612  31.0k tok/s  left 0:41
//   GRPO  [#######.............] 42/120  loss -0.013  reward 0.612  31.0k tok/s  paused: capacity, 3m12s
//
// The rate and the time left are those of the last 16 steps. With handler() as connect_options::on_event, the line also
// says when the trainer makes it wait, and for how long.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <gradwire/trainer/client_event.hpp>
#include <gradwire/trainer/results.hpp>
#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {

namespace detail {
struct progress_line;
}

class progress {
 public:
  GRADWIRE_DECL progress();  // start() begins a phase
  progress(std::string title, int steps) : progress() { start(std::move(title), steps); }
  GRADWIRE_DECL ~progress();
  progress(progress&&) noexcept = default;
  progress& operator=(progress&&) noexcept = default;

  GRADWIRE_DECL void start(std::string title, int steps);

  // `tokens`: of this step. Where `steps` is only a bound, because the phase ends when something is reached, `share`
  // says how far that is, from 0 to 1; then the time that has passed is shown instead of the time left.
  GRADWIRE_DECL void show(int done, std::vector<named_value> values, std::size_t tokens, double share = -1);
  GRADWIRE_DECL void end();

  GRADWIRE_DECL client_event_handler handler() const;

 private:
  std::shared_ptr<detail::progress_line> line_;
};

namespace detail {

GRADWIRE_DECL std::string duration_text(double seconds);  // "12s", "3m12s", "2h05m"
GRADWIRE_DECL std::string queue_text(const std::string& state,
                                     double seconds);  // "paused: capacity, 3m12s"; "": it runs

}  // namespace detail
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/progress.hpp>
#endif
