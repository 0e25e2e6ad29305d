// SPDX-License-Identifier: Apache-2.0
// The steps that the calls of deployments.hpp are made of: look, create once.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/platform/deployment.hpp>
#include <gradwire/platform/impl/job_steps.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

inline deployment describe(const wire::platform::deployment& from) {
  deployment made;
  made.name = from.name;
  made.id = wire::platform::last_segment(from.name);
  made.state = parse_deployment_state(from.state);
  made.state_text = from.state;
  made.why = v0::detail::printable(from.status.text, 1000);
  made.base_model = from.base_model;
  made.deployment_shape = from.deployment_shape;
  made.hot_load_trainer_job = from.hot_load_trainer_job;
  made.hot_load_bucket_url = from.hot_load_bucket_url;
  made.hot_load_transition_type = from.hot_load_transition_type;
  made.min_replica_count = from.min_replica_count;
  made.max_replica_count = from.max_replica_count;
  made.replica_count = from.replica_count;
  made.annotations = from.annotations;
  made.create_time = from.create_time;
  return made;
}

inline std::string deployment_id_of(const std::string& id) { return id_of(id, "deployments", "deployment"); }

inline task<std::string> deployment_path(flow& f, std::string id) {
  const std::string account_id = co_await account(f);
  co_return "/v1/accounts/" + account_id + "/deployments/" + id;
}

inline task<std::optional<deployment>> find_deployment(flow& f, std::string id) {
  question asked;
  asked.name = "get deployment";
  asked.subject = id;
  asked.target = co_await deployment_path(f, id);
  const std::string name = asked.target.substr(4);
  const auto said = co_await ask_if_there<wire::platform::deployment>(f, std::move(asked));
  std::optional<deployment> found;
  if (said) {
    found = describe(*said);
    if (found->name.empty()) found->name = name;
    if (found->id.empty()) found->id = id;
    if (!found->base_model.empty()) f.core().served_models[id] = found->base_model;
  }
  co_return found;
}

inline task<deployment> get_deployment(flow& f, std::string id) {
  std::optional<deployment> found = co_await find_deployment(f, id);
  if (!found) no_such("deployment", id, "deployments().list() shows what there is");
  co_return std::move(*found);
}

struct deployment_request {
  std::string id{};
  wire::platform::create_deployment_request body{};
  wire::platform::query_parameters query{};
};

template <class Config>
deployment_request request_of_common(const Config& config, complaints& wrong) {
  deployment_request made;
  made.id = config.deployment_id;
  check_id(wrong, "deployment_id", config.deployment_id);
  check_base_model(wrong, config.base_model);
  if (config.min_replica_count < 0 || config.max_replica_count < config.min_replica_count)
    wrong.add("min_replica_count is " + std::to_string(config.min_replica_count) + " and max_replica_count " +
              std::to_string(config.max_replica_count) + "; 0 <= min <= max is needed");
  auto& body = made.body;
  body.base_model = config.base_model;
  body.description = config.description;
  body.min_replica_count = config.min_replica_count;
  body.max_replica_count = config.max_replica_count;
  body.enable_hot_load = config.enable_hot_load;
  body.for_training = config.for_training;
  if (!config.region.empty()) body.placement.emplace().region = config.region;
  if (config.enable_hot_load) body.hot_load_bucket_type = "FW_HOSTED";
  if (!config.hot_load_trainer_job.empty()) {
    const auto job = wire::platform::parse_resource_name(config.hot_load_trainer_job);
    if (!job || job->collection != "rlorTrainerJobs")
      wrong.add("hot_load_trainer_job '" + v0::detail::printable(config.hot_load_trainer_job, 120) +
                "' is no name of a trainer job; policy_job::name() gives it");
    body.hot_load_trainer_job = config.hot_load_trainer_job;
  }
  if (!config.extra_args.empty()) body.extra_args = split_arguments(config.extra_args);
  if (!config.extra_values.empty()) body.extra_values = config.extra_values;
  if (!config.annotations.empty()) body.annotations = config.annotations;
  if (config.transition == hot_load_transition::asynchronous) body.hot_load_transition_type = "ASYNC";
  if (config.transition == hot_load_transition::synchronous) body.hot_load_transition_type = "SYNC";
  made.query.emplace_back("deploymentId", config.deployment_id);
  return made;
}

inline deployment_request request_of(const deployment_config& config) {
  complaints wrong;
  auto made = request_of_common(config, wrong);
  if (config.linked_shape.empty())
    wrong.add(
        "linked_shape is empty; give the profile's deployment_shape_version (it is empty where the training shape has "
        "no linked deployment shape), or use create_manual()");
  made.body.deployment_shape = config.linked_shape.name();
  if (config.disable_speculative_decoding) made.query.emplace_back("disableSpeculativeDecoding", "true");
  wrong.throw_if_any("the deployment cannot be created");
  return made;
}

inline deployment_request request_of(const manual_deployment_config& config) {
  complaints wrong;
  auto made = request_of_common(config, wrong);
  if (!config.deployment_shape.empty() && !config.accelerator_type.empty())
    wrong.add("deployment_shape and accelerator_type are both given; one of the two decides the hardware");
  if (config.deployment_shape.empty() && config.accelerator_type.empty())
    wrong.add("neither deployment_shape nor accelerator_type is given; one of the two decides the hardware");
  if (!config.deployment_shape.empty()) made.body.deployment_shape = config.deployment_shape;
  if (!config.accelerator_type.empty()) made.body.accelerator_type = config.accelerator_type;
  if (config.skip_shape_validation) made.query.emplace_back("skipShapeValidation", "true");
  if (config.disable_speculative_decoding) made.query.emplace_back("disableSpeculativeDecoding", "true");
  wrong.throw_if_any("the deployment cannot be created");
  return made;
}

inline std::string without_version(const std::string& shape) { return shape.substr(0, shape.find("/versions/")); }

// The id was taken: only what is as wanted may be used for it.
inline void check_is_wanted(const deployment& found, const deployment_request& wanted) {
  std::string other;
  const auto differs = [&](const char* what, const std::string& is, const std::string& should) {
    if (!is.empty() && !should.empty() && is != should)
      other += (other.empty() ? "" : ", ") + std::string(what) + " " + is;
  };
  differs("base model", found.base_model, wanted.body.base_model);
  differs("deployment shape", without_version(found.deployment_shape),
          without_version(wanted.body.deployment_shape.value_or("")));
  differs("trainer job", found.hot_load_trainer_job, wanted.body.hot_load_trainer_job.value_or(""));
  if (!other.empty())
    throw error(errc::config, "the deployment id '" + found.id + "' is taken by another deployment (" +
                                  v0::detail::printable(other, 400) +
                                  "); take another id, or attach_trainer() where only the trainer differs");
}

inline task<deployment> create_deployment(flow& f, deployment_request wanted) {
  const std::string account_id = co_await account(f);
  question asked;
  asked.name = "create deployment";
  asked.subject = wanted.id;
  asked.method = "POST";
  asked.target = "/v1/accounts/" + account_id + "/deployments" + wire::platform::query_text(wanted.query);
  asked.body = wire::platform::to_json(wanted.body);
  asked.effect = effect::repeats;  // the id is ours: a second one is a 409
  asked.attempt_seconds = 60;
  asked.also = {409};
  asked.way_out_unknown = "It may still come: deployments().remove(\"" + wanted.id +
                          "\", {.settle_seconds = 60}) deletes it also then, find() shows it, and create() with this "
                          "deployment_id makes no second one";
  const question kept = asked;
  const answer said = co_await ask(f, std::move(asked));
  deployment made;
  if (said.status == 409) {
    task<std::optional<deployment>> look = find_deployment(f, wanted.id);
    const std::function<void(const deployment&)> check = [&](const deployment& one) { check_is_wanted(one, wanted); };
    made = co_await part_that_is_there<deployment>(f, kept, said, std::move(look), check);
    made.existed = !said.maybe_earlier;
    made.doubtful = said.maybe_earlier;
  } else {
    made = describe(read_answer<wire::platform::deployment>(f.core(), kept, said));
    if (made.name.empty()) made.name = "accounts/" + account_id + "/deployments/" + wanted.id;
    if (made.id.empty()) made.id = wanted.id;
    if (made.base_model.empty()) made.base_model = wanted.body.base_model;
  }
  f.core().served_models[made.id] = made.base_model;
  co_return made;
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
