// SPDX-License-Identifier: Apache-2.0
// Trainer jobs: what may be created, the states that one goes through, and its end.
#pragma once

#include <charconv>

#include <gradwire/loopback/platform/listing.hpp>
#include <gradwire/loopback/platform/world.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

// The shape's values that a request names all the same. The shape owns them, so each is refused, with its value there.
inline void refuse_locked(const message::create_trainer_job_request& given,
                          const message::training_shape_version& shape) {
  const auto& config = given.training_config;
  const auto& own = shape.snapshot;
  std::string lines;
  const auto refuse = [&](bool is_set, const char* name, const std::string& value) {
    if (is_set)
      lines +=
          std::string(lines.empty() ? "" : "; ") + name + " is the shape's" + (value.empty() ? "" : " (" + value + ")");
  };
  refuse(config.accelerator_type.has_value(), "trainingConfig.acceleratorType", own.accelerator_type);
  refuse(config.accelerator_count.has_value(), "trainingConfig.acceleratorCount",
         std::to_string(own.accelerator_count));
  refuse(config.custom_image_tag.has_value(), "trainingConfig.customImageTag", own.trainer_image_tag);
  refuse(given.node_count.has_value(), "nodeCount", std::to_string(own.node_count));
  if (!lines.empty())
    throw invalid(lines + ": leave out what " + shape.name + " decides, or create the job without a training shape");
}

// The newest validated shape that fits, as the platform chooses one for who names none.
inline const message::training_shape_version* choose_shape(const world& it, const message::training_config& config,
                                                           bool forward_only) {
  const message::training_shape_version* best = nullptr;
  for (const auto& shape : it.shapes.shapes())
    for (const auto& version : shape.versions) {
      const auto& own = version.snapshot;
      const std::string wanted = forward_only ? "reference" : config.lora_rank > 0 ? "lora" : "policy";
      const bool fits = shape.role == wanted || (wanted == "lora" && shape.role == "policy" && best == nullptr);
      if (!fits || !version.latest_validated || own.base_model != config.base_model) continue;
      if (own.max_supported_context_length < config.max_context_length.value_or(0)) continue;
      if (best == nullptr || shape.role == wanted) best = &version;
    }
  return best;
}

inline const message::training_shape_version* shape_for(const world& it, const call& request,
                                                        const message::create_trainer_job_request& given) {
  const std::string named = request.query.value("trainingShape");
  const bool forward_only = given.forward_only.value_or(false);
  if (named.empty()) {
    if (request.query.value("skipValidations") == "true") return nullptr;
    const auto* chosen = choose_shape(it, given.training_config, forward_only);
    if (chosen == nullptr)
      throw invalid("no training shape fits " + given.training_config.base_model + "; name one in trainingShape");
    return chosen;
  }
  if (!message::parse_shape_name(named))
    throw invalid("trainingShape is '" + named + "', which is no name like accounts/" + it.shapes.account() +
                  "/trainingShapes/qwen3-8b-128k-h200, with or without /versions/<version>");
  const auto* found = it.shapes.find_version(named);
  if (found == nullptr) throw not_found("there is no training shape '" + named + "', or no validated version of it");
  const auto& own = found->snapshot;
  if (own.base_model != given.training_config.base_model)
    throw invalid("the training shape " + found->name + " is for " + own.base_model + ", not for " +
                  given.training_config.base_model);
  if (own.trainer_mode.name == "FORWARD_ONLY" && !forward_only)
    throw invalid("the training shape " + found->name + " is for reference models: set forwardOnly");
  if (own.trainer_mode.name == "LORA_TRAINER" && !forward_only && given.training_config.lora_rank == 0)
    throw invalid("the training shape " + found->name + " is a LoRA trainer: set loraRank");
  refuse_locked(given, *found);
  return found;
}

// "1800s"; 400 for what is no duration, or more than the three hours that are allowed.
inline double inactivity_of(const message::create_trainer_job_request& given, const std::string& account) {
  if (given.disable_inactivity_cleanup.value_or(false)) {
    if (account != "fireworks") throw invalid("disableInactivityCleanup is for the account fireworks only");
    return 0;
  }
  if (!given.inactivity_timeout) return 3600;
  const std::string& text = *given.inactivity_timeout;
  double seconds = -1;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (parsed.ec != std::errc() || std::string_view(parsed.ptr) != "s" || !(seconds >= 0))
    throw invalid("inactivityTimeout is '" + text + "'; it is a duration like 1800s");
  if (seconds > 3 * 3600) throw invalid("inactivityTimeout is " + text + "; at most 10800s are allowed");
  return seconds;
}

inline void check_job(world& it, const message::create_trainer_job_request& given, const std::string& id) {
  if (!message::is_resource_id(id))
    throw invalid("rlorTrainerJobId is '" + id.substr(0, 100) + "' (" + std::to_string(id.size()) +
                  " characters); an id has 1 to 63 lower-case letters, digits and '-'");
  const auto& config = given.training_config;
  if (!given.service_mode) throw invalid("serviceMode is not set; the embedded platform has no managed training");
  if (!it.knows_model(config.base_model)) throw invalid("there is no base model '" + config.base_model + "'");
  if (config.lora_rank < 0 || config.lora_rank > 4096) throw invalid("trainingConfig.loraRank must be 0 to 4096");
  if (given.display_name.value_or("").size() >= 64)
    throw invalid("displayName has " + std::to_string(given.display_name->size()) +
                  " bytes; fewer than 64 are allowed");
  constexpr std::int64_t most = 4096;  // of anything that is counted
  for (const auto& [count, name] :
       {std::pair(given.trainer_replica_count, "trainerReplicaCount"), std::pair(given.node_count, "nodeCount"),
        std::pair(config.accelerator_count, "trainingConfig.acceleratorCount")})
    if (count.value_or(1) < 1 || count.value_or(1) > most)
      throw invalid(std::string(name) + " must be 1 to " + std::to_string(most));
}

inline void check_quota(world& it, std::int64_t accelerators) {
  std::int64_t jobs = 0, used = 0;
  for (auto& [id, each] : it.jobs)
    if (!world::is_over(it.state_of(each))) ++jobs, used += each.accelerators;
  const auto& quotas = it.options.quotas;
  if (jobs >= quotas.trainer_jobs)
    throw over_quota("the account has " + std::to_string(jobs) + " trainer jobs, and may have " +
                         std::to_string(quotas.trainer_jobs) + "; delete one",
                     1, quotas.trainer_jobs - jobs);
  if (used + accelerators > quotas.accelerators)
    throw over_quota("the job needs " + std::to_string(accelerators) + " accelerators; of the account's " +
                         std::to_string(quotas.accelerators) + ", " + std::to_string(used) + " are used",
                     accelerators, quotas.accelerators - used);
}

inline void start_job(world& it, job_record& job, double from) {
  const auto& delays = it.options.delays;
  if (delays.job_pending > 0) job.states.begin(from, "JOB_STATE_PENDING");
  job.states.begin(from + delays.job_pending, "JOB_STATE_CREATING");
  const double ready = from + delays.job_pending + delays.job_creating;
  job.states.begin(ready, job.failure.empty() ? "JOB_STATE_RUNNING" : "JOB_STATE_FAILED");
  job.healthy_at = ready + delays.job_unhealthy;
  job.last_activity = ready;
}

// The job as it is told of now.
inline http_response tell(world& it, job_record& job, int status = 200) {
  message::trainer_job told = job.about;
  told.state = it.state_of(job);
  if (it.http != nullptr)
    told.direct_route_handle = it.http->base_url() + "/direct/" + it.options.account + "/" + job.id;
  const bool failed = told.state == "JOB_STATE_FAILED" && !job.failure.empty();
  if (world::is_over(told.state)) told.completed_time = it.clock.text(job.states.since(it.now()));
  if (failed && job.failure_place == "statusMessage") told.status_message = job.failure;
  if (failed && job.failure_place == "message") told.message = job.failure;
  std::string json = message::to_json(told);
  wire::json_writer quoted;
  quoted.string(job.failure);
  const std::string text = std::move(quoted).take();
  if (failed && job.failure_place == "status") json = with_member(json, "\"status\":" + text);
  if (failed && job.failure_place.starts_with("status."))
    json = with_member(json, "\"status\":{\"code\":\"INTERNAL\",\"" + job.failure_place.substr(7) + "\":" + text + "}");
  return detail::json_reply(std::move(json), status);
}

inline http_response create_job(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  if (it.closing) throw unavailable("the platform is going away");
  const auto given = parse<message::create_trainer_job_request>(request);
  std::string id = request.query.value("rlorTrainerJobId");
  if (id.empty()) id = "job-" + detail::random_hex().substr(0, 8);
  check_job(it, given, id);
  if (it.jobs.count(id) > 0) throw exists("the trainer job '" + id + "' exists already");
  if (request.query.value("skipValidations") == "true" && !it.options.superuser)
    throw invalid("skipValidations is for superusers; name a trainingShape");
  const auto* shape = shape_for(it, request, given);
  const std::string deployment = given.hot_load_deployment_id.value_or(request.query.value("deploymentId"));
  if (!deployment.empty() && it.find_deployment(message::last_segment(deployment)) == nullptr)
    throw invalid("hotLoadDeploymentId names '" + deployment + "', which does not exist; create the deployment first");
  const std::int64_t accelerators =
      shape ? shape->snapshot.accelerator_count * shape->snapshot.node_count
            : given.training_config.accelerator_count.value_or(1) * given.node_count.value_or(1);
  const double inactivity = inactivity_of(given, it.options.account);
  check_quota(it, accelerators * given.trainer_replica_count.value_or(1));
  job_record made{.id = id, .inactivity_seconds = inactivity, .accelerators = accelerators};
  made.about = {.name = it.account_name() + "/rlorTrainerJobs/" + id,
                .display_name = given.display_name.value_or(""),
                .training_config = given.training_config,
                .training_shape = shape ? shape->name : "",
                .node_count = shape ? shape->snapshot.node_count : given.node_count.value_or(1),
                .forward_only = given.forward_only.value_or(false),
                .service_mode = true,
                .hot_load_deployment_id = deployment,
                .create_time = it.clock.text(it.now()),
                .created_by = "gradwire"};
  if (shape) made.about.training_config.max_context_length = shape->snapshot.max_supported_context_length;
  made.files = it.files.own_folder("jobs") / id;
  static_cast<void>(detail::checkpoint_store(made.files));  // makes the folder
  if (const auto place = it.faults.happens("job_fails")) {
    made.failure = "the trainer could not be started: no node was free";
    made.failure_place = *place;
  }
  it.count(tally::jobs_created);
  job_record& kept = it.jobs.emplace(id, std::move(made)).first->second;
  start_job(it, kept, it.now());
  return tell(it, kept);
}

inline http_response get_job(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  job_record& found = it.job(request.arguments.at(1));
  return tell(it, found);
}

inline http_response list_jobs(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  std::vector<std::string> items;
  for (auto& [id, job] : it.jobs)
    if (it.state_of(job) != "JOB_STATE_DELETED") items.push_back(tell(it, job).body);
  return list_reply("rlorTrainerJobs", list_page(std::move(items), request.query));
}

// What is left is a tombstone: its checkpoints can be listed and promoted for thirty days.
inline http_response delete_job(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  job_record& job = it.job(request.arguments.at(1));
  if (it.state_of(job) == "JOB_STATE_DELETED") return empty_answer();
  it.count(tally::jobs_deleted);
  job.states.begin(it.now(), "JOB_STATE_DELETED");
  it.stop_trainer(job);
  return empty_answer();
}

inline http_response cancel_job(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  job_record& job = it.job(request.arguments.at(1));
  const std::string state = it.state_of(job);
  if (world::is_over(state)) throw not_now("cannot cancel job in state: " + state);
  job.states.begin(it.now(), "JOB_STATE_CANCELLED");
  it.stop_trainer(job);
  return tell(it, job);
}

inline http_response resume_job(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  job_record& job = it.job(request.arguments.at(1));
  const std::string state = it.state_of(job);
  if (state == "JOB_STATE_DELETED" || state == "JOB_STATE_ARCHIVED")
    throw not_now("cannot resume job in state: " + state + "; create one with another id");
  if (!world::is_over(state)) return tell(it, job);  // it runs
  check_quota(it, job.accelerators);
  it.count(tally::jobs_resumed);
  job.failure.clear();
  start_job(it, job, it.now() + it.options.delays.job_resuming);
  return tell(it, job);
}

inline http_response execute_train_step(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  it.job(request.arguments.at(1));
  throw not_now("executeTrainStep is not for jobs in service mode; call the trainer");
}

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
