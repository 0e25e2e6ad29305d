// SPDX-License-Identifier: Apache-2.0
// Sampling sessions and the weights that they sample from.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <gradwire/loopback/service/snapshot_api.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

inline std::shared_ptr<sampler_entry> add_sampler(service& it, const std::string& session_id, std::int64_t seq_id,
                                                  std::optional<std::string> model_path, std::string created_by) {
  const std::string id = session_id + ":sample:" + std::to_string(seq_id);
  const auto found = it.samplers.find(id);
  if (found != it.samplers.end()) {
    if (found->second->created_by == created_by) return found->second;
    throw refusal{409, "Sampling session " + id + " exists; sampling_session_seq_id counts up within a session"};
  }
  auto entry = std::make_shared<sampler_entry>();
  entry->id = id;
  entry->session_id = session_id;
  entry->model_path = std::move(model_path);
  entry->created_by = std::move(created_by);
  it.samplers.emplace(id, entry);
  return entry;
}

inline http_response create_sampling_session(service& it, call& request) {
  const auto given = parse<wire::create_sampling_session_request>(request);
  it.session(given.session_id);
  if (given.base_model.has_value() == given.model_path.has_value())
    throw refusal{400, "give exactly one of base_model and model_path"};
  if (given.base_model) check_base(it, *given.base_model);
  std::filesystem::path folder;
  if (given.model_path) folder = it.store.find(*given.model_path);
  const auto entry = add_sampler(it, given.session_id, given.sampling_session_seq_id, given.model_path,
                                 given.model_path.value_or("base"));
  it.compute.submit([&it, entry, folder] {
    if (folder.empty())
      entry->weights = it.base;
    else
      entry->folder = folder;
  });
  return message_reply(wire::create_sampling_session_reply{.sampling_session_id = entry->id});
}

inline http_response get_sampler(service& it, call& request) {
  const auto found = it.samplers.find(request.arguments.at(0));
  if (found == it.samplers.end()) throw refusal{404, "Sampler not found"};
  return message_reply(wire::sampler_info_reply{
      .sampler_id = found->first, .base_model = it.base.name(), .model_path = found->second->model_path});
}

// compute thread. This sampler's weights are now the newest in memory.
inline void note_loaded(service& it, const std::shared_ptr<sampler_entry>& sampler) {
  std::erase_if(it.loaded, [&](const auto& item) { return item.lock() == sampler; });
  it.loaded.push_back(sampler);
}

// compute thread. The sampler's weights, loaded when they are not in memory; of many samplers the oldest are put away.
inline const frozen_model& weights_of(service& it, const std::shared_ptr<sampler_entry>& sampler) {
  if (sampler->follows) return weights_of(it, sampler->follows);
  if (sampler->weights) return *sampler->weights;
  if (!sampler->problem.empty()) throw refusal{400, sampler->problem};
  if (sampler->folder.empty()) throw refusal{400, "sampler " + sampler->id + " has no weights"};
  sampler->weights = weights_in(it.base, sampler->folder);
  note_loaded(it, sampler);
  return *sampler->weights;
}

inline void put_old_weights_away(service& it) {
  constexpr std::size_t most = 32;
  std::erase_if(it.loaded, [](const auto& item) { return item.expired(); });
  while (it.loaded.size() > most) {
    const auto oldest = it.loaded.front().lock();
    it.loaded.erase(it.loaded.begin());
    if (!oldest || !oldest->weights) continue;
    if (oldest->folder.empty()) {
      const auto folder = it.store.own_folder("samplers") / random_hex();
      oldest->weights->save(folder);
      oldest->folder = folder;
    }
    oldest->weights.reset();
  }
}

// True for inflight weights, which have neither a name nor an end of their own.
inline bool reads_inflight(const wire::save_weights_for_sampler_request& given) {
  const std::string kind = given.kind.value_or("snapshot");
  if (kind == "snapshot") return false;
  if (kind != "inflight") invalid({"kind"}, "literal_error", "Input should be 'snapshot' or 'inflight'");
  if (!given.sampling_session_seq_id) invalid({"sampling_session_seq_id"}, "missing", "Field required");
  const char* more = given.path              ? "path"
                     : given.ttl_seconds     ? "ttl_seconds"
                     : given.checkpoint_type ? "checkpoint_type"
                                             : nullptr;
  if (more)
    invalid({more}, "extra_forbidden",
            "inflight weights are the model's one set of them and take no " + std::string(more));
  return true;
}

// compute thread. Samples that are drawn from now on are of these weights.
inline void give_weights(service& it, model_entry& entry, const std::shared_ptr<sampler_entry>& sampler,
                         bool inflight) {
  auto weights = entry.weights();
  if (inflight) {
    if (!entry.inflight) entry.inflight = std::make_shared<sampler_entry>();
    sampler->follows = entry.inflight;
  }
  const auto& holder = inflight ? entry.inflight : sampler;
  holder->weights = std::move(weights);
  if (!holder->folder.empty()) {  // where older ones were put away
    std::error_code ignored;
    std::filesystem::remove_all(holder->folder, ignored);
    holder->folder.clear();
  }
  note_loaded(it, holder);
  put_old_weights_away(it);
}

inline http_response save_weights_for_sampler(service& it, call& request) {
  const auto given = parse<wire::save_weights_for_sampler_request>(request);
  const auto entry = it.model(given.model_id);
  const bool inflight = reads_inflight(given);
  const checkpoint_notes notes{.expires_at = expiry_after(given.ttl_seconds), .user_metadata = given.user_metadata};
  std::optional<std::string> name;
  if (given.path || !given.sampling_session_seq_id) name = checkpoint_name(*entry, given.path);
  std::optional<snapshot_type> type;  // none: weights as they are, outside of the chain of snapshots
  if (given.checkpoint_type) type = read_snapshot_type(*given.checkpoint_type);
  std::shared_ptr<sampler_entry> sampler;  // made last: what is refused above leaves none behind
  if (given.sampling_session_seq_id)
    sampler = add_sampler(it, entry->session_id, *given.sampling_session_seq_id, {},
                          entry->id + "/" + std::to_string(given.seq_id.value_or(-1)));
  const auto save = [&it, entry, sampler, inflight, name, type, notes, by = saved_by(request, given.seq_id)] {
    it.count(counter::save_weights_for_sampler);
    wire::save_weights_for_sampler_reply reply;
    const auto kind = wire::checkpoint_kind::sampler;
    if (name) {
      if (type)
        save_snapshot(it, *entry, {.identity = *name, .type = *type, .saved_by = by});
      else
        save_model(it, *entry, kind, *name, {.optimizer = false, .saved_by = by});
      it.store.note(entry->id, kind, *name, notes);
      reply.path = wire::to_string({entry->id, kind, *name});
    }
    if (sampler) {
      give_weights(it, *entry, sampler, inflight);
      reply.sampling_session_id = sampler->id;
    }
    return finished{.result = wire::to_json(reply)};
  };
  // What the next delta is the difference to belongs to the model's state.
  return it.submit(request, entry, given.seq_id, save, name && type ? keeping::checkpoint : keeping::operation);
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
