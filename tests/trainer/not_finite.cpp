// SPDX-License-Identifier: Apache-2.0
// Numbers that are finite in the batch and not on the wire: the error names datum, token and value of the whole batch,
// before the first of its requests is sent.
#include <cmath>
#include <limits>

#include "spy.hpp"

#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/loss/tinker/importance_sampling.hpp>

using namespace spying;
using namespace gradwire::fields;

namespace {

// A trainer that takes so many datums in a request.
struct cut_small {
  loopback::server server = loopback::start();
  std::shared_ptr<spy> net = std::make_shared<spy>();
  std::optional<service_client> service;
  training_client trainer;

  cut_small(int datums, wire_format encoding) {
    net->on_request([datums](const exchange& e, http_response& reply) {
      if (!e.target.ends_with("/client/config")) return fault::none;
      reply = {200,
               {{"Content-Type", "application/json"}},
               R"({"server":"gradwire","sequence":"dedupe","fwdbwd_max_chunk_len":)" + std::to_string(datums) + "}"};
      return fault::answer;
    });
    auto how = quick();
    how.wire = encoding;
    service = service_client::connect_through(net, server.endpoint(), how);
    trainer = service->create_training_client({.base_model = server.model(), .lora_rank = 4}).result();
  }
};

// Three targets, the last two of which count.
auto row(float weight, float advantage, float old = -1) {
  return datum{prompt({1, 2}) + response({3, 4}), weights = {1.0f, weight}, old_logprobs = {-1.0f, old},
               token_advantage = {1.0f, advantage}};
}

// Nothing of the call was sent, its step is not sent either, and a later one is.
template <class F>
void stays_here(cut_small& it, const error_details& where, F&& call) {
  const error e = must_fail(errc::data, {"nothing was sent", where.column.c_str(), where.value.c_str()}, call);
  BOOST_TEST(e.details().datum == where.datum);
  BOOST_TEST(e.details().token == where.token);
  BOOST_TEST(e.details().column == where.column);
  BOOST_TEST(e.details().value == where.value);
  BOOST_TEST(it.net->operations() == 0u);
  must_fail(errc::closed, {"not stepped", "nothing was sent"}, [&] { it.trainer.optim_step().result(); });
  BOOST_TEST(it.net->operations() == 0u);
  BOOST_TEST(it.server.executed().forward_backward == 0u);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(not_finite)

BOOST_AUTO_TEST_CASE(a_product_with_the_weight) {
  for (const auto encoding : {wire_format::json, wire_format::protobuf}) {
    cut_small it(1, encoding);
    const auto good = row(1, 1);
    stays_here(it, {.datum = 2, .token = 2, .column = "advantages", .value = "1.00000003e+60"}, [&] {
      it.trainer.forward_backward(batch{good, good, row(1e30f, 1e30f)}, server_loss::importance_sampling{}).result();
    });
    it.trainer.forward_backward(batch{good, good}, server_loss::importance_sampling{}).result();
    BOOST_TEST(it.trainer.optim_step().result().metric("step") == 1);
  }
}

BOOST_AUTO_TEST_CASE(a_double_that_is_no_float) {
  const auto good = datum{prompt({1, 2}) + response({3, 4}), weights = {1.0, 1.0}};
  const auto bad = datum{prompt({1, 2}) + response({3, 4}), weights = {1.0, -1e39}};
  const error_details place{.datum = 1, .token = 2, .column = "weights", .value = "-1e+39"};
  for (const auto encoding : {wire_format::json, wire_format::protobuf}) {
    cut_small server_side(1, encoding), lowered(1, encoding);
    stays_here(server_side, place, [&] {
      server_side.trainer.forward_backward(batch_of<double>(good, bad, good), server_loss::cross_entropy{}).result();
    });
    stays_here(lowered, place, [&] {
      lowered.trainer.forward_backward_custom(batch_of<double>(good, bad, good), lower(sft_nll_sum{})).result();
    });
  }
}

BOOST_AUTO_TEST_CASE(a_product_of_a_loss_that_is_lowered) {
  cut_small it(1, wire_format::protobuf);
  const auto with_advantage = [](double weight) {
    return datum{prompt({1, 2}) + response({3, 4}), weights = {weight, 1.0}, old_logprobs = {-1.0, -1.0},
                 advantage = -1e30};
  };
  stays_here(it, {.datum = 1, .token = 1, .column = "advantages", .value = "-1.00000003e+60"}, [&] {
    it.trainer
        .forward_backward_custom(batch{with_advantage(1), with_advantage(1e30)}, lower(tinker::importance_sampling{}))
        .result();
  });
}

BOOST_AUTO_TEST_CASE(what_is_masked_is_sent_as_zero) {
  bench b;
  std::vector<float> sent;
  b.net->on_request([&](const exchange& e, http_response&) {
    if (!e.target.ends_with("/forward_backward")) return fault::none;
    const auto request = wire::from_protobuf<wire::forward_backward_request>(e.body);
    const auto values = wire::find(request.data.at(0).loss_fn_inputs, "logprobs")->values<float>();
    sent.assign(values.begin(), values.end());
    return fault::none;
  });
  const auto masked =
      datum{prompt({1, 2}) + response({3, 4}), old_logprobs = {-1e39, -1.0, -1.0}, token_advantage = {1.0, 1.0, 1.0}};
  b.trainer.forward_backward(batch_of<double>(masked), server_loss::ppo{}).result();
  b.net->on_request(nullptr);
  BOOST_TEST(sent == (std::vector<float>{0, -1, -1}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(settings_of_a_server_loss) {
  cut_small it(1024, wire_format::protobuf);
  const double infinity = std::numeric_limits<double>::infinity();
  const auto refused = [&](const char* setting, const char* value, const server_loss::named& loss) {
    const error e = must_fail(errc::config, {setting, loss.name.c_str(), value, "finite"},
                              [&] { it.trainer.forward_backward(batch{row(1, 1)}, loss).result(); });
    BOOST_TEST(e.details().value == value);
  };
  refused("clip_low_threshold", "nan", server_loss::ppo{.clip_low_threshold = std::nan("")});
  refused("clip_high_threshold", "inf", server_loss::cispo{.clip_high_threshold = infinity});
  refused("beta", "-inf", {.name = "dro", .config = {{"mode", std::string("x")}, {"beta", -infinity}}});
  BOOST_TEST(it.net->operations() == 0u);
  must_fail(errc::closed, {"not stepped", "clip_low_threshold"}, [&] { it.trainer.optim_step().result(); });
  it.trainer.forward_backward(batch{row(1, 1)}, server_loss::ppo{}).result();
  BOOST_TEST(it.trainer.optim_step().result().metric("step") == 1);
}

// Every number that goes is finite, and the ratio that the trainer makes of them is not.
BOOST_AUTO_TEST_CASE(what_the_trainer_names_is_named_within_the_batch) {
  for (const auto encoding : {wire_format::json, wire_format::protobuf}) {
    cut_small it(2, encoding);
    const error e =
        must_fail(errc::data, {"datum 1, token 2", "not finite", "That is datum 3 of the batch, token 2"}, [&] {
          it.trainer
              .forward_backward(batch{row(1, 1), row(1, 1), row(1, 1), row(1, 1, -200)},
                                server_loss::importance_sampling{})
              .result();
        });
    BOOST_TEST(e.details().http_status == 400);
    BOOST_TEST(e.details().datum == 3);
    BOOST_TEST(e.details().token == 2);
    must_fail(errc::closed, {"holds a part of the gradients", "datum 3 of the batch"},
              [&] { it.trainer.optim_step().result(); });
  }
}

BOOST_AUTO_TEST_SUITE_END()
