// SPDX-License-Identifier: Apache-2.0
// One model of a probe, spoken to request by request: every number and every answer is seen, nothing is repeated by
// itself.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/impl/model_info.hpp>
#include <gradwire/trainer/impl/service_client.hpp>
#include <gradwire/trainer/probe.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/metrics.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct probe_answer {
  bool succeeded = false;
  bool late = false;  // no answer within the time
  int status = 0;
  std::string text{};  // of the failure
  std::string request_id{};
  std::string content_type{};
  std::string body{};

  wire::forward_backward_reply outputs() const {
    return wire::read_outcome<wire::forward_backward_reply>(content_type, body).result;
  }
  wire::metrics step_metrics() const {
    return wire::read_outcome<wire::optim_step_reply>(content_type, body).result.metrics;
  }
};

struct probe_datum {
  std::vector<std::int32_t> tokens{};  // the targets are those one further on
  std::vector<float> weights{}, logprobs{}, advantages{};
};

class probe_link {
 public:
  probe_link(session_owner owner, std::shared_ptr<model> on, double seconds)
      : owner_(std::move(owner)), on_(std::move(on)), seconds_(seconds), next_(on_->next_seq_id()) {}

  wire::encoding encoding() const { return owner_->get()->encoding(); }
  std::int64_t next() const noexcept { return next_; }
  void set_next(std::int64_t number) noexcept { next_ = number; }

  wire::forward_backward_request body(std::vector<probe_datum> data, std::string loss = "cross_entropy",
                                      wire::loss_fn_config config = {}) const {
    wire::forward_backward_request made;
    made.model_id = on_->id();
    made.loss_fn = std::move(loss);
    made.loss_fn_config = std::move(config);
    for (auto& each : data) {
      const auto length = each.tokens.size() - 1;
      wire::datum datum;
      std::vector<std::int32_t> input(each.tokens.begin(), each.tokens.end() - 1);
      std::vector<std::int64_t> targets(each.tokens.begin() + 1, each.tokens.end());
      datum.model_input.push_back(wire::encoded_text{wire::array<std::int32_t>(std::move(input))});
      datum.loss_fn_inputs.push_back({"target_tokens", wire::tensor(wire::array<std::int64_t>(std::move(targets)))});
      const auto add = [&](const char* name, std::vector<float>& values) {
        if (values.empty()) return;
        values.resize(length);
        datum.loss_fn_inputs.push_back({name, wire::tensor(wire::array<float>(std::move(values)))});
      };
      add("weights", each.weights);
      add("logprobs", each.logprobs);
      add("advantages", each.advantages);
      made.data.push_back(std::move(datum));
    }
    return made;
  }

  // One request under this number, in this encoding.
  probe_answer send(wire::forward_backward_request request, std::int64_t number, wire::encoding as,
                    bool at_forward = false) {
    request.seq_id = number;
    const bool json = as == wire::encoding::json;
    auto record =
        make(at_forward ? "forward" : "forward_backward", json ? wire::to_json(request) : wire::to_protobuf(request));
    record.content_type = json ? "application/json" : "application/x-protobuf";
    record.accept = json ? "application/json" : "application/x-protobuf, application/json";
    record.seq_id = number;
    record.result_limit = std::size_t{16} << 20;
    return run(std::move(record));
  }
  probe_answer step(const wire::adam_params& how, std::int64_t number) {
    wire::optim_step_request request;
    request.model_id = on_->id();
    request.seq_id = number;
    request.adam_params = how;
    return run(make("optim_step", wire::to_json(request)));
  }

  // The same under the next number, following a server that counts otherwise. Throws when it fails.
  probe_answer pass(const wire::forward_backward_request& request) {
    return counted([&](std::int64_t number) {
      const bool at_forward = request.forward_only && encoding() == wire::encoding::json;
      return send(request, number, encoding(), at_forward);
    });
  }
  probe_answer step(const wire::adam_params& how) {
    return counted([&](std::int64_t number) { return step(how, number); });
  }

  void limit(double seconds) noexcept { seconds_ = seconds; }

  operation_record make(const char* path, std::string text) const {
    auto record = owner_->get()->record(path, std::string("/api/v1/") + path, std::move(text), effect::mutates);
    record.model_id = on_->id();
    record.time_limit_seconds = seconds_;
    return record;
  }

  probe_answer run(operation_record record) const {
    auto ended = std::make_shared<promise<probe_answer>>();
    auto result = ended->get_future();
    owner_->net().post([of = owner_->get(), ended, record = std::move(record)]() mutable {
      of->run(std::move(record), traffic::submit, nullptr, [ended](const operation_outcome& outcome) {
        probe_answer seen;
        if (outcome.machine) seen.request_id = outcome.machine->request_id();
        if (outcome.failure && !outcome.machine) {
          seen.text = text_of_error(outcome.failure);
        } else if (outcome.failure) {
          const error& failed = *outcome.machine->failure();
          seen.late = failed.kind() == errc::timeout;
          seen.status = failed.details().http_status;
          seen.text = failed.what();
        } else {
          seen.succeeded = true;
          seen.status = outcome.result->status;
          seen.content_type = outcome.result->content_type;
          seen.body = outcome.result->body;
        }
        ended->set_value(std::move(seen));
      });
    });
    return std::move(result).result();
  }

 private:
  template <class Send>
  probe_answer counted(Send send) {
    for (int attempt = 0;; ++attempt) {
      auto seen = send(next_);
      if (seen.succeeded || !seen.request_id.empty()) ++next_;
      if (seen.succeeded) return seen;
      const auto conflict = find_sequence_conflict(seen.text);
      if (!conflict || attempt > 0) throw error(errc::status, seen.text);
      next_ = conflict->expected;
    }
  }

  session_owner owner_;
  std::shared_ptr<model> on_;
  double seconds_;
  std::int64_t next_;
};

}  // namespace detail
}  // namespace gradwire::inline v0
