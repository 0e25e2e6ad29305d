// SPDX-License-Identifier: Apache-2.0
// The steps that the calls of trainer_jobs.hpp are made of: look, create once.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <gradwire/platform/impl/ask.hpp>
#include <gradwire/platform/impl/job_request.hpp>
#include <gradwire/platform/job_handle.hpp>

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

[[noreturn]] inline void no_such(const std::string& what, const std::string& id, const std::string& way_out) {
  error_details details;
  details.operation = "get " + what;
  details.value = id;
  details.http_status = 404;
  throw error(errc::status,
              "there is no " + what + " '" + v0::detail::printable(id, 80) + "' in this account; " + way_out,
              std::move(details));
}

// Looks at a job; nothing where there is none.
inline task<std::optional<trainer_job>> find_job(flow& f, std::string id) {
  const std::string account_id = co_await account(f);
  const std::string name = "accounts/" + account_id + "/rlorTrainerJobs/" + id;
  question asked;
  asked.name = "get trainer job";
  asked.subject = id;
  asked.target = "/v1/" + name;
  const auto said = co_await ask_if_there<wire::platform::trainer_job>(f, std::move(asked));
  std::optional<trainer_job> found;
  if (said) {
    found = describe(*said);
    if (found->id.empty()) found->id = id;
    if (found->name.empty()) found->name = name;
  }
  co_return found;
}

inline task<trainer_job> get_job(flow& f, std::string id) {
  std::optional<trainer_job> found = co_await find_job(f, id);
  if (!found)
    no_such("trainer job", id, "trainer_jobs().list() shows what there is (a deleted one is gone after 30 days)");
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

// What has the id that a create was told to be taken, if it is what was wanted: else `check` throws. After an attempt that
// was not answered a no, a look that fails and a cancel do not tell what that attempt has made.
template <class Part>
task<Part> part_that_is_there(flow& f, question asked, answer said, task<std::optional<Part>> look,
                              std::function<void(const Part&)> check) {
  std::optional<early_end> told;
  if (said.maybe_earlier)
    told.emplace(f, [&asked](const char* what) {
      return cut_off(asked, errc::outcome_unknown, std::string(what) + " while it was looked for");
    });
  std::optional<Part> found;
  try {
    found = co_await look;
    if (!found) throw_refusal(f.core(), asked, said.status, said.body, said.attempts, said.elapsed_seconds);
    check(*found);
  } catch (const error& no) {
    if (!said.maybe_earlier) throw;
    throw_unknown(asked, no, found ? "Look whose it is before you delete it" : advice(asked));
  }
  co_return std::move(*found);
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
  asked.way_out_unknown =
      "It may still come: trainer_jobs().remove(\"" + wanted.id +
      "\", {.settle_seconds = 60}) deletes it also then, find() shows it, and create() with this job_id "
      "makes no second one";
  asked.ways_out = {{404, "check training_shape_ref and base_model: one of them is not there for this key"}};
  if (wanted.shape.empty())
    asked.ways_out.emplace_back(400,
                                "a launch without a shape skips validations, which most keys may not; take a shape");
  const question kept = asked;
  const answer said = co_await ask(f, std::move(asked));
  job_handle made;
  if (said.status == 409) {
    task<std::optional<trainer_job>> look = find_job(f, wanted.id);
    const std::function<void(const trainer_job&)> check = [&](const trainer_job& one) { check_is_ours(one, wanted); };
    made.info = co_await part_that_is_there<trainer_job>(f, kept, said, std::move(look), check);
    made.existed = !said.maybe_earlier;
    made.doubtful = said.maybe_earlier;
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

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
