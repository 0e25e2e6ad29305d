// SPDX-License-Identifier: Apache-2.0
// What the lifecycle's machines have in common: the order of deletion, ids, and the sentences of their errors.
#pragma once

#include <array>
#include <exception>
#include <string>
#include <utility>

#include <gradwire/error.hpp>
#include <gradwire/platform/lifecycle_opening.hpp>
#include <gradwire/transport/server_text.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

using action_kind = lifecycle_action::kind;

// The first to go is what depends on the others.
inline constexpr std::array order_of_deletion{part::reference_job, part::deployment, part::policy_job};

// "gradwire-9f2c01ab-policy", and "…-policy-2" after one that was deleted: an id leaves a tombstone.
inline std::string id_of_new_part(const lifecycle_state& state, part of) {
  constexpr const char* tails[] = {"-policy", "-reference", "-rollout"};
  std::string id = "gradwire-" + state.run + tails[static_cast<std::size_t>(of)];
  if (state[of].times > 0) id += "-" + std::to_string(state[of].times + 1);
  return id;
}

// An id that was made of the run's tag: what has it was made by this run.
inline bool has_own_id(const lifecycle_state& state, part of) {
  return !state.run.empty() && state[of].id.starts_with("gradwire-" + state.run + "-");
}

// Asked for under an id that others may use, without an answer: only its mark tells whose it is.
inline bool may_be_anybodys(const lifecycle_state& state, part of) {
  return state[of].is == presence::asked && !has_own_id(state, of);
}

inline lifecycle_action removal_of(const lifecycle_state& state, part of) {
  return {.what = action_kind::remove, .of = of, .id = state[of].id, .may_come_late = !state[of].answered};
}

inline std::string sentence_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& said) {
    return v0::detail::sentence_of(said.what());
  } catch (...) {
    return "something that is no std::exception was thrown";
  }
}

// A deployment's status without a list of replicas, or none at all: of pods that are just starting.
inline bool may_be_known_later(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const error& said) {
    const int status = said.details().http_status;
    return said.kind() == errc::protocol || said.kind() == errc::decode || status == 404 || status == 425;
  } catch (...) {
    return false;
  }
}

// The same failure with more to say.
inline std::exception_ptr with_more(const std::exception_ptr& failure, const std::string& more) {
  try {
    std::rethrow_exception(failure);
  } catch (const error& said) {
    return std::make_exception_ptr(error(said.kind(), sentence_of(failure) + more, said.details()));
  } catch (...) {
    return std::make_exception_ptr(error(errc::closed, sentence_of(failure) + more));
  }
}

// What a run may have left on the platform.
inline std::string left_of(const lifecycle_state& state, const std::array<std::string, 3>& troubles) {
  std::string left;
  for (const part each : all_parts) {
    if (!state.owes(each)) continue;
    left += (left.empty() ? "" : ", ") + std::string(to_string(each)) + " " + state[each].id;
    if (const auto& trouble = troubles[static_cast<std::size_t>(each)]; !trouble.empty())
      left += " (could not be deleted: " + trouble + ")";
  }
  return left;
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
