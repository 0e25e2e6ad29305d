// SPDX-License-Identifier: Apache-2.0
// A server that divides the gradients of a step by its number of sequences, as SkyRL's JAX backend does: the gradients
// of custom losses wait for optim_step, and nothing is guessed. tests/conformance/skyrl.cpp shows it against SkyRL
// itself.
#include "divider.hpp"

#include <gradwire/loss/sft_nll.hpp>

using namespace spying;
using namespace gradwire::fields;

namespace {

std::vector<float> input_of(const wire::forward_backward_request& r, std::size_t datum, const char* name) {
  const auto* tensor = wire::find(r.data.at(datum).loss_fn_inputs, name);
  BOOST_REQUIRE(tensor != nullptr);
  const auto v = tensor->values<float>();
  return std::vector<float>(v.begin(), v.end());
}

const auto one_more = [] { return batch{sequence({1, 2}, {3})}; };  // 2 targets, the second counts

void same(const std::vector<float>& found, const std::vector<float>& expected) {
  BOOST_TEST(found == expected, boost::test_tools::per_element());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(held_gradients)

BOOST_AUTO_TEST_CASE(gradients_are_sent_with_the_step_times_targets_and_sequences) {
  divider d;
  const auto data = supervised();                                                           // 6, 4 and 7 targets
  const auto step = d.trainer.forward_backward_custom(data, 3 * sft_nll_sum{}()).result();  // needs no step to end
  BOOST_TEST(step.loss == 3 * 11 * 2.0);
  BOOST_TEST(step.metric("loss:sum") == step.loss);
  BOOST_TEST(step.logprobs[0][0] == -2.0f);
  d.trainer.forward_backward_custom(one_more(), sft_nll_sum{}).result();
  BOOST_TEST(d.backwards().empty());
  d.trainer.optim_step().result();
  const auto sent = d.backwards();
  BOOST_REQUIRE(sent.size() == 2u);
  BOOST_TEST(sent[0].loss_fn == "importance_sampling");
  // slope -3 where counted, so advantages 3·T·N with N = 3 + 1
  same(input_of(sent[0], 0, "advantages"), {0, 0, 72, 72, 72, 72});
  same(input_of(sent[0], 1, "advantages"), {0, 0, 0, 48});
  same(input_of(sent[0], 1, "logprobs"), {-2, -2, -2, -2});
  BOOST_TEST((wire::find(sent[0].data[0].loss_fn_inputs, "weights") == nullptr));
  same(input_of(sent[1], 0, "advantages"), {0, 8});
  BOOST_TEST(d.order == (std::vector<std::string>{"forward", "forward", "backward", "backward", "optim_step"}),
             boost::test_tools::per_element());
  // the next step begins at nothing
  d.trainer.forward_backward_custom(one_more(), sft_nll_sum{}).result();
  d.trainer.optim_step().result();
  same(input_of(d.backwards().at(2), 0, "advantages"), {0, 2});
}

BOOST_AUTO_TEST_CASE(calls_that_are_not_waited_for_and_a_pipelined_step_send_the_same) {
  divider d;
  auto first = d.trainer.forward_backward_custom(supervised(), sft_nll_sum{});
  auto second = d.trainer.forward_backward_custom(one_more(), sft_nll_sum{});
  auto step = d.trainer.optim_step({.pipelined = true});
  auto third = d.trainer.forward_backward_custom(one_more(), sft_nll_sum{});
  auto next = d.trainer.optim_step();
  next.result();
  step.result();
  const auto sent = d.backwards();
  BOOST_REQUIRE(sent.size() == 3u);
  same(input_of(sent[1], 0, "advantages"), {0, 8});
  same(input_of(sent[2], 0, "advantages"), {0, 2});
  BOOST_TEST(d.steps() == 2u);
  BOOST_TEST(std::isfinite(first.result().loss + second.result().loss + third.result().loss));
}

BOOST_AUTO_TEST_CASE(accumulated_parts_are_counted_together) {
  divider d;
  d.trainer.forward_backward_custom(accumulate(supervised(), one_more()), sft_nll_sum{}).result();
  d.trainer.optim_step().result();
  const auto sent = d.backwards();
  BOOST_REQUIRE(sent.size() == 2u);  // a request a part
  same(input_of(sent[0], 1, "advantages"), {0, 0, 0, 16});
  same(input_of(sent[1], 0, "advantages"), {0, 8});
}

BOOST_AUTO_TEST_CASE(a_failed_call_stops_the_step_and_the_others_stay_held) {
  divider d;
  d.trainer.forward_backward_custom(one_more(), sft_nll_sum{}).result();
  auto failing = d.trainer.forward_backward_custom(
      one_more(), [](const auto&, ragged_view<const float>, ragged_view<float>) -> double { throw 17; });
  auto step = d.trainer.optim_step();
  BOOST_CHECK_THROW(failing.result(), int);
  must_fail(errc::closed, {"not stepped", "a call since the last step failed"}, [&] { step.result(); });
  BOOST_TEST(d.backwards().empty());
  BOOST_TEST(d.steps() == 0u);
  d.trainer.forward_backward_custom(supervised(), sft_nll_sum{}).result();
  d.trainer.optim_step().result();
  const auto sent = d.backwards();
  BOOST_REQUIRE(sent.size() == 2u);
  same(input_of(sent[0], 0, "advantages"), {0, 8});
  same(input_of(sent[1], 1, "advantages"), {0, 0, 0, 16});
}

BOOST_AUTO_TEST_CASE(gradients_that_did_not_arrive_stay_held_and_go_again) {
  divider d;
  d.trainer.forward_backward_custom(one_more(), sft_nll_sum{}).result();
  bool down = true;
  d.also = [&](const exchange& e, http_response&) {
    return down && e.target.ends_with("/forward_backward") ? fault::refuse : fault::none;
  };
  must_fail(errc::transport, {"not stepped", "still held"}, [&] { d.trainer.optim_step().result(); });
  BOOST_TEST(d.steps() == 0u);
  down = false;
  d.sent.clear();
  d.trainer.optim_step().result();
  BOOST_TEST(d.backwards().size() == 1u);
  BOOST_TEST(d.steps() == 1u);
}

BOOST_AUTO_TEST_CASE(gradients_that_the_server_refuses_are_dropped) {
  divider d;
  d.trainer.forward_backward_custom(one_more(), sft_nll_sum{}).result();
  d.also = [&](const exchange& e, http_response& reply) {
    if (!e.target.ends_with("/forward_backward") || d.sent.back().forward_only) return fault::none;
    reply = divider::json(R"({"detail":"not this one"})", 422);
    return fault::answer;
  };
  must_fail(errc::status, {"not stepped", "not this one", "were dropped"}, [&] { d.trainer.optim_step().result(); });
  d.also = nullptr;
  BOOST_TEST(d.steps() == 0u);
  d.trainer.forward_backward_custom(one_more(), sft_nll_sum{}).result();
  d.trainer.optim_step().result();
  same(input_of(d.backwards().back(), 0, "advantages"), {0, 2});
}

BOOST_AUTO_TEST_CASE(a_part_that_arrived_taints_the_model_for_good) {
  divider d;
  const auto state = d.trainer.save_state("clean").result();
  for (int i = 0; i < 2; ++i) d.trainer.forward_backward_custom(one_more(), sft_nll_sum{}).result();
  d.also = [&](const exchange& e, http_response& reply) {
    if (!e.target.ends_with("/forward_backward") || d.backwards().size() != 2) return fault::none;
    reply = divider::json(R"({"detail":"not this one"})", 422);
    return fault::answer;
  };
  must_fail(errc::status, {"not stepped", "a part of them"}, [&] { d.trainer.optim_step().result(); });
  must_fail(errc::closed, {"holds a part of the gradients"}, [&] { d.trainer.optim_step().result(); });
  d.also = nullptr;
  d.trainer.load_state(state.path).result();  // such a server keeps what it has accumulated
  must_fail(errc::closed, {"holds a part of the gradients"}, [&] { d.trainer.optim_step().result(); });
  BOOST_TEST(d.steps() == 0u);
}

BOOST_AUTO_TEST_CASE(a_servers_loss_in_the_same_step_is_refused_in_both_orders) {
  divider d;
  const auto data = supervised();
  d.trainer.forward_backward_custom(data, sft_nll_sum{}).result();
  must_fail(errc::config, {"server's loss and a custom loss in one step", "optim_step between"},
            [&] { d.trainer.forward_backward(data, server_loss::cross_entropy{}).result(); });
  must_fail(errc::closed, {"not stepped"}, [&] { d.trainer.optim_step().result(); });
  d.trainer.optim_step().result();
  BOOST_TEST(d.backwards().size() == 1u);
  d.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
  BOOST_TEST(d.backwards().size() == 2u);
  must_fail(errc::config, {"custom loss and a server's loss in one step", "Nothing was sent back"},
            [&] { d.trainer.forward_backward_custom(data, sft_nll_sum{}).result(); });
  must_fail(errc::closed, {"not stepped"}, [&] { d.trainer.optim_step().result(); });
  d.trainer.optim_step().result();
  d.trainer.forward_backward_custom(data, sft_nll_sum{}).result();
  d.trainer.optim_step().result();
  BOOST_TEST(d.backwards().size() == 3u);
}

BOOST_AUTO_TEST_CASE(after_a_step_that_was_not_executed_the_scale_is_fixed) {
  divider d;
  d.trainer.forward_backward_custom(one_more(), sft_nll_sum{}).result();
  d.also = [&](const exchange& e, http_response& reply) {
    if (!e.target.ends_with("/optim_step")) return fault::none;
    reply = divider::json(R"({"detail":"not now"})", 422);
    return fault::answer;
  };
  must_fail(errc::status, {"not now"}, [&] { d.trainer.optim_step().result(); });
  d.also = nullptr;
  must_fail(errc::config, {"scale is fixed", "Call optim_step before"},
            [&] { d.trainer.forward_backward_custom(one_more(), sft_nll_sum{}).result(); });
  must_fail(errc::closed, {"not stepped"}, [&] { d.trainer.optim_step().result(); });
  d.trainer.optim_step().result();
  BOOST_TEST(d.backwards().size() == 1u);  // not sent again
  d.trainer.forward_backward_custom(one_more(), sft_nll_sum{}).result();
  d.trainer.optim_step().result();
  BOOST_TEST(d.backwards().size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_loaded_state_drops_what_is_held) {
  divider d;
  const auto state = d.trainer.save_state("before").result();
  d.trainer.forward_backward_custom(one_more(), sft_nll_sum{}).result();
  d.trainer.load_state(state.path).result();
  d.trainer.forward_backward_custom(supervised(), sft_nll_sum{}).result();
  d.trainer.optim_step().result();
  BOOST_REQUIRE(d.backwards().size() == 1u);
  same(input_of(d.backwards()[0], 1, "advantages"), {0, 0, 0, 12});
}

BOOST_AUTO_TEST_CASE(a_client_that_closes_sends_nothing) {
  divider d;
  auto step = d.trainer.forward_backward_custom(one_more(), sft_nll_sum{});
  BOOST_TEST(step.result().loss == 2.0);
  d.trainer = {};
  d.service.reset();
  BOOST_TEST(d.backwards().empty());
  BOOST_TEST(d.steps() == 0u);
}

BOOST_AUTO_TEST_CASE(a_gradient_that_does_not_fit_after_scaling_is_refused_whole) {
  divider d;
  d.trainer.forward_backward_custom(one_more(), sft_nll_sum{}).result();
  d.trainer.forward_backward_custom(one_more(), 2e38 * sft_nll_sum{}()).result();
  must_fail(errc::data, {"not stepped", "datum 0, token 1", "does not fit", "were dropped"},
            [&] { d.trainer.optim_step().result(); });
  BOOST_TEST(d.backwards().empty());
  BOOST_TEST(d.steps() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
