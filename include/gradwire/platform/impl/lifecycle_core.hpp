// SPDX-License-Identifier: Apache-2.0
// What the calls of one lifecycle share, and how its steps are run on the platform's client. Steps hold it weakly: a
// lifecycle that goes away ends what still runs.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include <gradwire/platform/client.hpp>
#include <gradwire/platform/impl/flow.hpp>
#include <gradwire/platform/lifecycle.hpp>
#include <gradwire/platform/lifecycle_journal.hpp>
#include <gradwire/platform/lifecycle_opening.hpp>
#include <gradwire/platform/lifecycle_publishing.hpp>
#include <gradwire/platform/snapshot_chain.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

class lifecycle_core : public std::enable_shared_from_this<lifecycle_core> {
 public:
  lifecycle_core(client of, lifecycle_plan planned, lifecycle_options chosen)
      : platform(std::move(of)),
        plan(std::move(planned)),
        options(std::move(chosen)),
        journal(options.journal),
        chain(plan.lora_rank) {}

  const client platform;
  const lifecycle_plan plan;
  const lifecycle_options options;
  lifecycle_journal journal;

  // On the client's I/O thread only.
  enum class phase : unsigned char { fresh, opening, open, closing, closed };
  phase at = phase::fresh;
  lifecycle_parts parts{};
  std::optional<service_client> service{};  // of the policy job's trainer
  snapshot_chain chain;
  bool replicas_known = false;
  bool is_publishing = false;

  void tell(const std::string& what, const std::string& state, const std::string& detail = "") const {
    try {
      if (options.on_progress) options.on_progress({.what = what, .state = state, .detail = detail});
    } catch (...) {  // what the user's callback throws does not stop the run
      v0::detail::report_lost_error(std::current_exception());
    }
  }

  // Their threads are waited for elsewhere than here.
  void let_clients_go() {
    auto gone = std::make_shared<std::pair<lifecycle_parts, std::optional<service_client>>>(
        std::exchange(parts, {}), std::exchange(service, std::nullopt));
    platform.net()->compute([gone = std::move(gone)] {});
  }

  void must_be_open(const char* call) const {
    if (at == phase::open) return;
    const bool is_over = at == phase::closing || at == phase::closed;
    throw error(is_over ? errc::closed : errc::config,
                std::string(call) + ": the run of " + options.journal +
                    (is_over ? " is closed" : " is not open; wait for the result of open() first"));
  }
};

// A call on the client's I/O thread. The type is named, because a coroutine's frame must not hold a nameless one.
template <class T>
future<T> run_on(const client& of, std::function<task<T>(flow&)> body) {
  return start<T>(of.handle(), std::move(body));
}

// What becomes of it is told elsewhere.
template <class T>
void let_go(future<T>&& of) {
  if (of.valid()) v0::detail::future_access<T>::then(std::move(of), [](const std::exception_ptr&, T*) {});
}

// A job while a run is being opened: what only waits must not keep the client.
template <class Job>
class unowned {
 public:
  unowned& operator=(const Job& from) {
    job_handle kept = from.handle();
    kept.owner = nullptr;
    job_.emplace(std::move(kept));
    return *this;
  }
  explicit operator bool() const noexcept { return job_.has_value(); }
  const Job& operator*() const { return *job_; }
  const Job* operator->() const { return &*job_; }

  Job of(const client& platform) const {
    job_handle made = job_->handle();
    made.owner = platform.handle();
    return Job(std::move(made));
  }

 private:
  std::optional<Job> job_{};
};

// What is done now and waited for later: the core is not held in between.
template <class Core, class Call>
auto with_core(const std::weak_ptr<Core>& weak, Call&& call) {
  const auto core = weak.lock();
  if (!core) throw error(errc::closed, "the lifecycle went away before this was done");
  return call(*core);
}

inline std::string random_digits() {
  constexpr char digits[] = "0123456789abcdef";
  std::random_device entropy;
  std::string text;
  for (std::uint32_t bits = entropy(), i = 0; i < 8; ++i, bits >>= 4) text += digits[bits & 15];
  return text;
}

// Whether a request that failed like this may have been carried out.
inline bool may_be_done(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const error& said) {
    if (said.kind() == errc::config || said.kind() == errc::data) return false;
    if (said.kind() == errc::status) return said.details().http_status >= 500 || said.details().http_status == 408;
    return true;
  } catch (...) {
    return true;
  }
}

inline found found_as(const std::optional<trainer_job>& job) {
  if (!job) return found::absent;
  switch (job->state) {
    case job_state::failed:
    case job_state::cancelled:
    case job_state::cancelling:
    case job_state::paused:
    case job_state::completed:
    case job_state::early_stopped:
      return found::stopped;
    default:
      return is_terminal(job->state) ? found::dead : found::present;
  }
}

inline found found_as(const std::optional<platform::deployment>& one) {
  if (!one) return found::absent;
  return is_terminal(one->state) ? found::dead : found::present;
}

inline replicas_seen seen_in(const hot_load_status& status, const std::string& identity) {
  replicas_seen seen{.count = static_cast<int>(status.replicas.size())};
  if (status.all_hold(identity)) seen.holds = identity;
  for (const hot_load_replica& each : status.replicas)
    if (hot_load_status::same(each.target_snapshot_identity, identity) && each.stage != "error")
      seen.loading = identity;
  return seen;
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
