// SPDX-License-Identifier: Apache-2.0
// lower(): what is proved to be a server's loss, what is not, and that one request gives what two give.
#include "spy.hpp"

#include <gradwire/loss/dr_grpo.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/ppo.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/loss/tinker/cispo.hpp>
#include <gradwire/loss/tinker/cross_entropy.hpp>
#include <gradwire/loss/tinker/importance_sampling.hpp>
#include <gradwire/loss/tinker/ppo.hpp>

using namespace spying;
using namespace gradwire::fields;

namespace {

// Somebody's own, with the formulas as one would write them down.
struct written_ppo {
  double low = 0.8, high = 1.2;
  constexpr auto operator()() const {
    auto r = let<"r">(exp(logprobs - old_logprobs));
    return objective(sum_over_all_tokens(-min(r * token_advantage, clamp(r, low, high) * token_advantage)),
                     metric<"r_mean">(mean_over_all_tokens(r)));
  }
};
struct turned_ppo {  // the maximum of the negatives, factors the other way round, a factor outside
  constexpr auto operator()() const {
    auto r = exp(logprobs - old_logprobs);
    return 0.5 * sum_over_all_tokens(max(-(advantage * r), -(advantage * min(max(r, 0.7), 1.3))));
  }
};
struct written_cispo {
  constexpr auto operator()() const {
    auto r = exp(logprobs - old_logprobs);
    return -sum_over_all_tokens(logprobs * advantage * stop_gradient(min(r, 3.0)));
  }
};

constexpr field<"mine", per_token> mine{};

template <class Loss>
detail::lowered_form form_of(const Loss& loss) {
  return lower(loss).form;
}
template <class Loss>
void refused(const Loss& loss, const char* why) {
  must_fail(errc::config, {"not provably one of a server's own", why}, [&] { lower(loss); });
}

// Ratios in and out of the clip, advantages of both signs, weights of 0, a half, and 1 with a hole.
auto policy_data(training_client& from) {
  const auto plain = supervised();
  auto old = from.forward(plain).result().logprobs;
  std::vector<std::vector<float>> before, weighing, per_token;
  std::size_t n = 0;
  for (std::size_t s = 0; s < plain.size(); ++s) {
    before.emplace_back();
    weighing.emplace_back();
    per_token.emplace_back();
    for (const float l : old[s]) {
      before.back().push_back(l + 0.15f * static_cast<float>(static_cast<int>(n % 5) - 2));
      weighing.back().push_back(n % 4 == 0 ? 0.0f : n % 4 == 1 ? 0.5f : 1.0f);
      per_token.back().push_back(n % 3 == 0 ? -0.7f : 1.1f);
      ++n;
    }
  }
  return with(old_logprobs = before, weights = weighing, token_advantage = per_token,
              advantage = std::vector<double>{1, -0.6, 0.4}, plain);
}

const auto close = boost::test_tools::tolerance(2e-5);

// The same loss in one request and in two, from the same start.
template <class Data, class Loss>
void same_in_one_request(bench& b, const Data& data, const Loss& loss, const char* server_name) {
  BOOST_TEST_CONTEXT(server_name) {
    auto two = b.another(), one = b.another();
    for (auto* each : {&two, &one}) {  // LoRA's B leaves zero
      each->forward_backward(data, server_loss::cross_entropy{}).result();
      each->optim_step({.learning_rate = 1e-2}).result();
    }
    const std::size_t before = b.net->count("/forward_backward");
    const auto expected = two.forward_backward_custom(data, loss).result();
    const std::size_t between = b.net->count("/forward_backward");
    const auto found = one.forward_backward_custom(data, lower(loss)).result();
    BOOST_TEST(between - before == 2u);
    BOOST_TEST(b.net->count("/forward_backward") - between == 1u);
    const auto body = wire::from_protobuf<wire::forward_backward_request>([&] {
      const auto log = b.net->log();
      for (auto each = log.rbegin(); each != log.rend(); ++each)
        if (each->target.ends_with("/forward_backward")) return each->body;
      return std::string{};
    }());
    BOOST_TEST(body.loss_fn == server_name);
    BOOST_TEST(found.loss == expected.loss, close);
    BOOST_TEST(found.metric("surrogate_loss:sum") == expected.loss, close);  // what the server computed is the loss
    BOOST_TEST(largest_difference(found.logprobs, expected.logprobs) == 0);
    for (const auto& m : expected.metrics)
      if (m.name != "surrogate_loss:sum" && m.name.find(':') == std::string::npos)
        BOOST_TEST(found.metric(m.name) == m.value, close);
    const auto x = two.optim_step(linear_step).result(), y = one.optim_step(linear_step).result();
    BOOST_TEST(x.metric("grad_norm") > 1e-2);
    BOOST_TEST(x.metric("grad_norm") == y.metric("grad_norm"), close);
    const auto p = two.forward(data).result(), q = one.forward(data).result();
    BOOST_TEST(largest_difference(p.logprobs, q.logprobs) < 2e-5);
    BOOST_TEST(largest_difference(p.logprobs, expected.logprobs) > 1e-3);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(lowering)

BOOST_AUTO_TEST_CASE(formulas_are_recognised_by_what_they_are) {
  BOOST_TEST(form_of(sft_nll_sum{}).name == "cross_entropy");
  BOOST_TEST(form_of(tinker::cross_entropy{}).name == "cross_entropy");
  BOOST_TEST(form_of(3 * sum_over_all_tokens(-logprobs)).scale == 3.0);
  BOOST_TEST(form_of(tinker::importance_sampling{}).name == "importance_sampling");
  const auto from_tinker = form_of(tinker::ppo{});
  BOOST_TEST(from_tinker.name == "ppo");
  BOOST_TEST((from_tinker.low == 0.8 && from_tinker.high == 1.2 && from_tinker.advantage == "advantage"));
  BOOST_TEST(from_tinker.old_field == "old_logprobs");
  const auto written = form_of(written_ppo{.low = 0.6, .high = 1.5});
  BOOST_TEST(written.name == "ppo");
  BOOST_TEST((written.low == 0.6 && written.high == 1.5 && written.advantage == "token_advantage"));
  const auto turned = form_of(turned_ppo{});
  BOOST_TEST(turned.name == "ppo");
  BOOST_TEST((turned.low == 0.7 && turned.high == 1.3 && turned.scale == 0.5));
  const auto cispo = form_of(tinker::cispo{});
  BOOST_TEST(cispo.name == "cispo");
  BOOST_TEST((cispo.low == 0 && cispo.high == 4));
  BOOST_TEST((form_of(written_cispo{}).low == 0 && form_of(written_cispo{}).high == 3));
  const auto own = form_of(-sum_over_all_tokens(exp(logprobs - mine) * reward));
  BOOST_TEST(own.name == "importance_sampling");
  BOOST_TEST((own.old_field == "mine" && own.advantage == "reward"));
}

BOOST_AUTO_TEST_CASE(what_is_not_provable_is_refused) {
  const auto r = exp(logprobs - old_logprobs);
  refused(sft_nll{}, "no single sum over tokens");
  refused(gradwire::ppo{}, "no");  // a mean
  refused(grpo{}, "no");
  refused(dr_grpo{}, "no");
  refused(sft_nll_sum{}() + sft_nll_sum{}(), "sum of several terms");
  refused(sum_over_all_tokens(-log_sigmoid(logprobs)), "none of those");
  refused(sum_over_all_tokens(min(r * advantage, clamp(r, 0.8, 1.2) * advantage)), "turned round");
  refused(sum_over_all_tokens(-max(r * advantage, clamp(r, 0.8, 1.2) * advantage)), "none of those");
  refused(sum_over_all_tokens(-min(r * advantage, clamp(r, 0.8, 1.2) * token_advantage)), "none of those");
  refused(sum_over_all_tokens(-min(r * advantage, clamp(exp(logprobs - ref_logprobs), 0.8, 1.2) * advantage)),
          "none of those");
  refused(sum_over_all_tokens(-min(r * advantage, 2 * clamp(r, 0.8, 1.2) * advantage)), "none of those");
  refused(sum_over_all_tokens(-min(r * advantage, clamp(r, 1.2, 0.8) * advantage)), "in their order");
  refused(sum_over_all_tokens(-clamp(r, 0.8, 1.2) * advantage), "none of those");
  refused(sum_over_all_tokens(-clamp(r, 0.8, 1.2) * advantage * logprobs), "none of those");  // not detached
  refused(sum_over_all_tokens(-exp(mine - logprobs) * advantage), "none of those");
  refused(sum_over_all_tokens(-square(r) * advantage), "none of those");
  refused(0.0 * sum_over_all_tokens(-logprobs), "factor is 0");
}

BOOST_AUTO_TEST_CASE(one_request_gives_what_two_give) {
  bench b;
  const auto data = policy_data(b.trainer);
  same_in_one_request(b, data, sft_nll_sum{}, "cross_entropy");
  same_in_one_request(b, data, tinker::importance_sampling{}, "importance_sampling");
  same_in_one_request(b, data, tinker::ppo{}, "ppo");
  same_in_one_request(b, data, written_ppo{}, "ppo");
  same_in_one_request(b, data, turned_ppo{}, "ppo");
  same_in_one_request(b, data, tinker::cispo{}, "cispo");
  same_in_one_request(b, data, written_cispo{}, "cispo");
}

BOOST_AUTO_TEST_CASE(a_negative_weight_is_refused_where_it_would_turn_the_minimum) {
  bench b;
  const auto data =
      with(weights = std::vector<std::vector<float>>{{0, 0, 1, 1, -1, 1}, {0, 0, 0, 1}, {0, 1, 1, 1, 1, 1, 1}},
           policy_data(b.trainer));
  const std::size_t before = b.net->operations();
  must_fail(errc::data, {"datum 0, token 4", "negative weight"},
            [&] { b.trainer.forward_backward_custom(data, lower(tinker::ppo{})).result(); });
  BOOST_TEST(b.net->operations() == before);
}

BOOST_AUTO_TEST_SUITE_END()
