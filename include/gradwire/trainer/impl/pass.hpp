// SPDX-License-Identifier: Apache-2.0
// Sends the chunks of one forward or forward_backward in their order and collects the replies.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include <gradwire/trainer/impl/batch_messages.hpp>
#include <gradwire/trainer/model.hpp>
#include <gradwire/trainer/results.hpp>
#include <gradwire/trainer/server_loss.hpp>
#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/outcome.hpp>
#include <gradwire/wire/protobuf.hpp>

namespace gradwire::inline v0 {
namespace detail {

// One pass over a batch: sends the requests of all its chunks and collects their replies.
struct pass_request {
  std::shared_ptr<model> on{};
  std::string name{};  // for errors
  bool forward_only = false;
  std::string loss = "cross_entropy";
  std::vector<server_loss::setting> config{};
  std::vector<chunk_range> chunks{};
  std::size_t tokens = 0;  // values of the whole batch, for the size of the replies
  std::function<std::vector<wire::datum>(chunk_range)> datums{};
  time_point deadline{};
};
// What became of it. `partly`: a part of its gradients is on the server, or may be.
struct pass_outcome {
  std::exception_ptr failure{};
  bool partly = false;
  std::vector<wire::forward_backward_reply> replies{};  // one a chunk
};
GRADWIRE_DECL void run_pass(pass_request request, std::function<void()> acknowledged,
                            std::function<void(pass_outcome)> done);

struct running_pass : std::enable_shared_from_this<running_pass> {
  pass_request request;
  std::function<void()> acknowledged;
  std::function<void(pass_outcome)> done;
  pass_outcome outcome;
  std::size_t next = 0;         // chunk to be sent
  std::size_t outstanding = 0;  // sent and not answered
  std::size_t executed = 0;     // answered with a result
  bool ambiguous = false;       // one may have been executed
  bool changed_encoding = false;

  operation_record make(chunk_range chunk, std::int64_t seq_id) const {
    session& of = *request.on->of();
    wire::forward_backward_request body;
    body.model_id = request.on->id();
    body.seq_id = seq_id;
    body.data = request.datums(chunk);
    body.loss_fn = request.loss;
    for (const auto& s : request.config) body.loss_fn_config.push_back({s.name, s.value});
    body.forward_only = request.forward_only;
    const bool as_json = of.encoding() == wire::encoding::json;
    const bool other_endpoint = as_json && request.forward_only;
    const effect what = request.forward_only                              ? effect::reads
                        : of.dialect().order == wire::sequencing::dedupes ? effect::deduped
                                                                          : effect::mutates;
    auto record = of.record(request.name, other_endpoint ? "/api/v1/forward" : "/api/v1/forward_backward",
                            as_json ? wire::to_json(body) : wire::to_protobuf(body), what);
    record.content_type = as_json ? "application/json" : "application/x-protobuf";
    record.accept = as_json ? "application/json" : "application/x-protobuf, application/json";
    record.result_limit =
        (std::size_t{16} << 20) + 128 * request.tokens;  // two JSON numbers a token with room to spare
    return record;
  }

  void send() {
    const std::size_t index = next++;
    ++outstanding;
    const chunk_range chunk = request.chunks[index];
    request.on->submit([self = shared_from_this(), chunk](std::int64_t seq_id) { return self->make(chunk, seq_id); },
                       request.deadline, [self = shared_from_this()] { self->was_acknowledged(); },
                       [self = shared_from_this(), index](const operation_outcome& o) { self->arrived(index, o); });
  }

  void was_acknowledged() {
    request.on->of()->settle_encoding();
    if (next < request.chunks.size() && !outcome.failure) return send();
    if (acknowledged) std::exchange(acknowledged, nullptr)();
  }

  // A server that does not take this encoding says so before it has done anything; the same chunk goes again.
  bool try_other_encoding(const operation_outcome& o) {
    session& of = *request.on->of();
    if (!o.machine || !o.machine->failure() || !o.machine->request_id().empty() || changed_encoding ||
        !of.may_change_encoding())
      return false;
    const error& failure = *o.machine->failure();
    const int status = failure.details().http_status;
    const bool says_so = status == 415 || ((status == 404 || status == 405) && request.forward_only) ||
                         (status == 422 && std::string_view(failure.what()).find("JSON") != std::string_view::npos);
    if (failure.kind() != errc::status || !says_so) return false;
    of.change_encoding();
    changed_encoding = true;
    return true;
  }

  void arrived(std::size_t index, const operation_outcome& o) {
    --outstanding;
    if (o.failure && try_other_encoding(o)) {
      next = index;
      return send();
    }
    if (o.failure) {
      if (!outcome.failure) outcome.failure = o.failure;
      if (o.machine) {
        const errc kind = o.machine->failure()->kind();
        ambiguous =
            ambiguous || kind == errc::outcome_unknown || (!o.machine->request_id().empty() && kind != errc::status);
      }
    } else {
      ++executed;
      try {
        auto read = wire::read_outcome<wire::forward_backward_reply>(o.result->content_type, o.result->body);
        outcome.replies[index] = std::move(read.result);
      } catch (const error& unreadable) {
        if (!outcome.failure) outcome.failure = std::current_exception();
      }
    }
    if (outstanding > 0) return;
    if (!outcome.failure && next < request.chunks.size()) return;  // the next one is sent when this one is acknowledged
    outcome.partly = outcome.failure && !request.forward_only && (executed > 0 || ambiguous);
    auto then = std::move(done);
    auto release = std::exchange(acknowledged, nullptr);
    then(std::move(outcome));
    if (release) release();
  }
};

GRADWIRE_DECL void run_pass(pass_request request, std::function<void()> acknowledged,
                            std::function<void(pass_outcome)> done) {
  auto pass = std::make_shared<running_pass>();
  pass->outcome.replies.resize(request.chunks.size());
  pass->request = std::move(request);
  pass->acknowledged = std::move(acknowledged);
  pass->done = std::move(done);
  pass->send();
}

}  // namespace detail
}  // namespace gradwire::inline v0
