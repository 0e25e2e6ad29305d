// SPDX-License-Identifier: Apache-2.0
// Saves and loads whose answer was lost: sent again where that changes nothing, and settled by what the server then
// says and lists.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include <gradwire/trainer/impl/pass.hpp>
#include <gradwire/trainer/impl/training_core.hpp>
#include <gradwire/transport/server_text.hpp>

namespace gradwire::inline v0 {
namespace detail {

// What a second save under the same name would do: nothing, as long as an older one is not replaced by a late one.
inline effect save_effect(const session& of, bool overwrite) {
  if (of.dialect().order == wire::sequencing::strict) return effect::counted;
  if (of.dialect().order == wire::sequencing::dedupes && of.dialect().dedupes_all) return effect::deduped;
  return overwrite ? effect::mutates : effect::repeats;
}

// What a second load would do: nothing, unless it arrives late, after what follows it.
inline effect load_effect(const session& of) {
  if (of.dialect().order == wire::sequencing::strict) return effect::counted;
  if (of.dialect().order == wire::sequencing::unknown) return effect::mutates;
  if (of.dialect().dedupes_all) return effect::deduped;
  return of.dialect().load_on_live_model ? effect::mutates : effect::repeats;
}

// A load that was sent twice is done when the server says that its number was executed, or that it is too late for a
// load.
inline bool load_was_executed(const operation_outcome& outcome) {
  if (!outcome.failure || !outcome.machine || !outcome.machine->maybe_executed()) return false;
  const error& failure = *outcome.machine->failure();
  const int status = failure.details().http_status;
  if (outcome.machine->told_executed()) return true;
  return failure.kind() == errc::status && status == 400 && has_word(failure.what(), "not permitted");
}

inline bool is_named(const wire::checkpoint_info& found, const std::string& name, bool sampler) {
  const std::string_view id = found.checkpoint_id;
  const bool other_kind = (sampler && (found.checkpoint_type == "training" || id.starts_with("weights/"))) ||
                          (!sampler && (found.checkpoint_type == "sampler" || id.starts_with("sampler_weights/")));
  return !other_kind && (id == name || id.ends_with("/" + name));
}

// One save: its call, and what it is called on the server.
struct save_call {
  std::shared_ptr<client_call<saved_weights>> call;
  model::release_type release;
  std::string name;
  bool sampler = false;
  bool replaces = false;           // a state of that name, if there is one
  bool first_of_its_name = false;  // of this model, by this client: what is found under the name is this save

  void end(std::exception_ptr failure) const {
    call->ended.set_error(std::move(failure));
    release();
  }
};

// "Taken" after a lost answer, or an answer that the server has dropped: is it this save that took the name?
inline void look_it_up(const save_call& save, const error& refusal) {
  const auto& on = save.call->on;
  auto asked =
      on->of()->record("list checkpoints", "/api/v1/training_runs/" + on->id() + "/checkpoints", "", effect::reads);
  asked.method = "GET";
  asked.has_future = false;
  asked.time_limit_seconds = std::min(60.0, save.call->left());
  on->of()->run(std::move(asked), traffic::control, nullptr, [save, refusal](const operation_outcome& listed) {
    std::string found, trouble;
    try {
      if (listed.failure) std::rethrow_exception(listed.failure);
      for (const auto& each : wire::from_json<wire::checkpoints_reply>(listed.result->body).checkpoints) {
        if (is_named(each, save.name, save.sampler)) found = each.tinker_path;
      }
    } catch (...) {
      trouble = text_of_error(std::current_exception());
    }
    if (!found.empty() && save.first_of_its_name) {
      save.call->ended.set_value(saved_weights{found, save.call->elapsed()});
      return save.release();
    }
    std::string text = sentence_of(refusal.what());
    text += !trouble.empty() ? ". An earlier attempt may have made it; the checkpoints could not be listed: " + trouble
            : found.empty()  ? ". An earlier attempt may have made it, but the server does not list it"
                             : ". The server lists " + found +
                                  "; whether that is this save or the one before cannot "
                                  "be told";
    save.end(std::make_exception_ptr(error(errc::outcome_unknown, text, refusal.details())));
  });
}

// Where all checkpoints of a model share their names, a second one would replace the first unasked, and a state would
// have the weights of one step and the optimizer of another. Gives the name's key if it was free.
inline std::string take_shared_name(const save_call& save) {
  session& of = *save.call->on->of();
  if (!of.dialect().shared_names) return {};
  const std::string key = save.call->on->id() + "/" + save.name;
  const auto [taken, is_new] = of.taken_names().emplace(key, save.sampler);
  if (is_new) return key;
  if (save.replaces && !taken->second) return {};
  throw error(errc::config, "this server (" + std::string(of.dialect().name) +
                                ") keeps states and sampler weights under the same names and replaces what is there; "
                                "choose another name than '" +
                                save.name + "', which this client has given to " +
                                (taken->second ? "sampler weights" : "a state") + " already");
}

inline bool has_made_nothing(const operation_outcome& outcome) {
  if (!outcome.failure) return false;
  return outcome.machine ? !running_pass::may_be_executed(*outcome.machine) : !outcome.perhaps_sent;
}

template <class Make, class Read>
void submit_save(save_call save, Make make, Read read) {
  std::string taken;
  try {
    taken = take_shared_name(save);
  } catch (...) {
    return save.end(std::current_exception());
  }
  save.first_of_its_name = save.call->on->take_name((save.sampler ? "sampler_weights/" : "weights/") + save.name);
  const auto& on = save.call->on;
  on->submit(make, save.call->deadline, save.release, [save, read, taken](const operation_outcome& outcome) {
    try {
      if (has_made_nothing(outcome)) save.call->on->of()->taken_names().erase(taken);
      if (outcome.failure && outcome.machine && outcome.machine->maybe_executed()) {
        const int status = outcome.machine->failure()->details().http_status;
        if (status == 409 || status == 410) return look_it_up(save, *outcome.machine->failure());
      }
      if (outcome.failure) std::rethrow_exception(outcome.failure);
      save.call->ended.set_value(read(*outcome.result));
      save.release();
    } catch (...) {
      save.end(std::current_exception());
    }
  });
}

}  // namespace detail
}  // namespace gradwire::inline v0
