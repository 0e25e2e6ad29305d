// SPDX-License-Identifier: Apache-2.0
// Ctrl-C ends a program after the step that is being computed; once more ends it at once.
#pragma once

#include <csignal>
#include <string_view>

#include <unistd.h>

namespace stop_signal {

inline volatile std::sig_atomic_t was_asked = 0;

extern "C" inline void on_stop_signal(int) {
  was_asked = 1;
  constexpr std::string_view said = "\nstopping after this step; once more stops at once\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, said.data(), said.size());
}

inline void listen() {
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  for (const int each : {SIGINT, SIGTERM}) ::sigaction(each, &action, nullptr);
}

}  // namespace stop_signal
