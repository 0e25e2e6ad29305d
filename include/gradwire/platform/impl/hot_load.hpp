// SPDX-License-Identifier: Apache-2.0
// The hot load of a snapshot: asked for once, looked at until every replica samples from it.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/platform/impl/deployment_waits.hpp>
#include <gradwire/trainer/records.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

inline constexpr const char* hot_load_target = "/hot_load/v1/models/hot_load";

inline hot_load_status describe(const wire::platform::hot_load_status& from) {
  hot_load_status made;
  for (const auto& each : *from.replicas) {
    auto& replica = made.replicas.emplace_back();
    replica.identity = each.identity;
    replica.current_snapshot_identity = each.current_snapshot_identity;
    replica.ready = each.readiness;
    replica.stage = each.loading_state.stage;
    replica.target_snapshot_identity = each.loading_state.target_snapshot_identity;
    replica.error = v0::detail::printable(each.loading_state.error, 500);
    for (const auto& adapter : each.loaded_adapters) replica.adapters.emplace_back(adapter.identity, adapter.status);
  }
  return made;
}

// The headers that say which deployment is meant.
inline task<std::vector<http_header>> hot_load_headers(flow& f, std::string id, std::string base_model) {
  const std::string account_id = co_await account(f);
  client_core& core = f.core();
  if (base_model.empty()) base_model = core.served_models[id];
  if (base_model.empty()) {
    const deployment seen = co_await get_deployment(f, id);
    base_model = seen.base_model;
  }
  std::vector<http_header> headers;
  headers.push_back({"fireworks-model", base_model});
  headers.push_back({"fireworks-deployment", "accounts/" + account_id + "/deployments/" + id});
  co_return headers;
}

inline task<hot_load_status> look_at_hot_load(flow& f, std::string id, std::string base_model = {}) {
  question asked;
  asked.name = "look at the hot load of deployment";
  asked.subject = id;
  asked.target = hot_load_target;
  asked.to = f.core().hot_load;
  asked.headers = co_await hot_load_headers(f, id, std::move(base_model));
  const question kept = asked;
  f.core().with_replicas.erase(id);  // unless this look sees one
  const answer said = co_await ask(f, std::move(asked));
  const auto found = read_answer<wire::platform::hot_load_status>(f.core(), kept, said);
  if (!found.replicas)
    throw error(errc::protocol, heading(kept, said.attempts, said.elapsed_seconds) +
                                    "the answer lists no replicas: " + v0::detail::printable(said.body, 120));
  if (!found.replicas->empty()) f.core().with_replicas.insert(id);
  co_return describe(found);
}

inline void check_hot_load(const hot_load_options& options) {
  if (options.identity.empty())
    throw error(errc::config, "hot load: identity is empty; give what save_weights_for_sampler() returned");
  if (!options.previous_identity) return;
  if (options.previous_identity->empty())
    throw error(errc::config,
                "hot load of '" + options.identity +
                    "': a delta needs the identity of the snapshot that it changes, and previous_identity "
                    "is empty; it would be loaded as full weights. Save a base");
  if (hot_load_status::same(*options.previous_identity, options.identity))
    throw error(errc::config,
                "hot load of '" + options.identity +
                    "': it is named as its own previous snapshot; it would be applied twice. Save a base");
}

// Whether the deployment is about to load it, or has.
inline bool shows(const hot_load_status& status, const std::string& identity) {
  for (const auto& replica : status.replicas)
    if (hot_load_status::holds(replica, identity) || hot_load_status::same(replica.target_snapshot_identity, identity))
      return true;
  return false;
}

// After a request whose answer was lost: several looks, for the service may just have begun.
inline task<bool> was_hot_load_taken(flow& f, std::string id, hot_load_options options) {
  for (int looks = 0; looks < 3; ++looks) {
    if (looks > 0) co_await sleep(f, 1);
    bool seen = false;
    try {
      const hot_load_status status = co_await look_at_hot_load(f, id, options.base_model);
      seen = shows(status, options.identity);
    } catch (const error&) {
      f.check();  // a look that fails says nothing
    }
    if (seen) co_return true;
  }
  co_return false;
}

// A load that comes before the first replica breaks the one that is just starting.
inline task<bool> wait_for_a_replica(flow& f, std::string id, std::string base_model) {
  client_core& core = f.core();
  if (core.with_replicas.contains(id)) co_return true;
  const time_point begun = f.net().now();
  wait_progress at;
  at.what = "a replica of deployment " + id;
  at.state = "no replica";
  for (;;) {
    bool there = false;
    try {
      const hot_load_status status = co_await look_at_hot_load(f, id, base_model);
      there = !status.replicas.empty();
    } catch (const error& not_yet) {
      const int status = not_yet.details().http_status;
      if (status != 404 && status != 425) throw;
    }
    if (there) break;
    ++at.polls;
    at.elapsed_seconds = std::chrono::duration<double>(f.net().now() - begun).count();
    if (at.elapsed_seconds >= 300)
      stop_waiting(errc::timeout, at, "there is none that could load a snapshot; wait() for the deployment first");
    co_await sleep(f, 5);
  }
  co_return true;
}

inline task<completed> ask_for_hot_load(flow& f, std::string id, hot_load_options options) {
  check_hot_load(options);
  client_core& core = f.core();
  co_await wait_for_a_replica(f, id, options.base_model);
  const time_point begun = f.net().now();
  wire::platform::hot_load_request body;
  body.identity = options.identity;
  body.reset_prompt_cache = options.reset_prompt_cache;
  if (core.keeps_prompt_cache) body.reset_prompt_cache.reset();
  if (options.previous_identity)
    body.incremental_snapshot_metadata.emplace().previous_snapshot_identity = *options.previous_identity;
  question asked;
  asked.name = "hot load of " + v0::detail::printable(options.identity, 120) + " into deployment";
  asked.subject = id;
  asked.method = "POST";
  asked.target = hot_load_target;
  asked.to = core.hot_load;
  asked.effect = effect::mutates;
  asked.attempt_seconds = 200;
  asked.headers = co_await hot_load_headers(f, id, options.base_model);
  asked.way_out_unknown =
      "Its status does not show it either. Wait and look at hot_load_state(), or save a base and load that";
  if (!options.source_url.empty()) asked.headers.push_back({"x-fireworks-hot-load-source-url", options.source_url});
  const std::function<bool(const std::string&, wire::platform::hot_load_request&)> drop =
      [&core](const std::string& why, wire::platform::hot_load_request& of) {
        const bool new_to_it = of.reset_prompt_cache && v0::detail::has_word(why, "reset_prompt_cache") &&
                               v0::detail::has_word(why, "extra inputs are not permitted");
        if (new_to_it) core.keeps_prompt_cache = true;
        if (new_to_it) of.reset_prompt_cache.reset();
        return new_to_it;
      };
  const fate came = co_await ask_without(f, std::move(asked), std::move(body), drop);
  if (came.unknown) {
    const bool taken = co_await was_hot_load_taken(f, id, options);
    if (!taken) std::rethrow_exception(came.unknown);
  }
  co_return completed{std::chrono::duration<double>(f.net().now() - begun).count()};
}

inline task<hot_load_status> wait_for_hot_load(flow& f, std::string id, std::string identity, hot_load_wait_options how,
                                               progress_handler told) {
  const time_point begun = f.net().now();
  wait_progress at;
  at.what = "the hot load of " + v0::detail::printable(identity, 120) + " into deployment " + id;
  for (;;) {
    const hot_load_status seen = co_await look_at_hot_load(f, id);
    ++at.polls;
    at.elapsed_seconds = std::chrono::duration<double>(f.net().now() - begun).count();
    std::size_t loaded = 0;
    at.state = seen.replicas.empty() ? "no replica" : "";
    at.detail.clear();
    for (const auto& replica : seen.replicas) {
      const bool holds = replica.ready && hot_load_status::holds(replica, identity);
      loaded += holds;
      if (!holds && at.state.empty()) at.state = replica.stage;
      if (replica.stage == "error" && hot_load_status::same(replica.target_snapshot_identity, identity)) {
        at.state = "error";
        report(told, at);
        stop_waiting(errc::status, at,
                     "the deployment could not load it" +
                         (replica.error.empty() ? std::string() : ": " + replica.error) +
                         ". Save a base and load that");
      }
    }
    const std::size_t wanted = how.first_replica_only ? 1 : seen.replicas.size();
    const bool done = how.first_replica_only ? !seen.replicas.empty() && seen.replicas[0].ready &&
                                                   hot_load_status::holds(seen.replicas[0], identity)
                                             : seen.all_hold(identity);
    if (done) at.state = "loaded";
    at.detail = std::to_string(loaded) + " of " + std::to_string(wanted) + " replicas have it";
    report(told, at);
    if (done) co_return seen;
    const double left = how.ready_seconds - at.elapsed_seconds;
    if (left <= 0)
      stop_waiting(errc::timeout, at,
                   "it is not loaded after ready_seconds = " + v0::detail::seconds_text(how.ready_seconds) + ": " +
                       at.detail + ", stage " + at.state);
    co_await sleep(f, std::min(how.poll_seconds, left));
  }
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
