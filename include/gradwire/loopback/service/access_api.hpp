// SPDX-License-Identifier: Apache-2.0
// Checkpoints that are made public, expire, are exported, copied and downloaded; many futures at once; and what this
// trainer refuses.
#pragma once

#include <gradwire/loopback/files/tar.hpp>
#include <gradwire/loopback/service/checkpoint_notes.hpp>
#include <gradwire/loopback/service/sampling_api.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

struct checkpoint_place {
  std::string run{};
  wire::checkpoint_kind kind = wire::checkpoint_kind::unknown;
  std::string name{};
  std::filesystem::path folder{};
};

// Of a route training_runs/*/checkpoints/*/*/…
inline checkpoint_place named_checkpoint(const service& it, const call& request) {
  checkpoint_place place{.run = request.arguments.at(0), .name = request.arguments.at(2)};
  for (const auto kind :
       {wire::checkpoint_kind::training, wire::checkpoint_kind::sampler, wire::checkpoint_kind::external})
    if (request.arguments.at(1) == wire::path_segment(kind)) place.kind = kind;
  if (place.kind == wire::checkpoint_kind::unknown)
    throw refusal{400, "a checkpoint id is weights/<name>, sampler_weights/<name> or external_weights/<name>"};
  place.folder = it.store.find(wire::to_string({place.run, place.kind, place.name}));
  return place;
}

template <class Change>
http_response change_notes(service& it, const call& request, Change change) {
  const auto place = named_checkpoint(it, request);
  auto notes = read_notes(place.folder);
  change(notes);
  write_notes(place.folder, notes);
  return {204, {}, {}};
}

inline http_response publish_checkpoint(service& it, call& request) {
  return change_notes(it, request, [](checkpoint_notes& notes) { notes.is_public = true; });
}
inline http_response unpublish_checkpoint(service& it, call& request) {
  return change_notes(it, request, [](checkpoint_notes& notes) { notes.is_public = false; });
}
inline http_response set_checkpoint_ttl(service& it, call& request) {
  const auto expires = expiry_after(parse<wire::checkpoint_ttl_request>(request).ttl_seconds);
  return change_notes(it, request, [&](checkpoint_notes& notes) { notes.expires_at = expires; });
}

// ---- downloads: an address that is good for a quarter of an hour and needs no key ----

inline std::string ticket_url(service& it, const call& request, const std::filesystem::path& path,
                              const std::string& shown_as) {
  const std::time_t now = std::time(nullptr);
  std::erase_if(it.downloads, [&](const auto& item) { return item.second.until <= now; });
  if (it.downloads.size() > 10'000) throw refusal{429, "too many downloads are waiting to be fetched"};
  const std::string ticket = random_hex();
  it.downloads.emplace(ticket, download{path, now + download::seconds});
  return "http://" + std::string(request.request.header("Host")) + "/api/v1/downloads/" + ticket + "/" + shown_as;
}

inline std::string expiry_of_tickets() { return iso_time(std::time(nullptr) + download::seconds); }

inline http_response checkpoint_archive(service& it, call& request) {
  const auto place = named_checkpoint(it, request);
  const std::time_t until = std::time(nullptr) + download::seconds;
  std::tm parts{};
  gmtime_r(&until, &parts);
  char expires[64];
  const std::size_t length = std::strftime(expires, sizeof expires, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {302,
          {{"Location", ticket_url(it, request, place.folder, place.name + ".tar")},
           {"Expires", std::string(expires, length)}},
          {}};
}

inline http_response external_weights_urls(service& it, call& request) {
  const auto place = named_checkpoint(it, request);
  if (place.kind != wire::checkpoint_kind::external)
    throw refusal{400, "these weights are not external_weights/<name>"};
  wire::external_weights_urls_reply reply{.expires = expiry_of_tickets()};
  for (const auto& file : std::filesystem::directory_iterator(place.folder)) {
    const std::string name = file.path().filename().string();
    if (file.is_regular_file() && !file.is_symlink())
      reply.urls.emplace_back(name, ticket_url(it, request, file.path(), name));
  }
  std::sort(reply.urls.begin(), reply.urls.end());
  return message_reply(reply);
}

inline http_response fetch_download(service& it, call& request) {
  const auto found = it.downloads.find(request.arguments.at(0));
  if (found == it.downloads.end() || found->second.until <= std::time(nullptr))
    throw refusal{404, "there is no such download, or its time is over; ask for its address again"};
  const std::filesystem::path path = found->second.path;
  std::error_code problem;
  if (std::filesystem::is_directory(path, problem))
    return {200, {{"Content-Type", "application/x-tar"}}, tar_of(path, path.filename().string(), std::time(nullptr))};
  if (!std::filesystem::is_regular_file(path, problem)) throw refusal{404, "the checkpoint was deleted"};
  return {200, {{"Content-Type", "application/octet-stream"}}, read_text(path)};
}

// ---- exports and copies ----

inline http_response save_weights_external(service& it, call& request) {
  const auto given = parse<wire::save_weights_external_request>(request);
  if (!given.age_encryption_recipients.empty())
    invalid({"age_encryption_recipients"}, "value_error", "the embedded trainer does not encrypt what it exports");
  const auto entry = it.model(given.model_id);
  const std::string name = checkpoint_name(*entry, given.path);
  const auto expires = expiry_after(given.ttl_seconds);
  const auto save = [&it, entry, name, expires] {
    const auto kind = wire::checkpoint_kind::external;
    if (it.store.exists(entry->id, kind, name))
      throw refusal{409, "Checkpoint '" + name + "' already exists for " + entry->id + "; choose another name"};
    const auto folder = it.store.place(entry->id, kind, name);
    entry->weights().save(folder);
    write_notes(folder, {.expires_at = expires});
    std::int64_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(folder))
      if (file.is_regular_file()) bytes += static_cast<std::int64_t>(file.file_size());
    return finished{.result = wire::to_json(wire::save_weights_external_reply{
                        .path = wire::to_string({entry->id, kind, name}), .size_bytes = bytes})};
  };
  return it.submit(request, entry, given.seq_id, save, keeping::checkpoint);
}

// The same bytes under another run, which cannot be trained. A request that comes again, as its idempotency key says,
// is answered as before.
inline http_response copy_weights(service& it, call& request) {
  const auto given = parse<wire::copy_weights_request>(request);
  const std::string key(request.request.header("X-Idempotency-Key"));
  if (const auto before = it.copies.find(key); !key.empty() && before != it.copies.end()) {
    if (before->second.first != request.request.body)
      throw refusal{409, "this X-Idempotency-Key was used for another copy"};
    return message_reply(wire::copy_weights_reply{before->second.second});
  }
  if (given.destination_project_id.has_value() == given.session_id.has_value())
    throw refusal{400, "give destination_project_id, or session_id and model_seq_id"};
  const auto source = it.store.find(given.source_path);
  const auto parsed = *wire::parse_tinker_path(given.source_path);
  const auto expires = expiry_after(given.ttl_seconds);
  std::string run = "copy-" + random_hex();
  if (given.session_id) {
    it.session(*given.session_id);
    if (!given.model_seq_id) invalid({"model_seq_id"}, "missing", "Field required");
    run = *given.session_id + ":train:" + std::to_string(*given.model_seq_id);
    if (it.models.find(run) != it.models.end() || !it.store.list(run).empty())
      throw refusal{409, "run " + run + " exists; model_seq_id counts up within a session"};
  }
  if (std::filesystem::exists(source / delta_name))
    throw refusal{400, "'" + parsed.name + "' is a delta, nothing without the snapshots before it; copy a base"};
  const auto kind = parsed.kind == wire::checkpoint_kind::unknown ? wire::checkpoint_kind::sampler : parsed.kind;
  const auto target = it.store.place(run, kind, parsed.name);
  staged_directory staged(target, false);
  for (const auto& file : std::filesystem::directory_iterator(source))
    if (file.is_regular_file() && !file.is_symlink())
      std::filesystem::copy_file(file.path(), staged.file(file.path().filename().string()));
  staged.commit();
  if (expires) write_notes(target, {.expires_at = expires});
  const std::string path = wire::to_string({run, kind, parsed.name});
  if (!key.empty()) it.copies.emplace(key, std::pair(request.request.body, path));
  return message_reply(wire::copy_weights_reply{path});
}

// ---- many futures at once ----

inline http_response join_sampling_session(service& it, call& request) {
  const auto given = parse<wire::join_sampling_session_request>(request);
  const auto found = it.samplers.find(given.sampling_session_id);
  if (found == it.samplers.end()) throw refusal{404, "Sampling session not found"};
  return message_reply(wire::join_sampling_session_reply{++found->second->joined});
}

// Answers when something has finished, or when the time that the client or this server gives it is over.
inline void retrieve_futures(service& it, call& request) {
  const auto given = parse<wire::retrieve_futures_request>(request);
  if (it.samplers.find(given.sampling_session_id) == it.samplers.end())
    throw refusal{404, "Sampling session not found"};
  const double hold = std::min(given.timeout.value_or(it.options.hold_seconds), it.options.hold_seconds);
  const std::uint64_t number = it.completions.ask(
      given.sampling_session_id, given.cloned_sampler_id, given.prev_cursor,
      [respond = request.respond](const wire::retrieve_futures_reply& reply) { respond(message_reply(reply)); });
  if (number == 0) return;
  const auto give_up = [&it, session = given.sampling_session_id, client = given.cloned_sampler_id, number] {
    it.completions.give_up(session, client, number);
  };
  if (!(hold > 0)) return give_up();
  it.http.load()->post_after(hold, give_up);
}

inline http_response create_custom_loss(service&, call& request) {
  parse<wire::create_custom_loss_request>(request);
  throw refusal{
      400, "the embedded trainer runs no loss graphs; compute the loss where you are, with forward_backward_custom"};
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
