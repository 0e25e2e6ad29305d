// SPDX-License-Identifier: Apache-2.0
// Messages as JSON in both directions: the exact text that servers expect, what they answer in all its shapes, and the
// place of every mistake.
#include <bit>
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 is wrong about half-made messages in braces
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>

#include <gradwire/wire/json_codec.hpp>

using namespace gradwire;
using namespace gradwire::wire;

namespace {

forward_backward_request small_request() {
  forward_backward_request request{.model_id = "m", .seq_id = 1};
  request.data.push_back({.model_input = {encoded_text{{1, 2}}},
                          .loss_fn_inputs = {{"target_tokens", tensor(array<std::int32_t>{2, 3})},
                                             {"weights", tensor(array<double>{0.1, 1})}}});
  return request;
}

// Text -> message -> text is the same text.
template <class M>
void same_again(const std::string& text) {
  BOOST_TEST(to_json(from_json<M>(text)) == text);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(json)

BOOST_AUTO_TEST_CASE(forward_backward_and_forward) {
  auto request = small_request();
  const std::string input =
      R"({"data":[{"model_input":{"chunks":[{"type":"encoded_text","tokens":[1,2]}]},"loss_fn_inputs":)"
      R"({"target_tokens":{"data":[2,3],"dtype":"int64","shape":[2]},"weights":{"data":[0.1,1],"dtype":"float32","shape":[2]}}}],)"
      R"("loss_fn":"cross_entropy"}})";
  BOOST_TEST(to_json(request) == R"({"model_id":"m","seq_id":1,"forward_backward_input":)" + input);
  request.forward_only = true;
  BOOST_TEST(to_json(request) == R"({"model_id":"m","seq_id":1,"forward_input":)" + input);
  BOOST_TEST(from_json<forward_backward_request>(to_json(request)).forward_only);
  same_again<forward_backward_request>(to_json(request));
}

BOOST_AUTO_TEST_CASE(config_images_and_sparse_rows) {
  auto request = small_request();
  request.loss_fn_config = {{"beta", 0.5}, {"loss_id", std::string("L\"1")}};
  request.data[0].model_input.push_back(image{.data = std::string("\0\xff\x10z", 4), .format = "png"});
  request.data[0].model_input.push_back(image_asset_pointer{.format = "png", .location = "l", .expected_tokens = 4});
  request.data[0].model_input.push_back(dmel{.data = "a"});
  tensor weights(array<float>{-1.5F}, {1, 2});
  weights.set_sparse({.crow_indices = {0, 1}, .col_indices = {1}});
  request.data[0].loss_fn_inputs.push_back({"advantages", weights});
  const std::string text = to_json(request);
  BOOST_TEST(text.find(R"("data":"AP8Qeg==")") != std::string::npos);
  same_again<forward_backward_request>(text);
  const auto read = from_json<forward_backward_request>(text);
  BOOST_TEST(std::get<image>(read.data[0].model_input[1]).data == std::string("\0\xff\x10z", 4));
  BOOST_TEST((dense_values<float>(*find(read.data[0].loss_fn_inputs, "advantages")) == array<float>{0, -1.5F}));
}

BOOST_AUTO_TEST_CASE(optional_members_are_left_out) {
  BOOST_TEST(
      to_json(create_model_request{.session_id = "s", .base_model = "b", .lora_config = lora_config{.rank = 8}}) ==
      R"({"session_id":"s","model_seq_id":0,"base_model":"b","lora_config":{"rank":8,"train_unembed":true,)"
      R"("train_mlp":true,"train_attn":true},"type":"create_model"})");
  BOOST_TEST(to_json(create_session_request{.sdk_version = "0.25.0"}) ==
             R"({"tags":[],"user_metadata":{},"sdk_version":"0.25.0","type":"create_session"})");
  BOOST_TEST(to_json(save_weights_request{.model_id = "m", .path = "a", .seq_id = 3}) ==
             R"({"model_id":"m","path":"a","seq_id":3,"type":"save_weights"})");
  BOOST_TEST(to_json(optim_step_request{.model_id = "m", .seq_id = 2}) ==
             R"({"adam_params":{"learning_rate":1e-04,"beta1":0.9,"beta2":0.95,"eps":1e-12,"weight_decay":0,)"
             R"("grad_clip_norm":0},"model_id":"m","seq_id":2,"type":"optim_step"})");
  BOOST_TEST(to_json(retrieve_future_request{.request_id = "7"}) ==
             R"({"request_id":"7","allow_metadata_only":false})");
  BOOST_TEST(to_json(session_finish_request{}) == R"({"reason":{"type":"success"},"detail":null})");
}

BOOST_AUTO_TEST_CASE(every_plain_message_comes_back) {
  same_again<client_config_request>(R"({"sdk_version":"x"})");
  same_again<create_model_request>(
      R"({"session_id":"s:1","model_seq_id":2,"base_model":"a/b","user_metadata":{"k":"v\n"},"lora_config":{"rank":0,)"
      R"("seed":5,"train_unembed":false,"train_mlp":true,"train_attn":true,"alpha":32},"base_only":true,)"
      R"("optimizer_config":{"type":"dimuon","version":1},"type":"create_model"})");
  same_again<load_weights_request>(
      R"({"model_id":"m","seq_id":1,"path":"tinker://m/weights/x","optimizer":true,"type":"load_weights"})");
  same_again<create_sampling_session_request>(
      R"({"session_id":"s","sampling_session_seq_id":0,"model_path":"tinker://m/sampler_weights/x","type":"create_sampling_session"})");
  same_again<sample_request>(
      R"({"num_samples":2,"prompt":{"chunks":[{"type":"encoded_text","tokens":[1]}]},"sampling_params":{"max_tokens":4,)"
      R"("seed":7,"stop":["a","b"],"temperature":0.5,"top_k":-1,"top_p":1},"sampling_session_id":"q","seq_id":0,)"
      R"("prompt_logprobs":true,"topk_prompt_logprobs":0,"type":"sample"})");
  same_again<weights_info_reply>(R"({"base_model":"b","is_lora":true,"lora_rank":8})");
  same_again<submit_reply>(R"({"request_id":"1","model_id":"m","sample_sequence_ids":["a","b"]})");
  same_again<checkpoints_reply>(
      R"({"checkpoints":[{"checkpoint_id":"weights/a","checkpoint_type":"training","time":"t","tinker_path":"p",)"
      R"("size_bytes":5,"public":false}],"cursor":{"offset":0,"limit":20,"total_count":1}})");
  same_again<get_info_reply>(
      R"({"model_data":{"arch":"qwen3","model_name":"b","tokenizer_id":"t"},"model_id":"m","is_lora":true,"lora_rank":8,)"
      R"("model_name":"b","type":"get_info"})");
}

BOOST_AUTO_TEST_CASE(stop_is_text_a_list_of_texts_or_of_tokens) {
  const auto stop = [](const std::string& member) {
    return from_json<sample_request>(R"({"prompt":{"chunks":[]},"sampling_params":{)" + member + "}}")
        .sampling_params.stop;
  };
  BOOST_TEST((std::get<0>(stop(R"("stop":"a")").value()) == std::vector<std::string>{"a"}));
  BOOST_TEST((std::get<1>(stop(R"("stop":[3,4])").value()) == std::vector<std::int64_t>{3, 4}));
  BOOST_TEST(std::get<0>(stop(R"("stop":[])").value()).empty());
  BOOST_TEST(!stop(R"("stop":null)"));
  BOOST_TEST(!stop(""));
}

BOOST_AUTO_TEST_CASE(samples_with_missing_logprobs) {
  const auto read = from_json<sample_reply>(
      R"({"sequences":[{"stop_reason":"length","tokens":[4,5],"logprobs":[-0.25,null]},{"stop_reason":"stop","tokens":[],"logprobs":null}],)"
      R"("prompt_logprobs":[null,-1],"topk_prompt_logprobs":[null,[[7,-0.5],[8,-1.5]],[[9,-2]]]})");
  BOOST_TEST(std::isnan((*read.sequences[0].logprobs)[1]));
  BOOST_TEST(!read.sequences[1].logprobs);
  BOOST_TEST(std::isnan((*read.prompt_logprobs)[0]));
  const auto& table = *read.topk_prompt_logprobs;
  BOOST_TEST((table.k == 2 && table.length == 3));
  BOOST_TEST((table.token_ids == array<std::int32_t>{0, 0, 7, 8, 9, 0}));
  BOOST_TEST((table.logprobs == array<float>{no_logprob, no_logprob, -0.5F, -1.5F, -2, no_logprob}));
  const std::string text = to_json(read, nonfinite::null);
  BOOST_TEST(text.find(R"("topk_prompt_logprobs":[null,[[7,-0.5],[8,-1.5]],[[9,-2]]])") != std::string::npos);
  BOOST_TEST(to_json(from_json<sample_reply>(text), nonfinite::null) == text);
  BOOST_TEST(
      from_json<sample_reply>(R"({"sequences":[],"topk_prompt_logprobs":[null,null]})").topk_prompt_logprobs->length ==
      2);
}

BOOST_AUTO_TEST_CASE(replies_may_lack_or_null_or_add_members) {
  BOOST_TEST(from_json<forward_backward_reply>("{}").loss_fn_outputs.empty());
  const auto read = from_json<forward_backward_reply>(
      R"({"loss_fn_output_type":null,"loss_fn_outputs":[{},{"logprobs":{"data":[null,-1],"dtype":"float32","shape":null}}],)"
      R"("metrics":{"a":null,"b:sum":2,"c":"text"},"extra":{"deep":[{"x":[]}]},"type":null})");
  BOOST_TEST(read.loss_fn_outputs.at(0).empty());
  BOOST_TEST(std::isnan((*find(read.loss_fn_outputs[1], "logprobs")->as<float>())[0]));
  BOOST_TEST(read.metrics.size() == 2);
  BOOST_TEST(std::isnan(read.metrics[0].value));
  BOOST_TEST(from_json<optim_step_reply>(R"({"metrics":null})").metrics.empty());
  const auto info = from_json<get_info_reply>(
      R"({"model_id":"m","status":"ready","model_data":{"base_model":"b","lora_config":{"rank":8},"model_name":"b"}})");
  BOOST_TEST(info.model_name == "b");
}

BOOST_AUTO_TEST_CASE(floats_of_any_bits_come_back) {
  std::mt19937_64 random(11);
  std::vector<float> values;
  while (values.size() < 3000)
    if (const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random())); std::isfinite(value))
      values.push_back(value);
  auto request = small_request();
  request.data[0].loss_fn_inputs[1].value = tensor(array<float>(values), {3, 1000});
  const auto read = from_json<forward_backward_request>(to_json(request));
  const tensor& weights = *find(read.data[0].loss_fn_inputs, "weights");
  BOOST_TEST((weights.shape() == shape_type{3, 1000}));
  BOOST_TEST(std::memcmp(weights.as<float>()->data(), values.data(), values.size() * 4) == 0);
  BOOST_TEST(from_json<optim_step_request>(to_json(optim_step_request{.adam_params = {.learning_rate = 0.1 + 0.2}}))
                 .adam_params.learning_rate == 0.1 + 0.2);
}

BOOST_AUTO_TEST_CASE(nan_in_a_request_names_datum_column_and_token) {
  auto request = small_request();
  request.data.push_back(request.data[0]);
  request.data[1].loss_fn_inputs[1].value = tensor(array<float>{1, INFINITY});
  BOOST_CHECK_EXCEPTION(to_json(request), error, [](const error& e) {
    return e.kind() == errc::data && e.details().datum == 1 && e.details().token == 1 &&
           e.details().column == "weights" && e.details().value == "inf";
  });
  BOOST_TEST(to_json(forward_backward_reply{.metrics = {{"a", NAN}}}, nonfinite::null) ==
             R"({"loss_fn_output_type":"","loss_fn_outputs":[],"metrics":{"a":null}})");
}

BOOST_AUTO_TEST_CASE(mistakes_have_their_place) {
  const auto issues = [](const std::string& text) {
    try {
      from_json<forward_backward_request>(text);
    } catch (const validation_error& e) {
      BOOST_TEST((e.kind() == errc::decode));
      std::string all;
      for (const auto& issue : e.issues()) all += validation_error::place(issue) + " " + issue.type + "; ";
      return all;
    }
    return std::string("none");
  };
  BOOST_TEST(issues("{}") == "body.model_id missing; body.forward_backward_input missing; ");
  BOOST_TEST(issues("[]") == "body dict_type; ");
  BOOST_TEST(issues(R"({"model_id":3,"forward_backward_input":{"data":[],"loss_fn":"x"}})") ==
             "body.model_id string_type; ");
  const auto with_datum = [](const std::string& datum) {
    return R"({"model_id":"m","forward_backward_input":{"loss_fn":"x","data":[)" + datum + "]}}";
  };
  BOOST_TEST(issues(with_datum(
                 R"({"model_input":{"chunks":[{"type":"encoded_text","tokens":[1,2.5]}]},"loss_fn_inputs":{}})")) ==
             "body.forward_backward_input.data.0.model_input.chunks.0.tokens int_type; ");
  BOOST_TEST(
      issues(with_datum(
          R"({"model_input":{"chunks":[{"type":"video"}]},"loss_fn_inputs":{"w":{"data":[1],"dtype":"float64"}}})")) ==
      "body.forward_backward_input.data.0.model_input.chunks.0 union_tag_invalid; "
      "body.forward_backward_input.data.0.loss_fn_inputs.w.dtype literal_error; ");
  BOOST_TEST(issues(with_datum(R"({"model_input":{"chunks":[]},"loss_fn_inputs":{"w":{"data":[1],"shape":[2]}}})")) ==
             "body.forward_backward_input.data.0.loss_fn_inputs.w value_error; ");
  BOOST_TEST(issues(with_datum(R"({"model_input":{"chunks":[]},"loss_fn_inputs":{"w":{"data":[1],"shape":[-1]}}})")) ==
             "body.forward_backward_input.data.0.loss_fn_inputs.w value_error; ");
}

BOOST_AUTO_TEST_CASE(every_truncation_is_a_decode_error) {
  const std::string text = to_json(small_request());
  for (std::size_t length = 0; length < text.size(); ++length)
    BOOST_CHECK_EXCEPTION(from_json<forward_backward_request>(std::string_view(text).substr(0, length)), error,
                          [](const error& e) { return e.kind() == errc::decode; });
}

BOOST_AUTO_TEST_CASE(no_byte_can_be_changed_into_a_crash) {
  const std::string text = to_json(small_request());
  for (std::size_t at = 0; at < text.size(); ++at)
    for (const char value : {'\0', '"', '[', ']', '{', '}', ',', '\\', '9', '\xff'}) {
      std::string bytes = text;
      bytes[at] = value;
      try {
        from_json<forward_backward_request>(bytes);
      } catch (const error& e) {
        BOOST_TEST((e.kind() == errc::decode));
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()
