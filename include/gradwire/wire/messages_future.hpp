// SPDX-License-Identifier: Apache-2.0
// What a submitted operation answers, how its result is asked for, and what comes back: still pending, failed, a
// result, or finished without a body. And the error bodies of the field's servers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gradwire::inline v0 {
namespace wire {

struct submit_reply {        // any operation that becomes a future
  std::string request_id{};  // opaque
  std::optional<std::string> model_id{};
  std::vector<std::string> sample_sequence_ids{};  // asample on newer servers: one a sample, in the result's order
};

struct retrieve_future_request {
  std::string request_id{};
  bool allow_metadata_only = false;
};

struct pending {
  std::string queue_state{};         // "active", "paused_capacity", "paused_rate_limit"; "" when not said
  std::string queue_state_reason{};  // a sentence for the user, or ""
};

struct failure {
  std::string message{};
  std::string category{};  // "user", "server", "unknown"; "" when not said
};

enum class outcome_kind : unsigned char { pending, failed, result, empty };

template <class Result>
struct outcome {
  outcome_kind kind = outcome_kind::empty;
  wire::pending pending{};  // when pending
  wire::failure failure{};  // when failed
  Result result{};          // when there is a result; default-made when finished without a body
};

// One entry of a validation list: where ("body", "adam_params", "learning_rate"), what kind, and a sentence.
struct validation_issue {
  std::vector<std::string> loc{};
  std::string type{};  // "missing", "int_type", "value_error", …
  std::string msg{};
};

// Read from any error reply, JSON or not; `message` is what a person should see.
struct error_body {
  std::string message{};
  std::string code{};  // "error.code", "category": whatever the server calls its kind; "" when none
  std::vector<validation_issue> issues{};
  std::string queue_state{};
  std::string queue_state_reason{};
};

}  // namespace wire
}  // namespace gradwire::inline v0
