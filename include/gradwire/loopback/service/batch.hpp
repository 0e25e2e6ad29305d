// SPDX-License-Identifier: Apache-2.0
// Checks a forward_backward request against the model and the loss before anything is queued, and turns its datums into
// what the engine takes. A mistake is a validation error with the datum, the column and the value.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/loopback/model_config.hpp>
#include <gradwire/loopback/service/builtin_loss.hpp>
#include <gradwire/loopback/service/provenance.hpp>
#include <gradwire/loopback/service/reply.hpp>
#include <gradwire/loopback/training.hpp>
#include <gradwire/wire/messages_training.hpp>
#include <gradwire/wire/tensor_check.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

struct prepared_datum {
  wire::array<std::int32_t> tokens{};
  wire::array<std::int64_t> targets{};
  wire::shape_type shape{};  // of the targets, and so of the logprobs
  wire::array<float> weights{}, logprobs{}, advantages{}, clip_low{}, clip_high{};

  loss_columns columns() const {
    return {weights.span(), logprobs.span(), advantages.span(), clip_low.span(), clip_high.span()};
  }
};

struct prepared_batch {
  std::vector<prepared_datum> data{};
  loss_settings settings{};
  bool forward_only = false;

  std::vector<example> examples() const {
    std::vector<example> all;
    all.reserve(data.size());
    for (const auto& datum : data)
      all.push_back({datum.tokens.span(), datum.targets.span(), datum.targets.size() / datum.tokens.size()});
    return all;
  }
};

// The tokens of a model input, which must be text of 1 to `context` tokens that the model knows.
inline wire::array<std::int32_t> text_tokens(const std::vector<wire::chunk>& chunks, const model_config& config,
                                             const std::vector<std::string>& place) {
  for (std::size_t part = 0; part < chunks.size(); ++part) {
    if (std::holds_alternative<wire::encoded_text>(chunks[part])) continue;
    auto there = place;
    there.insert(there.end(), {"chunks", std::to_string(part)});
    invalid(there, "value_error", "the embedded trainer's models read text only; images and audio are refused");
  }
  wire::array<std::int32_t> tokens;
  if (chunks.size() == 1) {
    tokens = std::get<wire::encoded_text>(chunks[0]).tokens;
  } else {
    std::vector<std::int32_t> all;
    for (const auto& chunk : chunks) {
      const auto& part = std::get<wire::encoded_text>(chunk).tokens;
      all.insert(all.end(), part.begin(), part.end());
    }
    tokens = std::move(all);
  }
  if (tokens.empty()) invalid(place, "too_short", "there must be at least one token");
  if (tokens.size() > static_cast<std::size_t>(config.max_position_embeddings))
    invalid(place, "too_long",
            std::to_string(tokens.size()) + " tokens; the model reads at most " +
                std::to_string(config.max_position_embeddings));
  for (std::size_t t = 0; t < tokens.size(); ++t)
    if (tokens[t] < 0 || tokens[t] >= config.vocab_size)
      invalid(place, "value_error",
              "token " + std::to_string(t) + " is " + std::to_string(tokens[t]) + "; the model's ids are 0 to " +
                  std::to_string(config.vocab_size - 1));
  return tokens;
}

// Reads the columns of one datum.
class datum_reader {
 public:
  datum_reader(const wire::datum& datum, std::size_t index, const model_config& config)
      : datum_(datum), config_(config), place_{"forward_backward_input", "data", std::to_string(index)} {}

  prepared_datum read(builtin_loss loss) const {
    prepared_datum prepared;
    prepared.tokens = text_tokens(datum_.model_input, config_, at("model_input"));
    read_targets(prepared);
    check_provenance(datum_, prepared.tokens.size(), place_);
    const std::size_t count = prepared.targets.size();
    prepared.weights = column("weights", count, false);
    if (loss != builtin_loss::cross_entropy) {
      prepared.logprobs = column("logprobs", count, true);
      prepared.advantages = column("advantages", count, true);
    }
    if (uses_clip(loss)) {
      prepared.clip_low = column("clip_low_threshold", count, false);
      prepared.clip_high = column("clip_high_threshold", count, false);
    }
    return prepared;
  }

 private:
  std::vector<std::string> at(std::string_view member, std::string_view column = {}) const {
    auto place = place_;
    place.emplace_back(member);
    if (!column.empty()) place.emplace_back(column);
    return place;
  }

  const wire::tensor* find(std::string_view name, bool required) const {
    const auto* found = wire::find(datum_.loss_fn_inputs, name);
    if (found == nullptr && required) invalid(at("loss_fn_inputs", name), "missing", "Field required");
    return found;
  }

  void read_targets(prepared_datum& prepared) const {
    const auto place = at("loss_fn_inputs", "target_tokens");
    const wire::tensor& targets = *find("target_tokens", true);
    if (targets.dtype() != wire::dtype::int64) invalid(place, "value_error", "target_tokens must be int64");
    const std::size_t tokens = prepared.tokens.size();
    prepared.shape = targets.shape();
    const bool fits = !prepared.shape.empty() && prepared.shape.size() <= 2 &&
                      prepared.shape[0] == static_cast<std::int64_t>(tokens) &&
                      (prepared.shape.size() == 1 || prepared.shape[1] >= 1);
    if (!fits)
      invalid(place, "value_error",
              "target_tokens must have one row for each of the " + std::to_string(tokens) +
                  " input tokens: shape [T] or [T, K]");
    prepared.targets = wire::dense_values<std::int64_t>(targets);
    for (std::size_t i = 0; i < prepared.targets.size(); ++i)
      if (prepared.targets[i] < 0 || prepared.targets[i] >= config_.vocab_size)
        invalid(place, "value_error",
                "value " + std::to_string(i) + " is " + std::to_string(prepared.targets[i]) +
                    "; the model's ids are 0 to " + std::to_string(config_.vocab_size - 1));
  }

  wire::array<float> column(std::string_view name, std::size_t count, bool required) const {
    const wire::tensor* found = find(name, required);
    if (found == nullptr) return {};
    auto values = wire::dense_values<float>(*found);
    const auto place = at("loss_fn_inputs", name);
    if (values.size() != count)
      invalid(place, "value_error",
              std::to_string(values.size()) + " values for " + std::to_string(count) + " targets");
    const bool weights = name == "weights";
    for (std::size_t i = 0; weights && i < count; ++i)
      if (!std::isfinite(values[i])) invalid(place, "finite_number", "value " + std::to_string(i) + " is not finite");
    return values;
  }

  const wire::datum& datum_;
  const model_config& config_;
  std::vector<std::string> place_;
};

inline loss_settings read_settings(const wire::forward_backward_request& request) {
  const auto loss = find_builtin_loss(request.loss_fn);
  if (!loss)
    invalid({"forward_backward_input", "loss_fn"}, "literal_error",
            "Input should be 'cross_entropy', 'importance_sampling', 'ppo', 'cispo' or 'dro'");
  auto settings = default_settings(*loss);
  for (const auto& item : request.loss_fn_config) {
    const double* number = std::get_if<double>(&item.value);
    const auto set = [&](bool known, std::string_view name, double& to) {
      if (!known || item.name != name || number == nullptr || !std::isfinite(*number)) return false;
      to = *number;
      return true;
    };
    if (!set(uses_clip(*loss), "clip_low_threshold", settings.clip_low) &&
        !set(uses_clip(*loss), "clip_high_threshold", settings.clip_high) &&
        !set(*loss == builtin_loss::dro, "beta", settings.beta))
      invalid({"forward_backward_input", "loss_fn_config", item.name}, "extra_forbidden",
              "not a setting of " + request.loss_fn + ", or not a finite number");
  }
  return settings;
}

inline prepared_batch prepare(const wire::forward_backward_request& request, const model_config& config) {
  prepared_batch batch{.settings = read_settings(request), .forward_only = request.forward_only};
  const std::string comms = request.comms.value_or("v1");
  if (comms != "v1" && comms != "v2") invalid({"comms"}, "literal_error", "Input should be 'v1' or 'v2'");
  if (request.data.empty())
    invalid({"forward_backward_input", "data"}, "too_short", "there must be at least one datum");
  batch.data.reserve(request.data.size());
  for (std::size_t i = 0; i < request.data.size(); ++i)
    batch.data.push_back(datum_reader(request.data[i], i, config).read(batch.settings.loss));
  return batch;
}

}  // namespace detail
}  // namespace loopback
}  // namespace gradwire::inline v0
