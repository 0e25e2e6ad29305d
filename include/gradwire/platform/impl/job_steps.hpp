// SPDX-License-Identifier: Apache-2.0
// The steps that the calls of trainer_jobs.hpp are made of: look, create once, wait, resume.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/platform/impl/ask.hpp>
#include <gradwire/platform/impl/job_request.hpp>
#include <gradwire/platform/job_handle.hpp>
#include <gradwire/platform/wait_options.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

inline trainer_job describe(const wire::platform::trainer_job& from) {
  trainer_job made;
  made.name = from.name;
  made.id = wire::platform::last_segment(from.name);
  made.state = parse_job_state(from.state);
  made.state_text = from.state;
  made.why = v0::detail::printable(from.why(), 1000);
  made.display_name = from.display_name;
  made.base_model = from.training_config.base_model;
  made.lora_rank = static_cast<int>(from.training_config.lora_rank);
  made.forward_only = from.forward_only;
  made.max_context_length = from.training_config.max_context_length.value_or(0);
  made.training_shape = from.training_shape;
  made.hot_load_deployment_id = from.hot_load_deployment_id;
  made.direct_route_handle = from.direct_route_handle;
  made.create_time = from.create_time;
  return made;
}

// The id, also of a whole name. Throws error{config} for what is neither.
inline std::string id_of(const std::string& id_or_name, const char* collection, const char* what) {
  const auto name = wire::platform::parse_resource_name(id_or_name);
  std::string id = name && name->collection == collection && name->subcollection.empty() ? name->id : id_or_name;
  complaints wrong;
  check_id(wrong, "the id", id);
  wrong.throw_if_any(std::string("this is no ") + what);
  return id;
}
inline std::string job_id_of(const std::string& id) { return id_of(id, "rlorTrainerJobs", "trainer job"); }

// Looks at a job; nothing where there is none.
inline task<std::optional<trainer_job>> find_job(flow& f, std::string id) {
  const std::string account_id = co_await account(f);
  question asked;
  asked.name = "get trainer job";
  asked.subject = id;
  asked.target = "/v1/accounts/" + account_id + "/rlorTrainerJobs/" + id;
  asked.also = {404};
  const question kept = asked;
  const answer said = co_await ask(f, std::move(asked));
  std::optional<trainer_job> found;
  if (said.status != 404) {
    found = describe(read_answer<wire::platform::trainer_job>(f.core(), kept, said));
    if (found->id.empty()) found->id = id;
    if (found->name.empty()) found->name = "accounts/" + account_id + "/rlorTrainerJobs/" + id;
  }
  co_return found;
}

[[noreturn]] inline void no_such_job(const std::string& id) {
  error_details details;
  details.operation = "get trainer job";
  details.value = id;
  details.http_status = 404;
  throw error(errc::status,
              "there is no trainer job '" + v0::detail::printable(id, 80) +
                  "' in this account; trainer_jobs().list() shows what there is (a deleted one is gone after 30 days)",
              std::move(details));
}

inline task<trainer_job> get_job(flow& f, std::string id) {
  std::optional<trainer_job> found = co_await find_job(f, id);
  if (!found) no_such_job(id);
  co_return std::move(*found);
}

inline std::string url_of(const client_core& core, const std::string& job_name) {
  const auto name = wire::platform::parse_resource_name(job_name);
  if (!name)
    throw error(errc::protocol, "the platform calls the job '" + v0::detail::printable(job_name, 80) +
                                    "', which is no accounts/<a>/rlorTrainerJobs/<id>");
  return core.gateway->address.text() + "/training/v1/rlorTrainerJobs/" + name->account + "/" + name->id;
}

// The id was taken: by this very job, when an earlier attempt got through, or by another.
inline void check_is_ours(const trainer_job& found, const job_request& wanted) {
  if (is_tombstone(found.state))
    throw error(errc::config, "the job id '" + found.id + "' was used before and is archived (" + found.state_text +
                                  "); take a new job_id");
  std::string other;
  const auto differs = [&](const char* what, const std::string& is, const std::string& should) {
    if (!is.empty() && is != should) other += (other.empty() ? "" : ", ") + std::string(what) + " " + is;
  };
  const auto& config = wanted.body.training_config;
  differs("base model", found.base_model, config.base_model);
  if (!found.base_model.empty() && found.lora_rank != config.lora_rank)
    differs("lora_rank", std::to_string(found.lora_rank), std::to_string(config.lora_rank));
  if (found.forward_only != wanted.body.forward_only.value_or(false))
    differs("kind", found.forward_only ? "forward-only" : "policy", "");
  differs("training shape", found.training_shape, wanted.shape);
  if (!other.empty())
    throw error(errc::config, "the job id '" + found.id + "' is taken by another job (" +
                                  v0::detail::printable(other, 300) + "); take another job_id, or attach to that one");
}

inline task<job_handle> create_job(flow& f, job_request wanted) {
  const std::string account_id = co_await account(f);
  question asked;
  asked.name = "create trainer job";
  asked.subject = wanted.id;
  asked.method = "POST";
  asked.target = "/v1/accounts/" + account_id + "/rlorTrainerJobs" + wire::platform::query_text(wanted.query);
  asked.body = wire::platform::to_json(wanted.body);
  asked.effect = effect::repeats;  // the id is ours: a second one is a 409
  asked.attempt_seconds = 60;
  asked.also = {409};
  asked.ways_out = {{404, "check training_shape_ref and base_model: one of them is not there for this key"}};
  if (wanted.shape.empty())
    asked.ways_out.emplace_back(400,
                                "a launch without a shape skips validations, which most keys may not; take a shape");
  const question kept = asked;
  const answer said = co_await ask(f, std::move(asked));
  job_handle made;
  if (said.status == 409) {
    std::optional<trainer_job> found = co_await find_job(f, wanted.id);
    if (!found) throw_refusal(f.core(), kept, said.status, said.body, said.attempts, said.elapsed_seconds);
    check_is_ours(*found, wanted);
    made.info = std::move(*found);
    made.existed = !said.maybe_earlier;
  } else {
    made.info = describe(read_answer<wire::platform::trainer_job>(f.core(), kept, said));
    if (made.info.name.empty()) made.info.name = "accounts/" + account_id + "/rlorTrainerJobs/" + wanted.id;
    if (made.info.id.empty()) made.info.id = wanted.id;
    if (made.info.base_model.empty()) {
      made.info.base_model = wanted.body.training_config.base_model;
      made.info.lora_rank = static_cast<int>(wanted.body.training_config.lora_rank);
    }
    made.info.forward_only = wanted.body.forward_only.value_or(false);
  }
  if (made.info.training_shape.empty()) made.info.training_shape = wanted.shape;
  made.url = url_of(f.core(), made.info.name);
  co_return made;
}

inline void report(const progress_handler& told, const wait_progress& now) {
  if (!told) return;
  try {
    told(now);
  } catch (...) {
    v0::detail::report_lost_error(std::current_exception());  // the wait must not suffer
  }
}

[[noreturn]] inline void stop_waiting(errc kind, const wait_progress& at, const std::string& sentence) {
  error_details details;
  details.operation = "wait for " + at.what;
  details.attempts = static_cast<int>(at.polls);
  details.elapsed_seconds = at.elapsed_seconds;
  details.value = at.state;
  throw error(kind,
              "wait for " + at.what + " (" + std::to_string(at.polls) + (at.polls == 1 ? " look, " : " looks, ") +
                  v0::detail::seconds_text(at.elapsed_seconds) + "): " + sentence,
              std::move(details));
}

// Where the trainer answers: the gateway, else the host that the job names, where that is allowed. "": nowhere yet.
inline task<std::string> find_trainer(flow& f, const trainer_job& job, bool direct_route) {
  const client_core& core = f.core();
  const std::string url = url_of(core, job.name);
  http_request question_of_health;
  question_of_health.method = "GET";
  question_of_health.target = url.substr(core.gateway->address.text().size()) + "/api/v1/healthz";
  const int status = co_await probe(f, core.gateway, std::move(question_of_health), 5);
  if (status == 200) co_return url;
  if (!direct_route || job.direct_route_handle.empty()) co_return std::string();
  auto peer = std::make_shared<http_peer>(*core.gateway);
  const std::string& handle = job.direct_route_handle;
  peer->address = parse_url(handle.find("://") == std::string::npos ? "https://" + handle : handle);
  const std::string direct = peer->address.text();
  http_request asked_directly;
  asked_directly.method = "GET";
  asked_directly.target = "/api/v1/healthz";
  const int direct_status = co_await probe(f, std::move(peer), std::move(asked_directly), 5);
  co_return direct_status == 200 ? direct : std::string();
}

inline task<job_handle> wait_for_job(flow& f, job_handle job, job_wait_options how, progress_handler told) {
  const time_point begun = f.net().now();
  std::optional<time_point> placed;  // first seen out of PENDING
  wait_progress at;
  at.what = "trainer job " + job.info.id;
  for (;;) {
    trainer_job seen = co_await get_job(f, job.info.id);
    const time_point now = f.net().now();
    ++at.polls;
    at.state = seen.state_text;
    at.detail = seen.why;
    at.elapsed_seconds = std::chrono::duration<double>(now - begun).count();
    if (seen.training_shape.empty()) seen.training_shape = job.info.training_shape;
    job.info = std::move(seen);
    report(told, at);
    const std::string said = job.info.why.empty() ? "" : ": " + job.info.why;
    if (is_tombstone(job.info.state))
      stop_waiting(errc::status, at, "it is deleted (" + at.state + "); create another, with a new job_id");
    if (is_terminal(job.info.state) && at.elapsed_seconds >= how.settle_seconds)
      stop_waiting(errc::status, at,
                   "it will not run, its state is " + at.state + said +
                       ". reconnect() resumes a job that has stopped; else create another");
    if (job.info.state == job_state::running) {
      job.url = co_await find_trainer(f, job.info, how.direct_route);
      if (!job.url.empty()) co_return job;
      at.detail = "its trainer does not answer yet";
    }
    double left = 0;
    if (job.info.state == job_state::pending) {
      left = how.pending_seconds - at.elapsed_seconds;
      if (left <= 0)
        stop_waiting(errc::timeout, at,
                     "it is still PENDING after pending_seconds = " + v0::detail::seconds_text(how.pending_seconds) +
                         said + ". It waits for hardware: wait longer, or take a smaller shape");
    } else {
      if (!placed) placed = now;
      left = how.ready_seconds - std::chrono::duration<double>(now - *placed).count();
      if (left <= 0)
        stop_waiting(errc::timeout, at,
                     "it is not ready ready_seconds = " + v0::detail::seconds_text(how.ready_seconds) +
                         " after it had its hardware; its state is " + at.state +
                         (at.detail.empty() ? said : ": " + at.detail) + ". Wait longer, or look at the job's log");
    }
    co_await sleep(f, std::min(how.poll_seconds, left));
  }
}

inline task<trainer_job> resume_job(flow& f, std::string id) {
  const std::string account_id = co_await account(f);
  question asked;
  asked.name = "resume trainer job";
  asked.subject = id;
  asked.method = "POST";
  asked.target = "/v1/accounts/" + account_id + "/rlorTrainerJobs/" + id + ":resume";
  asked.effect = effect::repeats;
  asked.attempt_seconds = 60;
  asked.also = {400, 409};  // also what a second one gets when the first one's answer was lost
  const question kept = asked;
  const answer said = co_await ask(f, std::move(asked));
  trainer_job job = co_await get_job(f, id);
  if (said.status >= 400 && (!said.maybe_earlier || is_terminal(job.state)))
    throw_refusal(f.core(), kept, said.status, said.body, said.attempts, said.elapsed_seconds);
  co_return job;
}

inline bool is_resumable(job_state state) {
  return state == job_state::failed || state == job_state::cancelled || state == job_state::paused ||
         state == job_state::completed || state == job_state::expired || state == job_state::early_stopped;
}

inline task<job_handle> reconnect_job(flow& f, std::string id, job_wait_options how, progress_handler told) {
  job_handle job;
  job.info = co_await get_job(f, id);
  for (int looks = 0; job.info.state == job_state::cancelling; ++looks) {  // until it can be resumed
    if (looks >= 24) {
      wait_progress at;
      at.what = "trainer job " + id;
      at.state = job.info.state_text;
      at.polls = static_cast<std::size_t>(looks);
      stop_waiting(errc::timeout, at, "it does not get out of " + at.state);
    }
    co_await sleep(f, how.poll_seconds);
    job.info = co_await get_job(f, id);
  }
  if (is_resumable(job.info.state)) {
    const trainer_job resumed = co_await resume_job(f, id);
    job.info = resumed;
    how.settle_seconds = std::max(how.settle_seconds, 30.0);
  }
  co_return co_await wait_for_job(f, std::move(job), how, std::move(told));
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
