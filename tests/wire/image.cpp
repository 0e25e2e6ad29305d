// SPDX-License-Identifier: Apache-2.0
// Pictures among tokens in both encodings, against what the field's own Python client writes (tinker 0.25.0 and 0.38.0;
// tests/golden/image_chunk.py makes and checks the two texts below).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 is wrong about half-made messages in braces
#include <boost/test/unit_test.hpp>

#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/protobuf.hpp>

#include "hex.hpp"

using namespace gradwire;
using namespace gradwire::wire;

namespace {

const char* const golden_protobuf =
    "0a016d10011ad9010a0c0a0a0a0805000000060000000a1512130a0a89504e470d0a1a0a00ff1203706e6718030a080a060a04070000000a10"
    "120e0a0489504e4712046a70656718010a080a060a040800000012580a0d7461726765745f746f6b656e7312470a4006000000000000000000"
    "000000000000000000000000000000000000000000000700000000000000000000000000000008000000000000000900000000000000180222"
    "010812320a077765696768747312270a20000000000000000000000000000000000000000000000000000000000000803f1801220108220d63"
    "726f73735f656e74726f7079";

const char* const golden_chunks =
    R"([{"tokens":[5,6],"type":"encoded_text"},{"data":"iVBORw0KGgoA/w==","format":"png","expected_tokens":3,"type":"image"},)"
    R"({"tokens":[7],"type":"encoded_text"},{"data":"iVBORw==","format":"jpeg","expected_tokens":1,"type":"image"},)"
    R"({"tokens":[8],"type":"encoded_text"}])";

const std::string picture("\x89PNG\r\n\x1a\n\0\xff", 10);

forward_backward_request request_with_pictures() {
  forward_backward_request request{.model_id = "m", .seq_id = 1};
  request.data.push_back(
      {.model_input = {encoded_text{{5, 6}}, image{.data = picture, .format = "png", .expected_tokens = 3},
                       encoded_text{{7}}, image{.data = picture.substr(0, 4), .format = "jpeg", .expected_tokens = 1},
                       encoded_text{{8}}},
       .loss_fn_inputs = {{"target_tokens", tensor(array<std::int64_t>{6, 0, 0, 0, 7, 0, 8, 9})},
                          {"weights", tensor(array<float>{0, 0, 0, 0, 0, 0, 0, 1})}}});
  return request;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(pictures)

BOOST_AUTO_TEST_CASE(protobuf_is_what_the_sdk_writes) {
  BOOST_TEST(to_hex(to_protobuf(request_with_pictures())) == golden_protobuf);
  const auto read = from_protobuf<forward_backward_request>(from_hex(golden_protobuf));
  BOOST_TEST(to_hex(to_protobuf(read)) == golden_protobuf);
  const auto& first = std::get<image>(read.data.at(0).model_input.at(1));
  BOOST_TEST(first.data == picture);
  BOOST_TEST(first.format == "png");
  BOOST_TEST(first.expected_tokens.value() == 3);
}

BOOST_AUTO_TEST_CASE(json_means_what_the_sdk_writes) {
  const auto read = from_json<model_input>("{\"chunks\":" + std::string(golden_chunks) + "}");
  model_input ours{request_with_pictures().data[0].model_input};
  BOOST_TEST(to_json(read) == to_json(ours));
  BOOST_TEST(to_json(ours).find(R"({"type":"image","data":"iVBORw0KGgoA/w==","format":"png","expected_tokens":3})") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_members_that_newer_servers_know_are_passed_over) {
  // image {4: override_dimensions {1: 7, 2: 9}}
  const auto read =
      from_protobuf<forward_backward_request>(from_hex("0a016d10011a140a1212100a01781203706e671803220408071009"));
  BOOST_TEST(std::get<image>(read.data.at(0).model_input.at(0)).expected_tokens.value() == 3);
}

BOOST_AUTO_TEST_SUITE_END()
