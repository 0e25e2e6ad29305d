// SPDX-License-Identifier: Apache-2.0
// Runs of many steps on a bad day (R2): whatever happens on the way, every step that was asked for is executed once,
// and the weights are those of a run without a fault, bit for bit.
#include <array>
#include <bit>
#include <iostream>

#include "scene.hpp"

using namespace faults;

namespace {

struct run_result {
  std::string weights;  // a digest of the logprobs of a probe and of the losses on the way
  loopback::operation_counts executed;
  int fired = 0;
};

run_result twenty_steps(loopback::server& server, std::vector<faults::rule> rules, std::uint64_t seed) {
  auto how = impatient();
  how.operation_timeout_seconds = 30;
  how.retry.unreachable_seconds = 20;
  how.retry.budget_retries = 1000;
  run_result made;
  fault_proxy proxy(port_of(server), std::move(rules), seed);
  const auto before = server.executed();
  auto service = service_client::connect(endpoint{proxy.url(), std::string(canary)}, how);
  auto trainer = service.create_training_client({.base_model = server.model(), .lora_rank = 2, .seed = 11}).result();
  const auto data = small_batch();
  std::string bits;
  const auto add = [&bits](auto value) {
    const auto raw = std::bit_cast<std::array<char, sizeof value>>(value);
    bits.append(raw.data(), raw.size());
  };
  for (int i = 0; i < 20; ++i) {
    auto pass = i % 2 ? trainer.forward_backward_custom(data, sft_nll{})
                      : trainer.forward_backward(data, server_loss::cross_entropy{});
    auto step = trainer.optim_step({.learning_rate = 1e-2, .pipelined = i % 4 == 0});
    add(pass.result().loss);
    add(step.result().metric("grad_norm"));
    BOOST_REQUIRE(step.result().metric("step") == i + 1);
  }
  const auto probe = trainer.forward(data).result();
  for (std::size_t d = 0; d < data.size(); ++d)
    for (const float x : probe[d]) add(x);
  made.weights = sha256(bits);
  const auto after = server.executed();
  made.executed = {.forward = after.forward - before.forward,
                   .forward_backward = after.forward_backward - before.forward_backward,
                   .optim_step = after.optim_step - before.optim_step};
  for (const auto& each : proxy.log()) made.fired += !each.rule.empty();
  return made;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(seeds)

BOOST_AUTO_TEST_CASE(executed_is_asked_and_the_weights_are_the_same) {
  const int seeds = is_long_run() ? 1000 : 50;
  auto& server = shared_server();
  const auto expected = twenty_steps(server, {}, 0);
  BOOST_TEST(expected.executed.optim_step == 20);
  BOOST_TEST(expected.executed.forward_backward == 20);
  long long fired = 0, steps = 0, asked = 0;
  for (int seed = 1; seed <= seeds; ++seed) {
    const auto got = twenty_steps(server, mixed(0.2), static_cast<std::uint64_t>(seed));
    BOOST_REQUIRE_MESSAGE(got.executed.optim_step == 20,
                          "seed " << seed << ": " << got.executed.optim_step << " steps");
    BOOST_REQUIRE_MESSAGE(got.executed.forward_backward == 20,
                          "seed " << seed << ": " << got.executed.forward_backward << " passes");
    BOOST_REQUIRE_MESSAGE(got.weights == expected.weights, "seed " << seed << ": other weights");
    fired += got.fired;
    steps += got.executed.optim_step;
    asked += 20;
  }
  BOOST_TEST(fired > 20 * seeds / 4);
  std::cout << seeds << " seeds of 20 steps: " << asked << " optim_steps asked, " << steps << " executed, " << fired
            << " faults on the way\n";
}

BOOST_AUTO_TEST_CASE(a_seed_hits_the_same_requests_in_every_run) {
  const auto hits = [] {
    fault_proxy proxy(port_of(shared_server()), mixed(0.2), 5);
    auto how = impatient();
    how.operation_timeout_seconds = 30;
    auto service = service_client::connect(endpoint{proxy.url(), std::string(canary)}, how);
    auto trainer =
        service.create_training_client({.base_model = shared_server().model(), .lora_rank = 2, .seed = 1}).result();
    for (int i = 0; i < 10; ++i) trainer.optim_step().result();
    std::vector<std::string> all;
    for (const auto& each : proxy.log())
      if (each.path.ends_with("/optim_step"))
        all.push_back(std::to_string(each.seq_id) + "." + std::to_string(each.attempt) + " " + each.rule);
    return all;
  };
  const auto first = hits();
  BOOST_TEST(first == hits(), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
