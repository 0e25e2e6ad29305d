// SPDX-License-Identifier: Apache-2.0
// How run_log.hpp works.
#pragma once

#include <ctime>
#include <filesystem>
#include <utility>

#include <gradwire/trainer/impl/event_file.hpp>
#include <gradwire/trainer/run_log.hpp>
#include <gradwire/wire/json_writer.hpp>

namespace gradwire::inline v0 {

GRADWIRE_DECL std::string new_run_folder(const std::string& runs, const std::string& name) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
  std::error_code failed;
  std::filesystem::create_directories(runs, failed);
  const std::string wish = runs + "/" + stamp + "-" + name;
  std::string made = wish;
  for (int i = 2; !std::filesystem::create_directory(made, failed) && !failed; ++i)
    made = wish + "-" + std::to_string(i);
  if (failed) throw error(errc::config, "cannot make the folder " + made + ": " + failed.message());
  return made;
}

GRADWIRE_DECL run_log::run_log(run_log_options options) : options_(std::move(options)) {
  if (options_.folder.empty()) throw error(errc::config, "run_log needs a folder");
  std::error_code failed;
  std::filesystem::create_directories(options_.folder, failed);
  if (failed) throw error(errc::config, "cannot make the folder " + options_.folder + ": " + failed.message());
  if (options_.jsonl) file_ = detail::open_to_append(options_.folder + "/metrics.jsonl");
  if (options_.tensorboard) events_.emplace(options_.folder);
}

GRADWIRE_DECL run_log::~run_log() {
  if (file_ >= 0) ::close(file_);
}

GRADWIRE_DECL void run_log::write(std::int64_t step, const std::vector<named_value>& values) {
  const double now = detail::seconds_since_1970();
  std::lock_guard lock(mutex_);
  if (file_ >= 0) {
    wire::json_writer line(wire::nonfinite::null);
    line.begin_object();
    line.key("step").integer(step);
    line.key("time").real(now);
    for (const auto& each : values) line.key(each.name).real(each.value);
    line.end_object();
    detail::append_to_file(file_, options_.folder + "/metrics.jsonl", std::move(line).take() + "\n");
  }
  if (events_) events_->scalars(step, now, values);
}

GRADWIRE_DECL void run_log::write(std::int64_t step, const training_step& done, const optimizer_step& updated,
                                  const std::vector<named_value>& more) {
  std::vector<named_value> values{{"loss", done.loss}};
  for (const auto& each : done.metrics) {
    if (each.name != "loss" && each.name != "loss:sum") values.push_back(each);
  }
  values.push_back({"tokens", static_cast<double>(done.tokens)});
  if (done.elapsed_seconds > 0)
    values.push_back({"tokens_per_second", static_cast<double>(done.tokens) / done.elapsed_seconds});
  for (const auto& each : updated.metrics) values.push_back({"optimizer/" + each.name, each.value});
  values.insert(values.end(), more.begin(), more.end());
  write(step, values);
}

}  // namespace gradwire::inline v0
