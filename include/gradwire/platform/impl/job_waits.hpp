// SPDX-License-Identifier: Apache-2.0
// More of the steps that the calls of trainer_jobs.hpp are made of: wait, resume, cancel, delete.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <gradwire/platform/impl/ask_once.hpp>
#include <gradwire/platform/impl/job_steps.hpp>
#include <gradwire/platform/impl/peer.hpp>
#include <gradwire/platform/impl/waiting.hpp>
#include <gradwire/trainer/records.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

struct trainer_place {
  std::string url{};      // "": nowhere yet
  std::string why_not{};  // the direct route cannot be taken
};

// Where the trainer answers: the gateway, else the host that the job names, where that is allowed.
inline task<trainer_place> find_trainer(flow& f, const trainer_job& job, bool direct_route) {
  const client_core& core = f.core();
  trainer_place found;
  found.url = url_of(core, job.name);
  http_request by_gateway;
  by_gateway.method = "GET";
  by_gateway.target = found.url.substr(core.gateway->address.text().size()) + "/api/v1/healthz";
  int status = co_await probe(f, core.gateway, std::move(by_gateway), 5);
  if (status == 200) co_return found;
  found.url.clear();
  const std::string& handle = job.direct_route_handle;
  if (!direct_route || handle.empty()) co_return found;
  std::shared_ptr<const http_peer> peer;
  try {
    peer = peer_for(handle.find("://") == std::string::npos ? "https://" + handle : handle, core.api->key,
                    core.options(), true);
  } catch (const error& refused) {  // the gateway may come yet
    found.why_not = std::string("the direct route is not taken: ") + refused.what();
    co_return found;
  }
  http_request directly;
  directly.method = "GET";
  directly.target = "/api/v1/healthz";
  status = co_await probe(f, peer, std::move(directly), 5);
  if (status == 200) found.url = peer->address.text();
  co_return found;
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
      const trainer_place place = co_await find_trainer(f, job.info, how.direct_route);
      job.url = place.url;
      if (!job.url.empty()) co_return job;
      at.detail = "its trainer does not answer yet" + (place.why_not.empty() ? "" : "; " + place.why_not);
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

// What "resume" and "cancel" have in common. When the answer is lost nobody knows whether it was done, but the job's state
// tells: it is looked at, and asked again only where it is not as it was to be.
struct job_change {
  std::string verb{};
  std::string body{};
  bool (*is_done)(job_state) = nullptr;
  bool may_be_done_before = false;  // a job that is so already is no error
};

inline task<completed> change_job(flow& f, std::string id, job_change change) {
  const time_point begun = f.net().now();
  const std::string account_id = co_await account(f);
  question asked;
  asked.name = change.verb + " trainer job";
  asked.subject = id;
  asked.method = "POST";
  asked.target = "/v1/accounts/" + account_id + "/rlorTrainerJobs/" + id + ":" + change.verb;
  asked.body = change.body;
  asked.effect = effect::mutates;
  asked.attempt_seconds = 60;
  asked.also = {400, 409};  // also what a second one gets when the first one's answer was lost
  asked.way_out_unknown = "Look at its state with trainer_jobs().get() before you repeat it";
  const client_options& options = f.core().options();
  bool maybe_done = change.may_be_done_before;
  for (double pause = options.retry.first_pause_seconds;;
       pause = std::min(2 * pause, options.retry.longest_pause_seconds)) {
    const fate came = co_await ask_once(f, asked);
    if (!came.unknown && came.said.status < 300) break;
    maybe_done = maybe_done || came.unknown;
    std::optional<trainer_job> job;
    try {
      job = co_await find_job(f, id);
    } catch (const error&) {
      f.check();  // a look that fails says nothing
    }
    if (job && maybe_done && change.is_done(job->state)) break;
    if (!came.unknown)
      throw_refusal(f.core(), asked, came.said.status, came.said.body, came.said.attempts, came.said.elapsed_seconds);
    const double elapsed = std::chrono::duration<double>(f.net().now() - begun).count();
    if (!job || elapsed + pause >= options.call_timeout_seconds) std::rethrow_exception(came.unknown);
    co_await sleep(f, pause);
  }
  co_return completed{std::chrono::duration<double>(f.net().now() - begun).count()};
}

inline bool is_going(job_state state) noexcept { return !is_terminal(state); }
// It has ended, or is about to; a paused job has not.
inline bool is_ending(job_state state) noexcept { return is_terminal(state) && state != job_state::paused; }

inline task<completed> cancel_job(flow& f, std::string id) {
  const job_change change{.verb = "cancel", .body = "{}", .is_done = is_ending, .may_be_done_before = true};
  co_return co_await change_job(f, std::move(id), change);
}

inline task<trainer_job> resume_job(flow& f, std::string id) {
  const job_change change{.verb = "resume", .is_done = is_going};
  co_await change_job(f, id, change);
  co_return co_await get_job(f, std::move(id));
}

inline task<completed> remove_job(flow& f, std::string id, double settle_seconds) {
  const time_point begun = f.net().now();
  const std::string account_id = co_await account(f);
  question asked;
  asked.name = "delete trainer job";
  asked.subject = id;
  asked.target = "/v1/accounts/" + account_id + "/rlorTrainerJobs/" + id;
  static_cast<void>(co_await ask_to_delete(f, std::move(asked), settle_seconds));
  co_return completed{std::chrono::duration<double>(f.net().now() - begun).count()};
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
