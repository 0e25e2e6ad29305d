// SPDX-License-Identifier: Apache-2.0
// How platform.hpp works: one HTTP server's thread knows all; each trainer and each deployment computes on its own.
#pragma once

#include <future>
#include <type_traits>
#include <utility>

#include <gradwire/loopback/platform.hpp>
#include <gradwire/loopback/platform/routes.hpp>
#include <gradwire/transport/secret.hpp>

namespace gradwire::inline v0 {
namespace loopback {

namespace hosting {

inline platform_options completed(platform_options options) {
  if (options.allow_other_machines && options.token.empty())
    throw error(errc::config, "a platform for other machines needs a key of your own, which its users know");
  if (options.token.empty()) options.token = "fw_" + detail::random_hex();
  secret(options.token, "the platform's key");  // throws for what cannot stand in a header
  secret(options.inference_token, "the platform's key for inference");
  if (!wire::platform::is_resource_id(options.account))
    throw error(errc::config,
                "'" + options.account + "' is no id of an account; it has lower-case letters, digits, '-'");
  return options;
}

}  // namespace hosting

struct platform::state {
  explicit state(platform_options options) : it(hosting::completed(std::move(options))) {}

  hosting::world it;
  std::unique_ptr<http_server> http;

  // Runs f on the server's thread, and waits for what it gives.
  template <class F>
  auto ask(F f) {
    std::packaged_task<decltype(f())()> task(std::move(f));
    auto result = task.get_future();
    auto shared = std::make_shared<decltype(task)>(std::move(task));
    http->post([shared] { (*shared)(); });
    return result.get();
  }
};

GRADWIRE_DECL platform::platform(platform_options options) : state_(std::make_unique<state>(std::move(options))) {
  hosting::world& it = state_->it;
  it.base(it.shapes.models().empty() ? "gradwire/tiny" : it.shapes.models().front().name);  // errors now, not later
  http_server_options listening{.port = it.options.port,
                                .address = it.options.address,
                                .allow_other_machines = it.options.allow_other_machines,
                                .host_names = it.options.host_names,
                                .body_limit = it.options.body_limit,
                                .max_connections = it.options.max_connections,
                                .head_timeout_seconds = it.options.head_timeout_seconds};
  listening.check_head = [&it](const http_request& head) { return hosting::refuse_stranger(it, head); };
  auto ready = std::make_shared<std::promise<void>>();
  auto known = ready->get_future().share();
  state_->http = std::make_unique<http_server>(std::move(listening),
                                               [&it, known](http_request request, http_server::responder to) {
                                                 known.wait();
                                                 hosting::serve(it, std::move(request), to);
                                               });
  it.http = state_->http.get();
  ready->set_value();
}

GRADWIRE_DECL platform::~platform() {
  if (!state_) return;
  for (const auto& stop : state_->ask([this] { return state_->it.stop_everything(); })) stop();
  state_->http.reset();
}

GRADWIRE_DECL platform::platform(platform&&) noexcept = default;
GRADWIRE_DECL platform& platform::operator=(platform&& other) noexcept {
  platform old(std::move(*this));
  state_ = std::move(other.state_);
  return *this;
}

GRADWIRE_DECL endpoint platform::endpoint() const { return {state_->http->base_url(), state_->it.options.token}; }
GRADWIRE_DECL const std::string& platform::account() const { return state_->it.options.account; }
GRADWIRE_DECL const std::filesystem::path& platform::files() const { return state_->it.files.root(); }

GRADWIRE_DECL platform_counts platform::counts() const {
  using hosting::tally;
  const auto count = [this](tally what) { return state_->it.tallies[static_cast<std::size_t>(what)].load(); };
  return {.jobs_created = count(tally::jobs_created),
          .jobs_deleted = count(tally::jobs_deleted),
          .jobs_resumed = count(tally::jobs_resumed),
          .deployments_created = count(tally::deployments_created),
          .deployments_updated = count(tally::deployments_updated),
          .deployments_deleted = count(tally::deployments_deleted),
          .hot_loads = count(tally::hot_loads),
          .promotions = count(tally::promotions),
          .completions = count(tally::completions)};
}

GRADWIRE_DECL std::vector<std::string> platform::jobs() const {
  return state_->ask([this] {
    std::vector<std::string> ids;
    for (auto& [id, job] : state_->it.jobs)
      if (state_->it.state_of(job) != "JOB_STATE_DELETED") ids.push_back(id);
    return ids;
  });
}

GRADWIRE_DECL std::vector<std::string> platform::deployments() const {
  return state_->ask([this] {
    std::vector<std::string> ids;
    for (auto& [id, one] : state_->it.deployments)
      if (hosting::is_settled(state_->it, one)) ids.push_back(id);
    return ids;
  });
}

GRADWIRE_DECL std::vector<std::string> platform::models() const {
  return state_->ask([this] {
    std::vector<std::string> names;
    for (const auto& [name, model] : state_->it.models) names.push_back(name);
    return names;
  });
}

GRADWIRE_DECL std::vector<std::string> platform::hot_loads(const std::string& deployment) const {
  return state_->ask([&] {
    const auto found = state_->it.hot_loads.find(deployment);
    return found == state_->it.hot_loads.end() ? std::vector<std::string>{} : found->second;
  });
}

GRADWIRE_DECL operation_counts platform::executed(const std::string& job) const {
  return state_->ask([&] {
    const auto found = state_->it.jobs.find(job);
    return found == state_->it.jobs.end() ? operation_counts{} : hosting::world::executed(found->second);
  });
}

GRADWIRE_DECL void platform::advance(double seconds) { state_->it.clock.advance(seconds); }

GRADWIRE_DECL void platform::set_fault(platform_fault fault) {
  hosting::fault_table::check(fault);
  state_->ask([&] { state_->it.faults.set(fault); });
}
GRADWIRE_DECL void platform::clear_faults() {
  state_->ask([&] { state_->it.faults.clear(); });
}

}  // namespace loopback
}  // namespace gradwire::inline v0
