// SPDX-License-Identifier: Apache-2.0
// A datum with a picture on the wire: what the client sends in both encodings, and what a trainer without eyes says.
#include "spy.hpp"

#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/trainer/impl/batch_messages.hpp>

using namespace spying;

namespace {

const std::string picture("\x89PNG\r\n\x1a\n\0\xff", 10);

auto seen() {
  return batch{datum{prompt({5, 6}) + image(picture, "png", 3) + prompt({7}) + image(picture.substr(0, 4), "jpeg", 1) +
                     prompt({8}) + response({9})}};
}

// The body of the first request for a forward pass, which is answered with 400.
exchange first_pass(wire_format encoding) {
  auto how = quick();
  how.wire = encoding;
  bench b({}, how);
  exchange found;
  b.net->on_request([&](const exchange& e, http_response& reply) {
    if (!e.target.ends_with("/forward_backward") && !e.target.ends_with("/forward")) return fault::none;
    found = e;
    reply = {400, {{"Content-Type", "application/json"}}, R"({"detail":"enough"})"};
    return fault::answer;
  });
  must_fail(errc::status, {"enough"}, [&] { b.trainer.forward(seen()).result(); });
  return found;
}

void is_as_given(const wire::forward_backward_request& sent) {
  BOOST_REQUIRE(sent.data.size() == 1u);
  const auto& chunks = sent.data[0].model_input;
  BOOST_REQUIRE(chunks.size() == 5u);
  BOOST_TEST((std::get<wire::encoded_text>(chunks[0]).tokens == wire::array<std::int32_t>{5, 6}));
  BOOST_TEST(std::get<wire::image>(chunks[1]).data == picture);
  BOOST_TEST(std::get<wire::image>(chunks[1]).format == "png");
  BOOST_TEST(std::get<wire::image>(chunks[1]).expected_tokens.value() == 3);
  BOOST_TEST((std::get<wire::encoded_text>(chunks[2]).tokens == wire::array<std::int32_t>{7}));
  BOOST_TEST(std::get<wire::image>(chunks[3]).format == "jpeg");
  BOOST_TEST((std::get<wire::encoded_text>(chunks[4]).tokens == wire::array<std::int32_t>{8}));
  const auto targets = wire::dense_values<std::int64_t>(*wire::find(sent.data[0].loss_fn_inputs, "target_tokens"));
  BOOST_TEST((targets == wire::array<std::int64_t>{6, 0, 0, 0, 7, 0, 8, 9}));
  BOOST_TEST((wire::find(sent.data[0].loss_fn_inputs, "weights")->shape() == wire::shape_type{8}));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(pictures)

BOOST_AUTO_TEST_CASE(protobuf) {
  const auto sent = first_pass(wire_format::protobuf);
  BOOST_TEST(sent.content_type == "application/x-protobuf");
  is_as_given(wire::from_protobuf<wire::forward_backward_request>(sent.body));
}

BOOST_AUTO_TEST_CASE(json) {
  const auto sent = first_pass(wire_format::json);
  BOOST_TEST(sent.content_type == "application/json");
  is_as_given(wire::from_json<wire::forward_backward_request>(sent.body));
}

BOOST_AUTO_TEST_CASE(the_embedded_trainer_names_datum_and_part) {
  bench b;
  const auto text = datum{prompt({1, 2}) + response({3, 4})};
  const batch mixed{text, datum{prompt({1}) + image(picture, "png", 2) + response({3})}};
  for (const auto encoding : {wire_format::protobuf, wire_format::json}) {
    auto how = quick();
    how.wire = encoding;
    auto service = service_client::connect(b.server.endpoint(), how);
    auto trainer = service.create_training_client({.base_model = b.server.model(), .lora_rank = 2}).result();
    const auto refused = must_fail(errc::data, {"data.1.model_input.chunks.1", "text only"},
                                   [&] { trainer.forward_backward_custom(mixed, sft_nll{}).result(); });
    BOOST_TEST(refused.details().http_status == 422);
    trainer.forward(batch{text}).result();
  }
}

BOOST_AUTO_TEST_CASE(a_picture_counts_in_the_size_of_a_request) {
  const std::string large(3'000'000, 'x');
  std::vector<datum<field_list<>>> datums;
  for (int i = 0; i < 4; ++i) datums.push_back(datum{image(large, "png", 8) + response({1, 2})});
  const batch data(datums);
  BOOST_TEST(detail::plan_chunks(detail::erase_type(data), 1024, 5'000'000).size() == 4u);
  BOOST_TEST(detail::plan_chunks(detail::erase_type(data), 1024, 7'000'000).size() == 2u);
}

BOOST_AUTO_TEST_SUITE_END()
