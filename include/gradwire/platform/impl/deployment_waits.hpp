// SPDX-License-Identifier: Apache-2.0
// More of the steps that the calls of deployments.hpp are made of: wait, delete, change.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <gradwire/platform/impl/ask_once.hpp>
#include <gradwire/platform/impl/deployment_steps.hpp>
#include <gradwire/platform/impl/waiting.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

// One completion of four tokens: does it sample?
inline http_request small_completion(const std::string& model) {
  wire::platform::completion_request body;
  body.model = model;
  body.prompt = {1, 2};
  body.max_tokens = 4;
  body.temperature = 0;
  http_request made;
  made.target = "/inference/v1/completions";
  made.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}};
  made.body = wire::platform::to_json(body);
  return made;
}

inline task<deployment> wait_for_deployment(flow& f, std::string id, deployment_wait_options how,
                                            progress_handler told) {
  const time_point begun = f.net().now();
  wait_progress at;
  at.what = "deployment " + id;
  for (;;) {
    deployment seen = co_await get_deployment(f, id);
    ++at.polls;
    at.state = seen.state_text;
    at.detail = seen.why;
    at.elapsed_seconds = std::chrono::duration<double>(f.net().now() - begun).count();
    report(told, at);
    const std::string said = seen.why.empty() ? "" : ": " + seen.why;
    if (seen.state == deployment_state::ready) co_return seen;
    if (is_terminal(seen.state))
      stop_waiting(errc::status, at,
                   "it will not serve, its state is " + at.state + said +
                       ". create_or_get() makes it again; or take another deployment_id");
    if (seen.state == deployment_state::creating) {  // it may sample before it is told to be ready
      http_request small = small_completion(seen.name);
      const int status = co_await probe(f, f.core().inference, std::move(small), 10);
      if (status == 200) co_return seen;
    }
    const double left = how.ready_seconds - std::chrono::duration<double>(f.net().now() - begun).count();
    if (left <= 0)
      stop_waiting(errc::timeout, at,
                   "it is not ready after ready_seconds = " + v0::detail::seconds_text(how.ready_seconds) +
                       ", its state is " + at.state + said + ". Wait longer, or look whether its shape has hardware");
    co_await sleep(f, std::min(how.poll_seconds, left));
  }
}

inline task<bool> delete_deployment(flow& f, std::string id, double settle_seconds = 0) {
  const std::string path = co_await deployment_path(f, id);
  question asked;
  asked.name = "delete deployment";
  asked.subject = id;
  asked.target = path + "?ignoreChecks=true&hard=true";
  const bool there = co_await ask_to_delete(f, std::move(asked), settle_seconds);
  f.core().served_models.erase(id);
  f.core().with_replicas.erase(id);
  co_return there;
}

inline task<deployment> create_or_get_deployment(flow& f, deployment_request wanted, deployment_wait_options how,
                                                 progress_handler told) {
  const std::optional<deployment> found = co_await find_deployment(f, wanted.id);
  if (found && !is_terminal(found->state)) {
    check_is_wanted(*found, wanted);
    deployment usable = *found;
    usable.existed = true;
    co_return usable;
  }
  if (found) {
    if (found->state == deployment_state::failed) {
      const bool there = co_await delete_deployment(f, wanted.id);
      static_cast<void>(there);
    }
    const time_point begun = f.net().now();
    wait_progress at;
    at.what = "the end of deployment " + wanted.id;
    for (;;) {
      const std::optional<deployment> left_over = co_await find_deployment(f, wanted.id);
      if (!left_over || left_over->state == deployment_state::deleted) break;
      ++at.polls;
      at.state = left_over->state_text;
      at.elapsed_seconds = std::chrono::duration<double>(f.net().now() - begun).count();
      report(told, at);
      if (at.elapsed_seconds >= how.ready_seconds)
        stop_waiting(errc::timeout, at, "it is still there (" + at.state + "); take another deployment_id");
      co_await sleep(f, std::min(2.0, how.poll_seconds));
    }
  }
  co_return co_await create_deployment(f, std::move(wanted));
}

inline task<deployment> update_deployment(flow& f, std::string id, wire::platform::update_deployment_request change,
                                          std::string mask) {
  question asked;
  asked.name = "change deployment";
  asked.subject = id;
  asked.method = "PATCH";
  const std::string path = co_await deployment_path(f, id);
  asked.target = path + "?updateMask=" + wire::platform::query_escaped(mask);
  asked.body = wire::platform::to_json(change);
  asked.effect = effect::repeats;  // the same values twice are the same values
  asked.attempt_seconds = 60;
  const auto changed = co_await ask_for<wire::platform::deployment>(f, std::move(asked));
  deployment made = describe(changed);
  if (made.name.empty()) made.name = path.substr(4);
  if (made.id.empty()) made.id = id;
  co_return made;
}

inline task<deployment> attach_trainer_job(flow& f, std::string id, std::string job, deployment_wait_options how,
                                           progress_handler told) {
  deployment seen = co_await wait_for_deployment(f, id, how, told);
  if (seen.hot_load_trainer_job == job) co_return seen;
  wire::platform::update_deployment_request change;
  change.hot_load_trainer_job = job;
  co_await update_deployment(f, id, change, "hot_load_trainer_job");
  f.core().with_replicas.erase(id);  // other pods come, and the first load waits for one
  const time_point begun = f.net().now();
  wait_progress at;
  at.what = "deployment " + id + " to follow trainer job " + wire::platform::last_segment(job);
  for (;;) {
    seen = co_await get_deployment(f, id);
    ++at.polls;
    at.state = seen.state_text;
    at.detail = seen.why;
    at.elapsed_seconds = std::chrono::duration<double>(f.net().now() - begun).count();
    report(told, at);
    if (seen.state == deployment_state::ready && seen.hot_load_trainer_job == job) co_return seen;
    if (is_terminal(seen.state)) stop_waiting(errc::status, at, "its state is " + at.state);
    if (at.elapsed_seconds >= how.ready_seconds)
      stop_waiting(errc::timeout, at, "it is " + at.state + " and follows '" + seen.hot_load_trainer_job + "'");
    co_await sleep(f, how.poll_seconds);
  }
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
