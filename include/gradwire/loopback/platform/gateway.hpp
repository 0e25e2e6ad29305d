// SPDX-License-Identifier: Apache-2.0
// The gateway: requests below /training/v1/rlorTrainerJobs/<account>/<job> are the job's trainer's. Names of checkpoints
// are bare there, as on the hosted platform: what the trainer calls tinker://<run>/weights/<name> is <name>.
#pragma once

#include <gradwire/loopback/platform/promote_api.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

inline constexpr std::string_view gateway_prefix = "/training/v1/rlorTrainerJobs/";
inline constexpr std::string_view direct_prefix = "/direct/";

// {"path": "tinker://<run>/weights/<name>", …} -> {"path": "<name>", …}
inline std::string with_bare_path(std::string body) {
  constexpr std::string_view mark = "\"path\":\"tinker://";
  const auto at = body.find(mark);
  if (at == body.npos) return body;
  const auto begin = at + std::string_view("\"path\":\"").size();
  const auto end = body.find('"', begin);
  if (end == body.npos) return body;
  const auto name = message::last_segment(std::string_view(body).substr(begin, end - begin));
  return body.replace(begin, end - begin, name);
}

// The trainer's own path of what a client calls <name>, cross_job://<job>/<name> or by that path.
inline std::string trainer_path(world& it, const job_record& job, const std::string& given) {
  constexpr std::string_view scheme = "cross_job://";
  const detail::checkpoint_store mine(job.files);
  if (given.starts_with("tinker://")) return given;
  std::string name = given;
  std::optional<detail::checkpoint_store> other;
  std::string job_id;
  if (given.starts_with(scheme)) {
    const std::string_view rest = std::string_view(given).substr(scheme.size());
    const auto slash = rest.find('/');
    if (slash == rest.npos) throw detail::refusal{400, "'" + given + "' is no path like cross_job://<job>/<name>"};
    job_id = rest.substr(0, slash);
    name = rest.substr(slash + 1);
    other.emplace(it.job(job_id).files);
  }
  if (!wire::is_checkpoint_name(name))
    throw detail::refusal{400, "'" + given.substr(0, 200) + "' is no name of a checkpoint"};
  const detail::checkpoint_store& store = other ? *other : mine;
  std::filesystem::path newest;
  std::string path;
  for (const auto& run : store.runs())
    for (const auto kind : {wire::checkpoint_kind::training, wire::checkpoint_kind::sampler}) {
      if (!store.exists(run, kind, name)) continue;
      const auto folder = store.place(run, kind, name);
      std::error_code none;
      const bool newer = newest.empty() || std::filesystem::last_write_time(folder, none) >
                                               std::filesystem::last_write_time(newest, none);
      if (newer) newest = folder, path = wire::to_string({run, kind, name});
    }
  if (newest.empty()) throw detail::refusal{404, "Checkpoint not found: " + given};
  if (!other) return path;
  const std::string run = std::string(copied_run) + job_id;
  constexpr auto kind = wire::checkpoint_kind::training;
  copy_checkpoint(newest, mine.place(run, kind, name));
  return wire::to_string({run, kind, name});
}

inline void check_create_model(const job_record& job, const http_request& request) {
  const auto given = wire::from_json<wire::create_model_request>(request.body);
  const std::int64_t capacity = job.about.training_config.lora_rank;
  if (given.lora_config && given.lora_config->rank > capacity)
    throw detail::refusal{400, "the trainer job " + job.id + " was created for LoRA rank " + std::to_string(capacity) +
                                   "; a model of rank " + std::to_string(given.lora_config->rank) +
                                   " needs a job with a larger loraRank"};
}

inline http_response list_state_checkpoints(const job_record& job) {
  const detail::checkpoint_store store(job.files);
  wire::json_writer out;
  out.begin_object();
  out.key("checkpoints").begin_array();
  for (const auto& run : store.runs())
    for (const auto& each : store.list(run))
      if (each.checkpoint_type == "training" && !run.starts_with(copied_run))
        out.string(message::last_segment(each.checkpoint_id));
  out.end_array();
  out.end_object();
  return detail::json_reply(std::move(out).take());
}

// The trainer of a job that runs, or why it cannot be called.
inline hosted_trainer& trainer_of(world& it, job_record& job, bool direct, bool is_health) {
  const std::string state = it.state_of(job);
  if (state == "JOB_STATE_DELETED")
    throw detail::refusal{404, "the trainer job " + job.id + " was deleted; create another one"};
  if (state != "JOB_STATE_RUNNING")
    throw detail::refusal{503, "the trainer job " + job.id + " does not run: it is " + state};
  if (it.now() < job.healthy_at) throw detail::refusal{503, "the trainer of " + job.id + " is still starting"};
  if (is_health && !direct && it.faults.happens("gateway_unhealthy"))
    throw detail::refusal{503, "the gateway cannot reach the trainer of " + job.id};
  if (!job.trainer) {
    const std::string token = it.options.token;
    job.trainer = std::make_shared<hosted_trainer>(it.options, it.base(job.about.training_config.base_model), job.files,
                                                   token, *it.http);
  }
  job.last_activity = it.now();
  return *job.trainer;
}

inline void pass(world& it, const std::string& account, const std::string& id, bool direct, std::string target,
                 http_request request, const http_server::responder& respond) {
  if (account != it.options.account) throw detail::refusal{403, "this key has no access to the account " + account};
  job_record* job = it.find_job(id);
  if (job == nullptr) throw detail::refusal{404, "there is no trainer job " + id};
  const std::string path = target.substr(0, target.find('?'));
  hosted_trainer& trainer = trainer_of(it, *job, direct, path == "/api/v1/healthz");
  const bool steps = path == "/api/v1/forward_backward" || path == "/api/v1/optim_step";
  if (job->about.forward_only && steps)
    throw detail::refusal{400, "the trainer job " + id +
                                   " is forward-only: it has no backward pass and no optimizer; " +
                                   "train with a policy job, and call forward here"};
  if (path == "/api/v1/list_checkpoints" && request.method == "GET") return respond(list_state_checkpoints(*job));
  if (request.method == "POST" && request.header("Content-Encoding").empty()) {
    if (path == "/api/v1/create_model") check_create_model(*job, request);
    if (path == "/api/v1/load_weights") {
      auto given = wire::from_json<wire::load_weights_request>(request.body);
      given.path = trainer_path(it, *job, given.path);
      request.body = wire::to_json(given);
    }
    if (path == "/api/v1/weights_info") {
      auto given = wire::from_json<wire::weights_info_request>(request.body);
      given.tinker_path = trainer_path(it, *job, given.tinker_path);
      request.body = wire::to_json(given);
    }
  }
  request.target = std::move(target);
  trainer.serve(
      std::move(request), path != "/api/v1/retrieve_future" ? respond : [respond](http_response reply) {
        if (reply.status == 200) reply.body = with_bare_path(std::move(reply.body));
        respond(std::move(reply));
      });
}

// Whether the request is a trainer's; then it has been answered, or will be.
inline bool serve_trainer(world& it, http_request& request, const http_server::responder& respond) {
  const bool direct = request.target.starts_with(direct_prefix);
  if (!direct && !request.target.starts_with(gateway_prefix)) return false;
  const std::string_view rest =
      std::string_view(request.target).substr(direct ? direct_prefix.size() : gateway_prefix.size());
  const auto first = rest.find('/');
  const auto second = first == rest.npos ? rest.npos : rest.find('/', first + 1);
  try {
    if (second == rest.npos) throw detail::refusal{404, "Not Found"};
    const std::string account(rest.substr(0, first)), id(rest.substr(first + 1, second - first - 1));
    std::string target(rest.substr(second));
    const std::string name = target.substr(0, target.find('?'));
    const std::string operation = "trainer/" + message::last_segment(name);
    for (const auto& each : {std::string("trainer"), operation})
      if (const auto struck = it.faults.strikes("refuse", each)) {
        auto reply = detail::detail_reply(struck->status, "the gateway is not well");
        if (!struck->retry_after.empty()) reply.headers.push_back({"Retry-After", struck->retry_after});
        respond(std::move(reply));
        return true;
      }
    pass(it, account, id, direct, std::move(target), std::move(request), respond);
  } catch (const detail::refusal& refused) {
    respond(detail::detail_reply(refused.status, refused.sentence));
  } catch (const refusal& refused) {
    respond(detail::detail_reply(refused.http_status, refused.sentence));
  } catch (const wire::validation_error& wrong) {
    respond(detail::validation_reply(wrong.issues()));
  } catch (const error& wrong) {
    const wire::validation_issue issue{{"body"}, "decode_error", wrong.what()};
    respond(wrong.kind() == errc::decode ? detail::validation_reply({&issue, 1})
                                         : detail::detail_reply(400, wrong.what()));
  }
  return true;
}

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
