// SPDX-License-Identifier: Apache-2.0
// Datums made of samples: what the client sends is what the field's own Python client sends for the same datum, and the
// embedded trainer takes it; a server that does not know provenance is sent none.
#include "../wire/provenance.hpp"

#include "../wire/hex.hpp"
#include "spy.hpp"

#include <gradwire/loss/sft_nll.hpp>

using namespace spying;

namespace {

sample sampled(std::vector<std::int32_t> tokens, std::string id) {
  return {.tokens = std::move(tokens), .sequence_id = std::move(id)};
}

auto golden_datums() {
  const auto one = sampled({65, 66}, "one"), first = sampled({3, 4}, "one"), second = sampled({7, 8, 9}, "two");
  return batch{datum{prompt({72, 105}) + response(one)},
               datum{prompt({1, 2}) + response(first) + prompt({5, 6}) + response(second)}};
}

std::vector<wire::forward_backward_request> requests(const spy& net) {
  std::vector<wire::forward_backward_request> sent;
  for (const auto& each : net.log()) {
    if (!each.target.ends_with("/forward_backward") && !each.target.ends_with("/forward")) continue;
    sent.push_back(each.content_type == "application/json"
                       ? wire::from_json<wire::forward_backward_request>(each.body)
                       : wire::from_protobuf<wire::forward_backward_request>(each.body));
  }
  return sent;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(provenance)

BOOST_AUTO_TEST_CASE(the_bytes_are_those_of_the_sdk) {
  bench b;
  b.trainer.forward_backward(golden_datums(), server_loss::cross_entropy{}).result();
  auto sent = requests(*b.net);
  BOOST_REQUIRE(sent.size() == 1u);
  for (const auto& each : b.net->log())
    if (each.target.ends_with("/forward_backward"))
      BOOST_TEST(to_hex(each.body).find(golden_provenance::two_turns) != std::string::npos);
  sent[0].model_id = "m";
  sent[0].seq_id = 1;
  BOOST_TEST(to_hex(wire::to_protobuf(sent[0])) == golden_provenance::request);
}

// Both passes of a custom loss say it, in both encodings.
BOOST_AUTO_TEST_CASE(every_pass_says_it) {
  for (const auto format : {wire_format::protobuf, wire_format::json}) {
    auto how = quick();
    how.wire = format;
    bench b({}, how);
    b.trainer.forward_backward_custom(golden_datums(), sft_nll{}).result();
    const auto sent = requests(*b.net);
    BOOST_REQUIRE(sent.size() == 2u);
    const auto golden = wire::from_protobuf<wire::forward_backward_request>(from_hex(golden_provenance::request));
    for (const auto& request : sent)
      for (std::size_t i = 0; i < 2; ++i) {
        BOOST_TEST((request.data.at(i).model_input_spans == golden.data.at(i).model_input_spans));
        BOOST_TEST((request.data[i].loss_fn_input_spans == golden.data[i].loss_fn_input_spans));
      }
  }
}

// From a real sample, which has its name from the server.
BOOST_AUTO_TEST_CASE(of_what_was_sampled) {
  bench b;
  const std::vector<int> asked{72, 105};
  auto sampler = b.trainer.save_weights_and_get_sampling_client().result();
  const auto drawn = sampler.sample(asked, {.num_samples = 2, .max_tokens = 3, .seed = 1}).result().sequences;
  BOOST_REQUIRE(!drawn.at(0).sequence_id.empty());
  b.trainer
      .forward_backward(batch{datum{prompt(asked) + response(drawn[0])}, datum{prompt(asked) + response(drawn[1])}},
                        server_loss::cross_entropy{})
      .result();
  const auto sent = requests(*b.net);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto length = static_cast<std::int64_t>(drawn[i].tokens.size());
    const std::vector<wire::provenance_span> targets{{false, drawn[i].sequence_id, 1, 1},
                                                     {true, drawn[i].sequence_id, 0, length}};
    BOOST_TEST((sent.at(0).data.at(i).loss_fn_input_spans == targets));
  }
}

BOOST_AUTO_TEST_CASE(a_server_that_does_not_know_it_is_sent_none) {
  const auto spoken = [](const std::string& dialect) {
    auto how = quick();
    how.dialect = dialect;
    bench b({}, how);
    b.trainer.forward(batch{sequence({1, 2}, {3}), datum{prompt({1, 2}) + response(sampled({3}, "x"))}}).result();
    const auto sent = requests(*b.net);
    BOOST_TEST(sent.at(0).data.size() == 2u);
    BOOST_TEST(sent.at(0).data.at(0).model_input_spans.empty());
    return !sent.at(0).data.at(1).model_input_spans.empty();
  };
  BOOST_TEST(!spoken("tuft"));
  BOOST_TEST(spoken("gradwire"));
}

BOOST_AUTO_TEST_SUITE_END()
