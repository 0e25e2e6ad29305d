// SPDX-License-Identifier: Apache-2.0
// A job's checkpoints, their promotion to models, and the operations that this takes.
#pragma once

#include <gradwire/loopback/platform/hot_load_api.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

inline constexpr std::string_view copied_run = "cross_job:";  // of checkpoints that come from another job

// Appears whole or not at all, in the place of what is there.
inline void copy_checkpoint(const std::filesystem::path& from, const std::filesystem::path& to) {
  staged_directory staged(to, true);
  for (const auto& file : std::filesystem::directory_iterator(from))
    if (file.is_regular_file() && !file.is_symlink())
      std::filesystem::copy_file(file.path(), staged.file(file.path().filename().string()));
  staged.commit();
}

struct saved_checkpoint {
  message::job_checkpoint about{};
  std::filesystem::path folder{};
  std::int64_t lora_rank = 0;
  std::filesystem::file_time_type written{};
};

// Sampler checkpoints without a snapshot.json were saved without a type: the whole weights, or an adapter.
inline saved_checkpoint describe(const std::string& job, const std::filesystem::path& folder, bool sampler) {
  saved_checkpoint made{.folder = folder};
  made.about.name = job + "/checkpoints/" + folder.filename().string();
  std::error_code none;
  if (std::filesystem::exists(folder / snapshot_name, none)) {
    const auto found = describe_snapshot(folder);
    constexpr const char* types[] = {"BASE", "ARC_V2", "LORA"};
    made.about.checkpoint_type = std::string("CHECKPOINT_TYPE_INFERENCE_") + types[static_cast<unsigned>(found.kind)];
    made.about.promotable = found.kind != snapshot_kind::delta;
    made.lora_rank = found.kind == snapshot_kind::adapter ? found.lora_rank : 0;
  } else {
    made.lora_rank = training_model::describe(folder).lora.rank;
    made.about.checkpoint_type =
        std::string("CHECKPOINT_TYPE_") + (sampler ? made.lora_rank > 0 ? "INFERENCE_LORA" : "INFERENCE_BASE"
                                           : made.lora_rank > 0 ? "TRAINING_LORA"
                                                                : "TRAINING");
    made.about.promotable = sampler;
  }
  made.written = std::filesystem::last_write_time(folder, none);
  return made;
}

inline std::string time_text(std::filesystem::file_time_type when, bool fraction) {
  const auto since = std::chrono::file_clock::to_sys(when).time_since_epoch();
  const auto micro = std::chrono::duration_cast<std::chrono::microseconds>(since).count();
  return platform_clock::text_of(static_cast<std::time_t>(micro / 1'000'000),
                                 fraction ? static_cast<int>(micro % 1'000'000) : -1);
}

// Of a job, oldest first. What is damaged is not told of.
inline std::vector<saved_checkpoint> checkpoints_of(const job_record& job) {
  std::vector<saved_checkpoint> found;
  const detail::checkpoint_store store(job.files);
  for (const auto& run : store.runs())
    for (const auto kind : {wire::checkpoint_kind::training, wire::checkpoint_kind::sampler})
      for (const auto& each : store.list(run)) {
        if (run.starts_with(copied_run)) continue;
        const auto path = wire::parse_tinker_path(each.tinker_path);
        if (!path || path->kind != kind) continue;
        try {
          found.push_back(
              describe(job.about.name, store.find(each.tinker_path), kind == wire::checkpoint_kind::sampler));
        } catch (const error&) {
          continue;
        }
      }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.written < b.written; });
  for (auto& each : found) each.about.create_time = each.about.update_time = time_text(each.written, true);
  return found;
}

inline http_response list_job_checkpoints(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  const job_record& job = it.job(request.arguments.at(1));
  const bool other = it.faults.happens("checkpoint_page", "other_key");
  std::vector<std::string> items;
  for (auto& each : checkpoints_of(job)) {
    if (other && items.size() % 2 == 1)
      each.about.create_time = each.about.update_time = time_text(each.written, false);
    items.push_back(message::to_json(each.about));
  }
  return list_reply(other ? "rlorTrainerJobCheckpoints" : "checkpoints",
                    list_page(std::move(items), request.query, other ? 2 : 200));
}

inline message::operation told(const world& it, const operation_record& one) {
  message::operation made{.name = one.name, .done = it.now() >= one.done_at};
  if (!made.done) return made;
  made.error = one.error;
  if (one.error) return made;
  const auto& model = it.models.at(one.model).about;
  made.response = {.type = "type.googleapis.com/gateway.Model",
                   .name = model.name,
                   .state = model.state,
                   .kind = model.kind,
                   .peft_details = model.peft_details};
  return made;
}

// The checkpoint that a promotion names, by its id and its job.
inline saved_checkpoint promotable(world& it, const std::string& id, const message::promote_request& given) {
  const auto job_name = message::parse_resource_name(given.trainer_job_id);
  if (!job_name || job_name->collection != "rlorTrainerJobs")
    throw invalid("trainer_job_id is '" + given.trainer_job_id + "', which is no name like " + it.account_name() +
                  "/rlorTrainerJobs/<id>");
  it.check_account(job_name->account);
  job_record& job = it.job(job_name->id);
  if (given.base_model != job.about.training_config.base_model)
    throw invalid("base_model is '" + given.base_model + "'; the job trained " + job.about.training_config.base_model);
  const saved_checkpoint* refused = nullptr;
  const auto all = checkpoints_of(job);
  for (const auto& each : all) {
    if (message::last_segment(each.about.name) != id) continue;
    if (each.about.promotable) return each;
    refused = &each;
  }
  if (refused != nullptr)
    throw not_now("the checkpoint '" + id + "' is a " + refused->about.checkpoint_type +
                  ", which cannot be promoted; save a base and promote that");
  throw not_found("there is no checkpoint '" + id + "' in " + job.about.name);
}

// POST accounts/<a>/checkpoints/<c>:promote. The weights are copied: the model does not depend on the job.
inline http_response promote(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  const auto given = parse<message::promote_request>(request);
  const std::string async = text_at(wire::json_document(request.request.body), "async_promotion");  // absent: no
  if (!async.empty() && it.faults.happens("promotion", "no_async"))
    throw invalid("Extra inputs are not permitted, field: 'async_promotion'");
  const std::string prefix = it.account_name() + "/models/";
  const std::string id = given.output_model.starts_with(prefix) ? given.output_model.substr(prefix.size()) : "";
  if (!message::is_resource_id(id))
    throw invalid("output_model is '" + given.output_model + "'; it is " + prefix +
                  "<id>, the id 1 to 63 lower-case letters, digits and '-'");
  const auto from = promotable(it, request.arguments.at(1), given);
  if (it.models.count(given.output_model) > 0) throw exists("the model '" + given.output_model + "' exists already");
  it.count(tally::promotions);
  operation_record operation{.name = it.account_name() + "/operations/promote-" + detail::random_hex().substr(0, 12),
                             .done_at = it.now() + it.options.delays.promotion,
                             .model = given.output_model};
  const bool at_once = it.faults.happens("promotion", "synchronous") || async != "true";
  if (it.faults.happens("promotion_fails")) {
    operation.error = message::status{.code = {"INTERNAL"}, .message = "the checkpoint could not be copied"};
    if (at_once) throw refusal{500, "INTERNAL", operation.error->message, {}, {}};
  } else {
    const auto folder = it.files.own_folder("models") / id;
    copy_checkpoint(from.folder, folder);
    promoted_model made{
        .ready_at = at_once ? it.now() : operation.done_at, .folder = folder, .base_model = given.base_model};
    made.about = {.name = given.output_model,
                  .state = "READY",
                  .kind = from.lora_rank > 0 ? "HF_PEFT_ADDON" : "HF_BASE_MODEL",
                  .create_time = it.clock.text(it.now())};
    if (from.lora_rank > 0) made.about.peft_details = {given.base_model, from.lora_rank};
    if (const auto* base = it.shapes.find_model(given.base_model)) made.about.base_model_details = base->details;
    it.models.emplace(given.output_model, std::move(made));
  }
  if (at_once) return answer(message::promote_reply{.model = it.models.at(given.output_model).about});
  const auto& kept = it.operations.emplace(operation.name, operation).first->second;
  return answer(message::promote_reply{.operation = told(it, kept)});
}

inline http_response get_operation(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  const auto found = it.operations.find(it.account_name() + "/operations/" + request.arguments.at(1));
  if (found == it.operations.end()) throw not_found("there is no operation '" + request.arguments.at(1) + "'");
  return answer(told(it, found->second));
}

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
