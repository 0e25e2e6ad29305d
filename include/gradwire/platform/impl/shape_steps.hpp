// SPDX-License-Identifier: Apache-2.0
// From a training shape's id to its profile, the list of shapes, and the choice of one.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/platform/impl/ask.hpp>
#include <gradwire/platform/impl/shape_ref.hpp>
#include <gradwire/platform/training_profile.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

inline training_profile describe(const wire::platform::training_shape_version& from) {
  const auto& has = from.snapshot;
  const auto name = wire::platform::parse_shape_name(from.name);
  if (!name || name->subcollection.empty())
    throw error(errc::protocol, "the platform calls a version of a training shape '" +
                                    v0::detail::printable(from.name, 120) +
                                    "', which is no accounts/<a>/trainingShapes/<s>/versions/<v>");
  const std::int64_t nodes = has.node_count > 0 ? has.node_count : 1;
  const std::int64_t stages = has.trainer_sharding_scheme ? has.trainer_sharding_scheme->pipeline_parallelism : 1;
  return {.training_shape_version = shape_access::training(from.name),
          .training_shape = name->parent(),
          .base_model = has.base_model,
          .accelerator_type = has.accelerator_type,
          .accelerator_count = has.accelerator_count,
          .node_count = nodes,
          .trainer_image_tag = has.trainer_image_tag,
          .max_supported_context_length = has.max_supported_context_length,
          .deployment_shape_version = shape_access::deployment(has.deployment_shape_version),
          .deployment_image_tag = has.deployment_image_tag,
          .base_model_weight_precision = has.base_model_weight_precision,
          .pipeline_parallelism = stages > 0 ? stages : 1,
          .trainer_mode = has.trainer_mode.name,
          .latest_validated = from.latest_validated,
          .create_time = from.create_time};
}

inline wire::platform::resource_name check_shape_id(const std::string& id) {
  auto name = wire::platform::parse_shape_name(id);
  if (name) return *name;
  const std::string shown = "'" + v0::detail::printable(id, 200) + "'";
  const bool is_short = !id.empty() && id.find('/') == std::string::npos;
  throw error(errc::config,
              is_short
                  ? shown +
                        " is a short id of a training shape; give the full one, accounts/<account>/"
                        "trainingShapes/" +
                        v0::detail::printable(id, 200) + " (accounts/fireworks has the shapes that are everybody's)"
                  : shown +
                        " is no id of a training shape; one looks like "
                        "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200, with /versions/<version> behind "
                        "it or not");
}

inline task<training_profile> resolve_profile(flow& f, std::string id) {
  const wire::platform::resource_name name = check_shape_id(id);
  question asked;
  asked.name = "resolve training shape";
  asked.subject = id;
  asked.ways_out = {
      {404,
       "check the shape's spelling and version; a shape of another account may not be open to this key, and "
       "training_shapes() lists those that are everybody's"},
      {403, "the shape is not open to this key's account; training_shapes() lists those that are everybody's"}};
  if (!name.subcollection.empty()) {
    asked.target = "/v1/" + name.text();
    const auto version = co_await ask_for<wire::platform::training_shape_version>(f, std::move(asked));
    co_return describe(version);
  }
  wire::platform::query_parameters query;
  query.emplace_back("filter", "latest_validated=true");
  query.emplace_back("pageSize", "1");
  asked.target = "/v1/" + name.parent() + "/versions" + wire::platform::query_text(query);
  const auto found = co_await ask_for<wire::platform::training_shape_versions_reply>(f, std::move(asked));
  if (found.training_shape_versions.empty())
    throw error(errc::config,
                "the training shape '" + id +
                    "' has no latest validated version, so nothing can be launched on it now; take another "
                    "shape, or a version by its name if you know one that works");
  co_return describe(found.training_shape_versions.front());
}

inline std::string quoted_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

inline task<std::vector<wire::platform::training_shape_version>> list_versions(flow& f, std::string account_id,
                                                                               std::string filter) {
  if (account_id != "-" && !wire::platform::parse_resource_name("accounts/" + account_id + "/trainingShapes/-"))
    throw error(errc::config, "'" + v0::detail::printable(account_id, 80) + "' is no account");
  question asked;
  asked.name = "list training shapes";
  asked.subject = account_id == "-" ? "" : "of " + account_id;
  asked.target = "/v1/accounts/" + account_id + "/trainingShapes/-/versions";
  wire::platform::query_parameters query;
  if (!filter.empty()) query.emplace_back("filter", filter);
  query.emplace_back("orderBy", "create_time desc");
  query.emplace_back("pageSize", "200");
  const auto part = [](wire::platform::training_shape_versions_reply& reply) {
    return std::move(reply.training_shape_versions);
  };
  co_return co_await list_all<wire::platform::training_shape_versions_reply, wire::platform::training_shape_version>(
      f, std::move(asked), std::move(query), part);
}

// The modes that will do, the best first.
inline std::vector<std::string_view> modes_for(const shape_wish& wish) {
  if (wish.role == shape_role::reference) return {"FORWARD_ONLY", "LORA_TRAINER"};
  if (wish.lora_rank > 0) return {"LORA_TRAINER", "POLICY_TRAINER"};
  return {"POLICY_TRAINER"};
}

// The smallest context that fits; without a wish the first, which is the newest.
inline const wire::platform::training_shape_version* best_of(
    const std::vector<wire::platform::training_shape_version>& all, const shape_wish& wish) {
  for (const auto mode : modes_for(wish)) {
    const wire::platform::training_shape_version* best = nullptr;
    for (const auto& each : all) {
      const auto& has = each.snapshot;
      const std::string_view its =
          has.trainer_mode.empty() ? "POLICY_TRAINER" : std::string_view(has.trainer_mode.name);
      if (its != mode || has.max_supported_context_length < wish.max_context_length) continue;
      const bool smaller = best && wish.max_context_length > 0 &&
                           has.max_supported_context_length < best->snapshot.max_supported_context_length;
      if (!best || smaller) best = &each;
    }
    if (best) return best;
  }
  return nullptr;
}

inline task<training_profile> select_shape(flow& f, shape_wish wish) {
  const auto model = wire::platform::parse_resource_name(wish.base_model);
  if (!model || model->collection != "models")
    throw error(errc::config, "select a training shape: base_model '" + v0::detail::printable(wish.base_model, 120) +
                                  "' is no accounts/<account>/models/<model>");
  const std::string validated = " AND latest_validated=true";
  auto all = co_await list_versions(f, wish.account, "snapshot.base_model=" + quoted_text(wish.base_model) + validated);
  const auto* best = best_of(all, wish);
  if (!best) {  // one of the same type and about the same size
    question asked;
    asked.name = "get model";
    asked.subject = wish.base_model;
    asked.target = "/v1/" + wish.base_model;
    const auto found = co_await ask_for<wire::platform::model>(f, std::move(asked));
    const auto details = found.base_model_details.value_or(wire::platform::base_model_details{});
    if (!details.model_type.empty() && details.parameter_count > 0) {
      constexpr std::int64_t billion = 1'000'000'000;
      const std::int64_t bucket = details.parameter_count < 10 * billion ? billion : 10 * billion;
      const std::int64_t low = details.parameter_count / bucket * bucket;
      all = co_await list_versions(f, wish.account,
                                   "snapshot.model_type=" + quoted_text(details.model_type) +
                                       " AND snapshot.parameter_count>=" + std::to_string(low) +
                                       " AND snapshot.parameter_count<=" + std::to_string(low + bucket) + validated);
      best = best_of(all, wish);
    }
  }
  if (!best)
    throw error(
        errc::config,
        "no validated training shape fits " + wish.base_model + " as a " +
            (wish.role == shape_role::reference ? "reference"
             : wish.lora_rank > 0               ? "LoRA policy"
                                                : "policy") +
            (wish.max_context_length > 0 ? " with a context of " + std::to_string(wish.max_context_length) + " tokens"
                                         : "") +
            "; training_shapes() lists what there is, and resolve_training_profile(id) takes one by its id");
  co_return describe(*best);
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
