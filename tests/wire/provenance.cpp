// SPDX-License-Identifier: Apache-2.0
// Provenance spans in both encodings, and which servers are sent them.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 is wrong about half-made messages in braces
#include "provenance.hpp"

#include <boost/test/unit_test.hpp>

#include <gradwire/wire/check_body.hpp>
#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/protobuf.hpp>

#include "hex.hpp"

using namespace gradwire;
using namespace gradwire::wire;

namespace {

using spans = std::vector<provenance_span>;

forward_backward_request request_with_spans() {
  forward_backward_request request{.model_id = "m", .seq_id = 1};
  request.data.push_back({.model_input = {encoded_text{{72, 105, 65}}},
                          .loss_fn_inputs = {{"target_tokens", tensor(array<std::int64_t>{105, 65, 66})},
                                             {"weights", tensor(array<float>{0, 1, 1})}},
                          .model_input_spans = {{false, "one", 0, 2}, {true, "one", 0, 1}},
                          .loss_fn_input_spans = {{false, "one", 1, 1}, {true, "one", 0, 2}}});
  request.data.push_back(
      {.model_input = {encoded_text{{1, 2, 3, 4, 5, 6, 7, 8}}},
       .loss_fn_inputs = {{"target_tokens", tensor(array<std::int64_t>{2, 3, 4, 5, 6, 7, 8, 9})},
                          {"weights", tensor(array<float>{0, 1, 1, 0, 0, 1, 1, 1})}},
       .model_input_spans = {{false, "one", 0, 2}, {true, "one", 0, 2}, {false, "two", 4, 2}, {true, "two", 0, 2}},
       .loss_fn_input_spans = {{false, "one", 1, 1}, {true, "one", 0, 2}, {false, "two", 4, 2}, {true, "two", 0, 3}}});
  return request;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(provenance)

BOOST_AUTO_TEST_CASE(protobuf_is_what_the_sdk_writes) {
  const auto request = request_with_spans();
  BOOST_TEST(to_hex(to_protobuf(request)) == golden_provenance::request);
  const auto read = from_protobuf<forward_backward_request>(from_hex(golden_provenance::request));
  BOOST_TEST(to_hex(to_protobuf(read)) == golden_provenance::request);
}

BOOST_AUTO_TEST_CASE(both_encodings_bring_them_back) {
  const auto given = request_with_spans();
  for (const bool json : {false, true}) {
    const auto read = json ? from_json<forward_backward_request>(to_json(given))
                           : from_protobuf<forward_backward_request>(to_protobuf(given));
    BOOST_REQUIRE(read.data.size() == given.data.size());
    for (std::size_t i = 0; i < given.data.size(); ++i) {
      BOOST_TEST((read.data[i].model_input_spans == given.data[i].model_input_spans));
      BOOST_TEST((read.data[i].loss_fn_input_spans == given.data[i].loss_fn_input_spans));
    }
  }
  BOOST_TEST(
      to_json(given).find(R"("model_input_spans":[{"prompt_tokens":{"sequence_id":"one","offset":0,"length":2}},)"
                          R"({"sampled_tokens":{"sequence_id":"one","offset":0,"length":1}}])") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(json_of_other_forms) {
  const auto read = [](const std::string& spans_text) {
    return from_json<wire::datum>(R"({"model_input":{"chunks":[]},"loss_fn_inputs":{},"model_input_spans":)" +
                                  spans_text + "}");
  };
  BOOST_TEST(
      (read(R"([{"sampled_tokens":{"sequence_id":"s","length":3}}])").model_input_spans == spans{{true, "s", 0, 3}}));
  BOOST_TEST(read("null").model_input_spans.empty());
  BOOST_TEST(read("[]").model_input_spans.empty());
  for (const char* wrong :
       {R"([{}])", R"([{"sampled_tokens":{"length":3}}])", R"([{"sampled_tokens":{"sequence_id":"s"}}])", "[1]", "{}",
        R"([{"sampled_tokens":{"sequence_id":"s","length":1},"prompt_tokens":{"sequence_id":"s","length":1}}])",
        R"([{"prompt_tokens":{"sequence_id":"s","length":1.5}}])"})
    BOOST_CHECK_EXCEPTION(read(wrong), validation_error, [](const validation_error& refused) {
      return refused.issues().front().loc.at(1) == "model_input_spans";
    });
}

BOOST_AUTO_TEST_CASE(only_where_the_server_takes_them) {
  const auto left = [](const char* server, encoding body) {
    auto request = request_with_spans();
    leave_out_unknown_spans(request, *find_dialect(server), body);
    const std::size_t expected = request.data.at(0).model_input_spans.empty() ? 0 : request_with_spans().data.size();
    std::size_t kept = 0;
    for (const datum& each : request.data) kept += !each.model_input_spans.empty() && !each.loss_fn_input_spans.empty();
    BOOST_TEST(kept == expected);
    return kept > 0;
  };
  for (const auto body : {encoding::json, encoding::protobuf}) BOOST_TEST(left("gradwire", body));
  BOOST_TEST(left("tinker", encoding::protobuf));
  BOOST_TEST(!left("tinker", encoding::json));
  for (const char* server : {"skyrl", "tuft"}) BOOST_TEST(!left(server, encoding::protobuf));
  for (const char* server : {"skyrl-json", "fireworks"}) BOOST_TEST(!left(server, encoding::json));
}

BOOST_AUTO_TEST_CASE(a_loss_that_reads_them_is_refused_where_they_cannot_go) {
  auto request = request_with_spans();
  request.loss_fn = "stable_reinforce";
  leave_out_unknown_spans(request, *find_dialect("tinker"), encoding::protobuf, 7);
  BOOST_TEST(!request.data.at(0).model_input_spans.empty());
  BOOST_CHECK_EXCEPTION(
      leave_out_unknown_spans(request, *find_dialect("tinker"), encoding::json, 7), error, [](const error& refused) {
        return refused.kind() == errc::config && refused.details().datum == 7 &&
               std::string_view(refused.what()).find("this server (tinker)") != std::string_view::npos;
      });
}

BOOST_AUTO_TEST_SUITE_END()
