// SPDX-License-Identifier: Apache-2.0
// A model whose making was never answered: the session belongs to this client alone, so the one model in its list that
// nobody here knows is it, as long as no other one is being made. Included by service_call.hpp.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/impl/pass.hpp>
#include <gradwire/trainer/impl/session.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/json_codec.hpp>

namespace gradwire::inline v0 {
namespace detail {

// A request that makes a model has ended: was none made, for certain? What was made and is not known stays counted.
inline void settle_creation(session& of, const operation_outcome& outcome) {
  if (!outcome.failure) return;  // its model is noted
  const bool perhaps = outcome.machine ? running_pass::may_be_executed(*outcome.machine) : outcome.perhaps_sent;
  if (!perhaps) of.end_creation();
}

// Calls then(id), or failed(the failure, with what was found out). `left`: seconds of the call's time.
template <class Then, class Failed>
void adopt_model(const std::shared_ptr<session>& of, const error& failure, double left, Then then, Failed failed) {
  auto asked = of->record("get session", "/api/v1/sessions/" + of->id(), "", effect::reads);
  asked.method = "GET";
  asked.has_future = false;
  asked.time_limit_seconds = std::min(60.0, left);
  of->run(std::move(asked), traffic::control, nullptr, [of, failure, then, failed](const operation_outcome& listed) {
    std::vector<std::string> unknown;
    std::string trouble;
    try {
      if (listed.failure) std::rethrow_exception(listed.failure);
      for (auto& id : wire::from_json<wire::session_info_reply>(listed.result->body).training_run_ids) {
        if (!of->knows_model(id)) unknown.push_back(std::move(id));
      }
    } catch (...) {
      trouble = "; the session's models could not be listed: " + text_of_error(std::current_exception());
    }
    const bool alone = of->creations() == 1;
    if (unknown.size() == 1 && alone) return then(unknown.front());
    std::string text = sentence_of(failure.what());
    text += ". There may be a model on the trainer that nobody uses" + trouble;
    for (std::size_t i = 0; i < unknown.size(); ++i) text += (i == 0 ? ": " : ", ") + printable(unknown[i], 80);
    if (unknown.size() == 1) text += ", or that is another call's, which has no answer yet either";
    failed(std::make_exception_ptr(error(failure.kind(), text, failure.details())));
  });
}

}  // namespace detail
}  // namespace gradwire::inline v0
