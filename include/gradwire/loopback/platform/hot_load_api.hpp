// SPDX-License-Identifier: Apache-2.0
// Hot load: a trainer's snapshot into a deployment that serves, and what its replicas say about it.
#pragma once

#include <gradwire/loopback/platform/deployment_api.hpp>
#include <gradwire/loopback/service/snapshot_api.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

// Of the headers fireworks-deployment and fireworks-model.
inline deployment_record& addressed(world& it, const call& request) {
  const std::string_view name = request.request.header("fireworks-deployment");
  const auto parsed = message::parse_resource_name(name);
  if (!parsed || parsed->collection != "deployments")
    throw invalid("the header fireworks-deployment is '" + std::string(name) + "', which is no name like " +
                  it.account_name() + "/deployments/<id>");
  it.check_account(parsed->account);
  deployment_record& one = it.deployment(parsed->id);
  const std::string_view model = request.request.header("fireworks-model");
  if (model.empty()) throw invalid("the header fireworks-model is missing");
  if (model != one.about.base_model)
    throw invalid("the header fireworks-model is '" + std::string(model) + "'; the deployment serves " +
                  one.about.base_model);
  return one;
}

// The jobs whose snapshots the deployment can see: its trainer, or those that were linked to it.
inline std::vector<std::filesystem::path> sources_of(world& it, const deployment_record& one,
                                                     std::string_view source_url) {
  std::vector<std::filesystem::path> folders;
  const std::string trainer = message::last_segment(one.about.hot_load_trainer_job);
  for (const auto& [id, job] : it.jobs) {
    const bool named = !source_url.empty() && source_url.starts_with(bucket_of(it, "trainer-" + id));
    const bool links = message::last_segment(job.about.hot_load_deployment_id) == one.id;
    if (source_url.empty() || named ? id == trainer || links || named : false) folders.push_back(job.files);
  }
  return folders;
}

inline std::filesystem::path folder_of(world& it, const deployment_record& one, const std::string& identity,
                                       std::string_view source_url) {
  const auto folders = sources_of(it, one, source_url);
  if (folders.empty())
    throw not_now("no trainer job is linked to the deployment '" + one.id +
                  "'; set hotLoadTrainerJob, or the job's hotLoadDeploymentId");
  std::string said;
  for (const auto& folder : folders) try {
      return detail::find_snapshot(detail::checkpoint_store(folder), identity);
    } catch (const detail::refusal& refused) {
      said = refused.sentence;
    }
  throw not_found(said);
}

inline void settle(world& it, const std::string& id, std::uint64_t pod, const std::string& identity, bool adapter,
                   const std::string& problem) {
  deployment_record* one = it.find_deployment(id);
  if (one == nullptr || one->pod != pod) return;
  replica_load& load = one->load;
  if (problem.empty()) {
    load.before = std::exchange(load.current, identity);
    load.told_at = it.now() + it.options.delays.hot_load;
    load.adapter = adapter;
  }
  if (load.target != identity) return;  // a later one is on its way
  load.stage = problem.empty() ? "done" : "error";
  load.error = problem;
}

inline void check_members(world& it, const call& request) {
  std::vector<std::string> unknown;
  try {
    const wire::json_document json(request.request.body);
    unknown = message::unknown_members<message::hot_load_request>(json);
    const bool named = json.find(json.root(), "reset_prompt_cache") != nullptr;
    if (named && it.faults.happens("no_reset_prompt_cache")) unknown.emplace_back("reset_prompt_cache");
  } catch (const error& wrong) {
    throw invalid(std::string("the body cannot be read: ") + wrong.what());
  }
  if (!unknown.empty()) throw invalid("Extra inputs are not permitted, field: '" + unknown.front() + "'");
}

inline http_response begin_hot_load(world& it, call& request) {
  deployment_record& one = addressed(it, request);
  check_members(it, request);
  const auto given = parse<message::hot_load_request>(request);
  if (given.identity.empty()) throw invalid("identity is missing");
  if (!one.about.enable_hot_load) throw not_now("the deployment '" + one.id + "' was created without enableHotLoad");
  const std::string state = state_of(it, one);
  if (!one.weights || (state != "READY" && state != "UPDATING"))
    throw not_now("the deployment '" + one.id + "' is " + state + "; a hot load needs a replica that serves");
  std::optional<std::string> previous;
  if (given.incremental_snapshot_metadata) {
    const auto& how = *given.incremental_snapshot_metadata;
    if (how.previous_snapshot_identity.empty()) throw invalid("previous_snapshot_identity is missing");
    if (how.compression_format != "arc_v2" || how.checksum_format != "alder32")
      throw invalid("a delta's compression_format is arc_v2, its checksum_format alder32");
    previous = how.previous_snapshot_identity;
  }
  it.count(tally::hot_loads);
  it.hot_loads[one.id].push_back(given.identity);
  one.load.target = given.identity;
  one.load.stage = "loading";
  one.load.error.clear();
  std::filesystem::path folder;
  try {
    folder = folder_of(it, one, given.identity, request.request.header("x-fireworks-hot-load-source-url"));
  } catch (const refusal& refused) {  // as any other load that fails: the status tells
    one.load.stage = "error";
    one.load.error = refused.sentence;
    return empty_answer();
  }
  std::error_code none;
  const bool adapter = std::filesystem::exists(folder / "adapter_config.json", none);
  one.weights->load(folder, given.identity, previous,
                    [&it, id = one.id, pod = one.pod, identity = given.identity, adapter](std::string problem) {
                      it.http->post([&it, id, pod, identity, adapter, problem = std::move(problem)] {
                        settle(it, id, pod, identity, adapter, problem);
                      });
                    });
  return empty_answer();
}

inline message::hot_load_replica replica_of(world& it, const deployment_record& one, std::size_t index) {
  const replica_load& load = one.load;
  const bool told = it.now() >= load.told_at;
  message::hot_load_replica replica{.identity = one.id + "-" + std::to_string(one.pod) + "-" + std::to_string(index),
                                    .current_snapshot_identity = told ? load.current : load.before,
                                    .readiness = true,
                                    .loading_state = {load.stage, load.target, load.error}};
  if (load.stage == "done" && !told) replica.loading_state.stage = "loading";
  return replica;
}

inline http_response hot_load_state(world& it, call& request) {
  const deployment_record& one = addressed(it, request);
  const auto fault = it.faults.happens("replicas").value_or("");
  if (fault == "missing") return detail::json_reply(R"({"replica_distribution":{}})");
  message::hot_load_status status{.replicas = std::vector<message::hot_load_replica>{}};
  const std::string state = one.states.at(it.now());
  if (fault == "empty" || !one.weights || one.about.max_replica_count == 0 || (state != "READY" && state != "UPDATING"))
    return answer(status);
  const auto count = std::max<std::int64_t>(1, one.about.min_replica_count);
  for (std::int64_t i = 0; i < count; ++i) status.replicas->push_back(replica_of(it, one, static_cast<std::size_t>(i)));
  message::hot_load_replica& first = status.replicas->front();
  if (fault == "stale_error") first.loading_state = {"error", "an-older-snapshot", "it was not there"};
  if (fault == "error") {
    first.loading_state = {"error", one.load.target, "the pod ran out of memory"};
    first.current_snapshot_identity = one.load.before;
  }
  if (fault == "adapters") {
    first.loaded_adapters = {{std::exchange(first.current_snapshot_identity, ""), "loaded"}};
    if (first.loaded_adapters.front().identity.empty()) first.loaded_adapters.clear();
  }
  if (fault == "lagging") {
    message::hot_load_replica second = replica_of(it, one, 1);
    second.readiness = false;
    second.current_snapshot_identity = one.load.before;
    second.loading_state.stage = "loading";
    if (status.replicas->size() > 1)
      status.replicas->at(1) = second;
    else
      status.replicas->push_back(second);
  }
  return answer(status);
}

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
