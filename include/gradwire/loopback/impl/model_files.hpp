// SPDX-License-Identifier: Apache-2.0
// Weights between memory and directories: Hugging Face's Qwen3 layout, and PEFT's adapters.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gradwire/loopback/compute/product.hpp>
#include <gradwire/loopback/files/safetensors.hpp>
#include <gradwire/loopback/files/staged_directory.hpp>
#include <gradwire/loopback/impl/compute_core.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

inline constexpr std::array tokenizer_files = {
    "tokenizer.json",      "tokenizer_config.json",  "vocab.json", "merges.txt", "added_tokens.json",
    "chat_template.jinja", "special_tokens_map.json"};

inline std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

// The *.safetensors of a directory, one file or the shards that an index names.
class tensor_directory {
 public:
  explicit tensor_directory(const std::filesystem::path& directory, const std::string& name = "model") {
    const std::filesystem::path single = directory / (name + ".safetensors");
    if (std::filesystem::exists(single)) {
      add(single);
      return;
    }
    const std::optional<std::string> index = read_text_if_there(directory / (name + ".safetensors.index.json"));
    if (!index) throw error(errc::config, "there is no " + name + ".safetensors in " + directory.string());
    const wire::json_document json(*index);
    const wire::json_node* map = json.find(json.root(), "weight_map");
    std::map<std::string, bool> files;
    for (const wire::json_node* node = map ? json.first(*map) : nullptr; node; node = json.next(*node))
      files[std::string(node->text)] = true;
    for (const auto& [file, unused] : files) {
      if (file.find('/') != std::string::npos) throw error(errc::config, "the index names a file elsewhere: " + file);
      add(directory / file);
    }
  }

  bool has(const std::string& name) const { return where_.contains(name); }

  // errc::config if the tensor is missing or of another shape.
  void require(const std::string& name, std::span<const std::int64_t> shape) const {
    const auto found = where_.find(name);
    if (found == where_.end()) throw error(errc::config, "the checkpoint has no tensor '" + name + "'");
    const std::vector<std::int64_t>& actual = files_[found->second]->entries().at(name).shape;
    if (!std::equal(actual.begin(), actual.end(), shape.begin(), shape.end()))
      throw error(errc::config, "the checkpoint's tensor '" + name + "' is " + shape_text(actual) +
                                    ", the model needs " + shape_text(shape));
  }
  void read(const std::string& name, std::span<const std::int64_t> shape, std::span<float> into) {
    require(name, shape);
    files_[where_.at(name)]->read(name, into);
  }

  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& [name, file] : where_) result.push_back(name);
    return result;
  }
  const std::vector<std::int64_t>& shape(const std::string& name) const {
    return files_[where_.at(name)]->entries().at(name).shape;
  }

 private:
  void add(const std::filesystem::path& path) {
    files_.push_back(std::make_unique<safetensors_file>(path));
    for (const auto& [name, entry] : files_.back()->entries()) where_[name] = files_.size() - 1;
  }

  std::vector<std::unique_ptr<safetensors_file>> files_;
  std::map<std::string, std::size_t> where_;
};

inline std::vector<tensor_values> as_values(const std::vector<tensor_entry>& tensors, const float* values) {
  std::vector<tensor_values> result;
  for (const tensor_entry& tensor : tensors)
    result.push_back({tensor.name, tensor.shape, {values + tensor.offset, tensor.size}});
  return result;
}

inline void read_all(tensor_directory& files, const std::vector<tensor_entry>& tensors, float* values,
                     const std::string& suffix = "") {
  for (const tensor_entry& tensor : tensors)
    files.read(tensor.name + suffix, tensor.shape, {values + tensor.offset, tensor.size});
}

inline model_config read_config(const std::filesystem::path& directory) {
  const std::string text = read_text(directory / "config.json");
  model_config config = naming_file(directory / "config.json", [&] { return parse_model_config(text); });
  // The end-of-text tokens of generation_config.json count for sampling.
  if (const std::optional<std::string> generation = read_text_if_there(directory / "generation_config.json"))
    naming_file(directory / "generation_config.json", [&] {
      const wire::json_document json(*generation);
      const json_members members(json, json.root());
      if (members.find("eos_token_id")) config.eos_token_ids = members.numbers<std::int32_t>("eos_token_id");
    });
  return config;
}

inline std::shared_ptr<model_weights> read_weights(const std::filesystem::path& directory) {
  parameter_layout layout = make_parameter_layout(read_config(directory));
  tensor_directory files(directory);
  for (const tensor_entry& tensor : layout.tensors) files.require(tensor.name, tensor.shape);  // before room is made
  auto weights = std::make_shared<model_weights>(std::move(layout));
  read_all(files, weights->layout.tensors, weights->values.data());
  return weights;
}

inline void write_weights(const staged_directory& to, const model_weights& weights, const byte_tokenizer* tokenizer,
                          const std::filesystem::path& source, bool as_bf16 = false) {
  const model_config& config = weights.layout.config;
  to.write_text("config.json", to_json(config));
  if (!config.eos_token_ids.empty()) {
    wire::json_writer out;
    out.begin_object();
    out.key("eos_token_id").numbers<std::int64_t>(std::span<const std::int32_t>(config.eos_token_ids));
    out.end_object();
    to.write_text("generation_config.json", std::move(out).take());
  }
  write_safetensors(to.file("model.safetensors"), as_values(weights.layout.tensors, weights.values.data()), as_bf16);
  if (tokenizer) {
    to.write_text("tokenizer.json", tokenizer->tokenizer_json());
    to.write_text("tokenizer_config.json", tokenizer->tokenizer_config_json());
  } else {
    for (const char* name : tokenizer_files)
      if (const std::optional<std::string> text = read_text_if_there(source / name)) to.write_text(name, *text);
  }
}

// A copy of `base` with the head apart from the embedding.
inline std::shared_ptr<model_weights> untied(const model_weights& base) {
  model_config config = base.layout.config;
  config.tie_word_embeddings = false;
  auto result = std::make_shared<model_weights>(make_parameter_layout(config));
  std::copy_n(base.values.data(), base.values.size(), result->values.data());
  std::copy_n(base.values.data() + base.layout.embed,
              static_cast<std::size_t>(config.vocab_size) * static_cast<std::size_t>(config.hidden_size),
              result->values.data() + result->layout.lm_head);
  return result;
}

inline constexpr std::string_view adapter_prefix = "base_model.model.";

// `base` with a PEFT adapter merged in: any linear layers, alpha / r as its config says.
inline std::shared_ptr<model_weights> merge_adapter(const std::filesystem::path& directory, const model_weights& base,
                                                    const product_table<float>& products) {
  const std::string text = read_text(directory / "adapter_config.json");
  const wire::json_document json(text);
  const json_members config(json, json.root());
  if (config.text("peft_type", "LORA") != "LORA") throw error(errc::config, "only LoRA adapters are read");
  const double rank = config.number<double>("r", 0), alpha = config.number<double>("lora_alpha", 0);
  if (!(rank >= 1)) throw error(errc::config, "adapter_config.json: r is not positive");
  const double scale = alpha / (config.flag("use_rslora", false) ? std::sqrt(rank) : rank);
  tensor_directory files(directory, "adapter_model");
  bool head = false;
  for (const std::string& name : files.names()) head |= name.find("lm_head.lora_") != std::string::npos;
  auto result = head && base.layout.tied() ? untied(base) : std::make_shared<model_weights>(base);
  std::size_t merged = 0;
  for (const tensor_entry& tensor : result->layout.tensors) {
    const std::string module = std::string(adapter_prefix) + tensor.name.substr(0, tensor.name.rfind('.'));
    const std::string a_name = module + ".lora_A.weight", b_name = module + ".lora_B.weight";
    if (!files.has(a_name)) continue;
    if (tensor.shape.size() != 2) throw error(errc::config, "'" + tensor.name + "' cannot have an adapter");
    const std::int64_t r = files.shape(a_name).empty() ? 0 : files.shape(a_name)[0];
    const std::int64_t a_shape[] = {r, tensor.shape[1]}, b_shape[] = {tensor.shape[0], r};
    const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
    buffer<float> a(size(r * tensor.shape[1])), b(size(tensor.shape[0] * r));
    files.read(a_name, a_shape, {a.data(), a.size()});
    files.read(b_name, b_shape, {b.data(), b.size()});
    products.multiply(as_matrix(result->values.data() + tensor.offset, size(tensor.shape[0]), size(tensor.shape[1])),
                      static_cast<float>(scale), as_matrix(b.data(), size(tensor.shape[0]), size(r)),
                      as_matrix(a.data(), size(r), size(tensor.shape[1])), true);
    merged += 2;
  }
  if (merged != files.names().size())
    throw error(errc::config, "the adapter in " + directory.string() + " has tensors that this model has no place for");
  return result;
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
