// SPDX-License-Identifier: Apache-2.0
// A TensorBoard event file: scalars over steps, in the format that `tensorboard --logdir FOLDER` reads. Each record is
// a length and a protobuf message, both with a masked CRC-32C, so that a torn last record is noticed by the reader.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <gradwire/trainer/results.hpp>
#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {

class event_file {
 public:
  // Makes FOLDER/events.out.tfevents.<seconds>.<host>.<process>; the folder must exist.
  GRADWIRE_DECL explicit event_file(const std::string& folder);
  GRADWIRE_DECL ~event_file();
  event_file(const event_file&) = delete;
  event_file& operator=(const event_file&) = delete;

  // One event with a value for each name; `wall_time` in seconds since 1970. Values that are not finite are kept as
  // they are: TensorBoard shows them as gaps.
  GRADWIRE_DECL void scalars(std::int64_t step, double wall_time, std::span<const named_value> values);

  const std::string& path() const noexcept { return path_; }

 private:
  GRADWIRE_DECL void record(const std::string& message);

  std::string path_;
  int file_ = -1;
};

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/event_file.hpp>
#endif
