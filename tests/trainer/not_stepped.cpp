// SPDX-License-Identifier: Apache-2.0
// Steps that were cancelled, refused or never arrived: what they would have guarded is guarded by the next one, and no
// gradient is lost or stepped unseen.
#include <future>

#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/trainer/lower.hpp>

#include "divider.hpp"

using namespace spying;
using namespace gradwire::fields;

namespace {

const auto one = [] { return batch{sequence({1, 2}, {3})}; };

// A loss that says when it is being computed, and waits until it may end.
struct slow_loss {
  struct state {
    std::promise<void> begun, may_end;
    bool fails = false;
  };
  std::shared_ptr<state> shared = std::make_shared<state>();

  double operator()(const auto&, ragged_view<const float>, ragged_view<float> slope) const {
    shared->begun.set_value();
    shared->may_end.get_future().wait();
    if (shared->fails) throw 17;
    slope[0][0] = 1;
    return 1;
  }
  void wait_until_begun() const { shared->begun.get_future().wait(); }
  void end() const { shared->may_end.set_value(); }
};

constexpr optim_step_options divided{.grad_accumulation_normalization = grad_normalization::num_sequences};

void refuses_to_divide(training_client& trainer) {
  must_fail(errc::config, {"ends in a mean"}, [&] { trainer.optim_step(divided).result(); });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(not_stepped)

BOOST_AUTO_TEST_CASE(a_cancelled_step_leaves_what_is_held) {
  divider d;
  d.trainer.forward_backward_custom(one(), sft_nll_sum{}).result();
  const slow_loss loss;
  auto slow = d.trainer.forward_backward_custom(one(), loss);
  auto step = d.trainer.optim_step();
  loss.wait_until_begun();
  BOOST_TEST(step.cancel());
  must_fail(errc::closed, {"cancelled"}, [&] { step.result(); });
  loss.end();
  slow.result();
  d.trainer.optim_step().result();
  BOOST_TEST(d.backwards().size() == 2u);
  BOOST_TEST(d.steps() == 1u);
}

BOOST_AUTO_TEST_CASE(a_call_that_is_cancelled_while_its_loss_is_computed_goes_into_no_step) {
  divider d;
  const slow_loss loss;
  auto slow = d.trainer.forward_backward_custom(one(), loss);
  loss.wait_until_begun();
  BOOST_TEST(slow.cancel());
  must_fail(errc::closed, {"cancelled"}, [&] { slow.result(); });
  loss.end();
  must_fail(errc::closed, {"not stepped", "cancelled while the loss was computed"},
            [&] { d.trainer.optim_step().result(); });
  d.trainer.forward_backward_custom(supervised(), sft_nll_sum{}).result();
  d.trainer.optim_step().result();
  BOOST_TEST(d.backwards().size() == 1u);
  BOOST_TEST(d.steps() == 1u);
}

// The gradient of a lowered loss is on the trainer when the loss itself is computed.
BOOST_AUTO_TEST_CASE(no_step_follows_a_lowered_call_that_was_cancelled_after_its_request) {
  bench b;
  const auto saved = b.trainer.save_state("before").result();
  auto other = b.another();
  const slow_loss loss;
  auto busy = other.forward_backward_custom(one(), loss);  // the thread for losses
  loss.wait_until_begun();
  auto lowered = b.trainer.forward_backward_custom(supervised(), lower(sft_nll_sum{}));
  b.trainer.save_state("behind").result();  // the trainer has answered, in its order, what was sent before
  BOOST_TEST(lowered.cancel());
  BOOST_CHECK_THROW(lowered.result(), error);
  loss.end();
  busy.result();
  must_fail(errc::closed, {"not stepped", "cannot be taken back"}, [&] { b.trainer.optim_step().result(); });
  b.trainer.load_state(saved.path).result();
  b.trainer.forward_backward_custom(supervised(), sft_nll_sum{}).result();
  b.trainer.optim_step().result();
  BOOST_TEST(b.server.executed().optim_step == 1);
}

BOOST_AUTO_TEST_CASE(a_mean_is_not_divided_once_more_by_asking_twice) {
  bench b;
  b.trainer.forward_backward_custom(supervised(), sft_nll{}).result();
  refuses_to_divide(b.trainer);
  refuses_to_divide(b.trainer);
  b.net->on_request([](const exchange& e, http_response&) {
    return e.target.ends_with("/optim_step") ? fault::refuse : fault::none;
  });
  must_fail(errc::transport, {}, [&] { b.trainer.optim_step().result(); });
  b.net->on_request(nullptr);
  refuses_to_divide(b.trainer);
  BOOST_TEST(b.server.executed().optim_step == 0);
  b.trainer.optim_step().result();
  b.trainer.forward_backward_custom(supervised(), sft_nll_sum{}).result();
  b.trainer.optim_step(divided).result();
  BOOST_TEST(b.server.executed().optim_step == 2);
}

// Each of the two would have told of the failed call; nobody hears the first.
BOOST_AUTO_TEST_CASE(a_failure_is_told_by_the_step_after_one_that_was_cancelled_or_refused) {
  for (const bool is_cancelled : {true, false}) {
    bench b;
    b.trainer.forward_backward_custom(supervised(), sft_nll{}).result();
    const slow_loss loss;
    loss.shared->fails = true;
    auto bad = b.trainer.forward_backward_custom(supervised(), loss);
    auto first = b.trainer.optim_step(is_cancelled ? optim_step_options{} : divided);
    auto second = b.trainer.optim_step();
    loss.wait_until_begun();
    if (is_cancelled) first.cancel();
    loss.end();
    BOOST_CHECK_THROW(bad.result(), int);
    must_fail(is_cancelled ? errc::closed : errc::config, {}, [&] { first.result(); });
    must_fail(errc::closed, {"not stepped", "a call since the last step failed"}, [&] { second.result(); });
    BOOST_TEST(b.server.executed().optim_step == 0);
    b.trainer.optim_step().result();
    BOOST_TEST(b.server.executed().optim_step == 1);
  }
}

// It fails before anything is sent, and is missing in the step all the same.
BOOST_AUTO_TEST_CASE(a_batch_that_lacks_a_column_stops_the_step_behind_it) {
  bench b;
  b.trainer.forward_backward(supervised(), server_loss::cross_entropy{}).result();
  auto lacking = b.trainer.forward_backward(supervised(), server_loss::importance_sampling{});
  auto step = b.trainer.optim_step();
  must_fail(errc::data, {"old_logprobs"}, [&] { lacking.result(); });
  must_fail(errc::closed, {"not stepped", "old_logprobs"}, [&] { step.result(); });
  BOOST_TEST(b.server.executed().optim_step == 0);
}

// A server that counts strictly refuses a step whose pass it has not executed. That refusal stands.
BOOST_AUTO_TEST_CASE(a_pipelined_step_is_not_sent_again_without_its_pass) {
  bench b({.sequence = loopback::sequence_policy::strict});
  b.trainer.forward_backward(supervised(), server_loss::cross_entropy{}).result();
  bool is_asked = false;
  b.net->on_request([&](const exchange& e, http_response& reply) {  // a pass that the trainer takes, and cannot execute
    is_asked = is_asked || e.target.ends_with("/optim_step");
    if (e.target.ends_with("/forward_backward")) {
      reply = divider::json(R"({"request_id":"refused-later"})");
      return fault::answer;
    }
    if (e.body.find("refused-later") == std::string::npos) return fault::none;
    reply = is_asked ? divider::json(R"({"error":"out of memory for this batch","category":"user"})", 400)
                     : divider::json("{}", 408);  // not yet
    return fault::answer;
  });
  auto bad = b.trainer.forward_backward(supervised(), server_loss::cross_entropy{});
  auto step = b.trainer.optim_step({.pipelined = true});
  must_fail(errc::status, {"out of memory"}, [&] { bad.result(); });
  must_fail(errc::closed, {"not stepped"}, [&] { step.result(); });
  b.net->on_request(nullptr);
  BOOST_TEST(b.server.executed().optim_step == 0);
}

BOOST_AUTO_TEST_CASE(what_was_called_behind_a_load_that_failed_is_not_stepped) {
  bench b;
  const auto saved = b.trainer.save_state("here").result();
  auto load = b.trainer.load_state(saved.path + "-typo");
  auto pass = b.trainer.forward_backward_custom(supervised(), sft_nll{});
  auto step = b.trainer.optim_step();
  auto pass_after = b.trainer.forward_backward_custom(supervised(), sft_nll{});
  auto step_after = b.trainer.optim_step();
  must_fail(errc::status, {"load_state"}, [&] { load.result(); });
  must_fail(errc::closed, {"not stepped", "load_state"}, [&] { step.result(); });
  must_fail(errc::closed, {"not stepped", "load_state"}, [&] { step_after.result(); });
  pass.result();
  pass_after.result();
  BOOST_TEST(b.server.executed().optim_step == 0);

  // Who knows that it failed goes on as he likes; a load behind it that is done begins anew.
  must_fail(errc::status, {}, [&] { b.trainer.load_state(saved.path + "-typo").result(); });
  b.trainer.forward_backward_custom(supervised(), sft_nll{}).result();
  b.trainer.optim_step().result();
  auto wrong = b.trainer.load_state(saved.path + "-typo");
  auto right = b.trainer.load_state(saved.path);
  auto again = b.trainer.forward_backward_custom(supervised(), sft_nll{});
  b.trainer.optim_step().result();
  must_fail(errc::status, {}, [&] { wrong.result(); });
  right.result();
  again.result();
  BOOST_TEST(b.server.executed().optim_step == 2);
}

BOOST_AUTO_TEST_SUITE_END()
