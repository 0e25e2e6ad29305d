// SPDX-License-Identifier: Apache-2.0
// Saving and loading of a training_model.
#pragma once

#include <gradwire/loopback/impl/training_state.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

inline std::string training_json(const training_summary& summary) {
  wire::json_writer out;
  out.begin_object();
  out.key("format").string("gradwire-training-2");
  out.key("base_model").string(summary.base_model);
  out.key("lora_rank").integer(summary.lora.rank);
  out.key("lora_alpha").real(summary.lora.alpha);
  out.key("train_attn").boolean(summary.lora.attention);
  out.key("train_mlp").boolean(summary.lora.mlp);
  out.key("train_unembed").boolean(summary.lora.unembed);
  out.key("lora_seed").string(std::to_string(summary.lora.seed));
  out.key("optimizer").boolean(summary.has_optimizer);
  out.key("step").integer(summary.step);
  out.key("saved_by").string(summary.saved_by);
  out.end_object();
  return std::move(out).take();
}

// PEFT's adapter_config.json.
inline std::string adapter_json(const training_summary& summary) {
  wire::json_writer out;
  out.begin_object();
  out.key("peft_type").string("LORA");
  out.key("task_type").string("CAUSAL_LM");
  out.key("base_model_name_or_path").string(summary.base_model);
  out.key("r").integer(summary.lora.rank);
  out.key("lora_alpha").real(summary.lora.alpha);
  out.key("lora_dropout").real(0);
  out.key("bias").string("none");
  out.key("fan_in_fan_out").boolean(false);
  out.key("use_rslora").boolean(false);
  out.key("init_lora_weights").boolean(true);
  out.key("inference_mode").boolean(true);
  out.key("modules_to_save").null();
  out.key("target_modules").begin_array();
  if (summary.lora.attention)
    for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) out.string(name);
  if (summary.lora.mlp)
    for (const char* name : {"gate_proj", "up_proj", "down_proj"}) out.string(name);
  if (summary.lora.unembed) out.string("lm_head");
  out.end_array();
  out.end_object();
  return std::move(out).take();
}

}  // namespace detail

GRADWIRE_DECL training_summary training_model::describe(const std::filesystem::path& directory) {
  training_summary summary;
  verify_checksums(directory, std::filesystem::exists(directory / "training.json"));
  if (const std::optional<std::string> text = read_text_if_there(directory / "training.json")) {
    const wire::json_document json(*text);
    const json_members members(json, json.root());
    if (const std::string format = members.text("format", ""); format != "gradwire-training-2")
      throw error(errc::config, directory.string() + " holds a training state of the unknown format '" + format + "'");
    summary.base_model = members.text("base_model", "");
    summary.lora.rank = members.number<std::int32_t>("lora_rank", 0);
    summary.lora.alpha = members.number<double>("lora_alpha", 32.0);
    summary.lora.attention = members.flag("train_attn", true);
    summary.lora.mlp = members.flag("train_mlp", true);
    summary.lora.unembed = members.flag("train_unembed", true);
    const std::string seed = members.text("lora_seed", "0");
    std::from_chars(seed.data(), seed.data() + seed.size(), summary.lora.seed);
    summary.has_optimizer = members.flag("optimizer", false);
    summary.step = members.number<std::int64_t>("step", 0);
    summary.saved_by = members.text("saved_by", "");
  } else if (const std::optional<std::string> adapter = read_text_if_there(directory / "adapter_config.json")) {
    const wire::json_document json(*adapter);  // PEFT's own
    const json_members members(json, json.root());
    summary.base_model = members.text("base_model_name_or_path", "");
    summary.lora.rank = members.number<std::int32_t>("r", 0);
    summary.lora.alpha = members.number<double>("lora_alpha", 0.0);
    const std::vector<std::string> modules = members.texts("target_modules");
    const auto has = [&](const char* name) { return std::find(modules.begin(), modules.end(), name) != modules.end(); };
    summary.lora.attention = has("q_proj");
    summary.lora.mlp = has("gate_proj");
    summary.lora.unembed = has("lm_head");
  } else if (std::filesystem::exists(directory / "config.json")) {
    summary.lora.rank = 0;
    summary.base_model = directory.string();
  } else {
    throw error(errc::config, "there is no checkpoint in " + directory.string());
  }
  return summary;
}

GRADWIRE_DECL void training_model::save(const std::filesystem::path& directory, const save_options& options) const {
  state& s = *state_;
  const std::lock_guard lock(s.busy);
  s.require_finite(options.optimizer);
  staged_directory staged(directory, options.overwrite);
  const training_summary summary{s.base.name(), s.lora, options.optimizer, s.step, options.saved_by};
  if (s.full()) {
    const auto& origin = *s.base.state_;
    detail::write_weights(staged, *s.weights, origin.tokenizer ? &*origin.tokenizer : nullptr, origin.source);
  } else {
    staged.write_text("adapter_config.json", detail::adapter_json(summary));
    write_safetensors(staged.file("adapter_model.safetensors"), detail::as_values(s.trained, s.values()));
  }
  staged.write_text("training.json", detail::training_json(summary));
  if (options.optimizer) {
    std::vector<tensor_values> moments;
    for (const auto& [suffix, values] :
         {std::pair{".exp_avg", s.first_moment.data()}, std::pair{".exp_avg_sq", s.second_moment.data()}})
      for (tensor_values& each : detail::as_values(s.trained, values)) {
        each.name += suffix;
        moments.push_back(std::move(each));
      }
    write_safetensors(staged.file("optimizer.safetensors"), moments);
  }
  for (const auto& [file, text] : options.beside) staged.write_text(file, text);
  staged.write_checksums();
  staged.commit();
}

GRADWIRE_DECL void training_model::load(const std::filesystem::path& directory, bool with_optimizer) {
  state& s = *state_;
  const std::lock_guard lock(s.busy);
  const training_summary summary = describe(directory);
  const lora_options &mine = s.lora, &theirs = summary.lora;
  if (mine.rank != theirs.rank)
    throw error(errc::config, "the checkpoint has lora rank " + std::to_string(theirs.rank) + ", this model has " +
                                  std::to_string(mine.rank) + "; create the model with the checkpoint's rank");
  if (!s.full() && (mine.attention != theirs.attention || mine.mlp != theirs.mlp || mine.unembed != theirs.unembed ||
                    mine.alpha != theirs.alpha))
    throw error(errc::config, "the checkpoint adapts other layers, or with another alpha, than this model");
  if (with_optimizer && !summary.has_optimizer)
    throw error(errc::config, "the checkpoint has no optimizer state; load its weights only");
  buffer<float> values(s.size), first(s.size), second(s.size);  // read whole before anything changes
  for (buffer<float>* each : {&values, &first, &second}) each->fill_with_zero();
  detail::tensor_directory weights(directory, s.full() ? "model" : "adapter_model");
  detail::read_all(weights, s.trained, values.data());
  if (with_optimizer) {
    detail::tensor_directory moments(directory, "optimizer");
    detail::read_all(moments, s.trained, first.data(), ".exp_avg");
    detail::read_all(moments, s.trained, second.data(), ".exp_avg_sq");
  }
  s.own_weights();
  std::copy_n(values.data(), s.size, s.values());
  s.first_moment = std::move(first);
  s.second_moment = std::move(second);
  s.step = with_optimizer ? summary.step : 0;
  s.drop_gradient();
  s.merge();
}

GRADWIRE_DECL void training_model::with_arrays(const std::function<void(const training_arrays&)>& f) const {
  state& s = *state_;
  const std::lock_guard lock(s.busy);
  s.require_finite(true);
  training_arrays all{s.step, {s.values(), s.size}, {s.first_moment.data(), s.size}, {s.second_moment.data(), s.size}};
  if (s.has_gradient) all.gradient = {s.gradient.data(), s.size};
  f(all);
}

GRADWIRE_DECL void training_model::restore(const training_arrays& from) {
  state& s = *state_;
  const std::lock_guard lock(s.busy);
  for (const std::size_t each : {from.values.size(), from.first_moment.size(), from.second_moment.size(),
                                 from.gradient.empty() ? s.size : from.gradient.size()})
    if (each != s.size)
      throw error(errc::config,
                  "the state has " + std::to_string(each) + " values, this model has " + std::to_string(s.size));
  s.own_weights();
  std::copy(from.values.begin(), from.values.end(), s.values());
  std::copy(from.first_moment.begin(), from.first_moment.end(), s.first_moment.data());
  std::copy(from.second_moment.begin(), from.second_moment.end(), s.second_moment.data());
  std::copy(from.gradient.begin(), from.gradient.end(), s.gradient.data());
  s.has_gradient = !from.gradient.empty();
  s.step = from.step;
  s.merge();
}

}  // namespace loopback
}  // namespace gradwire::inline v0
