// SPDX-License-Identifier: Apache-2.0
// What a lifecycle sees of its parts: whether one is there and carries the run's mark, and what the deployment holds.
#pragma once

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gradwire/platform/impl/lifecycle_core.hpp>
#include <gradwire/platform/impl/lifecycle_text.hpp>
#include <gradwire/transport/impl/reply_head.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

// --- marks: whose a part under an id is that others may use, too ------------------------------------------------------

inline constexpr const char* run_annotation = "gradwire-run";  // of a deployment
inline constexpr std::size_t most_of_a_display_name = 63;

// "my run [9f2c01ab]", of a job.
inline std::string marked_name(const std::string& display_name, const std::string& run) {
  return (display_name.empty() ? "gradwire" : display_name) + " [" + run + "]";
}
inline bool is_marked(const trainer_job& job, const std::string& run) {
  return job.display_name.ends_with("[" + run + "]");
}
inline bool is_marked(const deployment& one, const std::string& run) {
  for (const auto& [key, value] : one.annotations)
    if (key == run_annotation && value == run) return true;
  return false;
}

// --- looks ------------------------------------------------------------------------------------------------------------

struct part_seen {
  found what = found::absent;
  bool is_marked = false;
  std::string description{};  // of one that is dead
};

template <class Part>
part_seen seen_as(const std::optional<Part>& one, const std::string& run) {
  part_seen seen{.what = found_as(one)};
  if (!one) return seen;
  seen.is_marked = is_marked(*one, run);
  if (seen.what == found::dead) seen.description = one->state_text + (one->why.empty() ? "" : ", " + one->why);
  return seen;
}

inline task<part_seen> look_for_part(flow& f, std::weak_ptr<lifecycle_core> core, part of, std::string id) {
  const std::string run = with_core(core, [](lifecycle_core& c) { return c.journal.state().run; });
  if (of == part::deployment) {
    auto asked = with_core(core, [&](lifecycle_core& c) { return c.platform.deployments().find(id); });
    const auto one = co_await wait_for(f, std::move(asked));
    co_return seen_as(one, run);
  }
  auto asked = with_core(core, [&](lifecycle_core& c) { return c.platform.trainer_jobs().find(id); });
  const auto job = co_await wait_for(f, std::move(asked));
  co_return seen_as(job, run);
}

// Also one whose create is still on its way.
inline task<part_seen> look_for_late_part(flow& f, std::weak_ptr<lifecycle_core> core, part of, std::string id) {
  const double settle = with_core(core, [](lifecycle_core& c) { return c.options.settle_seconds; });
  const time_point begun = f.net().now();
  for (double pause = 1;; pause *= 2) {
    part_seen seen = co_await look_for_part(f, core, of, id);
    const double left = settle - std::chrono::duration<double>(f.net().now() - begun).count();
    if (seen.what != found::absent || left <= 0) co_return seen;
    co_await sleep(f, std::min(pause, left));
  }
}

inline bool is_loading(const hot_load_status& status, const std::string& identity) {
  bool loads = false;
  for (const hot_load_replica& each : status.replicas)
    if (hot_load_status::same(each.target_snapshot_identity, identity)) {
      if (each.stage == "error") return false;
      loads = true;
    }
  return loads;
}

// Which of two snapshots the deployment serves: the one whose load was begun, or the one before; "": neither. Waits
// while that load goes on, and while the status does not tell.
inline task<std::string> what_is_held(flow& f, std::weak_ptr<lifecycle_core> core, std::string id, std::string coming,
                                      std::string there) {
  const auto how = with_core(core, [](lifecycle_core& c) { return c.options.hot_load_wait; });
  const auto serves = [&](const hot_load_status& status, const std::string& identity) {
    if (identity.empty()) return false;
    if (!how.first_replica_only) return status.all_hold(identity);
    return !status.replicas.empty() && status.replicas[0].ready && hot_load_status::holds(status.replicas[0], identity);
  };
  const time_point begun = f.net().now();
  for (;;) {
    std::optional<hot_load_status> status;
    std::exception_ptr untold;
    try {
      auto asked = with_core(core, [&](lifecycle_core& c) { return c.platform.deployments().hot_load_state(id); });
      status = co_await wait_for(f, std::move(asked));
    } catch (...) {
      f.check();  // the call was cancelled
      untold = std::current_exception();
      if (!may_be_known_later(untold)) throw;
    }
    if (status) {
      if (serves(*status, coming)) co_return coming;
      if (coming.empty() || !is_loading(*status, coming)) co_return serves(*status, there) ? there : std::string();
    }
    const double seconds = std::chrono::duration<double>(f.net().now() - begun).count();
    if (seconds >= how.ready_seconds) {
      if (!untold) co_return std::string();
      throw error(errc::timeout,
                  "the hot load status of deployment " + id + " does not tell after " +
                      gradwire::detail::seconds_text(how.ready_seconds) + " what it serves: " + sentence_of(untold),
                  {.operation = "open", .elapsed_seconds = seconds, .value = id});
    }
    with_core(core, [&](lifecycle_core& c) {
      c.tell("deployment " + id, untold ? "what it serves is not told yet" : "loading", coming);
    });
    co_await sleep(f, std::min(how.poll_seconds, how.ready_seconds - seconds));
  }
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
