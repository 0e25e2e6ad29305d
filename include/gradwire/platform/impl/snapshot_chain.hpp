// SPDX-License-Identifier: Apache-2.0
// How snapshot_chain.hpp works.
#pragma once

#include <algorithm>
#include <utility>

#include <gradwire/platform/snapshot_chain.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

[[noreturn]] inline void refuse_in_chain(const char* operation, const std::string& snapshot, const std::string& why) {
  error_details details;
  details.operation = operation;
  details.value = snapshot;
  throw error(errc::config, std::string(operation) + ": " + why, std::move(details));
}

inline std::string named_snapshot(const std::optional<std::string>& snapshot) {
  return snapshot ? "'" + *snapshot + "'" : std::string("unknown");
}

}  // namespace detail

GRADWIRE_DECL const snapshot_chain::snapshot* snapshot_chain::find(std::string_view name_or_path) const {
  const auto found = std::find_if(snapshots_.rbegin(), snapshots_.rend(), [&](const snapshot& each) {
    return each.name == name_or_path || (!each.path.empty() && each.path == name_or_path);
  });
  return found == snapshots_.rend() ? nullptr : &*found;
}

GRADWIRE_DECL std::string snapshot_chain::why_no_delta() const {
  if (lora_) return "of a LoRA model only a base is saved";
  if (last_saved_ && last_saved_ == last_loaded_) return {};
  if (snapshots_.empty()) return "nothing was saved before that it could be the difference to";
  return "the trainer would make it against its last save (" + detail::named_snapshot(last_saved_) +
         "), and the deployment would apply it to what it has loaded (" + detail::named_snapshot(last_loaded_) + ")";
}

GRADWIRE_DECL checkpoint snapshot_chain::next() const {
  return why_no_delta().empty() ? checkpoint::delta : checkpoint::base;
}

GRADWIRE_DECL save_plan snapshot_chain::begin_save(std::optional<checkpoint> wanted) {
  constexpr const char* operation = "save_weights_for_sampler";
  const std::string why = why_no_delta();
  if (wanted == checkpoint::delta && !why.empty())
    detail::refuse_in_chain(operation, "", "no delta can be saved now: " + why + ". Save a base");
  if (wanted == checkpoint::merged_base && !lora_)
    detail::refuse_in_chain(operation, "",
                            "a merged_base is of a LoRA model; this one trains every parameter. Save a base");
  save_plan plan;
  plan.type_ = wanted.value_or(next());
  if (plan.type_ == checkpoint::delta) plan.against_ = *last_saved_;
  plan.number_ = ++saves_;
  last_saved_.reset();
  return plan;
}

GRADWIRE_DECL void snapshot_chain::saved(const save_plan& plan, const std::string& name, const std::string& path) {
  if (name.empty() || find(name) != nullptr)
    detail::refuse_in_chain("save_weights_for_sampler", name,
                            name.empty() ? std::string("a snapshot has a name")
                                         : "a snapshot '" + name + "' was saved before; each has a name of its own");
  snapshots_.push_back({.name = name, .path = path, .type = plan.type_, .against = plan.against_});
  if (last_loaded_ == name) last_loaded_.reset();  // somebody else's of that name is not this one
  if (plan.number_ == saves_) last_saved_ = name;  // else another save has been begun since
}

GRADWIRE_DECL load_plan snapshot_chain::begin(std::string identity, std::string name) {
  load_plan plan;
  plan.identity_ = std::move(identity);
  plan.name_ = std::move(name);
  plan.already_loaded_ = last_loaded_ == plan.name_;
  plan.number_ = ++loads_;
  if (!plan.already_loaded_) last_loaded_.reset();
  return plan;
}

GRADWIRE_DECL load_plan snapshot_chain::begin_load(std::string_view identity) {
  constexpr const char* operation = "hot_load";
  const std::string wanted(identity);
  const snapshot* const found = find(identity);
  if (found == nullptr)
    detail::refuse_in_chain(operation, wanted,
                            "'" + wanted +
                                "' was not saved in this chain, so whether it is a delta, and against what, is " +
                                "not known here. If it has full weights, use begin_load_base()");
  if (found->type != checkpoint::delta) return begin(wanted, found->name);
  const bool again = last_loaded_ == found->name;
  if (!again && last_loaded_ != found->against)
    detail::refuse_in_chain(
        operation, wanted,
        "'" + wanted + "' is a delta against '" + found->against + "', and the deployment has " +
            (last_loaded_ ? detail::named_snapshot(last_loaded_) : "something that is not known") +
            " loaded: it would serve noise. Ask its status (deployment_holds), or save a base and " + "load that");
  const snapshot* const before = find(found->against);
  const std::string previous = again || before == nullptr ? found->against : loaded_as_;
  load_plan plan = begin(wanted, found->name);
  plan.previous_ = previous;
  return plan;
}

GRADWIRE_DECL load_plan snapshot_chain::begin_load_base(const std::string& identity) {
  if (identity.empty()) detail::refuse_in_chain("hot_load", identity, "the identity of the snapshot is empty");
  const snapshot* const found = find(identity);
  if (found != nullptr && found->type == checkpoint::delta)
    detail::refuse_in_chain(
        "hot_load", identity,
        "'" + identity + "' is a delta against '" + found->against + "', no full weights; " + "use begin_load()");
  return begin(identity, found ? found->name : identity);
}

GRADWIRE_DECL void snapshot_chain::loaded(const load_plan& plan) {
  if (plan.number_ != loads_) return;  // another one has been begun since
  last_loaded_ = plan.name_;
  loaded_as_ = plan.identity_;
}

GRADWIRE_DECL void snapshot_chain::deployment_holds(const std::string& identity) {
  ++loads_;  // what was begun before is settled by this
  last_loaded_.reset();
  if (identity.empty()) return;
  const snapshot* const found = find(identity);
  last_loaded_ = found ? found->name : identity;
  loaded_as_ = identity;
}

GRADWIRE_DECL void snapshot_chain::trainer_restarted() {
  ++saves_;
  last_saved_.reset();
}

GRADWIRE_DECL void snapshot_chain::reset() {
  trainer_restarted();
  deployment_holds({});
}

}  // namespace platform
}  // namespace gradwire::inline v0
