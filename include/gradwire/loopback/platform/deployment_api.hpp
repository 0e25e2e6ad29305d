// SPDX-License-Identifier: Apache-2.0
// Deployments: creating, changing, scaling and deleting them. Their weights are hot_load_api.hpp's.
#pragma once

#include <gradwire/loopback/platform/job_api.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

inline std::string bucket_of(const world& it, const std::string& folder) {
  return "gs://gradwire-loopback/rl-checkpoints/" + it.options.account + "/" + folder + "/";
}

// The trainer job of a full name: 400 where it is none, or cannot be linked.
inline job_record& linked_job(world& it, const std::string& name, const std::string& base_model) {
  const auto parsed = message::parse_resource_name(name);
  if (!parsed || parsed->collection != "rlorTrainerJobs" || !parsed->subcollection.empty())
    throw invalid("hotLoadTrainerJob is '" + name + "', which is no name like " + it.account_name() +
                  "/rlorTrainerJobs/<id>");
  it.check_account(parsed->account);
  job_record* found = it.find_job(parsed->id);
  if (found == nullptr || it.state_of(*found) == "JOB_STATE_DELETED")
    throw invalid("hotLoadTrainerJob names '" + name + "', which does not exist");
  if (found->about.training_config.base_model != base_model)
    throw invalid("the trainer job " + parsed->id + " trains " + found->about.training_config.base_model +
                  ", the deployment serves " + base_model);
  return *found;
}

inline void check_transition(const std::optional<std::string>& type) {
  if (type && *type != "ASYNC" && *type != "SYNC" && *type != "HOT_LOAD_TRANSITION_TYPE_UNSPECIFIED")
    throw invalid("hotLoadTransitionType is '" + *type + "'; it is ASYNC or SYNC");
}

inline constexpr std::int64_t most_replicas = 1024;

inline void check_replicas(std::int64_t least, std::int64_t most) {
  if (least < 0 || most < least || most > most_replicas)
    throw invalid("minReplicaCount is " + std::to_string(least) + " and maxReplicaCount " + std::to_string(most) +
                  "; 0 <= min <= max <= " + std::to_string(most_replicas) + " is needed");
}

inline std::string state_of(world& it, deployment_record& one) {
  const std::string state = one.states.at(it.now());
  if (state != "READY" && state != "UPDATING") return state;
  if (one.fails) return "FAILED";
  for (const auto& fault : it.faults.all())
    if (fault.name == "deployment_stays_creating") return "CREATING";
  return state;
}

inline bool is_settled(world& it, deployment_record& one) {
  const std::string state = state_of(it, one);
  return state != "DELETING" && state != "DELETED" && state != "GONE";
}

inline http_response tell(world& it, deployment_record& one) {
  message::deployment told = one.about;
  told.state = state_of(it, one);
  const bool up = told.state == "READY" || told.state == "UPDATING";
  told.desired_replica_count = std::max<std::int64_t>(told.min_replica_count, told.max_replica_count > 0 ? 1 : 0);
  told.replica_count = up ? told.desired_replica_count : 0;
  if (told.state == "FAILED") told.status = {"INTERNAL", "the deployment's pods could not be started"};
  return answer(told);
}

inline void check_deployment(world& it, const call& request, const message::create_deployment_request& given,
                             const std::string& id) {
  if (!message::is_resource_id(id))
    throw invalid("deploymentId is '" + id.substr(0, 100) + "' (" + std::to_string(id.size()) +
                  " characters); an id has 1 to 63 lower-case letters, digits and '-'");
  if (!it.knows_model(given.base_model)) throw invalid("there is no base model '" + given.base_model + "'");
  check_replicas(given.min_replica_count, given.max_replica_count);
  check_transition(given.hot_load_transition_type);
  const std::string shape = given.deployment_shape.value_or("");
  if (!shape.empty() && given.accelerator_type)
    throw invalid("acceleratorType is the deployment shape's; leave it out, or leave deploymentShape out");
  if (!shape.empty() && request.query.value("acceptShapelessRisk") == "true")
    throw invalid("acceptShapelessRisk is for deployments without a deploymentShape");
  if (shape.empty() || shape == "default") return;
  const auto base = it.shapes.base_of_deployment_shape(shape);
  if (!base) throw not_found("there is no deployment shape '" + shape + "'");
  if (*base != given.base_model && it.models.find(given.base_model) == it.models.end() &&
      request.query.value("skipShapeValidation") != "true")
    throw invalid("the deployment shape " + shape + " is for " + *base + ", not for " + given.base_model);
}

inline http_response create_deployment(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  if (it.closing) throw unavailable("the platform is going away");
  const auto given = parse<message::create_deployment_request>(request);
  const std::string id = request.query.value("deploymentId");
  check_deployment(it, request, given, id);
  if (it.find_deployment(id) != nullptr) throw exists("the deployment '" + id + "' exists already");
  if (given.hot_load_trainer_job) linked_job(it, *given.hot_load_trainer_job, given.base_model);
  const auto used = std::count_if(it.deployments.begin(), it.deployments.end(),
                                  [&](auto& each) { return is_settled(it, each.second); });
  if (used >= it.options.quotas.deployments)
    throw over_quota("the account has " + std::to_string(used) + " deployments, and may have " +
                         std::to_string(it.options.quotas.deployments) + "; delete one",
                     1, it.options.quotas.deployments - used);
  deployment_record made{.id = id};
  const std::string trainer = given.hot_load_trainer_job.value_or("");
  made.about = {.name = it.account_name() + "/deployments/" + id,
                .base_model = given.base_model,
                .description = given.description,
                .deployment_shape = given.deployment_shape.value_or(""),
                .accelerator_type = given.accelerator_type.value_or(""),
                .min_replica_count = given.min_replica_count,
                .max_replica_count = given.max_replica_count,
                .enable_hot_load = given.enable_hot_load,
                .for_training = given.for_training,
                .hot_load_bucket_type = given.hot_load_bucket_type.value_or(""),
                .hot_load_trainer_job = trainer,
                .hot_load_transition_type = given.hot_load_transition_type.value_or(""),
                .annotations = given.annotations.value_or(message::text_map{}),
                .create_time = it.clock.text(it.now())};
  if (given.enable_hot_load)
    made.about.hot_load_bucket_url = bucket_of(it, trainer.empty() ? id : "trainer-" + message::last_segment(trainer));
  made.fails = it.faults.happens("deployment_fails").has_value();
  made.states.begin(it.now(), "CREATING");
  made.states.begin(it.now() + it.options.delays.deployment_creating, "READY");
  it.start_pod(made);
  it.count(tally::deployments_created);
  return tell(it, it.deployments.emplace(id, std::move(made)).first->second);
}

inline http_response get_deployment(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  return tell(it, it.deployment(request.arguments.at(1)));
}

inline http_response list_deployments(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  std::vector<std::string> ids, items;
  for (const auto& [id, each] : it.deployments) ids.push_back(id);
  for (const auto& id : ids)  // looking one up may remove it
    if (deployment_record* found = it.find_deployment(id)) items.push_back(tell(it, *found).body);
  return list_reply("deployments", list_page(std::move(items), request.query));
}

// With an updateMask only what it names changes, without one everything that can be changed.
inline http_response update_deployment(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  deployment_record& one = it.deployment(request.arguments.at(1));
  if (!is_settled(it, one)) throw not_now("the deployment '" + one.id + "' is being deleted");
  const auto given = parse<message::update_deployment_request>(request);
  const std::string mask = "," + request.query.value("updateMask") + ",";
  const auto named = [&](const std::string& name) { return mask == ",," || mask.find("," + name + ",") != mask.npos; };
  for (std::string_view rest = std::string_view(mask).substr(1); rest.size() > 1;) {
    const std::string_view field = rest.substr(0, rest.find(','));
    constexpr std::string_view known[] = {
        "min_replica_count", "max_replica_count", "hot_load_trainer_job", "hot_load_transition_type",
        "description",       "display_name",      "annotations",          "hot_load_bucket_type"};
    if (std::find(std::begin(known), std::end(known), field) == std::end(known))
      throw invalid("updateMask names '" + std::string(field) + "', which cannot be changed");
    rest.remove_prefix(field.size() + 1);
  }
  check_transition(given.hot_load_transition_type);
  message::deployment next = one.about;
  if (named("min_replica_count")) next.min_replica_count = given.min_replica_count.value_or(0);
  if (named("max_replica_count")) next.max_replica_count = given.max_replica_count.value_or(0);
  check_replicas(next.min_replica_count, next.max_replica_count);
  if (named("hot_load_transition_type")) next.hot_load_transition_type = given.hot_load_transition_type.value_or("");
  const std::string trainer = given.hot_load_trainer_job.value_or("");
  if (named("hot_load_trainer_job") && trainer != next.hot_load_trainer_job) {
    if (!trainer.empty()) linked_job(it, trainer, next.base_model);
    next.hot_load_trainer_job = trainer;
    next.hot_load_bucket_url = bucket_of(it, trainer.empty() ? one.id : "trainer-" + message::last_segment(trainer));
    it.start_pod(one);  // new pods, with the base model's weights
    one.states.begin(it.now(), "UPDATING");
    one.states.begin(it.now() + it.options.delays.deployment_creating, "READY");
  }
  one.about = std::move(next);
  it.count(tally::deployments_updated);
  return tell(it, one);
}

// PATCH …:scale {"replicaCount": n}
inline http_response scale_deployment(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  deployment_record& one = it.deployment(request.arguments.at(1));
  std::int64_t count = -1;
  try {
    const std::string text = text_at(wire::json_document(request.request.body), "replicaCount");
    std::from_chars(text.data(), text.data() + text.size(), count);
  } catch (const error& wrong) {
    throw invalid(std::string("the body cannot be read: ") + wrong.what());
  }
  if (count < 0 || count > most_replicas) throw invalid("replicaCount must be 0 to " + std::to_string(most_replicas));
  one.about.min_replica_count = count;
  one.about.max_replica_count = std::max(one.about.max_replica_count, count);
  if (count == 0) one.about.max_replica_count = 0;
  it.count(tally::deployments_updated);
  return tell(it, one);
}

inline http_response delete_deployment(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  deployment_record& one = it.deployment(request.arguments.at(1));
  if (!is_settled(it, one)) return empty_answer();
  it.count(tally::deployments_deleted);
  const bool hard = request.query.value("hard") == "true";
  one.states.begin(it.now(), "DELETING");
  one.states.begin(it.now() + it.options.delays.deployment_deleting, hard ? "GONE" : "DELETED");
  it.retire(std::exchange(one.weights, nullptr));
  return empty_answer();
}

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
