// SPDX-License-Identifier: Apache-2.0
// Protobuf, against bytes that the field's own Python client wrote (tinker 0.25.0 and 0.38.0, deterministic
// serialisation of its own descriptors), and against what an attacker or a broken proxy could send.
#include <bit>
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 is wrong about half-made messages in braces
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <random>

#include <gradwire/wire/protobuf.hpp>

#include "hex.hpp"

using namespace gradwire;
using namespace gradwire::wire;

namespace {

const char* const golden_a =
    "0a016d10011a380a0c0a0a0a08010000000200000012280a0d7461726765745f746f6b656e7312170a10020000000000000003000000000000"
    "001802"
    "220102220d63726f73735f656e74726f7079";
const char* const golden_b =
    "0a016d10021a410a080a060a040700000012350a0777656967687473122a12220a040000c0bf1210000000000000000001000000000000001a"
    "0801000"
    "00000000000180122020102220d63726f73735f656e74726f70792a0c0a016211000000000000e03f3001";
const char* const golden_b2_tail = "3a0e0a0162120909000000000000e03f";
const char* const golden_c =
    "0a0178123d0a017812360a086c6f6770726f6273122a0a0c000000bf000080bf000000c0121800000000000000000800000000000000"
    "0c00000000000000180118021a130a086c6f73733a73756d110000000000000040";
const char* const golden_d = "0a160801120804000000050000001a08000080be000000bf12080000c07f000080bf";
const char* const golden_e =
    "0a016d10031a380a0c0a0a0a08010000000200000012280a0d7461726765745f746f6b656e7312170a10020000000000000003000000000000"
    "001802"
    "2201022206637573746f6d3a0f0a076c6f73735f6964120412024c31";
const char* const golden_f =
    "0a016d10041a530a0c0a0a0a08010000000200000012280a0d7461726765745f746f6b656e7312170a10020000000000000003000000000000"
    "001802"
    "2201021a070a050a017318011a0712050a01731801220712050a017318022210737461626c655f7265696e666f726365";
const char* const golden_g =
    "0a261204040000001a04000080be22180a0804000000090000001208000080be000000c0180220012a100a08000000bf000000001801220202"
    "01322c"
    "0a180a100700000000000000080000000000000018022202020112100a08000080bf000000c0180122020201";

forward_backward_request request_a() {
  forward_backward_request request{.model_id = "m", .seq_id = 1};
  request.data.push_back({.model_input = {encoded_text{{1, 2}}},
                          .loss_fn_inputs = {{"target_tokens", tensor(array<std::int32_t>{2, 3})}}});
  return request;
}

template <class M>
M decode(const char* hex) {
  return from_protobuf<M>(from_hex(hex));
}

bool is_decode_error(const error& e) { return e.kind() == errc::decode; }

}  // namespace

BOOST_AUTO_TEST_SUITE(protobuf)

BOOST_AUTO_TEST_CASE(vector_a_request) {
  BOOST_TEST(to_hex(to_protobuf(request_a())) == golden_a);
  const auto read = decode<forward_backward_request>(golden_a);
  BOOST_TEST(read.model_id == "m");
  BOOST_TEST(read.seq_id.value() == 1);
  BOOST_TEST(read.loss_fn == "cross_entropy");
  BOOST_TEST(!read.forward_only);
  BOOST_TEST((std::get<encoded_text>(read.data.at(0).model_input.at(0)).tokens == array<std::int32_t>{1, 2}));
  const tensor& targets = *find(read.data[0].loss_fn_inputs, "target_tokens");
  BOOST_TEST((targets.values<std::int64_t>() == array<std::int64_t>{2, 3}));
  BOOST_TEST((targets.dtype() == dtype::int64 && targets.shape() == shape_type{2}));
}

BOOST_AUTO_TEST_CASE(vector_a_is_the_same_from_every_storage) {
  for (const tensor& targets : {tensor(array<std::int64_t>{2, 3}), tensor(array<double>{2, 3}, {}, dtype::int64)}) {
    auto request = request_a();
    request.data[0].loss_fn_inputs[0].value = targets;
    BOOST_TEST(to_hex(to_protobuf(request)) == golden_a);
  }
}

BOOST_AUTO_TEST_CASE(vector_b_sparse_weights_config_and_forward_only) {
  forward_backward_request request{.model_id = "m", .seq_id = 2, .loss_fn_config = {{"b", 0.5}}, .forward_only = true};
  tensor weights(array<float>{-1.5F}, {1, 2});
  weights.set_sparse({.crow_indices = {0, 1}, .col_indices = {1}});
  request.data.push_back({.model_input = {encoded_text{{7}}}, .loss_fn_inputs = {{"weights", weights}}});
  BOOST_TEST(to_hex(to_protobuf(request)) == golden_b);
  BOOST_TEST(to_hex(to_protobuf(request, {.loss_fn_config_v2 = true})) == std::string(golden_b) + golden_b2_tail);
  for (const std::string& hex : {std::string(golden_b), std::string(golden_b) + golden_b2_tail}) {
    const auto read = decode<forward_backward_request>(hex.c_str());
    BOOST_TEST(read.forward_only);
    BOOST_TEST(read.loss_fn_config.size() == 1);
    BOOST_TEST(std::get<double>(read.loss_fn_config.at(0).value) == 0.5);
    const auto dense = dense_values<float>(*find(read.data.at(0).loss_fn_inputs, "weights"));
    BOOST_TEST((dense == array<float>{0, -1.5F}));
  }
}

BOOST_AUTO_TEST_CASE(vector_c_output) {
  forward_backward_reply reply{.loss_fn_output_type = "x", .metrics = {{"loss:sum", 2}}};
  reply.loss_fn_outputs = {{{"logprobs", tensor(array<float>{-.5F, -1})}}, {{"logprobs", tensor(array<float>{-2})}}};
  BOOST_TEST(to_hex(to_protobuf(reply)) == golden_c);
  const auto read = decode<forward_backward_reply>(golden_c);
  BOOST_TEST(read.loss_fn_output_type == "x");
  BOOST_REQUIRE(read.loss_fn_outputs.size() == 2);
  BOOST_TEST((find(read.loss_fn_outputs[0], "logprobs")->values<float>() == array<float>{-.5F, -1}));
  BOOST_TEST((find(read.loss_fn_outputs[1], "logprobs")->values<float>() == array<float>{-2}));
  BOOST_TEST((read.metrics == metrics{{"loss:sum", 2}}));
}

BOOST_AUTO_TEST_CASE(vector_d_sample) {
  sample_reply reply;
  reply.sequences.push_back(
      {.stop_reason = stop_reason::length, .tokens = {4, 5}, .logprobs = array<float>{-.25F, -.5F}});
  reply.prompt_logprobs = array<float>{std::numeric_limits<float>::quiet_NaN(), -1};
  BOOST_TEST(to_hex(to_protobuf(reply)) == golden_d);
  const auto read = decode<sample_reply>(golden_d);
  BOOST_REQUIRE(read.sequences.size() == 1);
  BOOST_TEST((read.sequences[0].stop_reason == stop_reason::length));
  BOOST_TEST((read.sequences[0].tokens == array<std::int32_t>{4, 5}));
  BOOST_TEST((*read.sequences[0].logprobs == array<float>{-.25F, -.5F}));
  BOOST_TEST(std::isnan((*read.prompt_logprobs)[0]));
  BOOST_TEST((*read.prompt_logprobs)[1] == -1);
}

BOOST_AUTO_TEST_CASE(vector_e_text_config) {
  auto request = request_a();
  request.seq_id = 3;
  request.loss_fn = "custom";
  request.loss_fn_config = {{"loss_id", std::string("L1")}};
  BOOST_TEST(to_hex(to_protobuf(request)) == golden_e);
  const auto read = decode<forward_backward_request>(golden_e);
  BOOST_TEST(std::get<std::string>(read.loss_fn_config.at(0).value) == "L1");
}

BOOST_AUTO_TEST_CASE(vector_f_provenance) {
  auto request = request_a();
  request.seq_id = 4;
  request.loss_fn = "stable_reinforce";
  request.data[0].model_input_spans = {{false, "s", 0, 1}, {true, "s", 0, 1}};
  request.data[0].loss_fn_input_spans = {{true, "s", 0, 2}};
  BOOST_TEST(to_hex(to_protobuf(request)) == golden_f);
  const auto read = decode<forward_backward_request>(golden_f);
  BOOST_TEST((read.data.at(0).model_input_spans == request.data[0].model_input_spans));
  BOOST_TEST((read.data[0].loss_fn_input_spans == request.data[0].loss_fn_input_spans));
}

BOOST_AUTO_TEST_CASE(vector_g_top_k_and_alternatives) {
  const auto read = decode<sample_reply>(golden_g);
  const auto& sequence = read.sequences.at(0);
  BOOST_TEST((sequence.stop_reason == stop_reason::stop));
  BOOST_TEST((sequence.topk_sampled_logprobs.value().token_ids == array<std::int32_t>{4, 9}));
  BOOST_TEST((read.target_prompt_logprobs.value().shape() == shape_type{2, 1}));
  BOOST_TEST((read.prompt_alt_tokens.value().tokens.values<std::int64_t>() == array<std::int64_t>{7, 8}));
  BOOST_TEST((read.prompt_alt_tokens->logprobs.values<float>() == array<float>{-1, -2}));
  BOOST_TEST(to_hex(to_protobuf(read)) == golden_g);
}

BOOST_AUTO_TEST_CASE(floats_of_any_bits_come_back) {
  std::mt19937_64 random(3);
  std::vector<float> values(5000);
  for (auto& value : values) value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
  auto request = request_a();
  request.data[0].loss_fn_inputs.push_back({"weights", tensor(array<float>(values), {50, 100})});
  const auto read = from_protobuf<forward_backward_request>(to_protobuf(request));
  const tensor& weights = *find(read.data[0].loss_fn_inputs, "weights");
  BOOST_TEST((weights.shape() == shape_type{50, 100}));
  BOOST_TEST(std::memcmp(weights.as<float>()->data(), values.data(), values.size() * 4) == 0);
}

BOOST_AUTO_TEST_CASE(doubles_and_int32_are_converted_in_blocks) {
  std::vector<double> weights(1300);
  std::vector<std::int32_t> targets(1300);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = 0.1 * static_cast<double>(i);
    targets[i] = static_cast<std::int32_t>(7 * i) - 40;
  }
  auto request = request_a();
  request.data[0].loss_fn_inputs = {{"target_tokens", tensor(array<std::int32_t>(targets))},
                                    {"weights", tensor(array<double>(weights))}};
  const auto read = from_protobuf<forward_backward_request>(to_protobuf(request));
  const auto read_targets = find(read.data[0].loss_fn_inputs, "target_tokens")->values<std::int64_t>();
  const auto read_weights = find(read.data[0].loss_fn_inputs, "weights")->values<float>();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    BOOST_REQUIRE(read_targets[i] == targets[i]);
    BOOST_REQUIRE(read_weights[i] == static_cast<float>(weights[i]));
  }
}

BOOST_AUTO_TEST_CASE(datums_of_different_form_go_into_records_of_their_own) {
  forward_backward_reply reply{.loss_fn_output_type = "scalar"};
  reply.loss_fn_outputs = {{{"logprobs", tensor(array<float>{1, 2, 3, 4}, {2, 2})}},
                           {{"logprobs", tensor(array<float>{5, 6}, {1, 2})}},
                           {{"logprobs", tensor(array<float>{7})}},
                           {},
                           {{"ids", tensor(array<std::int64_t>{8})}, {"logprobs", tensor(array<float>{9})}}};
  const auto read = from_protobuf<forward_backward_reply>(to_protobuf(reply));
  BOOST_REQUIRE(read.loss_fn_outputs.size() == 5);
  BOOST_TEST((find(read.loss_fn_outputs[0], "logprobs")->shape() == shape_type{2, 2}));
  BOOST_TEST((find(read.loss_fn_outputs[1], "logprobs")->values<float>() == array<float>{5, 6}));
  BOOST_TEST((find(read.loss_fn_outputs[2], "logprobs")->shape() == shape_type{1}));
  BOOST_TEST(read.loss_fn_outputs[3].empty());
  BOOST_TEST((find(read.loss_fn_outputs[4], "ids")->values<std::int64_t>() == array<std::int64_t>{8}));
}

BOOST_AUTO_TEST_CASE(bfloat16_is_widened) {
  // One datum, bytes 80 3f 40 c0: 1.0 and -3.0 as the upper halves of float32; offsets 0 and 4.
  const auto read = decode<forward_backward_reply>(
      "1223"
      "121f"
      "0a016c"
      "121a"
      "0a04803f40c0"
      "1210"
      "00000000000000000400000000000000"
      "1804"
      "1801");
  BOOST_TEST((find(read.loss_fn_outputs.at(0), "l")->values<float>() == array<float>{1, -3}));
}

BOOST_AUTO_TEST_CASE(every_truncation_is_a_decode_error_or_a_shorter_message) {
  for (const char* hex : {golden_a, golden_b, golden_e, golden_f}) {
    const std::string bytes = from_hex(hex);
    for (std::size_t length = 0; length < bytes.size(); ++length) try {
        from_protobuf<forward_backward_request>(std::string_view(bytes).substr(0, length));
      } catch (const error& e) {
        BOOST_TEST(is_decode_error(e));
      }
  }
  for (const char* hex : {golden_d, golden_g}) {
    const std::string bytes = from_hex(hex);
    for (std::size_t length = 0; length < bytes.size(); ++length) try {
        from_protobuf<sample_reply>(std::string_view(bytes).substr(0, length));
      } catch (const error& e) {
        BOOST_TEST(is_decode_error(e));
      }
  }
  const std::string bytes = from_hex(golden_c);
  for (std::size_t length = 0; length < bytes.size(); ++length) try {
      from_protobuf<forward_backward_reply>(std::string_view(bytes).substr(0, length));
    } catch (const error& e) {
      BOOST_TEST(is_decode_error(e));
    }
}

BOOST_AUTO_TEST_CASE(no_byte_can_be_changed_into_a_crash) {
  for (const char* hex : {golden_a, golden_b, golden_c, golden_d, golden_e, golden_f, golden_g})
    for (std::size_t at = 0; at < from_hex(hex).size(); ++at)
      for (const unsigned value : {0U, 1U, 0x7fU, 0x80U, 0xffU}) {
        std::string bytes = from_hex(hex);
        bytes[at] = static_cast<char>(value);
        const auto attempt = [&](auto message) {
          try {
            from_protobuf<decltype(message)>(bytes);
          } catch (const error& e) {
            BOOST_TEST(is_decode_error(e));
          }
        };
        attempt(forward_backward_request{});
        attempt(forward_backward_reply{});
        attempt(sample_reply{});
      }
}

BOOST_AUTO_TEST_CASE(malformed_requests) {
  const std::string model = "0a016d";
  // Tensors within data: 1a <len> 12 <len> 0a 01 77 ("w") 12 <len> <tensor>.
  const auto with_tensor = [&](const std::string& tensor) {
    const auto byte = [](std::size_t n) { return to_hex(std::string(1, static_cast<char>(n))); };
    const std::size_t n = tensor.size() / 2;
    return model + "1a" + byte(n + 7) + "12" + byte(n + 5) + "0a0177" + "12" + byte(n) + tensor;
  };
  BOOST_CHECK_NO_THROW(decode<forward_backward_request>(with_tensor("0a040000803f1801220101").c_str()));
  for (const std::string& bad : {
           with_tensor("0a030000801801"),                            // 3 bytes of float32
           with_tensor("0a040000803f1802"),                          // 4 bytes of int64
           with_tensor("0a040000803f"),                              // no dtype
           with_tensor("0a040000803f1805"),                          // dtype 5
           with_tensor("0a040000803f18012201ff"),                    // a cut varint
           with_tensor("0a040000803f1801220102"),                    // shape [2], one value
           with_tensor("0a040000803f1801220affffffffffffffffff01"),  // shape [-1]
           with_tensor("1206"
                       "0a040000803f"
                       "1801"),                    // sparse without shape
           std::string("10ffffffffffffffffff01"),  // seq_id -1
           std::string("0a7f6d"),                  // length beyond the end
           std::string("0affffffffffffffffff01"),  // … by far
           std::string("ff"),
       })
    BOOST_CHECK_EXCEPTION(decode<forward_backward_request>(bad.c_str()), error, is_decode_error);
}

BOOST_AUTO_TEST_CASE(an_unknown_field_is_passed_over) {
  const auto read = decode<forward_backward_request>((std::string(golden_a) + "aa0603616263" + "b80601").c_str());
  BOOST_TEST(read.data.size() == 1);
}

BOOST_AUTO_TEST_CASE(shape_may_be_unpacked) {
  const auto packed = std::string(golden_a);
  std::string unpacked = packed;
  unpacked.replace(unpacked.find("220102220d"), 6, "2002");  // one byte less: adjust the three lengths around it
  unpacked.replace(unpacked.find("1a38"), 4, "1a37");
  unpacked.replace(unpacked.find("1228"), 4, "1227");
  unpacked.replace(unpacked.find("1217"), 4, "1216");
  BOOST_TEST(
      (find(decode<forward_backward_request>(unpacked.c_str()).data.at(0).loss_fn_inputs, "target_tokens")->shape() ==
       shape_type{2}));
}

BOOST_AUTO_TEST_CASE(many_datums_need_no_memory_of_their_own) {
  BOOST_CHECK_EXCEPTION(decode<forward_backward_reply>("120618ffffffff7f"), error, is_decode_error);
  BOOST_TEST(decode<forward_backward_reply>("12021803").loss_fn_outputs.size() == 3);  // fields stripped
}

BOOST_AUTO_TEST_CASE(what_protobuf_cannot_say) {
  auto request = request_a();
  request.data[0].model_input.push_back(image_asset_pointer{.format = "png", .location = "x"});
  BOOST_CHECK_EXCEPTION(to_protobuf(request), error, [](const error& e) { return e.kind() == errc::data; });
}

BOOST_AUTO_TEST_SUITE_END()
