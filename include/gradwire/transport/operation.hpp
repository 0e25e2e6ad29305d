// SPDX-License-Identifier: Apache-2.0
// One operation of the protocol as a state machine that owns neither socket nor clock: submit, poll for the future,
// one outcome. It is told what happened and when, and answers what to do next. It is the only owner of retries:
//
//   * a request is sent again when it cannot have reached the server, when it only reads, or when the server
//     recognises its (model, seq_id). Else an ambiguous failure ends in error{outcome_unknown}.
//   * every attempt sends the same bytes under the same idempotency key.
//   * the deadline is kept whatever the server does; Retry-After is obeyed up to it, on every endpoint.
//   * pauses double, with jitter from the seed; all operations to one server share a budget of retries.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <gradwire/error.hpp>
#include <gradwire/transport/cancellation.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/http_message.hpp>
#include <gradwire/transport/network.hpp>
#include <gradwire/transport/policy.hpp>
#include <gradwire/transport/retry_budget.hpp>

namespace gradwire::inline v0 {

// What a second execution would do.
enum class effect : unsigned char {
  reads,    // nothing
  deduped,  // nothing: the server recognises the request and answers as it did
  counted,  // nothing: the server refuses a number that it has executed, and says which one it expects
  repeats,  // the same once more, which changes nothing as long as nothing has followed it: a save
  mutates,  // change the model a second time
};

struct operation_record {
  std::string name{};  // for errors: "optim_step"
  std::string method = "POST";
  std::string target{};  // path with prefix
  std::string content_type = "application/json";
  std::string accept = "application/json";  // of the result
  std::string body{};
  std::int64_t seq_id = -1;
  std::string model_id{};  // for whom watches; the body has it too
  std::size_t tokens = 0;  // …
  std::string idempotency_key{};
  std::string key_source{};            // where the user's key came from, for the sentence of a 401
  secret token{};                      // beside the key, in the body or a header: taken out of every text, too
  std::vector<http_header> headers{};  // beside these
  gradwire::effect effect = effect::reads;
  bool may_be_empty = false;           // a result of 204 counts: nothing in it is needed
  bool has_future = true;              // false: the reply to the request is the result
  bool any_reply = false;              // with no future: whatever comes back is the result, a redirect too
  std::string poll_target{};           // path of retrieve_future
  std::size_t result_limit = 1 << 20;  // bytes of the result's body
  double time_limit_seconds = 1800;    // from begin() to the outcome
  double unreachable_seconds = 0;      // give up when nothing was reached for so long; 0: as the policy says
  std::shared_ptr<detail::cancellation> cancel{};  // of the call that it belongs to
};

struct operation_result {
  std::string content_type{};
  std::string body{};
  std::string submit_body{};  // the reply to the submit; some members stand only there
  std::string request_id{};
  int status = 200;
  std::string location{};  // of a redirect
  std::string expires{};   // … as the header says it
  int attempts = 0;
  double elapsed_seconds = 0;
};

struct operation_action {
  enum class kind : unsigned char { none, send, wait, done };
  kind what = kind::none;
  std::shared_ptr<const http_request> request{};  // send
  bool is_poll = false;                           // send
  std::size_t reply_limit = 0;                    // send
  time_point until{};                             // send: the exchange's deadline; wait: call on_timer then
};

class operation {
 public:
  GRADWIRE_DECL operation(operation_record record, retry_policy policy, std::uint64_t seed = 0,
                          std::shared_ptr<retry_budget> budget = nullptr);

  // Each event answers with the next action; after `done` every further event answers `done` again.
  GRADWIRE_DECL operation_action begin(time_point now);
  GRADWIRE_DECL operation_action on_reply(time_point now, http_response reply);
  GRADWIRE_DECL operation_action on_failure(time_point now, const http_failure& failure);
  GRADWIRE_DECL operation_action on_timer(time_point now);
  GRADWIRE_DECL operation_action on_close(time_point now);  // the client goes away

  // Nobody wants the result. What is not sent is not sent; a submit that is on its way goes on until the server has it,
  // so that nothing overtakes it, and is not polled for.
  GRADWIRE_DECL operation_action on_cancel(time_point now);
  GRADWIRE_DECL error cancelled(time_point now) const;  // what the caller is told then

  // True when the server has the request (or never will): the model's next operation may be submitted.
  bool settled() const noexcept { return settled_; }

  // Exactly one of the two is there after `done`.
  const std::optional<operation_result>& result() const noexcept { return result_; }
  std::optional<operation_result>& result() noexcept { return result_; }
  const std::optional<error>& failure() const noexcept { return failure_; }
  const std::string& failure_body() const noexcept {
    return failure_body_;
  }  // what the server said, for the caller's eyes

  const operation_record& record() const noexcept { return record_; }
  time_point deadline() const noexcept { return deadline_; }
  const std::string& request_id() const noexcept { return request_id_; }
  const std::string& queue_state() const noexcept { return queue_state_; }
  const std::string& last_trouble() const noexcept { return last_trouble_; }

  // An attempt may have been acted upon without our knowing its answer.
  bool maybe_executed() const noexcept { return maybe_executed_; }
  bool told_executed() const noexcept { return told_executed_; }  // the server says so, by its next number
  std::size_t body_size() const noexcept { return submit_request_->body.size(); }
  double elapsed_seconds(time_point now) const { return std::chrono::duration<double>(now - begun_).count(); }

 private:
  GRADWIRE_DECL operation_action send(time_point now);
  GRADWIRE_DECL operation_action wait(time_point now, double seconds);
  GRADWIRE_DECL operation_action pause(time_point now, std::optional<double> server_wish = std::nullopt);
  GRADWIRE_DECL operation_action unpaid(time_point now, std::optional<double> server_wish);
  GRADWIRE_DECL operation_action not_yet(time_point now);
  GRADWIRE_DECL operation_action ambiguous(time_point now, std::optional<double> server_wish);
  GRADWIRE_DECL operation_action unreachable(time_point now, const std::string& sentence);
  GRADWIRE_DECL operation_action submit_reply(time_point now, http_response reply);
  GRADWIRE_DECL operation_action submit_status(time_point now, const http_response& reply);
  GRADWIRE_DECL operation_action poll_reply(time_point now, http_response reply);
  GRADWIRE_DECL operation_action poll_status(time_point now, const http_response& reply);
  GRADWIRE_DECL operation_action bad_answer(time_point now, const std::string& sentence, errc kind);
  GRADWIRE_DECL operation_action refused(time_point now, const http_response& reply);
  GRADWIRE_DECL operation_action conflict(time_point now, const http_response& reply);
  GRADWIRE_DECL operation_action missing(time_point now, const http_response& reply);
  GRADWIRE_DECL operation_action finish(time_point now, http_response reply);
  GRADWIRE_DECL operation_action fail(time_point now, errc kind, const std::string& sentence);
  GRADWIRE_DECL error describe(time_point now, errc kind, const std::string& sentence) const;
  bool may_resend() const noexcept { return record_.effect != effect::mutates; }
  // Once the server has a request, the model's next ones may follow. What the server would take for a new one then sees
  // other weights: a save would hold them, a forward would compute with them.
  bool may_repeat_after_others() const noexcept {
    const bool of_a_model = record_.seq_id >= 0 && !record_.model_id.empty();
    return may_resend() && record_.effect != effect::repeats && !(record_.effect == effect::reads && of_a_model);
  }
  GRADWIRE_DECL operation_action ask_for_json_next(time_point now, std::optional<double> server_wish);
  operation_action done() const {
    operation_action action;
    action.what = operation_action::kind::done;
    return action;
  }

  operation_record record_;
  retry_policy policy_;
  std::uint64_t random_;
  std::shared_ptr<retry_budget> budget_;
  std::shared_ptr<const http_request> submit_request_;
  std::shared_ptr<const http_request> poll_request_;
  std::string submit_body_;
  std::string request_id_;
  std::string queue_state_;
  std::string last_trouble_;  // why the last attempt did not do, for the sentence of a timeout
  std::string failure_body_;
  time_point begun_{};
  time_point deadline_{};
  time_point last_poll_{};
  std::optional<time_point> unreached_since_;
  std::optional<operation_result> result_;
  std::optional<error> failure_;
  double pause_seconds_ = 0;
  double poll_pause_seconds_ = 0;
  double retry_cost_ = 0;  // of the attempt that comes next, in the budget's retries
  double paid_ = 0;        // … of the last one
  int attempts_ = 0;       // submits and polls
  int bad_answers_ = 0;    // in a row
  int resubmits_ = 0;      // because a result was dropped
  int last_status_ = 0;
  bool in_flight_ = false;
  bool told_executed_ = false;
  bool maybe_executed_ = false;
  bool cancel_asked_ = false;
  bool settled_ = false;
  bool finished_ = false;
};

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/transport/impl/operation.hpp>
#endif
