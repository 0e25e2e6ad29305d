// SPDX-License-Identifier: Apache-2.0
// The training shapes and base models that the platform offers, out of a JSON text like training_shapes.hpp's.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/loopback/files/text_file.hpp>
#include <gradwire/loopback/platform/training_shapes.hpp>
#include <gradwire/wire/platform_path.hpp>
#include <gradwire/wire/platform_shapes.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

struct catalogue_shape {
  std::string name{};                                              // accounts/fireworks/trainingShapes/<id>
  std::string title{};                                             // of its model, as on the page
  std::string role{};                                              // policy, reference, lora
  bool page_id = false;                                            // else the id is ours
  std::vector<wire::platform::training_shape_version> versions{};  // newest first
};

struct catalogue_model {
  std::string name{};  // accounts/fireworks/models/<id>
  std::string family{}, title{};
  wire::platform::base_model_details details{};
  bool has_reference = false;  // the page lists a reference shape
};

class catalogue {
 public:
  // errc::config, naming what is wrong with it.
  explicit catalogue(const std::filesystem::path& file) {
    const std::string text = file.empty() ? std::string(training_shapes_json) : read_text(file);
    const auto read_it = [&] { read(text); };
    file.empty() ? read_it() : naming_file(file, read_it);
  }

  const std::string& account() const noexcept { return account_; }
  const std::vector<catalogue_shape>& shapes() const noexcept { return shapes_; }
  const std::vector<catalogue_model>& models() const noexcept { return models_; }

  const catalogue_shape* find_shape(std::string_view name) const noexcept {
    for (const auto& each : shapes_)
      if (each.name == name) return &each;
    return nullptr;
  }
  const catalogue_model* find_model(std::string_view name) const noexcept {
    for (const auto& each : models_)
      if (each.name == name) return &each;
    return nullptr;
  }

  // Of a versioned name, or of a shape's name its latest validated version; nullptr where there is none.
  const wire::platform::training_shape_version* find_version(std::string_view name) const noexcept {
    for (const auto& shape : shapes_)
      for (const auto& version : shape.versions)
        if (version.name == name || (shape.name == name && version.latest_validated)) return &version;
    return nullptr;
  }

  // Whether a deployment shape, or a version of one, belongs to one of the training shapes; its base model.
  std::optional<std::string> base_of_deployment_shape(std::string_view name) const {
    for (const auto& shape : shapes_)
      for (const auto& version : shape.versions) {
        const std::string& known = version.snapshot.deployment_shape_version;
        if (!known.empty() && (known == name || known.substr(0, known.find("/versions/")) == name))
          return version.snapshot.base_model;
      }
    return {};
  }

 private:
  void read(const std::string& text) {
    const wire::json_document json(text);
    const json_members whole(json, json.root());
    account_ = whole.text("account", "fireworks");
    const wire::json_node* models = whole.find("models");
    if (models == nullptr || models->kind != wire::json_kind::array)
      throw error(errc::config, "the catalogue of training shapes has no list 'models'");
    for (const wire::json_node* node = json.first(*models); node != nullptr; node = json.next(*node)) {
      const json_members row(json, *node);
      catalogue_model model{.name = row.text("model", ""),
                            .family = row.text("family", ""),
                            .title = row.text("title", ""),
                            .details = {.model_type = row.text("modelType", ""),
                                        .parameter_count = row.number<std::int64_t>("parameterCount", 0),
                                        .moe = row.flag("moe", false)}};
      if (!wire::platform::parse_resource_name(model.name))
        throw error(errc::config, "'" + model.name + "' is no name like accounts/fireworks/models/qwen3-4b");
      for (const char* role : {"policy", "reference", "lora"})
        if (const wire::json_node* shape = row.find(role)) add(json, whole, model, role, *shape);
      model.has_reference = row.find("reference") != nullptr;
      models_.push_back(std::move(model));
    }
  }

  void add(const wire::json_document& json, const json_members& whole, const catalogue_model& model, const char* role,
           const wire::json_node& node) {
    const json_members given(json, node);
    const std::string id = given.text("id", "");
    if (!wire::platform::is_resource_id(id)) throw error(errc::config, "'" + id + "' is no id of a training shape");
    catalogue_shape made{.name = "accounts/" + account_ + "/trainingShapes/" + id,
                         .title = model.title,
                         .role = role,
                         .page_id = given.text("idFrom", "") == "page"};
    if (find_shape(made.name) != nullptr) throw error(errc::config, "the shape '" + id + "' is there twice");
    wire::platform::shape_snapshot snapshot{
        .base_model = model.name,
        .model_type = model.details.model_type,
        .parameter_count = model.details.parameter_count,
        .trainer_mode = {given.text("trainerMode", "POLICY_TRAINER")},
        .trainer_image_tag = given.text("trainerImageTag", whole.text("trainerImageTag", "")),
        .max_supported_context_length = given.number<std::int64_t>("maxSupportedContextLength", 0),
        .node_count = given.number<std::int64_t>("nodeCount", whole.number<std::int64_t>("nodeCount", 1)),
        .accelerator_type = given.text("acceleratorType", ""),
        .accelerator_count = given.number<std::int64_t>("acceleratorCount", 0)};
    const std::string rollout = given.text("deploymentShape", "");
    const wire::json_node* versions = given.find("versions") ? given.find("versions") : whole.find("versions");
    bool has_latest = false;
    for (const auto* each = versions ? json.first(*versions) : nullptr; each != nullptr; each = json.next(*each)) {
      const json_members about(json, *each);
      const std::string version = about.text("id", "");
      const bool validated = about.flag("validated", false);
      snapshot.deployment_shape_version =
          rollout.empty() ? "" : "accounts/" + account_ + "/deploymentShapes/" + rollout + "/versions/" + version;
      made.versions.push_back({.name = made.name + "/versions/" + version,
                               .snapshot = snapshot,
                               .validated = validated,
                               .latest_validated = validated && !std::exchange(has_latest, has_latest || validated),
                               .public_ = true,
                               .create_time = about.text("createTime", "")});
    }
    shapes_.push_back(std::move(made));
  }

  std::string account_;
  std::vector<catalogue_shape> shapes_;
  std::vector<catalogue_model> models_;
};

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
