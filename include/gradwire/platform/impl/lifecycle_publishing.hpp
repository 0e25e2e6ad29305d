// SPDX-License-Identifier: Apache-2.0
// How lifecycle_publishing.hpp works.
#pragma once

#include <string>
#include <utility>

#include <gradwire/error.hpp>
#include <gradwire/platform/impl/lifecycle_text.hpp>
#include <gradwire/platform/lifecycle_publishing.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

using publishing_kind = publishing_action::kind;

inline void write(publishing_actions& out, lifecycle_event event) {
  out.push_back({.what = publishing_kind::write, .event = std::move(event)});
}

inline const char* word_of(checkpoint type) {
  return type == checkpoint::delta ? "delta" : type == checkpoint::merged_base ? "merged_base" : "base";
}

}  // namespace detail

GRADWIRE_DECL lifecycle_publishing::lifecycle_publishing(snapshot_chain& chain, std::function<std::string()> make_name,
                                                         std::int64_t step, std::optional<checkpoint> wanted,
                                                         bool replicas_known, int looks)
    : chain_(&chain),
      make_name_(std::move(make_name)),
      step_(step),
      wanted_(wanted),
      replicas_known_(replicas_known),
      looks_(looks) {}

GRADWIRE_DECL publishing_actions lifecycle_publishing::begin() {
  publishing_actions out;
  if (chain_->next() == checkpoint::delta && wanted_.value_or(checkpoint::delta) == checkpoint::delta) {
    at_ = stage::checking;
    identity_ = chain_->loaded_as();
    out.push_back({.what = detail::publishing_kind::look, .name = identity_});
  } else {
    save_after_check(out);
  }
  return out;
}

// A delta that was asked for and cannot be is refused by the chain.
GRADWIRE_DECL void lifecycle_publishing::save_after_check(publishing_actions& out, const std::exception_ptr& unseen) {
  try {
    save(wanted_, out);
  } catch (...) {
    const std::exception_ptr refused = std::current_exception();
    give_up(out, unseen ? detail::with_more(
                              refused, ". The deployment's status was not to be had: " + detail::sentence_of(unseen))
                        : refused);
  }
}

GRADWIRE_DECL void lifecycle_publishing::save(std::optional<checkpoint> wanted, publishing_actions& out) {
  saving_ = wanted ? chain_->begin_save(*wanted) : chain_->begin_save();
  type_ = saving_->type();
  name_ = make_name_();
  identity_.clear();
  at_ = stage::saving;
  detail::write(out, {.what = lifecycle_fact::saving, .id = name_, .type = detail::word_of(type_), .step = step_});
  out.push_back({.what = detail::publishing_kind::save, .name = name_, .type = type_});
}

GRADWIRE_DECL publishing_actions lifecycle_publishing::on_saved(const std::string& path) {
  publishing_actions out;
  if (over_ || at_ != stage::saving) return out;
  identity_ = path.empty() ? name_ : path;
  try {
    chain_->saved(*saving_, name_, identity_);
    detail::write(out, {.what = lifecycle_fact::saved, .id = identity_, .type = detail::word_of(type_), .step = step_});
    loading_ = chain_->begin_load(identity_);
    at_ = stage::before;
    if (replicas_known_)
      load(out);
    else
      out.push_back({.what = detail::publishing_kind::look, .name = identity_});
  } catch (...) {
    give_up(out, std::current_exception());
  }
  return out;
}

GRADWIRE_DECL void lifecycle_publishing::load(publishing_actions& out) {
  at_ = stage::loading;
  detail::write(out, {.what = lifecycle_fact::loading,
                      .id = identity_,
                      .type = detail::word_of(type_),
                      .previous = loading_->previous().value_or(""),
                      .step = step_});
  out.push_back(
      {.what = detail::publishing_kind::load, .name = identity_, .type = type_, .previous = loading_->previous()});
}

GRADWIRE_DECL publishing_actions lifecycle_publishing::on_status(const replicas_seen& seen) {
  publishing_actions out;
  if (over_) return out;
  if (at_ == stage::checking) {
    if (seen.holds != identity_) {
      detail::write(out, {.what = lifecycle_fact::unloaded, .id = identity_});
      chain_->deployment_holds({});
      replicas_known_ = seen.count > 0;
    }
    save_after_check(out);
  } else if (at_ == stage::before) {  // a load before there is a replica is refused, or worse
    if (seen.count == 0) return no_replica();
    replicas_known_ = true;
    load(out);
  } else if (at_ == stage::lost) {
    if (seen.holds == identity_ || seen.loading == identity_) {
      at_ = stage::awaiting;
      out.push_back({.what = detail::publishing_kind::await, .name = identity_});
    } else {
      unloaded(out, lost_);
    }
  }
  return out;
}

// `untold`: why that is not known, where the status does not tell.
GRADWIRE_DECL publishing_actions lifecycle_publishing::no_replica(const std::exception_ptr& untold) {
  publishing_actions out;
  if (--looks_ > 0) {
    out.push_back({.what = detail::publishing_kind::pause});
    return out;
  }
  const std::string why =
      untold ? ". Its status: " + detail::sentence_of(untold) : ". Is its smallest number of replicas 0?";
  give_up(out, std::make_exception_ptr(error(errc::timeout, "the deployment lists no replica to load " + identity_ +
                                                                " into; it was saved" + why)));
  return out;
}

GRADWIRE_DECL publishing_actions lifecycle_publishing::on_pause() {
  publishing_actions out;
  if (!over_) out.push_back({.what = detail::publishing_kind::look, .name = identity_});
  return out;
}

GRADWIRE_DECL publishing_actions lifecycle_publishing::on_accepted() {
  publishing_actions out;
  if (over_ || at_ != stage::loading) return out;
  at_ = stage::awaiting;
  out.push_back({.what = detail::publishing_kind::await, .name = identity_});
  return out;
}

GRADWIRE_DECL publishing_actions lifecycle_publishing::on_loaded() {
  publishing_actions out;
  if (over_ || at_ != stage::awaiting) return out;
  detail::write(out, {.what = lifecycle_fact::loaded, .id = identity_});
  chain_->loaded(*loading_);
  at_ = stage::warming;
  out.push_back({.what = detail::publishing_kind::warm_up, .name = identity_});
  return out;
}

GRADWIRE_DECL publishing_actions lifecycle_publishing::on_warm() {
  publishing_actions out;
  if (over_ || at_ != stage::warming) return out;
  over_ = true;
  out.push_back({.what = detail::publishing_kind::finish, .name = identity_});
  return out;
}

GRADWIRE_DECL publishing_actions lifecycle_publishing::on_failed(publishing_action::kind during,
                                                                 std::exception_ptr failure, bool unknown) {
  publishing_actions out;
  if (over_) return out;
  if (during == detail::publishing_kind::warm_up) return on_warm();
  if (during == detail::publishing_kind::load && at_ == stage::loading) {
    if (unknown) {
      at_ = stage::lost;
      lost_ = std::move(failure);
      out.push_back({.what = detail::publishing_kind::look, .name = identity_});
    } else {
      unloaded(out, std::move(failure));
    }
  } else if (during == detail::publishing_kind::await && at_ == stage::awaiting) {
    unloaded(out, std::move(failure));
  } else if (during == detail::publishing_kind::look && at_ == stage::checking) {
    chain_->deployment_holds({});  // not known, so a base, and a replica for it is looked for
    replicas_known_ = false;
    save_after_check(out, failure);
  } else if (during == detail::publishing_kind::look && at_ == stage::before && detail::may_be_known_later(failure)) {
    return no_replica(failure);
  } else if (during == detail::publishing_kind::look && at_ == stage::lost) {
    give_up(out, detail::with_more(lost_, "; and the deployment's status, which would tell whether it serves " +
                                              identity_ + ", was not to be had: " + detail::sentence_of(failure)));
  } else {
    give_up(out, std::move(failure));
  }
  return out;
}

// The chain is not told of the load: what the deployment holds counts as unknown, and a base is next.
GRADWIRE_DECL void lifecycle_publishing::unloaded(publishing_actions& out, std::exception_ptr failure) {
  detail::write(out, {.what = lifecycle_fact::unloaded, .id = identity_});
  if (fell_back_) return give_up(out, std::move(failure));
  fell_back_ = true;
  save(checkpoint::base, out);
}

GRADWIRE_DECL void lifecycle_publishing::give_up(publishing_actions& out, std::exception_ptr failure) {
  over_ = true;
  out.push_back({.what = detail::publishing_kind::fail, .failure = std::move(failure)});
}

}  // namespace platform
}  // namespace gradwire::inline v0
