// SPDX-License-Identifier: Apache-2.0
// Accounts, models, training shapes and deployment shapes.
#pragma once

#include <gradwire/loopback/platform/listing.hpp>
#include <gradwire/loopback/platform/world.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

inline http_response list_accounts(world& it, call&) {
  message::accounts_reply found;
  const auto fault = it.faults.happens("accounts");
  if (!fault || *fault == "two") found.accounts.push_back({it.account_name(), it.options.account, "READY"});
  if (fault && *fault == "two") found.accounts.push_back({"accounts/another-" + it.options.account, "", "READY"});
  return answer(found);
}

inline http_response get_account(world& it, call& request) {
  it.check_account(request.arguments.at(0));
  return answer(message::account{it.account_name(), it.options.account, "READY"});
}

inline message::model model_of(const world& it, const std::string& name) {
  if (const auto promoted = it.models.find(name); promoted != it.models.end()) {
    message::model told = promoted->second.about;
    if (it.now() < promoted->second.ready_at) told.state = "UPLOADING";
    return told;
  }
  const catalogue_model* found = it.shapes.find_model(name);
  if (found == nullptr) throw not_found("there is no model '" + name + "'");
  return {.name = found->name,
          .display_name = found->title,
          .state = "READY",
          .kind = "HF_BASE_MODEL",
          .base_model_details = found->details};
}

inline http_response get_model(world& it, call& request) {
  return answer(model_of(it, "accounts/" + request.arguments.at(0) + "/models/" + request.arguments.at(1)));
}

inline http_response list_models(world& it, call& request) {
  const std::string mine = "accounts/" + request.arguments.at(0) + "/models/";
  std::vector<std::string> items;
  for (const auto& each : it.shapes.models())
    if (each.name.starts_with(mine)) items.push_back(message::to_json(model_of(it, each.name)));
  for (const auto& [name, each] : it.models)
    if (name.starts_with(mine)) items.push_back(message::to_json(model_of(it, name)));
  return list_reply("models", list_page(std::move(items), request.query));
}

// accounts/<a or ->/trainingShapes/<s or ->/versions
inline http_response list_shape_versions(world& it, call& request) {
  const std::string& account = request.arguments.at(0);
  const std::string& shape = request.arguments.at(1);
  const std::string name = "accounts/" + it.shapes.account() + "/trainingShapes/" + shape;
  const bool here = account == "-" || account == it.shapes.account();
  if (shape != "-" && (!here || it.shapes.find_shape(name) == nullptr))
    throw not_found("there is no training shape 'accounts/" + account + "/trainingShapes/" + shape + "'");
  const bool none_validated = it.faults.happens("no_validated_version").has_value();
  std::vector<std::string> items;
  for (const auto& each : it.shapes.shapes()) {
    if (!here || (shape != "-" && each.name != name)) continue;
    for (auto version : each.versions) {
      if (none_validated) version.validated = version.latest_validated = false;
      items.push_back(message::to_json(version));
    }
  }
  return list_reply("trainingShapeVersions", list_page(std::move(items), request.query));
}

inline http_response get_shape_version(world& it, call& request) {
  const std::string name = "accounts/" + request.arguments.at(0) + "/trainingShapes/" + request.arguments.at(1) +
                           "/versions/" + request.arguments.at(2);
  const auto* found = it.shapes.find_version(name);
  if (found == nullptr) throw not_found("there is no training shape version '" + name + "'");
  return answer(*found);
}

inline std::string shape_json(const catalogue_shape& shape) {
  wire::json_writer out;
  out.begin_object();
  out.key("name").string(shape.name);
  out.key("displayName").string(shape.title + ", " + shape.role);
  out.key("baseModel").string(shape.versions.empty() ? "" : shape.versions.front().snapshot.base_model);
  out.key("createTime").string(shape.versions.empty() ? "" : shape.versions.back().create_time);
  out.end_object();
  return std::move(out).take();
}

inline http_response list_shapes(world& it, call& request) {
  std::vector<std::string> items;
  for (const auto& each : it.shapes.shapes())
    if (request.arguments.at(0) == "-" || request.arguments.at(0) == it.shapes.account())
      items.push_back(shape_json(each));
  return list_reply("trainingShapes", list_page(std::move(items), request.query));
}

inline http_response get_shape(world& it, call& request) {
  const std::string name = "accounts/" + request.arguments.at(0) + "/trainingShapes/" + request.arguments.at(1);
  const catalogue_shape* found = it.shapes.find_shape(name);
  if (found == nullptr) throw not_found("there is no training shape '" + name + "'");
  return detail::json_reply(shape_json(*found));
}

// ---- deployment shapes: those that training shapes are linked to ----

inline std::string deployment_shape_json(const std::string& name, const message::training_shape_version& from) {
  wire::json_writer out;
  out.begin_object();
  out.key("name").string(name);
  out.key("validated").boolean(from.validated);
  out.key("latestValidated").boolean(from.latest_validated);
  out.key("public").boolean(true);
  out.key("createTime").string(from.create_time);
  out.key("snapshot").begin_object();
  out.key("baseModel").string(from.snapshot.base_model);
  if (!from.snapshot.accelerator_type.empty()) out.key("acceleratorType").string(from.snapshot.accelerator_type);
  out.key("acceleratorCount").integer(from.snapshot.accelerator_count);
  out.end_object();
  out.end_object();
  return std::move(out).take();
}

// Versions of deployment shapes whose name begins with `prefix` and whose base model is `base_model`, unless "".
inline std::vector<std::string> deployment_shape_versions(const world& it, const std::string& prefix,
                                                          const std::string& base_model = {}) {
  std::vector<std::string> items;
  for (const auto& shape : it.shapes.shapes())
    for (const auto& version : shape.versions) {
      const std::string& name = version.snapshot.deployment_shape_version;
      if (name.empty() || !name.starts_with(prefix)) continue;
      if (!base_model.empty() && version.snapshot.base_model != base_model) continue;
      items.push_back(deployment_shape_json(name, version));
    }
  return items;
}

inline http_response list_deployment_shape_versions(world& it, call& request) {
  const std::string account = request.arguments.at(0) == "-" ? it.shapes.account() : request.arguments.at(0);
  const std::string& shape = request.arguments.at(1);
  const std::string prefix = "accounts/" + account + "/deploymentShapes/" + (shape == "-" ? "" : shape + "/");
  auto items = deployment_shape_versions(it, prefix);
  if (items.empty()) throw not_found("there is no deployment shape '" + prefix.substr(0, prefix.size() - 1) + "'");
  return list_reply("deploymentShapeVersions", list_page(std::move(items), request.query));
}

inline http_response get_deployment_shape_version(world& it, call& request) {
  const std::string name = "accounts/" + request.arguments.at(0) + "/deploymentShapes/" + request.arguments.at(1) +
                           "/versions/" + request.arguments.at(2);
  for (auto& found : deployment_shape_versions(it, name))
    if (text_at(wire::json_document(found), "name") == name) return detail::json_reply(std::move(found));
  throw not_found("there is no deployment shape version '" + name + "'");
}

// {"createDeploymentRequest": {"deployment": {"baseModel": …}}}
inline http_response match_deployment_shapes(world& it, call& request) {
  std::string base;
  try {
    base = text_at(wire::json_document(request.request.body), "createDeploymentRequest.deployment.baseModel");
  } catch (const error& wrong) {
    throw invalid(std::string("the body cannot be read: ") + wrong.what());
  }
  if (base.empty()) throw invalid("createDeploymentRequest.deployment.baseModel is missing");
  auto items = deployment_shape_versions(it, "accounts/", base);
  return list_reply("deploymentShapeVersions", list_page(std::move(items), request.query));
}

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
