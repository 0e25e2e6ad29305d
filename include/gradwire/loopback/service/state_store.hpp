// SPDX-License-Identifier: Apache-2.0
// What start_options.state keeps across restarts, one file a model (state_file.hpp): weights, Adam's moments and step,
// the accumulated gradient, the seq_ids that were executed and the last results. All in one file, so that weights and
// seq_ids can never be of different moments: a request that is sent again after a crash is recognised, or executed.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/loopback/files/state_file.hpp>
#include <gradwire/loopback/service/entries.hpp>
#include <gradwire/wire/protobuf.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

class state_store {
 public:
  static constexpr std::size_t most_results = std::size_t{4} << 20;  // bytes; those of the last operation in any case
  static constexpr std::size_t most_operations = 512;

  state_store(const std::filesystem::path& at, std::string boot_id, const frozen_model& base)
      : whole_(at),
        models_(at / "models"),
        sessions_(at / "sessions"),
        boot_id_(std::move(boot_id)),
        base_(base),
        base_sum_(hex_of(base.checksum())) {}

  // compute thread. Durable when it returns.
  void write(model_entry& entry) {
    const auto with = [&](const training_arrays* arrays) {
      std::string results;
      const std::string about = describe(entry, arrays, results);
      const std::uint64_t length = about.size();
      std::vector<std::string_view> parts{{reinterpret_cast<const char*>(&length), sizeof length}, about, results};
      if (arrays)
        for (const auto& each : {arrays->values, arrays->first_moment, arrays->second_moment, arrays->gradient})
          parts.emplace_back(reinterpret_cast<const char*>(each.data()), each.size_bytes());
      models_.write(entry.id, std::move(parts));
    };
    if (!entry.trained) return with(nullptr);
    entry.trained->with_arrays([&](const training_arrays& arrays) { with(&arrays); });
  }

  // compute thread
  void remove(const std::string& model_id) { models_.remove(model_id); }

  // server's thread
  void write_session(const std::string& id) { sessions_.write(id, {id}); }
  void remove_session(const std::string& id) { sessions_.remove(id); }

  // All that is there, before the server's threads run. Sentences about what was damaged go to `notices`.
  struct contents {
    std::vector<std::string> sessions{};
    std::vector<std::shared_ptr<model_entry>> models{};
  };
  contents read(std::vector<std::string>& notices, bool no_op) {
    contents all;
    const auto sessions = sessions_.names();
    for (const std::string& name : sessions)
      if (auto bytes = sessions_.read(name, notices)) all.sessions.push_back(std::move(*bytes));
    for (const std::string& name : models_.names()) {
      const auto bytes = models_.read(name, notices);
      if (!bytes) continue;
      auto entry = naming_file(models_.path() / name, [&] { return parse(*bytes, no_op); });
      // A session that was finished has no file any more; the trainer ended before it came to remove its models.
      if (std::ranges::find(sessions, entry->session_id) == sessions.end())
        models_.remove(entry->id);
      else
        all.models.push_back(std::move(entry));
    }
    return all;
  }

 private:
  static void add(wire::json_writer& out, const seen_request& request) {
    out.key("bytes").integer(static_cast<std::int64_t>(request.bytes));
    out.key("hash").string(std::to_string(request.hash));
    out.key("request_id").string(request.request_id);
  }

  std::string describe(model_entry& entry, const training_arrays* arrays, std::string& results) const {
    wire::json_writer out;
    out.begin_object();
    out.key("format").string("gradwire-model-state-1");
    out.key("boot_id").string(boot_id_);
    out.key("base_model").string(base_.name());
    out.key("base_crc32c").string(base_sum_);
    out.key("id").string(entry.id);
    out.key("session_id").string(entry.session_id);
    out.key("created").string(entry.created);
    out.key("base_only").boolean(entry.base_only);
    out.key("lora_rank").integer(entry.lora.rank);
    out.key("lora_alpha").real(entry.lora.alpha);
    out.key("train_attn").boolean(entry.lora.attention);
    out.key("train_mlp").boolean(entry.lora.mlp);
    out.key("train_unembed").boolean(entry.lora.unembed);
    out.key("lora_seed").string(std::to_string(entry.lora.seed));
    out.key("metadata").begin_array();
    for (const auto& [key, value] : entry.user_metadata.value_or(wire::metadata{})) out.string(key), out.string(value);
    out.end_array();
    out.key("has_metadata").boolean(entry.user_metadata.has_value());
    out.key("saves").integer(entry.saves);
    out.key("models_made").string(std::to_string(entry.models_made));
    out.key("next_seq_id").integer(entry.next_seq_id);
    out.key("last_seq_id").integer(entry.last_seq_id);
    out.key("no_op_steps").integer(entry.no_op_steps);
    out.key("loss_tokens").integer(entry.loss_tokens);
    out.key("loss_sequences").integer(entry.loss_sequences);
    out.key("frozen_from").string(entry.frozen_from.string());
    out.key("last_snapshot").string(entry.last_snapshot.empty() ? entry.snapshots.last() : entry.last_snapshot);
    out.key("creation_number").integer(entry.creation_number);
    out.key("creation").begin_object();
    add(out, entry.creation);
    out.key("result").string(entry.creation_result);
    out.end_object();
    out.key("step").integer(arrays ? arrays->step : 0);
    out.key("values").integer(arrays ? static_cast<std::int64_t>(arrays->values.size()) : 0);
    out.key("has_gradient").boolean(arrays && !arrays->gradient.empty());
    forget_old_results(entry);
    out.key("operations").begin_array();
    for (const executed_operation& each : entry.executed) {
      const bool binary = std::holds_alternative<wire::forward_backward_reply>(each.outcome.result);
      const std::string bytes = result_bytes(each.outcome);
      results += bytes;
      out.begin_object();
      out.key("seq_id").integer(each.seq_id);
      add(out, each.request);
      out.key("status").integer(each.outcome.status);
      out.key("sentence").string(each.outcome.sentence);
      out.key("binary").boolean(binary);
      out.key("result").integer(static_cast<std::int64_t>(bytes.size()));
      out.end_object();
    }
    out.end_array();
    out.end_object();
    return std::move(out).take();
  }

  static std::string result_bytes(const finished& outcome) {
    if (const auto* json = std::get_if<std::string>(&outcome.result)) return *json;
    if (const auto* reply = std::get_if<wire::forward_backward_reply>(&outcome.result))
      return wire::to_protobuf(*reply);
    return {};  // samples are not operations of a model
  }

  static std::size_t size_of(const finished& outcome) {
    if (const auto* json = std::get_if<std::string>(&outcome.result)) return json->size();
    std::size_t bytes = 0;
    if (const auto* reply = std::get_if<wire::forward_backward_reply>(&outcome.result))
      for (const auto& output : reply->loss_fn_outputs)
        for (const auto& item : output) bytes += 4 * item.value.size() + 64;
    return bytes;
  }

  static void forget_old_results(model_entry& entry) {
    while (entry.executed.size() > most_operations) entry.executed.pop_front();
    std::size_t bytes = 0;
    for (auto it = entry.executed.rbegin(); it != entry.executed.rend(); ++it) {
      bytes += size_of(it->outcome);
      if (it == entry.executed.rbegin() || bytes <= most_results) continue;
      it->outcome = {.status = 410, .sentence = "this operation was executed; its result is no longer kept"};
    }
  }

  std::shared_ptr<model_entry> parse(const std::string& bytes, bool no_op) const {
    std::size_t at = 0;
    const auto take = [&](std::size_t count) {
      if (count > bytes.size() - at) throw error(errc::config, "it ends too early");
      return std::string_view(bytes).substr(std::exchange(at, at + count), count);
    };
    std::uint64_t length = 0;
    std::memcpy(&length, take(sizeof length).data(), sizeof length);
    const wire::json_document json(take(length));
    const json_members about(json, json.root());
    const std::string base = about.text("base_model", "");
    if (about.text("format", "") != "gradwire-model-state-1") throw error(errc::config, "its format is not known");
    if (base != base_.name() || about.text("base_crc32c", "") != base_sum_)
      throw error(errc::config, "it belongs to the base model '" + base + "' with the checksum " +
                                    about.text("base_crc32c", "") + "; this trainer has '" + base_.name() + "' with " +
                                    base_sum_ + ". Start it with the same model and seed");
    auto entry = std::make_shared<model_entry>();
    entry->id = about.text("id", "");
    entry->session_id = about.text("session_id", "");
    entry->created = entry->last_request = about.text("created", "");
    entry->base_only = about.flag("base_only", false);
    entry->lora = {.rank = about.number<std::int32_t>("lora_rank", 0),
                   .alpha = about.number<double>("lora_alpha", 0.0),
                   .attention = about.flag("train_attn", true),
                   .mlp = about.flag("train_mlp", true),
                   .unembed = about.flag("train_unembed", true)};
    entry->lora.seed = whole(about, "lora_seed");
    if (about.flag("has_metadata", false)) {
      const auto texts = about.texts("metadata");
      entry->user_metadata.emplace();
      for (std::size_t i = 0; i + 1 < texts.size(); i += 2) entry->user_metadata->emplace_back(texts[i], texts[i + 1]);
    }
    entry->saves = about.number<std::int64_t>("saves", 0);
    entry->models_made = whole(about, "models_made");
    entry->next_seq_id = about.number<std::int64_t>("next_seq_id", 1);
    entry->last_seq_id = about.number<std::int64_t>("last_seq_id", 0);
    entry->no_op_steps = about.number<std::int64_t>("no_op_steps", 0);
    entry->loss_tokens = about.number<std::int64_t>("loss_tokens", 0);
    entry->loss_sequences = about.number<std::int64_t>("loss_sequences", 0);
    entry->frozen_from = about.text("frozen_from", "");
    entry->last_snapshot = about.text("last_snapshot", "");
    entry->creation_number = about.number<std::int64_t>("creation_number", 0);
    if (const wire::json_node* creation = about.find("creation")) {
      entry->creation = request_of(json_members(json, *creation));
      entry->creation_result = json_members(json, *creation).text("result", "");
    }
    const wire::json_node* operations = about.find("operations");
    for (const auto* node = operations ? json.first(*operations) : nullptr; node; node = json.next(*node)) {
      const json_members one(json, *node);
      executed_operation made{.seq_id = one.number<std::int64_t>("seq_id", -1), .request = request_of(one)};
      made.outcome.status = one.number<std::int32_t>("status", 200);
      made.outcome.sentence = one.text("sentence", "");
      const auto result = take(size_in(one, "result"));
      if (one.flag("binary", false))
        made.outcome.result = wire::from_protobuf<wire::forward_backward_reply>(result);
      else
        made.outcome.result = std::string(result);
      entry->executed.push_back(std::move(made));
    }
    if (entry->base_only) {
      entry->frozen = entry->frozen_from.empty() ? base_ : weights_in(base_, entry->frozen_from);
      return entry;
    }
    lora_options shape = entry->lora;
    if (no_op) shape.rank = std::min(shape.rank, 1);
    std::vector<float> arrays[4];
    const auto count = size_in(about, "values");
    for (std::size_t i = 0; i < (about.flag("has_gradient", false) ? 4U : 3U); ++i) {
      const auto from = take(count * sizeof(float));
      arrays[i].resize(count);
      std::memcpy(arrays[i].data(), from.data(), from.size());
    }
    if (at != bytes.size()) throw error(errc::config, "there is more in it than it says");
    entry->trained.emplace(base_, shape);
    entry->trained->restore({about.number<std::int64_t>("step", 0), arrays[0], arrays[1], arrays[2], arrays[3]});
    return entry;
  }

  static seen_request request_of(const json_members& from) {
    return {.bytes = size_in(from, "bytes"),
            .hash = static_cast<std::size_t>(whole(from, "hash")),
            .request_id = from.text("request_id", "")};
  }

  static std::size_t size_in(const json_members& from, const char* key) {
    return static_cast<std::size_t>(std::max<std::int64_t>(0, from.number<std::int64_t>(key, 0)));
  }

  static std::uint64_t whole(const json_members& from, const char* key) {
    const std::string text = from.text(key, "0");
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  }

  state_folder whole_;  // locked against another trainer
  state_folder models_, sessions_;
  std::string boot_id_;
  frozen_model base_;
  std::string base_sum_;
};

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
