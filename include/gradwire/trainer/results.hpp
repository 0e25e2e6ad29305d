// SPDX-License-Identifier: Apache-2.0
// What the futures of the clients hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/datum/column.hpp>
#include <gradwire/datum/numbers.hpp>
#include <gradwire/datum/ragged.hpp>

namespace gradwire::inline v0 {

struct named_value {
  std::string name{};  // "kl", "loss:sum"
  double value = 0;
  friend bool operator==(const named_value&, const named_value&) = default;
};

namespace detail {

inline double value_of(const std::vector<named_value>& values, std::string_view name) noexcept {
  for (const auto& v : values) {
    if (v.name == name) return v.value;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace detail

// The logprobs of a batch, one row a datum, one value a target (per candidate: K planes). It is a column:
// `with(ref_logprobs = reference.forward(data).result(), data)`.
struct forward_result {
  column<float> logprobs{};
  std::size_t tokens = 0;      // targets that were run
  double elapsed_seconds = 0;  // from the call to the result

  std::size_t size() const noexcept { return logprobs.data() ? logprobs.shape().sequences() : 0; }
  std::span<const float> operator[](std::size_t datum) const noexcept { return logprobs[datum]; }
};

struct training_step {
  double loss =
      std::numeric_limits<double>::quiet_NaN();  // the custom loss's value, or what the server reports as its loss
  std::vector<named_value> metrics{};  // the loss's own, and the server's; "loss:sum" is the loss, "surrogate_loss:sum"
                                       // what the server computed from the gradient that it was sent
  column<float> logprobs{};            // before the step, as in forward_result; empty where the server gives none back
  std::size_t tokens = 0;              // targets that were trained on, masked ones included
  double counted_tokens = 0;           // of these, with a weight that is not 0
  double elapsed_seconds = 0;          // from the call to the result

  double metric(std::string_view name) const noexcept { return detail::value_of(metrics, name); }  // NaN: there is none
};

struct optimizer_step {
  std::vector<named_value> metrics{};  // what the server reports: a gradient norm, a learning rate
  double elapsed_seconds = 0;

  double metric(std::string_view name) const noexcept { return detail::value_of(metrics, name); }  // NaN: there is none
};

struct saved_weights {
  std::string path{};  // for load_state, create_training_client_from_state, create_sampling_client
  double elapsed_seconds = 0;
};

struct loaded_state {
  std::string path{};
  double elapsed_seconds = 0;
};

enum class stop_reason : unsigned char { stop, length };

struct token_logprob {
  std::int32_t token = 0;
  float logprob = 0;
};

struct sample {
  std::vector<std::int32_t> tokens{};
  std::vector<float> logprobs{};                            // of these tokens, under the sampling distribution
  std::vector<std::vector<token_logprob>> topk_logprobs{};  // at each token; empty unless asked for
  gradwire::stop_reason stop_reason = gradwire::stop_reason::stop;
  std::string sequence_id{};  // the server's name of it, "" where there is none
};

struct samples {
  std::vector<sample> sequences{};
  std::vector<float> prompt_logprobs{};  // one a prompt token, NaN for the first; empty unless asked for
  std::vector<std::vector<token_logprob>> topk_prompt_logprobs{};  // at each prompt token, none at the first; …
  std::vector<float> target_logprobs{};                            // as target_ids; 0 where that is -1
  std::vector<std::vector<token_logprob>> prompt_alternatives{};   // draws at prompt tokens 1, 2, …
  std::size_t tokens = 0;                                          // sampled, all sequences
  double elapsed_seconds = 0;
};

struct model_description {
  std::string name{};
  std::int64_t max_context_length = 0;  // tokens; 0: not said
  std::optional<bool> trainable{};      // not said by every server, as is …
  std::optional<bool> sampleable{};
};

// A forward_result is given to a field as its column.
template <>
struct column_source<forward_result> {
  static column<float> take(forward_result from) { return std::move(from.logprobs); }
};

}  // namespace gradwire::inline v0
