// SPDX-License-Identifier: Apache-2.0
// The steps that the calls of checkpoints.hpp are made of.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/platform/checkpoints.hpp>
#include <gradwire/platform/impl/ask_once.hpp>
#include <gradwire/platform/impl/job_steps.hpp>
#include <gradwire/platform/impl/waiting.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

// Nanoseconds since 1970 of 2026-11-22T07:00:00Z, with any fraction and offset; 0 when it is none.
inline std::int64_t nanoseconds_of(std::string_view text) {
  const auto number = [&](std::size_t at, std::size_t digits) -> std::int64_t {
    if (at + digits > text.size()) return -1;
    std::int64_t value = 0;
    for (std::size_t i = at; i < at + digits; ++i) {
      if (text[i] < '0' || text[i] > '9') return -1;
      value = value * 10 + (text[i] - '0');
    }
    return value;
  };
  const std::int64_t year = number(0, 4), month = number(5, 2), day = number(8, 2), hour = number(11, 2),
                     minute = number(14, 2), second = number(17, 2);
  if (year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || minute < 0 || second < 0) return 0;
  // Days since 1970, counted in years that begin in March.
  const std::int64_t y = month > 2 ? year : year - 1, era = y / 400, of_era = y - era * 400;
  const std::int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const std::int64_t days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
  std::int64_t seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
  std::int64_t fraction = 0, unit = 1'000'000'000;
  std::size_t at = 19;
  if (at < text.size() && text[at] == '.')
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
      if (unit > 1) fraction += (text[at] - '0') * (unit /= 10);
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
    const std::int64_t hours = number(at + 1, 2), minutes = number(at + 4, 2);
    if (hours < 0 || minutes < 0) return 0;
    seconds += (text[at] == '-' ? 1 : -1) * (hours * 60 + minutes) * 60;
  }
  return seconds * 1'000'000'000 + fraction;
}

inline job_checkpoint describe(const wire::platform::job_checkpoint& from) {
  job_checkpoint made;
  made.name = wire::platform::last_segment(from.name);
  made.resource_name = from.name;
  made.type = from.checkpoint_type;
  made.promotable = from.promotable;
  made.create_time = from.create_time;
  made.created_nanoseconds = nanoseconds_of(from.create_time);
  return made;
}

inline model_record describe(const wire::platform::model& from) {
  model_record made;
  made.name = from.name;
  made.state = from.state;
  made.kind = from.kind;
  if (from.base_model_details) {
    made.model_type = from.base_model_details->model_type;
    made.parameter_count = from.base_model_details->parameter_count;
  }
  if (from.peft_details) {
    made.peft_base_model = from.peft_details->base_model;
    made.peft_rank = from.peft_details->r;
  }
  return made;
}

inline bool is_made(const model_record& model) { return model.state.empty() || model.state == "READY"; }

inline task<std::vector<job_checkpoint>> list_checkpoints(flow& f, std::string account_id, std::string job_id) {
  question asked;
  asked.name = "list checkpoints of trainer job";
  asked.subject = job_id;
  asked.target = "/v1/accounts/" + account_id + "/rlorTrainerJobs/" + job_id + "/checkpoints";
  wire::platform::query_parameters query;
  query.emplace_back("pageSize", "200");
  const auto part = [](wire::platform::job_checkpoints_reply& reply) {
    return std::move(reply.checkpoints.empty() ? reply.rlor_trainer_job_checkpoints : reply.checkpoints);
  };
  const auto found = co_await list_all<wire::platform::job_checkpoints_reply, wire::platform::job_checkpoint>(
      f, std::move(asked), std::move(query), part);
  std::vector<job_checkpoint> all;
  for (const auto& each : found) all.push_back(describe(each));
  std::stable_sort(all.begin(), all.end(), [](const job_checkpoint& a, const job_checkpoint& b) {
    return a.created_nanoseconds < b.created_nanoseconds;
  });
  co_return all;
}

inline task<std::optional<model_record>> find_model_record(flow& f, std::string name) {
  question asked;
  asked.name = "get model";
  asked.subject = name;
  asked.target = "/v1/" + name;
  const auto said = co_await ask_if_there<wire::platform::model>(f, std::move(asked));
  std::optional<model_record> found;
  if (said) found = describe(*said);
  co_return found;
}

inline promotion promotion_of(const client_core& core, const wire::platform::operation& from) {
  if (from.error && !from.error->empty()) {
    question asked;
    asked.name = "promotion";
    asked.subject = from.name;
    throw_refusal(core, asked, 200, wire::platform::to_json(*from.error), 1, 0);
  }
  promotion made;
  made.operation = from.name;
  made.done = from.done;
  if (!from.done || !from.response) return made;
  if (from.response->model) {
    made.model = describe(*from.response->model);
    return made;
  }
  made.model.name = from.response->name;
  made.model.state = from.response->state;
  made.model.kind = from.response->kind;
  if (from.response->peft_details) {
    made.model.peft_base_model = from.response->peft_details->base_model;
    made.model.peft_rank = from.response->peft_details->r;
  }
  return made;
}

inline task<promotion> look_at_operation(flow& f, std::string name) {
  const auto parts = wire::platform::split_path(name);
  for (const auto& part : parts)
    if (part.empty() || part == "." || part == ".." || part.find_first_of("?# ") != std::string::npos)
      throw error(errc::config, "'" + v0::detail::printable(name, 120) + "' is no name of an operation");
  question asked;
  asked.name = "get operation";
  asked.subject = name;
  asked.target = "/v1/" + name;
  const auto found = co_await ask_for<wire::platform::operation>(f, std::move(asked));
  co_return promotion_of(f.core(), found);
}

struct promote_target {
  std::string account{}, job{}, checkpoint{}, model{};  // model: accounts/<a>/models/<m>
};

inline promote_target target_of(const promote_options& options, const std::string& own_account) {
  complaints wrong;
  promote_target to;
  const auto name = wire::platform::parse_resource_name(options.checkpoint);
  if (name && name->collection == "rlorTrainerJobs" && name->subcollection == "checkpoints") {
    to.account = name->account;
    to.job = name->id;
    to.checkpoint = name->sub;
    if (!options.job_id.empty() && wire::platform::last_segment(options.job_id) != to.job)
      wrong.add("job_id '" + options.job_id + "' is not the job in the checkpoint's name, '" + to.job + "'");
  } else if (options.checkpoint.empty() || options.checkpoint.find('/') != std::string::npos) {
    wrong.add("checkpoint '" + v0::detail::printable(options.checkpoint, 120) +
              "' is no accounts/<a>/rlorTrainerJobs/<job>/checkpoints/<checkpoint>, nor its last part");
  } else {
    to.account = own_account;
    to.checkpoint = options.checkpoint;
    if (options.job_id.empty()) wrong.add("job_id is empty; it says whose checkpoint '" + options.checkpoint + "' is");
    to.job = wire::platform::last_segment(options.job_id);
  }
  const auto model = wire::platform::parse_resource_name(options.output_model);
  const std::string id = model && model->collection == "models" ? model->id : options.output_model;
  check_id(wrong, "output_model", id);
  to.model = "accounts/" + to.account + "/models/" + id;
  check_base_model(wrong, options.base_model);
  wrong.throw_if_any("the checkpoint cannot be promoted");
  return to;
}

inline task<promotion> begin_promotion(flow& f, promote_options options) {
  const std::string own_account = co_await account(f);
  const promote_target to = target_of(options, own_account);
  const std::vector<job_checkpoint> rows = co_await list_checkpoints(f, to.account, to.job);
  const job_checkpoint* row = nullptr;
  for (const auto& each : rows)
    if (each.name == to.checkpoint) row = &each;
  const std::string which = "checkpoint '" + to.checkpoint + "' of trainer job '" + to.job + "'";
  if (!row)
    throw error(errc::config, which +
                                  " is not there; checkpoints().list(job) shows what there is (a snapshot's name has "
                                  "a suffix that was added when it was saved)");
  if (row->is_delta())
    throw error(errc::config, which + " is a delta, the difference to another snapshot; save a base and promote that");
  if (!row->promotable)
    throw error(errc::config, which + " (" + row->type +
                                  ") cannot be promoted, says the platform; save a base for the "
                                  "sampler and promote that");
  const std::optional<model_record> taken = co_await find_model_record(f, to.model);
  if (taken)
    throw error(errc::config, "the model '" + to.model + "' exists (" + taken->state + "); take another output_model");
  wire::platform::promote_request body;
  body.output_model = to.model;
  body.trainer_job_id = "accounts/" + to.account + "/rlorTrainerJobs/" + to.job;
  body.base_model = options.base_model;
  body.async_promotion = true;
  question asked;
  asked.name = "promote checkpoint";
  asked.subject = to.checkpoint;
  asked.method = "POST";
  asked.target = "/v1/accounts/" + to.account + "/checkpoints/" + to.checkpoint + ":promote";
  asked.effect = effect::mutates;
  asked.attempt_seconds = 300;
  asked.way_out_unknown = "There is no model '" + to.model +
                          "' yet. Wait and look with find_model(), and promote again only if it does not come";
  const std::function<bool(const std::string&, wire::platform::promote_request&)> drop =
      [](const std::string& why, wire::platform::promote_request& of) {
        const bool new_to_it = of.async_promotion && v0::detail::has_word(why, "async_promotion");
        if (new_to_it) of.async_promotion.reset();
        return new_to_it;
      };
  const fate came = co_await ask_without(f, asked, std::move(body), drop);
  promotion made;
  if (came.unknown) {
    const std::optional<model_record> there = co_await find_model_record(f, to.model);
    if (!there) std::rethrow_exception(came.unknown);
    made.model = *there;
    made.done = is_made(*there);
  } else {
    const auto reply = read_answer<wire::platform::promote_reply>(f.core(), asked, came.said);
    if (reply.operation) {
      made = promotion_of(f.core(), *reply.operation);
    } else {
      made.done = true;
    }
    if (reply.model) made.model = describe(*reply.model);
  }
  if (made.model.name.empty()) made.model.name = to.model;
  co_return made;
}

inline task<model_record> wait_for_promotion(flow& f, promotion begun_one, promote_wait_options how,
                                             progress_handler told) {
  const time_point begun = f.net().now();
  const std::string model = begun_one.model.name;
  wait_progress at;
  at.what = "the promotion " + (begun_one.operation.empty() ? "to " + model : begun_one.operation);
  promotion seen = std::move(begun_one);
  for (;;) {
    ++at.polls;
    at.state = seen.done ? "done" : "running";
    at.elapsed_seconds = std::chrono::duration<double>(f.net().now() - begun).count();
    report(told, at);
    if (seen.done) break;
    if (at.elapsed_seconds >= how.ready_seconds)
      stop_waiting(errc::timeout, at, "it is still running; wait_operation() waits on");
    co_await sleep(f, how.poll_seconds);
    if (!seen.operation.empty()) {
      seen = co_await look_at_operation(f, seen.operation);
    } else {  // its answer was lost; the model says how far it is
      const std::optional<model_record> there = co_await find_model_record(f, model);
      if (there) seen.model = *there;
      seen.done = there && is_made(*there);
    }
  }
  if (seen.model.name.empty()) seen.model.name = model;
  if (seen.model.state.empty() && !seen.model.name.empty()) {
    const std::optional<model_record> there = co_await find_model_record(f, seen.model.name);
    if (there) seen.model = *there;
  }
  co_return seen.model;
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
