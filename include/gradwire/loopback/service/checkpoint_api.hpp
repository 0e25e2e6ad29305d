// SPDX-License-Identifier: Apache-2.0
// Saving, loading, listing and deleting weights.
#pragma once

#include <gradwire/loopback/service/session_api.hpp>
#include <gradwire/wire/platform_path.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

inline std::optional<std::int64_t> expiry_after(std::optional<std::int64_t> seconds) {
  if (!seconds) return {};
  constexpr std::int64_t ten_years = std::int64_t{10} * 366 * 24 * 3600;
  if (*seconds < 1 || *seconds > ten_years) invalid({"ttl_seconds"}, "value_error", "must be 1 second to 10 years");
  return static_cast<std::int64_t>(std::time(nullptr)) + *seconds;
}

inline std::string checkpoint_name(model_entry& entry, const std::optional<std::string>& given) {
  if (!given) {
    char text[32];
    const int length = std::snprintf(text, sizeof text, "checkpoint-%04lld", static_cast<long long>(++entry.saves));
    return std::string(text, static_cast<std::size_t>(length));
  }
  if (!wire::is_checkpoint_name(*given))
    invalid({"path"}, "string_pattern_mismatch",
            "'" + given->substr(0, 200) +
                "' is no name for a checkpoint; it may have 1 to 128 letters, digits, '_', '-' and " +
                "'.', no '..', and may not begin with '.'");
  return *given;
}

// Names the request that a checkpoint was saved by, to know it again when it comes once more after a crash. "" for one
// without a number: two that read alike are two saves.
inline std::string saved_by(const call& request, std::optional<std::int64_t> seq_id) {
  if (!seq_id) return {};
  return std::to_string(*seq_id) + " " + std::to_string(service::fingerprint(request).hash);
}

inline bool was_saved_by(const std::filesystem::path& folder, const std::string& request) {
  if (request.empty()) return false;
  try {
    return training_model::describe(folder).saved_by == request;
  } catch (const error&) {
    return false;  // damaged, or not ours
  }
}

// compute thread. Answers 409 where something of that name is, unless it may be replaced, or was saved by this very
// request before the trainer was restarted.
inline void save_model(service& it, const model_entry& model, wire::checkpoint_kind kind, const std::string& name,
                       const save_options& options) {
  model.check_ready();
  const auto seen = it.store.exists(model.id, kind, name);
  if (seen && it.state && was_saved_by(it.store.place(model.id, kind, name), options.saved_by)) return;
  if (seen && !options.overwrite)
    throw refusal{409, "Checkpoint '" + name + "' already exists for " + model.id + "; choose another name" +
                           (kind == wire::checkpoint_kind::training ? ", or set overwrite" : "")};
  const auto folder = it.store.place(model.id, kind, name);
  if (model.trained)
    model.trained->save(folder, options);
  else
    model.frozen->save(folder, options);
}

inline http_response save_weights(service& it, call& request) {
  const auto given = parse<wire::save_weights_request>(request);
  const auto entry = it.model(given.model_id);
  const std::string name = checkpoint_name(*entry, given.path);
  const save_options how{
      .optimizer = true, .overwrite = given.overwrite.value_or(false), .saved_by = saved_by(request, given.seq_id)};
  const checkpoint_notes notes{.expires_at = expiry_after(given.ttl_seconds), .user_metadata = given.user_metadata};
  const auto save = [&it, entry, name, how, notes] {
    it.count(counter::save_weights);
    const auto kind = wire::checkpoint_kind::training;
    save_model(it, *entry, kind, name, how);
    it.store.note(entry->id, kind, name, notes);
    return finished{.result =
                        wire::to_json(wire::save_weights_reply{.path = wire::to_string({entry->id, kind, name})})};
  };
  return it.submit(request, entry, given.seq_id, save, keeping::checkpoint);
}

inline http_response load_weights_into(service& it, call& request, const wire::load_weights_request& given,
                                       const std::filesystem::path& folder) {
  const auto entry = it.model(*given.model_id);
  return it.submit(
      request, entry, given.seq_id,
      [&it, entry, folder, given] {
        it.count(counter::load_weights);
        entry->check_ready();
        if (entry->trained)
          entry->trained->load(folder, given.optimizer), entry->loss_tokens = entry->loss_sequences = 0;
        else
          entry->frozen = weights_in(it.base, entry->frozen_from = folder);
        return finished{.result = wire::to_json(wire::load_weights_reply{.path = given.path, .model_id = entry->id})};
      },
      keeping::loading);
}

// A new model from a checkpoint, with the checkpoint's own rank.
inline http_response create_by_loading(service& it, call& request, const wire::load_weights_request& given,
                                       const std::filesystem::path& folder) {
  session_entry& session = it.session(*given.session_id);
  if (!given.model_seq_id) invalid({"model_seq_id"}, "missing", "Field required");
  check_optimizer(given.optimizer_config);
  const auto summary = training_model::describe(folder);
  check_base(it, given.base_model.value_or(summary.base_model));
  const std::string model_id = *given.session_id + ":train:" + std::to_string(*given.model_seq_id);
  const std::string id = it.once(request, session.model_requests, given.model_seq_id, [&] {
    auto entry = add_model(it, *given.session_id, *given.model_seq_id);
    entry->lora = summary.lora;
    entry->user_metadata = given.user_metadata;
    return it.enqueue(entry, -1, service::fingerprint(request), keeping::creation, [&it, entry, folder, given] {
      it.count(counter::load_weights);
      training_model made(it.base, entry->lora);
      made.load(folder, given.optimizer);
      entry->trained.emplace(std::move(made));
      return finished{.result = wire::to_json(wire::load_weights_reply{.path = given.path, .model_id = entry->id})};
    });
  });
  return message_reply(wire::submit_reply{.request_id = id, .model_id = model_id});
}

inline http_response load_weights(service& it, call& request) {
  const auto given = parse<wire::load_weights_request>(request);
  if (!given.model_id && !given.session_id) invalid({"model_id"}, "missing", "Field required");
  if (given.model_id) it.model(*given.model_id);
  const auto folder = it.store.find(given.path);
  return given.model_id ? load_weights_into(it, request, given, folder) : create_by_loading(it, request, given, folder);
}

inline http_response weights_info(service& it, call& request) {
  const auto summary = training_model::describe(it.store.find(parse<wire::weights_info_request>(request).tinker_path));
  wire::weights_info_reply reply{.base_model = summary.base_model,
                                 .is_lora = summary.lora.rank > 0,
                                 .train_unembed = summary.lora.unembed,
                                 .train_mlp = summary.lora.mlp,
                                 .train_attn = summary.lora.attention,
                                 .optimizer_config = wire::optimizer_config{}};
  if (summary.lora.rank > 0) reply.lora_rank = summary.lora.rank;
  return message_reply(reply);
}

inline wire::training_run describe_run(const service& it, const model_entry& entry) {
  wire::training_run run{.training_run_id = entry.id,
                         .base_model = it.base.name(),
                         .model_owner = "local",
                         .is_lora = entry.lora.rank > 0,
                         .last_request_time = entry.last_request,
                         .user_metadata = entry.user_metadata};
  if (entry.lora.rank > 0) run.lora_rank = entry.lora.rank;
  for (auto& checkpoint : it.store.list(entry.id)) {
    if (checkpoint.checkpoint_type == "external") continue;
    auto& last = checkpoint.checkpoint_type == "training" ? run.last_checkpoint : run.last_sampler_checkpoint;
    if (!last || last->time <= checkpoint.time) last = std::move(checkpoint);
  }
  return run;
}

inline http_response get_training_run(service& it, call& request) {
  const auto found = it.models.find(request.arguments.at(0));
  if (found == it.models.end()) throw refusal{404, "Training run not found"};
  return message_reply(describe_run(it, *found->second));
}

// limit and offset of the query, with the field's defaults.
inline wire::page_cursor page_of(const call& request, std::size_t total) {
  wire::page_cursor page{.offset = 0, .limit = 20, .total_count = static_cast<std::int64_t>(total)};
  const std::string_view target = request.request.target;
  const auto read = [&](std::string_view name, std::int64_t& value) {
    for (auto at = target.find('?'); at != std::string_view::npos; at = target.find('&', at + 1)) {
      const std::string_view rest = target.substr(at + 1);
      if (rest.substr(0, name.size()) != name) continue;
      std::int64_t number = 0;
      const auto parsed = std::from_chars(rest.data() + name.size(), rest.data() + rest.size(), number);
      if (parsed.ec != std::errc() || number < 0)
        invalid({std::string(name.substr(0, name.size() - 1))}, "int_parsing", "Input should be 0 or more");
      value = number;
    }
  };
  read("limit=", page.limit);
  read("offset=", page.offset);
  return page;
}

template <class T>
std::vector<T> cut(std::vector<T> all, const wire::page_cursor& page) {
  const auto size = static_cast<std::int64_t>(all.size());
  const std::int64_t from = page.offset < size ? page.offset : size;
  const std::int64_t count = page.limit < size - from ? page.limit : size - from;
  return {std::make_move_iterator(all.begin() + from), std::make_move_iterator(all.begin() + from + count)};
}

inline http_response list_training_runs(service& it, call& request) {
  const std::string project = wire::platform::split_target(request.request.target).value("project_id");
  wire::training_runs_reply reply;
  for (const auto& [id, entry] : it.models) {
    const auto session = it.sessions.find(entry->session_id);
    if (project.empty() || (session != it.sessions.end() && session->second.project_id == project))
      reply.training_runs.push_back(describe_run(it, *entry));
  }
  reply.cursor = page_of(request, reply.training_runs.size());
  reply.training_runs = cut(std::move(reply.training_runs), *reply.cursor);
  return message_reply(reply);
}

inline http_response list_run_checkpoints(service& it, call& request) {
  const std::string& run = request.arguments.at(0);
  auto found = it.store.list(run);
  if (found.empty() && it.models.find(run) == it.models.end()) throw refusal{404, "Training run not found"};
  return message_reply(wire::checkpoints_reply{.checkpoints = std::move(found)});
}

inline http_response list_checkpoints(service& it, call& request) {
  std::vector<wire::checkpoint_info> all;
  for (const auto& run : it.store.runs())
    for (auto& checkpoint : it.store.list(run)) all.push_back(std::move(checkpoint));
  wire::checkpoints_reply reply{.cursor = page_of(request, all.size())};
  reply.checkpoints = cut(std::move(all), *reply.cursor);
  return message_reply(reply);
}

inline http_response delete_checkpoint(service& it, call& request) {
  const auto& arguments = request.arguments;
  const auto kind = arguments.at(1) == "weights"            ? wire::checkpoint_kind::training
                    : arguments.at(1) == "sampler_weights"  ? wire::checkpoint_kind::sampler
                    : arguments.at(1) == "external_weights" ? wire::checkpoint_kind::external
                                                            : wire::checkpoint_kind::unknown;
  if (kind == wire::checkpoint_kind::unknown)
    throw refusal{400, "a checkpoint id is weights/<name>, sampler_weights/<name> or external_weights/<name>"};
  if (!it.store.remove(arguments.at(0), kind, arguments.at(2))) throw refusal{404, "Checkpoint not found"};
  return {204, {}, {}};
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
