// SPDX-License-Identifier: Apache-2.0
// What the server knows: sessions, models, samplers, futures; and the way of an operation from its request to its
// future. Everything here belongs to the server's thread, except what is marked "compute thread".
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/loopback/server.hpp>
#include <gradwire/loopback/service/checkpoint_store.hpp>
#include <gradwire/loopback/service/completions.hpp>
#include <gradwire/loopback/service/compute_thread.hpp>
#include <gradwire/loopback/service/state_store.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// 32 random hexadecimal digits.
inline std::string random_hex() {
  std::random_device source;
  std::string text;
  for (int i = 0; i < 32; ++i) text += "0123456789abcdef"[source() & 15];
  return text;
}

// When an operation is written to start_options.state: a creation, a load or a checkpoint at once, others as
// start_options.commit_every says.
enum class keeping : unsigned char { operation, creation, loading, checkpoint };

// One request on its way through the server.
struct call {
  http_request request;
  std::vector<std::string> arguments;  // what the route's * stand for
  http_server::responder respond;
};

// What may be fetched without a key, for a while, by who knows the address.
struct download {
  static constexpr std::time_t seconds = 900;
  std::filesystem::path path{};  // a file, or a folder as an archive
  std::time_t until = 0;
};

class service {
 public:
  service(start_options given, frozen_model base_model)
      : options(std::move(given)),
        base(std::move(base_model)),
        limits(limits_of(options, base)),
        state(open_state(options, boot_id, base)),
        store(options.checkpoints.empty() && !options.state.empty() ? options.state / "checkpoints"
                                                                    : options.checkpoints),
        compute([this](std::vector<sample_job>& jobs) { run_samples(*this, jobs); }) {
    base_sampler->weights = base;
    if (!options.state.empty()) restore();
  }

  const start_options options;
  const frozen_model base;
  const model_config limits;  // what requests are held to: the base model's shape, or none with no_op
  const std::string boot_id = random_hex();
  std::optional<state_store> state;  // with start_options.state; before `store`, which may lie in the same folder
  const checkpoint_store store;
  std::vector<std::string> notices;
  future_table futures{boot_id.substr(0, 8) + "-"};
  std::map<std::string, session_entry> sessions;
  std::map<std::string, std::shared_ptr<model_entry>> models;
  std::map<std::string, std::shared_ptr<sampler_entry>> samplers;
  std::map<std::string, download> downloads;                          // by ticket
  std::map<std::string, std::pair<std::string, std::string>> copies;  // by idempotency key: body, path
  completion_table completions;
  std::shared_ptr<sampler_entry> base_sampler = std::make_shared<sampler_entry>();
  std::vector<std::weak_ptr<sampler_entry>> loaded;  // compute thread: samplers whose weights are in memory
  std::array<std::atomic<std::int64_t>, std::size(counter_names)> executed{};
  std::atomic<http_server*> http{nullptr};
  void (*run_samples)(service&, std::vector<sample_job>&) = nullptr;
  std::string tokenizer_id;
  std::uint64_t models_made = 0;       // seeds adapters that are given no seed, so that a run can be repeated
  compute_thread<sample_job> compute;  // last: its thread ends before the rest goes

  void count(counter what) { ++executed[static_cast<std::size_t>(what)]; }

  // With no_op the weights are only there to be saved and loaded.
  lora_options trained_shape(lora_options lora) const {
    if (options.no_op) lora.rank = std::min(lora.rank, 1);
    return lora;
  }

  session_entry& session(const std::string& id) {
    const auto found = sessions.find(id);
    if (found == sessions.end()) throw refusal{404, "Session not found"};
    if (found->second.finished) throw refusal{410, "Session " + id + " is finished"};
    return found->second;
  }

  std::shared_ptr<model_entry> model(const std::string& id) {
    const auto found = models.find(id);
    if (found == models.end()) throw refusal{404, "Model not found"};
    found->second->last_request = iso_time(std::time(nullptr));
    return found->second;
  }

  // compute thread: makes the outcome known to those who wait.
  void publish(const std::string& request_id, finished outcome) {
    auto shared = std::make_shared<finished>(std::move(outcome));
    http.load()->post([this, request_id, shared] {
      crash_point("finished");
      const bool succeeded = shared->status == 200;
      futures.finish(request_id, std::move(*shared));
      completions.finish(request_id, succeeded);
    });
  }

  static finished failure(int status, std::string sentence) {
    return {.status = status, .sentence = std::move(sentence)};
  }

  // Runs `work` on the compute thread; the future's id.
  std::string enqueue(std::function<finished()> work) {
    std::string id = futures.create();
    compute.submit([this, id, work = std::move(work)] { publish(id, attempt(work)); });
    return id;
  }

  // As enqueue, for what changes a model: with start_options.state the change is written down before the outcome is
  // known to anybody.
  std::string enqueue(std::shared_ptr<model_entry> entry, std::int64_t seq_id, seen_request request, keeping when,
                      std::function<finished()> work) {
    std::string id = futures.create();
    request.request_id = id;
    if (when == keeping::creation) entry->creation = request;
    compute.submit([this, entry, id, when, made = executed_operation{seq_id, request, {}}, work = std::move(work)] {
      finished outcome = attempt(work);
      crash_point("applied");
      publish(id, state ? keep(*entry, made, when, std::move(outcome)) : std::move(outcome));
    });
    return id;
  }

  // compute thread. The operation's outcome, or that of writing it down.
  finished keep(model_entry& entry, executed_operation made, keeping when, finished outcome) {
    if (when != keeping::creation) {
      entry.last_seq_id = std::max(entry.last_seq_id, made.seq_id);
      made.outcome = outcome;
      entry.executed.push_back(std::move(made));
      ++entry.uncommitted;
    }
    if (when == keeping::creation && outcome.status == 200)
      entry.creation_result = std::get<std::string>(outcome.result);
    const bool due = options.commit_every > 0 && entry.uncommitted >= options.commit_every;
    if (outcome.status != 200 && when == keeping::creation) return outcome;  // there is no model
    if (when == keeping::operation && !due) return outcome;
    finished kept = attempt([&]() -> finished {
      state->write(entry);
      return {};
    });
    crash_point("kept");
    if (kept.status == 200) entry.uncommitted = 0;
    if (kept.status == 200 || outcome.status != 200) return outcome;
    if (when == keeping::creation) entry.trained.reset(), entry.frozen.reset();
    return failure(kept.status, "this operation was executed, but not kept for a restart: " + kept.sentence);
  }

  static finished attempt(const std::function<finished()>& work) {
    try {
      return work();
    } catch (const refusal& refused) {
      return failure(refused.status, refused.sentence);
    } catch (const error& problem) {
      return failure(problem.details().http_status == 507 ? 507 : 400, problem.what());
    } catch (const std::exception& problem) {
      return failure(400, problem.what());
    }
  }

  // An operation of a model, once for each seq_id.
  http_response submit(const call& it, const std::shared_ptr<model_entry>& entry, std::optional<std::int64_t> seq_id,
                       std::function<finished()> work, keeping when = keeping::operation) {
    const auto send = [&]() -> std::string {
      check_restored(*entry, seq_id, when);
      crash_point("request_read");
      const auto queue = [&](std::function<finished()> checked) {
        return enqueue(entry, seq_id.value_or(-1), state ? fingerprint(it) : seen_request{}, when, std::move(checked));
      };
      if (options.sequence != sequence_policy::strict || !in_sequence(it, seq_id)) return queue(std::move(work));
      return queue([entry, seq_id, work = std::move(work)] {
        const std::int64_t got = seq_id.value_or(0);
        if (got != entry->next_seq_id)
          return failure(409, "Sequence conflict: expected " + std::to_string(entry->next_seq_id) + ", got " +
                                  std::to_string(got) + ".");
        finished outcome = attempt(work);
        if (outcome.status == 200) ++entry->next_seq_id;
        return outcome;
      });
    };
    const std::string id = once(it, entry->sequence, seq_id, send);
    return message_reply(wire::submit_reply{.request_id = id, .model_id = entry->id});
  }

  static seen_request fingerprint(const call& it) {
    const std::hash<std::string_view> hash_of;
    return {it.request.body.size(), hash_of(it.request.body) * 31 + hash_of(it.request.target), {}};
  }

  // The future of a request with this number and body, made by `send` when it is new.
  template <class Send>
  std::string once(const call& it, sequence_record& record, std::optional<std::int64_t> number, Send&& send) const {
    if (!number || options.sequence != sequence_policy::dedupe) return send();
    seen_request request = fingerprint(it);
    const auto found = record.find(*number);
    if (found == record.end()) {
      request.request_id = send();
      return record.emplace(*number, request).first->second.request_id;
    }
    if (!found->second.same_as(request))
      throw refusal{409,
                    "Training request sequence number " + std::to_string(*number) + " was reused with another body"};
    return found->second.request_id;
  }

 private:
  static model_config limits_of(const start_options& options, const frozen_model& base) {
    model_config config = base.config();
    if (options.no_op) config.vocab_size = config.max_position_embeddings = std::numeric_limits<std::int32_t>::max();
    return config;
  }

  static std::optional<state_store> open_state(const start_options& options, const std::string& boot_id,
                                               const frozen_model& base) {
    if (options.state.empty()) return {};
    return std::optional<state_store>(std::in_place, options.state, boot_id, base);
  }

  // What was there when the trainer ended. No thread runs yet.
  void restore() {
    auto found = state->read(notices, options.no_op);
    for (const auto& id : found.sessions) sessions.emplace(id, session_entry{.id = id, .created_at = iso_time_now()});
    for (const auto& entry : found.models) {
      session_entry& session =
          sessions.try_emplace(entry->session_id, session_entry{.id = entry->session_id, .created_at = iso_time_now()})
              .first->second;
      session.model_requests.emplace(entry->creation_number, entry->creation);
      futures.restore(entry->creation.request_id, {.result = entry->creation_result});
      for (const executed_operation& each : entry->executed) {
        futures.restore(each.request.request_id, each.outcome);
        if (each.seq_id >= 0) entry->sequence.emplace(each.seq_id, each.request);
      }
      entry->restored_after = entry->last_seq_id;
      models_made = std::max(models_made, entry->models_made);
      models.emplace(entry->id, entry);
    }
  }

  // After a restart that lost operations a model must not go on as if it had them.
  void check_restored(model_entry& entry, std::optional<std::int64_t> seq_id, keeping when) const {
    if (!entry.restored_after || !seq_id || options.sequence != sequence_policy::dedupe) return;
    const std::int64_t last = *entry.restored_after;
    if (*seq_id <= last)
      throw refusal{410, "operation " + std::to_string(*seq_id) +
                             " is from before the trainer's restart; what became " + "of it is no longer kept"};
    if (*seq_id > last + 1 && when != keeping::loading)
      throw refusal{412, "the trainer was restarted and has this model as it was after operation " +
                             std::to_string(last) + "; those up to " + std::to_string(*seq_id - 1) +
                             " are lost. Load a saved state and repeat what came after it"};
    entry.restored_after.reset();
  }

  // JSON operations may leave the number out and are then not checked; protobuf cannot leave it out.
  static bool in_sequence(const call& it, std::optional<std::int64_t> seq_id) {
    return seq_id.has_value() || wire::is_protobuf(it.request.header("Content-Type"));
  }
};

template <class Message>
Message parse(const call& it) {
  return wire::from_json<Message>(it.request.body);
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
