// SPDX-License-Identifier: Apache-2.0
// The probe against the embedded trainer, whose ways are known: in each of its manners with a seq_id.
#include "spy.hpp"

#include <gradwire/trainer/probe.hpp>

using namespace spying;

namespace {

server_traits traits_of(loopback::sequence_policy policy) {
  loopback::start_options how;
  how.sequence = policy;
  auto server = loopback::start(how);
  auto service = service_client::connect(server.endpoint());
  const auto traits = probe(service);
  BOOST_TEST_MESSAGE(to_table(traits));
  BOOST_TEST(service.rest().training_runs().result().items.empty());  // nothing is left behind
  return traits;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(probing)

BOOST_AUTO_TEST_CASE(the_embedded_trainer) {
  const auto t = traits_of(loopback::sequence_policy::dedupe);
  BOOST_TEST(t.dialect == "gradwire");
  BOOST_TEST(t.recognised);
  BOOST_TEST((t.protobuf == answer::yes && t.json == answer::yes));
  BOOST_TEST((t.forward_flag == answer::yes && t.forward_endpoint == answer::yes));
  BOOST_TEST(t.gradient_seen_by == "grad_norm");
  BOOST_TEST((t.cross_entropy == reduction::sum));
  BOOST_TEST(std::abs(t.of_double_weights.value() - 2) < 1e-4);
  BOOST_TEST(std::abs(t.of_negative_weights.value() - 1) < 1e-4);
  BOOST_TEST(std::abs(t.of_the_sequence_twice.value() - 2) < 1e-4);
  BOOST_TEST(std::abs(t.of_a_padded_sequence.value() - 1) < 1e-4);
  BOOST_TEST((t.custom_loss() == wire::lowering::cross_entropy));
  BOOST_TEST(std::abs(t.ppo.low.value() - 0.8) < 1e-4);
  BOOST_TEST(std::abs(t.ppo.high.value() - 1.2) < 1e-4);
  BOOST_TEST(std::abs(t.cispo.low.value()) < 1e-3);
  BOOST_TEST(std::abs(t.cispo.high.value() - 4) < 1e-3);
  BOOST_TEST((t.ppo.settable == answer::yes && t.cispo.settable == answer::yes));
  BOOST_TEST((t.accumulates == answer::yes));
  BOOST_TEST((t.clips_gradients == answer::yes));
  BOOST_TEST((t.repeated == repetition::recognised));
  BOOST_TEST((t.skipped == gap::accepted));
  BOOST_TEST((t.order() == wire::sequencing::dedupes));
  BOOST_TEST(t.notes.empty());
  const auto table = to_table(t);
  BOOST_TEST(table.find("the plain sum of -weight * logprob") != std::string::npos);
  const std::string written = to_json(t);  // the document refers to it
  const wire::json_document json(written);
  BOOST_TEST(json.find(json.root(), "cross_entropy")->text == "sum");
}

BOOST_AUTO_TEST_CASE(numbers_that_are_counted_and_numbers_that_are_not) {
  const auto strict = traits_of(loopback::sequence_policy::strict);
  BOOST_TEST((strict.repeated == repetition::refused));
  BOOST_TEST((strict.skipped == gap::refused));
  BOOST_TEST((strict.cross_entropy == reduction::sum));
  const auto none = traits_of(loopback::sequence_policy::none);
  BOOST_TEST((none.repeated == repetition::executed_again));
  BOOST_TEST((none.order() == wire::sequencing::unknown));
}

// A trainer that reports no norm: its gradient is seen by what a step does.
class without_norms : public network {
 public:
  time_point now() const override { return real_.now(); }
  void post(std::function<void()> task) override { real_.post(std::move(task)); }
  std::uint64_t start_timer(time_point when, std::function<void()> task) override {
    return real_.start_timer(when, std::move(task));
  }
  void cancel_timer(std::uint64_t timer) override { real_.cancel_timer(timer); }
  void compute(std::function<void()> task) override { real_.compute(std::move(task)); }
  void send(http_call call, std::function<void(http_outcome)> done) override {
    real_.send(std::move(call), [done = std::move(done)](http_outcome outcome) {
      if (auto* reply = std::get_if<http_response>(&outcome))
        for (std::size_t at = 0; (at = reply->body.find("grad_norm", at)) != std::string::npos;)
          reply->body.replace(at, 9, "something");
      done(std::move(outcome));
    });
  }

 private:
  runtime real_;
};

BOOST_AUTO_TEST_CASE(without_a_norm) {
  auto server = loopback::start();
  auto service = service_client::connect_through(std::make_shared<without_norms>(), server.endpoint(), quick());
  const auto t = probe(service);
  BOOST_TEST_MESSAGE(to_table(t));
  BOOST_TEST(t.gradient_seen_by == "the effect of a step on logprobs");
  BOOST_TEST((t.cross_entropy == reduction::sum));
  BOOST_TEST((t.accumulates == answer::yes));
  BOOST_TEST((t.clips_gradients == answer::yes));
  BOOST_TEST(std::abs(t.of_double_weights.value() - 2) < 0.05);
}

BOOST_AUTO_TEST_SUITE_END()
