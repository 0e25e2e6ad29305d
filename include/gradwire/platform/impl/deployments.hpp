// SPDX-License-Identifier: Apache-2.0
// How deployments.hpp works.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/platform/deployments.hpp>
#include <gradwire/platform/impl/hot_load.hpp>

namespace gradwire::inline v0 {
namespace platform {

GRADWIRE_DECL future<deployment> deployments_client::create(const deployment_config& config) const {
  return detail::start<deployment>(owner_, [config](detail::flow& f) -> detail::task<deployment> {
    auto wanted = detail::request_of(config);
    co_return co_await detail::create_deployment(f, std::move(wanted));
  });
}

GRADWIRE_DECL future<deployment> deployments_client::create_manual(const manual_deployment_config& config) const {
  return detail::start<deployment>(owner_, [config](detail::flow& f) -> detail::task<deployment> {
    auto wanted = detail::request_of(config);
    co_return co_await detail::create_deployment(f, std::move(wanted));
  });
}

GRADWIRE_DECL future<deployment> deployments_client::create_or_get(const deployment_config& config,
                                                                   deployment_wait_options options,
                                                                   progress_handler told) const {
  return detail::start<deployment>(owner_, [config, options, told](detail::flow& f) -> detail::task<deployment> {
    auto wanted = detail::request_of(config);
    co_return co_await detail::create_or_get_deployment(f, std::move(wanted), options, told);
  });
}

GRADWIRE_DECL future<deployment> deployments_client::get(const std::string& id) const {
  return detail::start<deployment>(owner_, [id](detail::flow& f) -> detail::task<deployment> {
    co_return co_await detail::get_deployment(f, detail::deployment_id_of(id));
  });
}

GRADWIRE_DECL future<std::optional<deployment>> deployments_client::find(const std::string& id) const {
  return detail::start<std::optional<deployment>>(
      owner_, [id](detail::flow& f) -> detail::task<std::optional<deployment>> {
        co_return co_await detail::find_deployment(f, detail::deployment_id_of(id));
      });
}

GRADWIRE_DECL future<std::vector<deployment>> deployments_client::list(const deployment_list_options& which) const {
  return detail::start<std::vector<deployment>>(
      owner_, [which](detail::flow& f) -> detail::task<std::vector<deployment>> {
        const std::string account_id = co_await detail::account(f);
        detail::question asked;
        asked.name = "list deployments";
        asked.target = "/v1/accounts/" + account_id + "/deployments";
        wire::platform::query_parameters query;
        if (!which.filter.empty()) query.emplace_back("filter", which.filter);
        if (!which.order_by.empty()) query.emplace_back("orderBy", which.order_by);
        query.emplace_back("pageSize", "200");
        const auto part = [](wire::platform::deployments_reply& reply) { return std::move(reply.deployments); };
        const auto found = co_await detail::list_all<wire::platform::deployments_reply, wire::platform::deployment>(
            f, std::move(asked), std::move(query), part);
        std::vector<deployment> all;
        for (const auto& each : found) all.push_back(detail::describe(each));
        co_return all;
      });
}

GRADWIRE_DECL future<deployment> deployments_client::wait(const std::string& id, deployment_wait_options options,
                                                          progress_handler told) const {
  return detail::start<deployment>(owner_, [id, options, told](detail::flow& f) -> detail::task<deployment> {
    co_return co_await detail::wait_for_deployment(f, detail::deployment_id_of(id), options, told);
  });
}

GRADWIRE_DECL future<deployment> deployments_client::scale(const std::string& id, int min_replica_count,
                                                           int max_replica_count) const {
  return detail::start<deployment>(
      owner_, [id, min_replica_count, max_replica_count](detail::flow& f) -> detail::task<deployment> {
        if (min_replica_count < 0 || max_replica_count < min_replica_count)
          throw error(errc::config,
                      "scale deployment: 0 <= min_replica_count <= max_replica_count is needed; given are " +
                          std::to_string(min_replica_count) + " and " + std::to_string(max_replica_count));
        wire::platform::update_deployment_request change;
        change.min_replica_count = min_replica_count;
        change.max_replica_count = max_replica_count;
        co_return co_await detail::update_deployment(f, detail::deployment_id_of(id), change,
                                                     "min_replica_count,max_replica_count");
      });
}

GRADWIRE_DECL future<deployment> deployments_client::attach_trainer(const std::string& id,
                                                                    const std::string& trainer_job,
                                                                    deployment_wait_options options,
                                                                    progress_handler told) const {
  return detail::start<deployment>(
      owner_, [id, trainer_job, options, told](detail::flow& f) -> detail::task<deployment> {
        const auto name = wire::platform::parse_resource_name(trainer_job);
        if (!name || name->collection != "rlorTrainerJobs")
          throw error(errc::config, "'" + v0::detail::printable(trainer_job, 120) +
                                        "' is no name of a trainer job; policy_job::name() gives it");
        co_return co_await detail::attach_trainer_job(f, detail::deployment_id_of(id), trainer_job, options, told);
      });
}

GRADWIRE_DECL future<completed> deployments_client::hot_load(const std::string& id,
                                                             const hot_load_options& options) const {
  return detail::start<completed>(owner_, [id, options](detail::flow& f) -> detail::task<completed> {
    co_return co_await detail::ask_for_hot_load(f, detail::deployment_id_of(id), options);
  });
}

GRADWIRE_DECL future<hot_load_status> deployments_client::hot_load_state(const std::string& id) const {
  return detail::start<hot_load_status>(owner_, [id](detail::flow& f) -> detail::task<hot_load_status> {
    co_return co_await detail::look_at_hot_load(f, detail::deployment_id_of(id));
  });
}

GRADWIRE_DECL future<hot_load_status> deployments_client::wait_hot_load(const std::string& id,
                                                                        const std::string& identity,
                                                                        hot_load_wait_options options,
                                                                        progress_handler told) const {
  return detail::start<hot_load_status>(
      owner_, [id, identity, options, told](detail::flow& f) -> detail::task<hot_load_status> {
        co_return co_await detail::wait_for_hot_load(f, detail::deployment_id_of(id), identity, options, told);
      });
}

GRADWIRE_DECL future<completed> deployments_client::warm_up(const std::string& id, warm_up_options options,
                                                            progress_handler told) const {
  return detail::start<completed>(owner_, [given = id, options, told](detail::flow& f) -> detail::task<completed> {
    const std::string own = detail::deployment_id_of(given);
    const std::string account_id = co_await detail::account(f);
    const time_point begun = f.net().now();
    wait_progress at;
    at.what = "the warm-up of deployment " + own;
    for (int tries = 1;; ++tries) {
      http_request small = detail::small_completion("accounts/" + account_id + "/deployments/" + own);
      const int status = co_await detail::probe(f, f.core().inference, std::move(small), 30);
      ++at.polls;
      at.elapsed_seconds = std::chrono::duration<double>(f.net().now() - begun).count();
      at.state = status == 0 ? "no answer" : std::to_string(status);
      detail::report(told, at);
      if (status == 200) co_return completed{at.elapsed_seconds};
      if (status == 400 || status == 401 || status == 403)
        detail::stop_waiting(
            errc::status, at,
            "the deployment answers " + at.state + " to a small completion" + (status == 400 ? "" : "; check the key"));
      if (tries >= options.tries)
        detail::stop_waiting(errc::timeout, at, "no completion succeeded; the last answer was " + at.state);
      co_await detail::sleep(f, options.pause_seconds);
    }
  });
}

GRADWIRE_DECL future<completed> deployments_client::remove(const std::string& id, remove_options options) const {
  return detail::start<completed>(owner_, [id, options](detail::flow& f) -> detail::task<completed> {
    const time_point begun = f.net().now();
    const bool there = co_await detail::delete_deployment(f, detail::deployment_id_of(id), options.settle_seconds);
    static_cast<void>(there);
    co_return completed{std::chrono::duration<double>(f.net().now() - begun).count()};
  });
}

GRADWIRE_DECL future<deployment_sampler> deployments_client::sampler(const std::string& id) const {
  return detail::start<deployment_sampler>(
      owner_, [keep = std::weak_ptr(owner_), given = id](detail::flow& f) -> detail::task<deployment_sampler> {
        const std::string own = detail::deployment_id_of(given);
        const std::string account_id = co_await detail::account(f);
        co_return deployment_sampler(keep.lock(), "accounts/" + account_id + "/deployments/" + own);
      });
}

}  // namespace platform
}  // namespace gradwire::inline v0
