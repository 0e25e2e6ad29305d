// SPDX-License-Identifier: Apache-2.0
// What the server knows: sessions, models, samplers, futures; and the way of an operation from its request to its
// future. Everything here belongs to the server's thread, except what is marked "compute thread".
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
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
#include <gradwire/loopback/service/compute_thread.hpp>
#include <gradwire/loopback/service/futures.hpp>
#include <gradwire/loopback/training.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// One request on its way through the server.
struct call {
  http_request request;
  std::vector<std::string> arguments;  // what the route's * stand for
  http_server::responder respond;
};

// A request that was seen, so that a re-send gets its future again.
struct seen_request {
  std::size_t bytes = 0;
  std::size_t hash = 0;
  std::string request_id{};
};

using sequence_record = std::map<std::int64_t, seen_request>;

struct model_entry {
  std::string id{};
  std::string session_id{};
  lora_options lora{};
  bool base_only = false;
  std::optional<wire::metadata> user_metadata{};
  std::string created{};
  std::string last_request{};
  sequence_record sequence{};
  std::int64_t saves = 0;  // checkpoints that were given no name

  // compute thread
  std::optional<training_model> trained{};
  std::optional<frozen_model> frozen{};  // instead of trained, when base_only
  std::int64_t next_seq_id = 1;          // with sequence_policy::strict

  // Throws when the model could not be made.
  void check_ready() const {
    if (!trained && !frozen) throw refusal{404, "Model " + id + " was not created; see the failure of its creation"};
  }
  frozen_model weights() const {
    check_ready();
    return trained ? trained->snapshot() : *frozen;
  }
};

struct sampler_entry {
  std::string id{};
  std::string session_id{};
  std::optional<std::string> model_path{};
  std::string created_by{};  // the request's members, to tell a re-send from another request
  sequence_record sequence{};
  std::int64_t samples = 0;  // given ids so far

  // compute thread
  std::optional<frozen_model> weights{};
  std::filesystem::path folder{};  // to load the weights from
  std::string problem{};           // why there are no weights
};

struct sample_job {
  std::string request_id{};
  std::shared_ptr<sampler_entry> sampler{};
  wire::array<std::int32_t> prompt{};
  sample_options options{};
  std::optional<std::size_t> prompt_logprobs_last_n{};
  std::optional<wire::tensor> targets{};  // int64 [prompt - 1, K], -1: nothing

  bool same_weights(const sample_job& other) const noexcept { return sampler == other.sampler; }
};

struct session_entry {
  std::string id{};
  bool finished = false;
  wire::metadata user_metadata{};
  std::map<std::int64_t, seen_request> model_requests{};
};

enum class counter : unsigned char {
  create_model,
  forward,
  forward_backward,
  optim_step,
  save_weights,
  save_weights_for_sampler,
  load_weights,
  sample
};
inline constexpr const char* counter_names[] = {"create_model", "forward",      "forward_backward",
                                                "optim_step",   "save_weights", "save_weights_for_sampler",
                                                "load_weights", "sample"};

class service {
 public:
  service(start_options given, frozen_model base_model)
      : options(std::move(given)),
        base(std::move(base_model)),
        store(options.checkpoints),
        compute([this](std::vector<sample_job>& jobs) { run_samples(*this, jobs); }) {
    base_sampler->weights = base;
  }

  const start_options options;
  const frozen_model base;
  const checkpoint_store store;
  future_table futures;
  std::map<std::string, session_entry> sessions;
  std::map<std::string, std::shared_ptr<model_entry>> models;
  std::map<std::string, std::shared_ptr<sampler_entry>> samplers;
  std::shared_ptr<sampler_entry> base_sampler = std::make_shared<sampler_entry>();
  std::vector<std::weak_ptr<sampler_entry>> loaded;  // compute thread: samplers whose weights are in memory
  std::array<std::atomic<std::int64_t>, std::size(counter_names)> executed{};
  std::atomic<http_server*> http{nullptr};
  void (*run_samples)(service&, std::vector<sample_job>&) = nullptr;
  std::string tokenizer_id;
  std::uint64_t models_made = 0;       // seeds adapters that are given no seed, so that a run can be repeated
  compute_thread<sample_job> compute;  // last: its thread ends before the rest goes

  void count(counter what) { ++executed[static_cast<std::size_t>(what)]; }

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
    http.load()->post([this, request_id, shared] { futures.finish(request_id, std::move(*shared)); });
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

  static finished attempt(const std::function<finished()>& work) {
    try {
      return work();
    } catch (const refusal& refused) {
      return failure(refused.status, refused.sentence);
    } catch (const std::exception& problem) {
      return failure(400, problem.what());
    }
  }

  // An operation of a model, once for each seq_id.
  http_response submit(const call& it, const std::shared_ptr<model_entry>& entry, std::optional<std::int64_t> seq_id,
                       std::function<finished()> work) {
    const auto send = [&]() -> std::string {
      if (options.sequence != sequence_policy::strict || !in_sequence(it, seq_id)) return enqueue(std::move(work));
      return enqueue([entry, seq_id, work = std::move(work)] {
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

  // The future of a request with this number and body, made by `send` when it is new.
  template <class Send>
  std::string once(const call& it, sequence_record& record, std::optional<std::int64_t> number, Send&& send) const {
    if (!number || options.sequence != sequence_policy::dedupe) return send();
    const std::hash<std::string_view> hash_of;
    const std::size_t hash = hash_of(it.request.body) * 31 + hash_of(it.request.target);
    const auto found = record.find(*number);
    if (found == record.end()) {
      std::string id = send();
      record.emplace(*number, seen_request{it.request.body.size(), hash, id});
      return id;
    }
    if (found->second.hash != hash || found->second.bytes != it.request.body.size())
      throw refusal{409,
                    "Training request sequence number " + std::to_string(*number) + " was reused with another body"};
    return found->second.request_id;
  }

 private:
  // JSON operations may leave the number out and are then not checked; protobuf cannot leave it out.
  static bool in_sequence(const call& it, std::optional<std::int64_t> seq_id) {
    return seq_id.has_value() || wire::is_protobuf(it.request.header("Content-Type"));
  }
};

// 32 random hexadecimal digits.
inline std::string random_hex() {
  std::random_device source;
  std::string text;
  for (int i = 0; i < 32; ++i) text += "0123456789abcdef"[source() & 15];
  return text;
}

template <class Message>
Message parse(const call& it) {
  return wire::from_json<Message>(it.request.body);
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
