// SPDX-License-Identifier: Apache-2.0
// Provenance spans as the embedded trainer takes them: they change no number, and must hold together.
#include <boost/test/unit_test.hpp>

#include "server_driver.hpp"

namespace {

using spans = std::vector<provenance_span>;

// The first datum of batch() has four positions.
const spans input{{false, "a", 0, 1}, {true, "a", 0, 3}}, targets{{true, "a", 0, 4}};

raw_reply post(const driver& it, const forward_backward_request& request, bool json) {
  if (json) return it.http.post("forward_backward", to_json(request));
  return it.http.send("POST", "/api/v1/forward_backward", to_protobuf(request),
                      it.http.key() + "Content-Type: application/x-protobuf\r\n");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(provenance)

BOOST_AUTO_TEST_CASE(it_changes_no_number) {
  driver it;
  auto request = it.batch(true);
  const auto plain = it.run(request);
  request.seq_id = ++it.seq;
  request.data[0].model_input_spans = input;
  request.data[0].loss_fn_input_spans = targets;
  const auto said = it.run(request);
  BOOST_TEST((logprobs(said, 0) == logprobs(plain, 0)));
  BOOST_TEST((said.metrics == plain.metrics));
}

BOOST_AUTO_TEST_CASE(what_does_not_hold_together_is_named) {
  struct row {
    const char* what;
    spans input, targets;
    std::string_view place, says;
  };
  const std::vector<row> rows{
      {"input alone", input, {}, R"("data",0,"loss_fn_input_spans"])", "pair"},
      {"targets alone", {}, targets, R"("data",0,"model_input_spans"])", "pair"},
      {"too few", {{true, "a", 0, 3}}, targets, R"("data",0,"model_input_spans"])", "the spans cover 3 of 4 positions"},
      {"too many",
       input,
       {{true, "a", 0, 2}, {true, "b", 0, 3}},
       R"("data",0,"loss_fn_input_spans",1])",
       "span 1 covers 3 positions from 2 on, and there are 4"},
      {"so many that a sum overflows",
       {{true, "a", 0, 1}, {true, "a", 0, std::numeric_limits<std::int64_t>::max()}},
       targets,
       R"("data",0,"model_input_spans",1])",
       "span 1 covers 9223372036854775807 positions"},
      {"negative length",
       {{true, "a", 0, -1}, {true, "a", 0, 5}},
       targets,
       R"("data",0,"model_input_spans",0])",
       "length -1"},
      {"negative offset", {{true, "a", -2, 4}}, targets, R"("data",0,"model_input_spans",0])", "offset -2"},
      {"no sequence", {{true, "", 0, 4}}, targets, R"("data",0,"model_input_spans",0])", "no sequence_id"},
  };
  driver it;
  for (const auto& each : rows)
    for (const bool json : {false, true}) {
      auto request = it.batch();
      request.data[0].model_input_spans = each.input;
      request.data[0].loss_fn_input_spans = each.targets;
      const auto reply = post(it, request, json);
      BOOST_TEST(reply.status == 422, each.what);
      BOOST_TEST(contains(reply.body, each.place), each.what << ": " << reply.body);
      BOOST_TEST(contains(reply.body, each.says), each.what << ": " << reply.body);
    }
  BOOST_TEST(it.executed("forward_backward") == 0);
}

BOOST_AUTO_TEST_SUITE_END()
