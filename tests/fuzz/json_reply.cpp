// SPDX-License-Identifier: Apache-2.0
// Bytes as a JSON message, the first one chooses which: a text that is read is written and read again as the same text,
// any other is refused with errc::decode. Messages that may nest are refused beyond a depth.
#include "fuzz.hpp"

#include <gradwire/error.hpp>
#include <gradwire/wire/json_codec.hpp>

namespace {

using namespace gradwire;

template <class Message>
void round_trip(std::string_view text) {
  Message first;
  try {
    first = wire::from_json<Message>(text);
  } catch (const error& refused) {
    fuzz::require(refused.kind() == errc::decode, std::string("refused as something else: ") + refused.what());
    return;
  }
  const std::string written = wire::to_json(first, wire::nonfinite::null);
  std::string again;
  try {
    again = wire::to_json(wire::from_json<Message>(written), wire::nonfinite::null);
  } catch (const error& refused) {
    throw fuzz::broken("what was written is not read: " + written + ": " + refused.what());
  }
  fuzz::require(again == written, "another text the second time: " + written + " and " + again);
}

using reader = void (*)(std::string_view);
constexpr reader readers[] = {
    round_trip<wire::forward_backward_reply>, round_trip<wire::sample_reply>,
    round_trip<wire::submit_reply>,           round_trip<wire::optim_step_reply>,
    round_trip<wire::save_weights_reply>,     round_trip<wire::load_weights_reply>,
    round_trip<wire::get_info_reply>,         round_trip<wire::create_session_reply>,
    round_trip<wire::client_config_reply>,    round_trip<wire::forward_backward_request>,
    round_trip<wire::optim_step_request>,     round_trip<wire::sample_request>,
};

void run(std::string_view input) {
  if (input.empty()) return;
  const auto first = static_cast<unsigned char>(input.front());
  readers[first % std::size(readers)](input.substr(1));
}

std::vector<std::string> seeds() {
  const char* texts[] = {
      R"({"loss_fn_output_type":"ArrayRecord","loss_fn_outputs":[{"logprobs":{"data":[-0.5,-1.25],"dtype":"float32","shape":[2]}}],"metrics":{"loss:sum":1.75}})",
      R"({"type":"sample","sequences":[{"stop_reason":"stop","tokens":[1,2,3],"logprobs":[-0.1,-0.2,-0.3]}],"prompt_logprobs":[null,-1.5],"topk_prompt_logprobs":[null,[[5,-0.25],[6,-2]]]})",
      R"({"request_id":"17","model_id":"m-1","sample_sequence_ids":["a","b"]})",
      R"({"metrics":{"grad_norm":2.5,"lr":0.0001}})",
      R"({"path":"tinker://m-1/weights/a","size_bytes":1024,"type":"save_weights"})",
      R"({"path":"tinker://m-1/weights/a"})",
      R"({"model_id":"m-1","model_data":{"arch":"qwen3","model_name":"Qwen/Qwen3-8B","tokenizer_id":"/t"},"is_lora":true,"lora_rank":8})",
      R"({"session_id":"s-1","info_message":null,"warning_message":"late","error_message":null})",
      R"({"pjwt_auth_enabled":false,"proto_enabled":true})",
      R"({"model_id":"m","seq_id":1,"forward_backward_input":{"data":[{"model_input":{"chunks":[{"type":"encoded_text","tokens":[1,2]}]},"loss_fn_inputs":{"target_tokens":{"data":[2,3],"dtype":"int64","shape":[2]},"weights":{"data":[1,0.5],"dtype":"float32"}}}],"loss_fn":"ppo","loss_fn_config":{"clip_low_threshold":0.8}},"type":"forward_backward"})",
      R"({"model_id":"m","seq_id":2,"adam_params":{"learning_rate":1e-4,"beta1":0.9,"beta2":0.95,"eps":1e-12,"weight_decay":0,"grad_clip_norm":0},"type":"optim_step"})",
      R"({"num_samples":2,"prompt":{"chunks":[{"type":"encoded_text","tokens":[1]}]},"sampling_params":{"max_tokens":4,"seed":3,"stop":["\n"],"temperature":0.5,"top_k":-1,"top_p":1},"seq_id":1,"sampling_session_id":"x"})",
      R"({"error":"no such model","category":"user"})",
      R"([[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]])",
      R"({"a":1,"a":2,"b":1e999,"c":-0.0,"d":"\ud800","e":18446744073709551616})",
  };
  std::vector<std::string> all;
  for (std::size_t i = 0; i < std::size(texts); ++i) all.push_back(static_cast<char>(i) + std::string(texts[i]));
  return all;
}

const fuzz::registered here({"json_reply", run, seeds, 20000});

}  // namespace
