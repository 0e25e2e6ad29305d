// SPDX-License-Identifier: Apache-2.0
// Sends the chunks of one forward or forward_backward in their order and collects the replies.
#pragma once

#include <charconv>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <gradwire/trainer/impl/batch_messages.hpp>
#include <gradwire/trainer/model.hpp>
#include <gradwire/trainer/results.hpp>
#include <gradwire/trainer/server_loss.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/check_body.hpp>
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
  std::function<std::size_t(chunk_range)> tokens_of{};  // targets in a chunk, for whom watches
  call_deadline deadline{};
};
// What became of it. `partly`: a part of its gradients is on the server, or may be.
struct pass_outcome {
  std::exception_ptr failure{};
  bool partly = false;
  std::vector<wire::forward_backward_reply> replies{};  // one a chunk
  std::vector<chunk_range> chunks{};                    // as they were sent: those of the request, or smaller ones
};
GRADWIRE_DECL void run_pass(pass_request request, std::function<void()> acknowledged,
                            std::function<void(pass_outcome)> done);

// Of a request that the server counts: what a second one would do.
inline effect counted_effect(const session& of) {
  return of.dialect().order == wire::sequencing::dedupes  ? effect::deduped
         : of.dialect().order == wire::sequencing::strict ? effect::counted
                                                          : effect::mutates;
}

// The number that follows these words.
inline std::optional<std::int64_t> number_after(std::string_view text, std::string_view words) {
  const std::size_t at = text.find(words);
  if (at == text.npos) return {};
  text.remove_prefix(at + words.size());
  std::int64_t number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number < 0 ? std::nullopt : std::optional(number);
}

// A refusal of the data (413, 422, a 400 that names a datum) with the place in the caller's batch that it is about.
inline std::exception_ptr place_of_refusal(const operation_outcome& o, chunk_range chunk) {
  if (!o.machine || o.machine->failure()->kind() != errc::status) return o.failure;
  const error& refusal = *o.machine->failure();
  error_details details = refusal.details();
  std::string text = text_of_error(o.failure);
  const auto datum = [&](std::size_t index) { details.datum = static_cast<std::int64_t>(chunk.begin + index); };
  if (details.http_status == 413) {
    if (chunk.end - chunk.begin == 1) datum(0);
    text += ". The request held " +
            (chunk.end - chunk.begin == 1
                 ? "datum " + std::to_string(chunk.begin) + " alone"
                 : "datums " + std::to_string(chunk.begin) + " to " + std::to_string(chunk.end - 1)) +
            ", " + std::to_string(o.machine->body_size()) + " bytes; send shorter sequences";
    return std::make_exception_ptr(error(errc::data, text, std::move(details)));
  }
  if (details.http_status != 400 && details.http_status != 422) return o.failure;
  const auto said = wire::read_error_body(o.machine->failure_body());
  for (const auto& issue : said.issues) {
    bool in_data = false, in_inputs = false;
    for (const std::string& part : issue.loc) {
      const auto number = plain_number(part);
      if (part == "data" && details.datum < 0) {
        in_data = true;
      } else if (in_data && number && details.datum < 0) {
        datum(static_cast<std::size_t>(*number));
      } else if (details.datum >= 0 && number && !details.column.empty()) {
        details.token = static_cast<std::int64_t>(*number);
      } else if (part == "loss_fn_inputs") {
        in_inputs = details.datum >= 0;
      } else if (in_inputs && part != "data") {
        details.column = part;
      }
    }
    if (details.datum >= 0) break;
  }
  if (details.datum < 0) {  // "datum 0, token 2: …", of the request
    const auto named = number_after(said.message, "datum ");
    if (!named || static_cast<std::size_t>(*named) >= chunk.end - chunk.begin) return o.failure;
    datum(static_cast<std::size_t>(*named));
    details.token = number_after(said.message, "datum " + std::to_string(*named) + ", token ").value_or(-1);
  }
  text += ". That is datum " + std::to_string(details.datum) + " of the batch" +
          (details.token >= 0 ? ", token " + std::to_string(details.token) : "") +
          (details.column.empty() ? "" : " of " + details.column);
  return std::make_exception_ptr(error(errc::data, text, std::move(details)));
}

struct running_pass : std::enable_shared_from_this<running_pass> {
  pass_request request;
  std::function<void()> acknowledged;
  std::function<void(pass_outcome)> done;
  pass_outcome outcome;
  std::size_t next = 0;         // chunk to be sent
  std::size_t outstanding = 0;  // sent and not answered
  std::size_t executed = 0;     // answered with a result
  std::size_t last_bytes = 0;   // of the last one that was sent, as plan_chunks counts
  bool ambiguous = false;       // one may have been executed
  bool changed_encoding = false;

  operation_record make(chunk_range chunk, std::int64_t seq_id) {
    session& of = *request.on->of();
    wire::forward_backward_request body;
    body.model_id = request.on->id();
    body.seq_id = seq_id;
    body.data = request.datums(chunk);
    last_bytes = estimated_bytes(body.data);
    body.loss_fn = request.loss;
    for (const auto& s : request.config) body.loss_fn_config.push_back({s.name, s.value});
    body.forward_only = request.forward_only;
    wire::check_body(body, of.dialect(), chunk.begin);
    wire::leave_out_unknown_spans(body, of.dialect(), of.encoding(), chunk.begin);
    const bool as_json = of.encoding() == wire::encoding::json;
    if (as_json && request.on->speaks_comms_v2()) body.comms = "v2";
    const bool other_endpoint = as_json && request.forward_only;
    const effect what = request.forward_only ? effect::reads : counted_effect(of);
    auto record = of.record(
        request.name, other_endpoint ? "/api/v1/forward" : "/api/v1/forward_backward",
        as_json ? wire::to_json(body) : wire::to_protobuf(body, {.loss_fn_config_v2 = of.dialect().config_v2}), what);
    if (request.tokens_of) record.tokens = request.tokens_of(chunk);
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
    if (outcome.failure) return;  // the model's next job waits until all have ended, and then sees the failure
    if (next < request.chunks.size()) return send();  // which fails, when it was cancelled meanwhile
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

  // A chunk that is too large was not read: its halves go instead of it, and later ones are planned to have no more bytes
  // than they. Where a batch is cut changes no gradient.
  bool halve(std::size_t index, const operation_outcome& o) {
    const chunk_range whole = request.chunks[index];
    if (status_of(o) != 413 || !o.machine->request_id().empty() || index + 1 != next || whole.end - whole.begin < 2)
      return false;
    const std::size_t middle = whole.begin + (whole.end - whole.begin) / 2;
    request.on->of()->limit_chunk_bytes(last_bytes / 2);
    request.chunks[index].end = middle;
    const auto after = static_cast<std::ptrdiff_t>(index) + 1;
    request.chunks.insert(request.chunks.begin() + after, {middle, whole.end});
    outcome.replies.insert(outcome.replies.begin() + after, wire::forward_backward_reply{});
    return true;
  }

  static bool may_be_executed(const operation& machine) {
    const errc kind = machine.failure()->kind();
    const int status = machine.failure()->details().http_status;
    if (kind == errc::status && !machine.request_id().empty() &&
        (status == 401 || status == 403 || status >= 500 || (status == 400 && machine.failure_body().empty())))
      return true;  // that was said of the question for its result, not of the request
    return kind == errc::outcome_unknown ||
           (kind != errc::status && (!machine.request_id().empty() || machine.maybe_executed()));
  }

  static int status_of(const operation_outcome& o) {
    return o.machine && o.machine->failure()->kind() == errc::status ? o.machine->failure()->details().http_status : 0;
  }

  void arrived(std::size_t index, const operation_outcome& o) {
    --outstanding;
    if (o.failure && (try_other_encoding(o) || halve(index, o))) {
      next = index;
      return send();
    }
    try {
      if (o.failure) {
        if (!outcome.failure) outcome.failure = place_of_refusal(o, request.chunks[index]);
        ambiguous = ambiguous || o.perhaps_sent || (o.machine && may_be_executed(*o.machine));
      } else {
        ++executed;
        auto read = wire::read_outcome<wire::forward_backward_reply>(o.result->content_type, o.result->body);
        outcome.replies[index] = std::move(read.result);
      }
    } catch (...) {
      if (!outcome.failure) outcome.failure = std::current_exception();
    }
    if (outstanding > 0) return;
    if (!outcome.failure && next < request.chunks.size()) return;  // the next one is sent when this one is acknowledged
    outcome.chunks = request.chunks;
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
