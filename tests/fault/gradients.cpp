// SPDX-License-Identifier: Apache-2.0
// Rows G of the table of faults: numbers that are not finite, too few of them, tokens that do not exist. Nothing of it
// reaches the wire (R5): the trainer's own count of backward passes stays where it was, and the error names the place.
#include <bit>
#include <cmath>
#include <limits>

#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/protobuf.hpp>

#include "scene.hpp"

using namespace faults;

namespace {

const float nan_value = std::numeric_limits<float>::quiet_NaN();
const float infinity = std::numeric_limits<float>::infinity();

// Backward passes since the scene began; the forwards of custom losses are not among them.
void must_send_nothing(scene& s) {
  BOOST_TEST(s.passes() == 0);
  must_be(verdict_of([&] { s.trainer.optim_step().result(); }), errc::closed, {"not stepped"});
  BOOST_TEST(s.steps() == 0);
}

auto setting(std::size_t datum, std::size_t token, float value) {
  return [=](const auto&, ragged_view<const float>, ragged_view<float> gradients) {
    gradients[datum][token] = value;
    return 1.0;
  };
}

// The trainer's answer to the next forward is this.
void answer_with(scene& s, std::string body, const char* type) {
  s.proxy.set({{.what = fault::respond,
                .path = "/retrieve_future",
                .status = 200,
                .headers = {{"Content-Type", type}},
                .body = std::move(body)}});
}

wire::forward_backward_reply reply_of(const std::vector<std::vector<float>>& rows) {
  wire::forward_backward_reply reply{.loss_fn_output_type = "scalar"};
  for (const auto& row : rows) reply.loss_fn_outputs.push_back({{"logprobs", wire::tensor(std::vector<float>(row))}});
  return reply;
}

const std::vector<std::vector<float>> fine{{-1, -1, -1, -1, -1, -1}, {-1, -1, -1, -1}, {-1, -1, -1, -1, -1, -1, -1}};

verdict custom_on(scene& s, const std::vector<std::vector<float>>& rows) {
  answer_with(s, wire::to_protobuf(reply_of(rows)), "application/x-protobuf");
  const auto v = verdict_of([&] { s.trainer.forward_backward_custom(small_batch(), sft_nll{}).result(); });
  s.proxy.set({});
  return v;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gradients)

FAULT_CASE(G01_a_loss_or_gradient_that_is_not_finite) {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    scene s;
    const auto v = verdict_of([&] {
      s.trainer
          .forward_backward_custom(small_batch(),
                                   [=](const auto&, ragged_view<const float>, ragged_view<float>) { return bad; })
          .result();
    });
    must_be(v, errc::data, {"value of the loss", "nothing was sent"});
    must_send_nothing(s);
  }
  for (const float bad : {nan_value, infinity, -infinity}) {
    scene s;
    const auto v = verdict_of([&] { s.trainer.forward_backward_custom(small_batch(), setting(2, 3, bad)).result(); });
    must_be(v, errc::data, {"datum 2", "token 3"});
    BOOST_TEST(v.details.datum == 2);
    BOOST_TEST(v.details.token == 3);
    BOOST_TEST(!v.details.value.empty());
    must_send_nothing(s);
  }
}

FAULT_CASE(G02_finite_as_double_and_infinite_on_the_wire) {
  scene s;
  const auto data = batch_of<double>(sequence({1, 2, 3}, {4, 5}));
  const auto v = verdict_of([&] {
    s.trainer
        .forward_backward_custom(data,
                                 [](const auto&, ragged_view<const double>, ragged_view<double> gradients) {
                                   gradients[0][3] = 1e39;
                                   return 1.0;
                                 })
        .result();
  });
  must_be(v, errc::data, {"1e+39", "datum 0", "token 3"});
  must_send_nothing(s);
}

FAULT_CASE(G03_zeros_and_denormals_are_sent_as_they_are) {
  scene s;
  const std::vector<float> values{-0.0f, 0.0f, 1e-42f, -1e-42f, 1.17549435e-38f, 1.0f / 3};
  const auto data = batch{sequence({1}, {2, 3, 4, 5, 6, 7})};
  s.trainer
      .forward_backward_custom(data,
                               [&](const auto&, ragged_view<const float>, ragged_view<float> gradients) {
                                 for (std::size_t t = 0; t < values.size(); ++t) gradients[0][t] = values[t];
                                 return 1.0;
                               })
      .result();
  const auto sent = s.proxy.log();
  std::string body;
  for (const auto& each : sent)
    if (each.path.ends_with("/forward_backward")) body = each.body;
  const auto request = wire::from_protobuf<wire::forward_backward_request>(body);
  const auto weights = wire::find(request.data.at(0).loss_fn_inputs, "weights")->values<float>();
  BOOST_REQUIRE(weights.size() == values.size());
  for (std::size_t t = 0; t < values.size(); ++t)
    BOOST_TEST((std::bit_cast<std::uint32_t>(weights[t]) == std::bit_cast<std::uint32_t>(-values[t]) ||
                (weights[t] == 0 && values[t] == 0)),  // the sign of a gradient of zero means nothing
               "token " << t << ": " << weights[t]);
}

FAULT_CASE(G04_too_few_or_too_many_logprobs) {
  for (const std::size_t count : {2u, 3u, 5u, 9u}) {
    scene s;
    auto rows = fine;
    rows[1] = std::vector<float>(count, -1);
    const auto v = custom_on(s, rows);
    must_be(v, errc::data, {"datum 1", std::to_string(count) + " logprobs for 4 targets"});
    must_send_nothing(s);
  }
}

FAULT_CASE(G05_fewer_or_more_datums_than_were_sent) {
  for (const std::size_t count : {0u, 2u, 4u}) {
    scene s;
    auto rows = fine;
    rows.resize(count, {-1});
    must_be(custom_on(s, rows), errc::data, {std::to_string(count) + " datums", "3 were sent"});
    must_send_nothing(s);
  }
}

FAULT_CASE(G06_logprobs_that_cannot_be) {
  for (const float bad : {nan_value, infinity, -infinity, 0.25f}) {
    scene s;
    auto rows = fine;
    rows[2][4] = bad;
    const auto v = custom_on(s, rows);
    must_be(v, errc::data, {"datum 2", "token 4"});
    BOOST_TEST(v.details.datum == 2);
    BOOST_TEST(v.details.token == 4);
    must_send_nothing(s);
  }
}

FAULT_CASE(G07_tensors_that_are_shorter_than_they_say) {
  const std::string whole = wire::to_protobuf(reply_of(fine));
  scene s;
  for (std::size_t cut = 1; cut < whole.size(); cut += is_long_run() ? 1 : 7) {
    answer_with(s, whole.substr(0, whole.size() - cut), "application/x-protobuf");
    const auto v = verdict_of([&] { s.trainer.forward(small_batch()).result(); });
    BOOST_TEST((v.kind == errc::decode || v.kind == errc::data), cut << ": " << show(v));
  }
  // one byte of a length or an offset changed: another number of values, or no message at all
  for (std::size_t at = 0; at < whole.size(); at += is_long_run() ? 1 : 11) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    answer_with(s, changed, "application/x-protobuf");
    const auto v = verdict_of([&] { s.trainer.forward(small_batch()).result(); });
    BOOST_TEST((!v.kind || v.kind == errc::decode || v.kind == errc::data), at << ": " << show(v));
  }
  BOOST_TEST(s.passes() == 0);
}

FAULT_CASE(G08_tokens_that_do_not_exist) {
  scene s;
  for (const std::int64_t bad : {std::int64_t{-1}, std::int64_t{1} << 31, std::int64_t{1} << 62}) {
    const auto v = verdict_of([&] {
      const std::vector<std::int64_t> tokens{1, 2, bad};
      s.trainer.forward(batch{datum{prompt(tokens) + response(std::vector<int>{3})}}).result();
    });
    must_be(v, errc::data, {std::to_string(bad), "token 2"});
  }
  const auto v = verdict_of([&] {
    s.trainer.forward_backward(batch{sequence({1, 2}, {3}), sequence({1}, {99'999})}, server_loss::cross_entropy{})
        .result();
  });
  BOOST_TEST((v.kind == errc::data || v.kind == errc::status), show(v));
  BOOST_TEST(v.text.find("99999") != std::string::npos, show(v));
  BOOST_TEST(v.text.find("datum 1") != std::string::npos, show(v));
  BOOST_TEST(s.passes() == 0);
}

FAULT_CASE(G09_lengths_that_differ_and_nothing_to_send) {
  must_be(verdict_of([] {
            datum d{prompt(std::vector<int>{1, 2}) + response(std::vector<int>{3}),
                    fields::weights = std::vector<float>{1, 1, 1, 1, 1}};
            static_cast<void>(d);
          }),
          errc::data, {"weights", "5"});
  must_be(verdict_of([] { static_cast<void>(datum{prompt(std::vector<int>{}) + response(std::vector<int>{})}); }),
          errc::data);
  must_be(verdict_of([] { static_cast<void>(batch(std::vector<datum<field_list<>>>{})); }), errc::data);
  scene s({{.what = fault::respond,
            .path = "/client/config",
            .deliver = false,
            .status = 200,
            .body = R"({"server":"gradwire","fwdbwd_max_chunk_bytes_count":20})"}},
          impatient(), shared_server(), true);
  BOOST_TEST(s.trainer.forward_backward(small_batch(), server_loss::cross_entropy{}).result().tokens == 17u);
  BOOST_TEST(s.passes() == 3);  // each is over the limit, and goes alone
}

FAULT_CASE(G10_sizes_that_overflow) {
  scene s;
  for (const char* shape : {"[4294967296,4294967296]", "[9223372036854775807,2]", "[-1]", "[18446744073709551615]"}) {
    answer_with(
        s,
        std::string(R"({"loss_fn_output_type":"scalar","metrics":{},"loss_fn_outputs":[{"logprobs":{"dtype":)") +
            R"("float32","data":[-1,-1,-1,-1,-1,-1],"shape":)" + shape + "}},{},{}]}",
        "application/json");
    const auto v = verdict_of([&] { s.trainer.forward(small_batch()).result(); });
    BOOST_TEST((v.kind == errc::decode || v.kind == errc::data), shape << ": " << show(v));
  }
}

FAULT_CASE(G11_the_loss_throws) {
  struct mine : std::runtime_error {
    mine() : std::runtime_error("my own words") {}
  };
  scene s;
  BOOST_CHECK_THROW(
      s.trainer
          .forward_backward_custom(
              small_batch(), [](const auto&, ragged_view<const float>, ragged_view<float>) -> double { throw mine(); })
          .result(),
      mine);
  must_send_nothing(s);
}

FAULT_CASE(G12_the_loss_forgets_a_datum) {
  scene s;
  const auto done = s.trainer.forward_backward_custom(small_batch(), setting(0, 3, -1.0f)).result();
  BOOST_TEST(done.loss == 1.0);
  BOOST_TEST(s.passes() == 1);
  BOOST_TEST(s.trainer.optim_step().result().metric("grad_norm") > 0);
}

BOOST_AUTO_TEST_SUITE_END()
