// SPDX-License-Identifier: Apache-2.0
// The declarations of training.hpp; include that, it brings the code behind them.
//
// The engine of the embedded trainer: a Qwen3 decoder that can be run, sampled, trained, saved and loaded. It knows
// nothing of HTTP. Every class is a handle that may be used from any thread; operations on one training_model are
// serialised. Results are the same bits for the same thread count.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/loopback/model_config.hpp>
#include <gradwire/loopback/sampling_options.hpp>
#include <gradwire/loopback/tokenizer.hpp>
#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {
namespace loopback {

// Both give the same numbers but for rounding. With Eigen a sequence's logprobs, and what a seed draws, are the same
// bits whatever else is in the batch; `fastest` keeps that for sampling.
enum class linear_algebra : unsigned char { fastest, xtensor_blas, eigen };

struct model_options {
  std::string model = "gradwire/tiny";  // the built-in model, or a directory in Hugging Face's Qwen3 format
  std::uint64_t seed = 0;               // of the built-in model's random weights
  int threads = 0;                      // 0: as many as the machine has
  loopback::linear_algebra linear_algebra = loopback::linear_algebra::fastest;
  std::string name{};  // what it is called; empty: as `model`
};

// One sequence: tokens[0..T), and for each of its positions the `candidates` next tokens whose logprobs are wanted,
// row-major [T, candidates]. A target of -1 asks for nothing: its logprob is 0 and its slope is ignored.
struct example {
  std::span<const std::int32_t> tokens{};
  std::span<const std::int64_t> targets{};
  std::size_t candidates = 1;
};

// logprobs[i] belongs to example i, row-major [T, candidates].
using example_logprobs = std::vector<std::vector<float>>;

// Called once for each example with its logprobs; writes dL/dlogprob (zero on entry). Calls for different examples may
// run at the same time on different threads. What it throws leaves the accumulated gradient as it was before.
using slope_function = std::function<void(std::size_t, std::span<const float>, std::span<float>)>;

struct save_options {
  bool optimizer = true;   // with Adam's moments and step count
  bool overwrite = false;  // replace what is there; otherwise an existing directory is errc::config
  std::string saved_by{};  // anything, to know it again: describe() tells it
  bool as_bf16 = false;    // of a frozen_model: bfloat16 in place of float32
  std::vector<std::pair<std::string, std::string>> beside{};  // further files: name, text; then with checksums.txt
};

// Weights that do not change any more, with their tokenizer: the base model, or a training_model at some moment.
class frozen_model {
 public:
  // errc::config if the name is unknown, the directory is not a Qwen3 model, or a tensor is missing or misshapen.
  GRADWIRE_DECL static frozen_model load(const model_options& options);

  GRADWIRE_DECL const std::string& name() const;  // of model_options
  GRADWIRE_DECL const model_config& config() const;
  GRADWIRE_DECL int threads() const;
  GRADWIRE_DECL loopback::linear_algebra linear_algebra() const;  // never `fastest`
  GRADWIRE_DECL std::uint32_t checksum() const;                   // CRC32C of all weights

  // Text works with the byte tokenizer only; for other models these are errc::config and token ids work.
  GRADWIRE_DECL bool has_tokenizer() const;
  GRADWIRE_DECL const byte_tokenizer& tokenizer() const;

  // errc::data if an example is empty, too long, names an unknown token, or its targets do not fit its tokens.
  GRADWIRE_DECL example_logprobs forward(std::span<const example> examples) const;

  // All requests advance together, whatever their options.
  GRADWIRE_DECL std::vector<sample_result> sample(std::span<const sample_request> requests) const;

  // These weights with a checkpoint in their place: a training_model's save (LoRA or full), a PEFT adapter, or a
  // directory in Hugging Face's format of the same shape.
  GRADWIRE_DECL frozen_model with_checkpoint(const std::filesystem::path& directory) const;

  // All weights, tensor after tensor as in save(), rounded to bfloat16 (to the nearest, ties to even). errc::data
  // naming the first that is not finite then.
  GRADWIRE_DECL std::vector<std::uint16_t> bf16() const;
  // A model of this shape with such weights. errc::config if there are not as many.
  GRADWIRE_DECL frozen_model with_bf16(std::span<const std::uint16_t> words) const;

  // A directory that `transformers` and load() read: config.json, model.safetensors (adapters merged), tokenizer files.
  GRADWIRE_DECL void save(const std::filesystem::path& directory, const save_options& options = {}) const;

 private:
  friend class training_model;
  struct state;
  std::shared_ptr<const state> state_;
};

struct lora_options {
  int rank = 32;           // 0: full-parameter training
  double alpha = 32;       // the update is alpha / rank · B A
  bool attention = true;   // q, k, v and o projections
  bool mlp = true;         // gate, up and down projections
  bool unembed = true;     // lm_head
  std::uint64_t seed = 0;  // of A's initial values (uniform in ±1/sqrt(in)); B begins at 0
};

// AdamW with decoupled weight decay: w -= learning_rate · (m̂ / (sqrt(v̂) + eps) + weight_decay · w).
struct adam_params {
  double learning_rate = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-12;
  double weight_decay = 0;
  double grad_clip_norm = 0;  // gradients with a larger global norm are scaled to it; 0: never
  double divisor = 1;         // of the accumulated gradients, before they are clipped
};

struct optim_metrics {
  double grad_norm = 0;          // of all accumulated gradients, divided, before clipping
  double clipped_grad_norm = 0;  // after clipping
  double update_norm = 0;        // of the change of the trained parameters
  double param_norm = 0;         // of the trained parameters, after the step
  double learning_rate = 0;
  std::int64_t step = 0;  // optimizer steps so far, this one included
};

// Everything that training changes. `gradient` is empty where none has been accumulated.
struct training_arrays {
  std::int64_t step = 0;
  std::span<const float> values{}, first_moment{}, second_moment{}, gradient{};
};

struct training_summary {  // what a checkpoint says about itself
  std::string base_model{};
  lora_options lora{};
  bool has_optimizer = false;
  std::int64_t step = 0;
  std::string saved_by{};  // of save_options
};

class training_model {
 public:
  GRADWIRE_DECL training_model(const frozen_model& base, const lora_options& options);

  GRADWIRE_DECL const frozen_model& base() const;
  GRADWIRE_DECL const lora_options& lora() const;
  GRADWIRE_DECL std::int64_t trainable_parameters() const;

  GRADWIRE_DECL example_logprobs forward(std::span<const example> examples) const;

  // Adds the gradients of the trained parameters to those accumulated since the last optim_step.
  GRADWIRE_DECL example_logprobs forward_backward(std::span<const example> examples, const slope_function& slope);

  // Without a gradient since the last step, the gradient is zero. errc::data if the gradient is not finite: nothing is
  // changed then, and the gradient is dropped.
  GRADWIRE_DECL optim_metrics optim_step(const adam_params& params);

  GRADWIRE_DECL std::int64_t steps() const;  // of the optimizer so far

  // The weights as they are now; O(1), the next step copies.
  GRADWIRE_DECL frozen_model snapshot() const;

  // LoRA: PEFT's adapter_model.safetensors and adapter_config.json. Full: a Hugging Face directory. Beside them
  // training.json, checksums.txt, and with the optimizer optimizer.safetensors. The directory appears whole or not at
  // all, and is durable then. errc::data if a value is not finite: nothing is written.
  GRADWIRE_DECL void save(const std::filesystem::path& directory, const save_options& options = {}) const;

  // Bit for bit what was saved; accumulated gradients are dropped. errc::config if a byte is not as it was saved, if
  // rank or shapes differ, or if the optimizer is asked for and not there; nothing is changed then.
  GRADWIRE_DECL void load(const std::filesystem::path& directory, bool with_optimizer);

  // Calls f with everything that training changes, to write it down; errc::data if a value is not finite.
  GRADWIRE_DECL void with_arrays(const std::function<void(const training_arrays&)>& f) const;
  // The inverse. errc::config if it is of another shape.
  GRADWIRE_DECL void restore(const training_arrays& from);

  // What lies in a directory: a save(), a PEFT adapter, or a Hugging Face model (rank 0).
  GRADWIRE_DECL static training_summary describe(const std::filesystem::path& directory);

  // One trained tensor, for tests and research: its value or its accumulated gradient, row-major. Names as in save().
  struct tensor_view {
    std::string name;
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };
  GRADWIRE_DECL std::vector<tensor_view> parameters() const;
  GRADWIRE_DECL std::vector<tensor_view> gradients() const;

 private:
  struct state;
  std::shared_ptr<state> state_;
};

}  // namespace loopback
}  // namespace gradwire::inline v0
