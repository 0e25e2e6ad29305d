// SPDX-License-Identifier: Apache-2.0
// The code behind frozen_model: loading, running, sampling, and random weights for the built-in model.
#pragma once

#include <random>
#include <string>

#include <gradwire/loopback/compute/random.hpp>
#include <gradwire/loopback/impl/model_files.hpp>
#include <gradwire/loopback/model/sampler.hpp>

namespace gradwire::inline v0 {
namespace loopback {

struct frozen_model::state {
  std::string name;
  std::filesystem::path source;  // where the model was loaded from; empty for the built-in one
  std::shared_ptr<detail::compute_core> core;
  std::shared_ptr<const detail::model_weights> weights;
  std::optional<byte_tokenizer> tokenizer;
};

namespace detail {

// Every matrix normal with variance 1 / inputs, the two that write to the residual stream smaller by sqrt(2 layers),
// so that the stream keeps its size; the head small, so that the first distribution is nearly uniform.
inline std::shared_ptr<model_weights> random_weights(const model_config& config, std::uint64_t seed) {
  auto weights = std::make_shared<model_weights>(make_parameter_layout(config));
  random_stream random(seed);
  for (const tensor_entry& tensor : weights->layout.tensors) {
    float* values = weights->values.data() + tensor.offset;
    if (tensor.shape.size() == 1) {
      std::fill_n(values, tensor.size, 1.0F);
      continue;
    }
    double deviation = 1 / std::sqrt(static_cast<double>(tensor.shape[1]));
    if (tensor.name.ends_with("o_proj.weight") || tensor.name.ends_with("down_proj.weight"))
      deviation /= std::sqrt(2.0 * config.num_hidden_layers);
    if (tensor.name == "model.embed_tokens.weight") deviation = 1;
    if (tensor.offset == weights->layout.lm_head) deviation = 0.02;
    for (std::size_t i = 0; i < tensor.size; ++i) values[i] = static_cast<float>(deviation * random.normal());
  }
  return weights;
}

}  // namespace detail

GRADWIRE_DECL frozen_model frozen_model::load(const model_options& options) {
  auto made = std::make_shared<state>();
  made->name = options.name.empty() ? options.model : options.name;
  if (options.model == "gradwire/tiny") {
    made->weights = detail::random_weights(tiny_config(), options.seed);
    made->tokenizer.emplace();
  } else {
    made->source = options.model;
    if (!std::filesystem::is_directory(made->source))
      throw error(errc::config,
                  "unknown model '" + options.model +
                      "'; name gradwire/tiny, or a directory with a Qwen3 model in Hugging Face's format");
    made->weights = detail::read_weights(made->source);
    try {
      if (const auto text = read_text_if_there(made->source / "tokenizer.json"))
        made->tokenizer = byte_tokenizer::parse(*text);
    } catch (const error&) {  // not JSON that we understand: a foreign tokenizer, and token ids work
    }
  }
  made->core = std::make_shared<detail::compute_core>(options.threads, options.linear_algebra);
  frozen_model model;
  model.state_ = std::move(made);
  return model;
}

GRADWIRE_DECL const std::string& frozen_model::name() const { return state_->name; }
GRADWIRE_DECL const model_config& frozen_model::config() const { return state_->weights->layout.config; }
GRADWIRE_DECL int frozen_model::threads() const { return static_cast<int>(state_->core->pool.size()); }
GRADWIRE_DECL loopback::linear_algebra frozen_model::linear_algebra() const { return state_->core->kind; }
GRADWIRE_DECL std::uint32_t frozen_model::checksum() const {
  const buffer<float>& values = state_->weights->values;
  return crc32c(values.data(), values.size() * sizeof(float));
}
GRADWIRE_DECL bool frozen_model::has_tokenizer() const { return state_->tokenizer.has_value(); }

GRADWIRE_DECL const byte_tokenizer& frozen_model::tokenizer() const {
  if (!state_->tokenizer)
    throw error(errc::config,
                "model '" + state_->name +
                    "' has a tokenizer that the embedded trainer does not read; send token ids, not text");
  return *state_->tokenizer;
}

GRADWIRE_DECL example_logprobs frozen_model::forward(std::span<const example> examples) const {
  return detail::run_forward(*state_->core, *state_->weights, examples);
}

GRADWIRE_DECL std::vector<sample_result> frozen_model::sample(std::span<const sample_request> requests) const {
  detail::compute_core& core = *state_->core;
  const detail::model_weights& weights = *state_->weights;
  const auto refuse = [](std::size_t request, const std::string& why) {
    throw error(errc::data, "sample request " + std::to_string(request) + ": " + why);
  };
  std::vector<sample_result> results(requests.size());
  std::vector<sampler::task> tasks;
  std::vector<std::size_t> lengths, with_prompt, task_tokens;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const sample_request& request = requests[i];
    const sample_options& options = request.options;
    detail::check_tokens(config(), i, request.prompt);
    if (!(options.temperature >= 0 && options.temperature < 1e6)) refuse(i, "temperature must be 0 or more");
    if (!(options.top_p > 0 && options.top_p <= 1)) refuse(i, "top_p must lie in (0, 1]");
    if (options.top_k < -1) refuse(i, "top_k must be -1 (all tokens) or positive");
    if (!options.stop_strings.empty()) tokenizer();
    if (options.prompt_logprobs) results[i].prompt_logprobs.assign(request.prompt.size(), std::nanf(""));
    if (options.topk_prompt_logprobs > 0) results[i].topk_prompt_logprobs.resize(request.prompt.size());
    results[i].sequences.resize(options.num_samples);
    std::uint64_t seed = options.seed.value_or(0);
    if (!options.seed) {
      std::random_device device;
      seed = (static_cast<std::uint64_t>(device()) << 32) ^ device();
    }
    for (std::size_t sample = 0; sample < options.num_samples; ++sample) tasks.push_back({i, sample, seed + sample});
    longest = std::max(
        longest, request.prompt.size() + std::min(options.max_tokens, std::size_t(config().max_position_embeddings)));
    if (request.prompt.size() > 1) lengths.push_back(request.prompt.size() - 1), with_prompt.push_back(i);
  }
  longest = std::min(longest, static_cast<std::size_t>(config().max_position_embeddings));

  const std::lock_guard lock(core.busy);
  const sampler draw{weights.layout,
                     weights.values.data(),
                     core.sampling,
                     core.rotary_for(config(), longest),
                     requests,
                     results,
                     state_->tokenizer ? &*state_->tokenizer : nullptr};
  std::vector<page_list> prompts(requests.size());
  const work_plan plan = plan_work(lengths, core.pool.size(), detail::micro_batch_tokens(config()),
                                   8 * static_cast<std::size_t>(config().hidden_size));
  const auto run_prompts = [&](std::vector<std::size_t> micro_batch, workspace<float>& work, const team& workers) {
    for (std::size_t& index : micro_batch) index = with_prompt[index];
    draw.run_prompts(micro_batch, prompts, work, workers);
  };
  if (plan.shared)
    for (const auto& micro_batch : plan.micro_batches[0]) run_prompts(micro_batch, core.work[0], team(core.pool));
  else
    core.pool.run([&](std::size_t worker) {
      for (const auto& micro_batch : plan.micro_batches[worker]) run_prompts(micro_batch, core.work[worker], team());
    });
  core.pool.run([&](std::size_t worker) {
    const std::size_t begin = tasks.size() * worker / core.pool.size();
    const std::size_t end = tasks.size() * (worker + 1) / core.pool.size();
    draw.run_samples(std::span(tasks).subspan(begin, end - begin), prompts, core.work[worker]);
  });
  return results;
}

GRADWIRE_DECL frozen_model frozen_model::with_checkpoint(const std::filesystem::path& directory) const {
  verify_checksums(directory, false);
  auto made = std::make_shared<state>(*state_);
  if (std::filesystem::exists(directory / "adapter_config.json")) {
    made->weights = detail::merge_adapter(directory, *state_->weights, state_->core->products);
  } else {
    auto weights = detail::read_weights(directory);
    const model_config &mine = config(), &theirs = weights->layout.config;
    if (mine.vocab_size != theirs.vocab_size || mine.head_dim != theirs.head_dim ||
        mine.rope_theta != theirs.rope_theta || mine.max_position_embeddings != theirs.max_position_embeddings)
      throw error(errc::config, "the model in " + directory.string() + " is not of the shape of '" + name() + "'");
    made->weights = std::move(weights);
  }
  frozen_model model;
  model.state_ = std::move(made);
  return model;
}

GRADWIRE_DECL std::vector<std::uint16_t> frozen_model::bf16() const {
  bf16_words words;
  for (const tensor_entry& tensor : state_->weights->layout.tensors) {
    const float* values = state_->weights->values.data() + tensor.offset;
    const std::size_t begin = words.size();
    words.resize(begin + tensor.size);
    bool finite = true;
    for (std::size_t i = 0; i < tensor.size; ++i) {
      words[begin + i] = to_bf16(values[i]);
      finite &= is_finite_bf16(words[begin + i]);
    }
    for (std::size_t i = 0; i < tensor.size && !finite; ++i) {
      if (is_finite_bf16(words[begin + i])) continue;
      error_details details;
      details.column = tensor.name;
      details.value = std::to_string(values[i]);
      throw error(errc::data,
                  "not saved: " + tensor.name + "[" + std::to_string(i) + "] is " + details.value +
                      ", which is no finite bfloat16; load the last good state",
                  std::move(details));
    }
  }
  return words;
}

GRADWIRE_DECL frozen_model frozen_model::with_bf16(std::span<const std::uint16_t> words) const {
  std::size_t size = 0;
  for (const tensor_entry& tensor : state_->weights->layout.tensors) size += tensor.size;
  if (words.size() != size)
    throw error(errc::config,
                "these are " + std::to_string(words.size()) + " weights, '" + name() + "' has " + std::to_string(size));
  auto weights = std::make_shared<detail::model_weights>(state_->weights->layout);
  for (const tensor_entry& tensor : weights->layout.tensors) {
    for (std::size_t i = 0; i < tensor.size; ++i) weights->values[tensor.offset + i] = from_bf16(words[i]);
    words = words.subspan(tensor.size);
  }
  auto made = std::make_shared<state>(*state_);
  made->weights = std::move(weights);
  frozen_model model;
  model.state_ = std::move(made);
  return model;
}

GRADWIRE_DECL void frozen_model::save(const std::filesystem::path& directory, const save_options& options) const {
  staged_directory staged(directory, options.overwrite);
  detail::write_weights(staged, *state_->weights, state_->tokenizer ? &*state_->tokenizer : nullptr, state_->source,
                        options.as_bf16);
  for (const auto& [file, text] : options.beside) staged.write_text(file, text);
  if (!options.beside.empty()) staged.write_checksums();
  staged.commit();
}

}  // namespace loopback
}  // namespace gradwire::inline v0
