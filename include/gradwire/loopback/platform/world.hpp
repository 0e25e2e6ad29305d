// SPDX-License-Identifier: Apache-2.0
// What the platform knows: jobs, deployments, models, operations. Everything here belongs to the server's thread,
// except what is marked otherwise.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/loopback/platform/catalogue.hpp>
#include <gradwire/loopback/platform/clock.hpp>
#include <gradwire/loopback/platform/faults.hpp>
#include <gradwire/loopback/platform/request_log.hpp>
#include <gradwire/loopback/platform/served_weights.hpp>
#include <gradwire/loopback/platform/trainer.hpp>
#include <gradwire/wire/platform.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

inline constexpr double tombstone_seconds = 30.0 * 24 * 3600;  // a deleted job's checkpoints can still be promoted

struct job_record {
  std::string id{};
  message::trainer_job about{};  // what does not change
  timeline states{};
  double healthy_at = 0;
  double last_activity = 0;
  double inactivity_seconds = 3600;  // 0: it is never stopped
  std::string failure{};             // why it is to fail, and …
  std::string failure_place{};       // … where it is said
  std::int64_t accelerators = 0;
  std::filesystem::path files{};
  std::shared_ptr<hosted_trainer> trainer{};  // while it runs
  operation_counts executed_before{};         // by trainers that are gone
};

struct replica_load {
  std::string target{};  // the last load that was asked for
  std::string stage = "idle";
  std::string error{};
  std::string current{};  // what is loaded, as it was asked for; "": the base model
  std::string before{};   // until `told_at`, this is told instead
  double told_at = 0;
  bool adapter = false;
};

struct deployment_record {
  std::string id{};
  message::deployment about{};  // without its state
  timeline states{};
  bool fails = false;
  replica_load load{};
  std::uint64_t pod = 0;                      // counts up with each new one
  std::shared_ptr<served_weights> weights{};  // of the pod
};

struct promoted_model {
  message::model about{};  // as it is when it is READY
  double ready_at = 0;
  std::filesystem::path folder{};
  std::string base_model{};
};

struct operation_record {
  std::string name{};
  double done_at = 0;
  std::optional<message::status> error{};
  std::string model{};  // its name
};

enum class tally : unsigned char {
  jobs_created,
  jobs_deleted,
  jobs_resumed,
  deployments_created,
  deployments_updated,
  deployments_deleted,
  hot_loads,
  promotions,
  completions
};
inline constexpr const char* tally_names[] = {"jobs_created",        "jobs_deleted",        "jobs_resumed",
                                              "deployments_created", "deployments_updated", "deployments_deleted",
                                              "hot_loads",           "promotions",          "completions"};

// One request on its way.
struct call {
  http_request request{};
  message::path_and_query query{};
  std::vector<std::string> arguments{};  // what the route's * stand for
  http_server::responder respond{};
};

class world {
 public:
  explicit world(platform_options given)
      : options(std::move(given)), shapes(options.catalogue), files(options.files), requests(options) {
    for (const auto& fault : options.faults) faults.set(fault);
  }

  const platform_options options;
  const catalogue shapes;
  const detail::checkpoint_store files;  // the folder, and its end; checkpoints lie below it, a folder a job
  request_log requests;
  platform_clock clock;
  fault_table faults;
  http_server* http = nullptr;
  std::map<std::string, job_record> jobs;
  std::map<std::string, deployment_record> deployments;
  std::map<std::string, std::vector<std::string>>
      hot_loads{};  // begun, in order, by deployment, also by one that is gone
  std::map<std::string, promoted_model> models;
  std::map<std::string, operation_record> operations;
  std::map<std::string, frozen_model> bases;  // weights of base models, by name
  std::set<std::shared_ptr<hosted_trainer>> retired_trainers;
  std::set<std::shared_ptr<served_weights>> retired_weights;
  std::array<std::atomic<std::int64_t>, std::size(tally_names)> tallies{};
  bool closing = false;

  void count(tally what) { ++tallies[static_cast<std::size_t>(what)]; }
  double now() const { return clock.now(); }
  std::string account_name() const { return "accounts/" + options.account; }

  // The weights that a base model of the catalogue, or a promoted one, has here.
  const frozen_model& base(const std::string& name) {
    if (const auto found = bases.find(name); found != bases.end()) return found->second;
    const auto promoted = models.find(name);
    auto made =
        frozen_model::load({.model = options.model, .seed = options.seed, .threads = options.threads, .name = name});
    if (promoted != models.end()) made = made.with_checkpoint(promoted->second.folder);
    return bases.emplace(name, std::move(made)).first->second;
  }
  bool knows_model(const std::string& name) const {
    return shapes.find_model(name) != nullptr || models.find(name) != models.end();
  }

  void check_account(const std::string& account) const {
    if (account != options.account)
      throw refusal{403, "PERMISSION_DENIED", "this key has no access to the account '" + account + "'", {}, {}};
  }

  job_record* find_job(const std::string& id) {
    const auto found = jobs.find(id);
    if (found == jobs.end()) return nullptr;
    if (state_of(found->second) == "JOB_STATE_DELETED" && now() - found->second.states.since(now()) > tombstone_seconds)
      return nullptr;
    return &found->second;
  }
  job_record& job(const std::string& id) {
    if (job_record* found = find_job(id)) return *found;
    throw not_found("there is no trainer job '" + id + "' in " + account_name());
  }

  // The job's state now. One that nobody has called for too long is stopped.
  const std::string& state_of(job_record& it) {
    const double moment = now();
    const std::string& state = it.states.at(moment);
    if (state != "JOB_STATE_RUNNING" || it.inactivity_seconds <= 0) return state;
    const double since = std::max(it.last_activity, it.states.since(moment));
    if (moment - since <= it.inactivity_seconds) return state;
    it.states.begin(moment, "JOB_STATE_PAUSED");
    stop_trainer(it);
    return it.states.at(moment);
  }

  static bool is_over(const std::string& state) {
    for (const char* each :
         {"FAILED", "CANCELLED", "COMPLETED", "EXPIRED", "EARLY_STOPPED", "PAUSED", "DELETED", "ARCHIVED", "DELETING"})
      if (state == "JOB_STATE_" + std::string(each)) return true;
    return false;
  }

  deployment_record* find_deployment(const std::string& id) {
    const auto found = deployments.find(id);
    if (found == deployments.end()) return nullptr;
    if (found->second.states.at(now()) != "GONE") return &found->second;
    deployments.erase(found);
    return nullptr;
  }
  deployment_record& deployment(const std::string& id) {
    if (deployment_record* found = find_deployment(id)) return *found;
    throw not_found("there is no deployment '" + id + "' in " + account_name());
  }

  // New weights for a deployment: those of its base model.
  void start_pod(deployment_record& it) {
    retire(std::move(it.weights));
    it.weights = std::make_shared<served_weights>(base(it.about.base_model));
    it.load = {};
    ++it.pod;
  }

  void stop_trainer(job_record& job) {
    job.executed_before = executed(job);
    retire(std::exchange(job.trainer, nullptr));
  }
  static operation_counts executed(const job_record& job) {
    operation_counts sum = job.executed_before;
    if (!job.trainer) return sum;
    const operation_counts more = job.trainer->executed();
    for (const auto count :
         {&operation_counts::create_model, &operation_counts::forward, &operation_counts::forward_backward,
          &operation_counts::optim_step, &operation_counts::save_weights, &operation_counts::save_weights_for_sampler,
          &operation_counts::load_weights, &operation_counts::sample})
      sum.*count += more.*count;
    return sum;
  }
  void retire(std::shared_ptr<hosted_trainer> trainer) {
    if (!trainer) return;
    retired_trainers.insert(trainer);
    trainer->retire([this, trainer] { retired_trainers.erase(trainer); });
  }
  void retire(std::shared_ptr<served_weights> weights) {
    if (!weights) return;
    retired_weights.insert(weights);
    auto* served = weights.get();
    served->after_all([this, weights = std::move(weights)]() mutable {  // must not be the last to hold them
      http->post([this, weights = std::move(weights)] { retired_weights.erase(weights); });
    });
  }

  // Ends what computes, so that nothing is posted to the server any more. Not on its thread: `everything` was collected
  // there.
  std::vector<std::function<void()>> stop_everything() {
    closing = true;
    std::vector<std::function<void()>> everything;
    const auto add = [&](const auto& what) {
      if (what) everything.emplace_back([what] { what->stop(); });
    };
    for (const auto& [id, each] : jobs) add(each.trainer);
    for (const auto& [id, each] : deployments) add(each.weights);
    for (const auto& each : retired_trainers) add(each);
    for (const auto& each : retired_weights) add(each);
    return everything;
  }
};

template <class Message>
Message parse(const call& it) {
  try {
    return message::from_json<Message>(it.request.body.empty() ? "{}" : std::string_view(it.request.body));
  } catch (const error& wrong) {
    throw invalid(std::string("the body cannot be read: ") + wrong.what());
  }
}

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
