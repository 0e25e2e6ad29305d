// SPDX-License-Identifier: Apache-2.0
// A server that counts strictly has executed a forward whose answer was lost, and does not execute its number again. It
// changed nothing, so it is asked again under the next number.
#include "spy.hpp"

#include <gradwire/loss/sft_nll.hpp>

using namespace spying;

namespace {

struct strict : bench {
  strict() : bench({.sequence = loopback::sequence_policy::strict}) {}
  ~strict() { net->on_request(nullptr); }
  void lose_the_next_pass() {
    net->on_request([lost = false](const exchange& e, http_response&) mutable {
      return e.target.ends_with("/forward_backward") && !std::exchange(lost, true) ? fault::lose_reply : fault::none;
    });
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(strict_reads)

BOOST_AUTO_TEST_CASE(a_forward) {
  strict b;
  const auto before = b.trainer.forward(supervised()).result();
  b.lose_the_next_pass();
  const auto again = b.trainer.forward(supervised()).result();
  BOOST_TEST(largest_difference(again.logprobs, before.logprobs) == 0.0);
  BOOST_TEST(b.net->count("/forward_backward") == 4u);  // lost, refused, and under the next number
  b.trainer.forward(supervised()).result();
  BOOST_TEST(b.net->count("/forward_backward") == 5u);
}

BOOST_AUTO_TEST_CASE(the_forward_of_a_custom_loss) {
  strict b;
  b.lose_the_next_pass();
  BOOST_TEST(std::isfinite(b.trainer.forward_backward_custom(supervised(), sft_nll{}).result().loss));
  BOOST_TEST(b.trainer.optim_step().result().metric("step") == 1);
  BOOST_TEST(b.server.executed().forward_backward == 1);
}

BOOST_AUTO_TEST_CASE(what_changes_the_model_is_not_repeated) {
  strict b;
  b.lose_the_next_pass();
  must_fail(errc::outcome_unknown, {"was executed", "its result is lost"},
            [&] { b.trainer.forward_backward(supervised(), server_loss::cross_entropy{}).result(); });
  BOOST_TEST(b.server.executed().forward_backward == 1);
}

// What follows it has sent numbers already, and may have changed the weights.
BOOST_AUTO_TEST_CASE(a_forward_with_others_behind_it_ends_and_they_go_on) {
  strict b;
  b.lose_the_next_pass();
  auto lost = b.trainer.forward(supervised());
  auto pass = b.trainer.forward_backward(supervised(), server_loss::cross_entropy{});
  must_fail(errc::status, {"its answer is lost", "changed nothing"}, [&] { lost.result(); });
  BOOST_CHECK_NO_THROW(pass.result());
  BOOST_TEST(b.trainer.optim_step().result().metric("step") == 1);
  BOOST_TEST(b.server.executed().forward_backward == 1);
}

BOOST_AUTO_TEST_SUITE_END()
