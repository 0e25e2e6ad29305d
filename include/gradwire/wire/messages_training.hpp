// SPDX-License-Identifier: Apache-2.0
// Datums, forward, forward_backward and optim_step, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <gradwire/wire/tensor.hpp>

namespace gradwire::inline v0 {
namespace wire {

struct encoded_text {
  array<std::int32_t> tokens{};
};

struct image {
  std::string data{};    // the file's bytes
  std::string format{};  // "png", "jpeg"
  std::optional<std::int64_t> expected_tokens{};
};

struct image_asset_pointer {  // JSON only
  std::string format{};
  std::string location{};
  std::optional<std::int64_t> expected_tokens{};
};

struct dmel {
  std::string data{};  // audio features, opaque bytes
};

using chunk = std::variant<encoded_text, image, image_asset_pointer, dmel>;

struct model_input {
  std::vector<chunk> chunks{};
};

// Where a run of positions comes from: positions offset … offset + length - 1 of what a sequence that the server has
// sampled was given, or of what it said.
struct provenance_span {
  bool sampled = false;  // else: of its prompt
  std::string sequence_id{};
  std::int64_t offset = 0;
  std::int64_t length = 0;

  friend bool operator==(const provenance_span&, const provenance_span&) = default;
};

struct datum {
  std::vector<chunk> model_input{};
  named_tensors loss_fn_inputs{};
  std::vector<provenance_span> model_input_spans{};    // both or neither: one after the other they cover the input …
  std::vector<provenance_span> loss_fn_input_spans{};  // … and the targets
};

// A loss setting: a number on every server, text and truth values on those that know them.
struct config_value {
  std::string name{};
  std::variant<double, std::string, bool> value = 0.0;
};

using loss_fn_config = std::vector<config_value>;

struct forward_backward_request {
  std::string model_id{};
  std::optional<std::int64_t> seq_id{};  // 1, 2, 3 … for each model; protobuf cannot leave it out
  std::vector<datum> data{};
  std::string loss_fn = "cross_entropy";
  wire::loss_fn_config loss_fn_config{};
  bool forward_only = false;           // in JSON another endpoint (forward) with the member forward_input
  std::optional<std::string> comms{};  // JSON only, where the model's maker offered it: "v2"
};

// "name:reduction" (loss:sum) or a bare name. A number that the server wrote as null is NaN.
struct metric {
  std::string name{};
  double value = 0;

  friend bool operator==(const metric&, const metric&) = default;
};

using metrics = std::vector<metric>;

struct forward_backward_reply {
  std::string loss_fn_output_type{};
  std::vector<named_tensors> loss_fn_outputs{};  // one a datum; may be empty maps
  wire::metrics metrics{};
};

struct adam_params {
  double learning_rate = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-12;
  double weight_decay = 0.0;    // decoupled
  double grad_clip_norm = 0.0;  // 0: no clipping
};

// A step of another optimizer, which the model was made with.
struct optimizer_params {
  std::string type{};  // "dimuon"
  double learning_rate = 0;
  double grad_clip_norm = 0;
  double beta1 = 0.9;  // of the momentum
};

struct optim_step_request {
  std::string model_id{};
  std::optional<std::int64_t> seq_id{};
  wire::adam_params adam_params{};
  std::optional<wire::optimizer_params> optimizer_params{};      // instead of adam_params
  std::optional<std::string> grad_accumulation_normalization{};  // only where the dialect knows it
};

struct optim_step_reply {
  wire::metrics metrics{};
};

}  // namespace wire
}  // namespace gradwire::inline v0
