// SPDX-License-Identifier: Apache-2.0
// Where the time of a step goes, as a Chrome trace (chrome://tracing, ui.perfetto.dev): one bar an operation from its
// first request to its result, within it the upload and the wait, retries and queue states as marks, and the evaluation
// of the losses on a row of its own.
//
//   timeline trace("runs/first/trace.json");
//   auto service = service_client::connect({.on_event = trace.handler()});
//   trace.mark("step 3");
//
// The file is a JSON array that is appended to; the format lets its closing bracket be absent, so that the trace of a
// run that was killed can be read too. A file that is there already is replaced. Times in it are microseconds since the
// timeline was made.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <gradwire/trainer/client_event.hpp>
#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {

namespace detail {
struct timeline_file;
}

class timeline {
 public:
  GRADWIRE_DECL explicit timeline(const std::string& path);

  // For connect_options::on_event; it keeps the file open as long as it is held. One timeline takes one client.
  GRADWIRE_DECL client_event_handler handler() const;
  GRADWIRE_DECL void mark(const std::string& name) const;  // a line across the picture: "step 3"

 private:
  std::shared_ptr<detail::timeline_file> file_;
};

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/timeline.hpp>
#endif
