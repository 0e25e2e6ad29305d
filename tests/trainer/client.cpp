// SPDX-License-Identifier: Apache-2.0
// The clients against the embedded trainer: order, steps that are held, faults on the way, closing.
#include <chrono>
#include <cmath>
#include <thread>

#include "spy.hpp"

#include <gradwire/loss/sft_nll.hpp>

using namespace spying;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(client)

BOOST_AUTO_TEST_CASE(connecting_sends_nothing_and_the_first_call_makes_the_session) {
  auto server = loopback::start();
  auto net = std::make_shared<spy>();
  auto service = service_client::connect_through(net, server.endpoint(), quick());
  BOOST_TEST(net->log().empty());
  const auto models = service.capabilities().result();
  BOOST_REQUIRE(models.size() == 1u);
  BOOST_TEST(models[0].name == "gradwire/tiny");
  BOOST_TEST(models[0].max_context_length > 0);
  BOOST_TEST((models[0].trainable == true && models[0].sampleable == true));
  BOOST_TEST(net->count("/create_session") == 1u);
}

BOOST_AUTO_TEST_CASE(supervised_training_lowers_the_loss) {
  bench b;
  const auto data = supervised();
  double first = 0, last = 0;
  for (int i = 0; i < 8; ++i) {
    auto step = b.trainer.forward_backward(data, server_loss::cross_entropy{});
    auto optim = b.trainer.optim_step({.learning_rate = 1e-2});
    (i == 0 ? first : last) = step.result().loss;
    BOOST_TEST(optim.result().metric("step") == i + 1);
    BOOST_TEST(step.result().elapsed_seconds > 0);
  }
  BOOST_TEST(last < 0.8 * first);
}

BOOST_AUTO_TEST_CASE(operations_run_in_the_order_of_the_calls_and_are_numbered_without_gaps) {
  bench b;
  const auto data = supervised();
  std::vector<future<forward_result>> runs;
  std::vector<future<optimizer_step>> steps;
  std::vector<future<training_step>> passes;
  for (int i = 0; i < 5; ++i) {
    runs.push_back(b.trainer.forward(data));
    passes.push_back(b.trainer.forward_backward(data, server_loss::cross_entropy{}));
    steps.push_back(b.trainer.optim_step({.learning_rate = 1e-2}));
  }
  for (std::size_t i = 5; i-- > 0;) {  // in the opposite order
    BOOST_TEST(steps[i].result().metric("step") == static_cast<double>(i + 1));
    BOOST_TEST(largest_difference(runs[i].result().logprobs, passes[i].result().logprobs) ==
               0.0);  // the weights between two steps
    if (i > 0) BOOST_TEST(largest_difference(runs[i].result().logprobs, runs[i - 1].result().logprobs) > 0.0);
  }
  std::vector<std::int64_t> numbers;
  for (const auto& e : b.net->log()) {
    if (e.target.ends_with("/forward_backward"))
      numbers.push_back(*wire::from_protobuf<wire::forward_backward_request>(e.body).seq_id);
    if (e.target.ends_with("/optim_step")) numbers.push_back(*wire::from_json<wire::optim_step_request>(e.body).seq_id);
  }
  BOOST_REQUIRE(numbers.size() == 15u);
  for (std::size_t i = 0; i < 15; ++i) BOOST_TEST(numbers[i] == static_cast<std::int64_t>(i + 1));
}

BOOST_AUTO_TEST_CASE(a_step_waits_for_the_results_unless_it_is_pipelined) {
  for (bool pipelined : {false, true}) {
    bench b;
    const auto data = supervised();
    auto step = b.trainer.forward_backward(data, server_loss::cross_entropy{});
    auto optim = b.trainer.optim_step({.pipelined = pipelined});
    BOOST_TEST(optim.result().metric("step") == 1);
    std::size_t at = 0, poll = 0, sent = 0;
    for (const auto& e : b.net->log()) {
      ++at;
      if (e.target.ends_with("/retrieve_future") && sent == 0) poll = at;
      if (e.target.ends_with("/optim_step")) sent = at;
    }
    BOOST_TEST(sent > 0u);
    if (!pipelined) BOOST_TEST(poll < sent);
  }
}

BOOST_AUTO_TEST_CASE(many_steps_in_flight) {
  bench b;
  const auto data = supervised();
  b.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
  std::vector<future<optimizer_step>> steps;
  for (int i = 0; i < 1000; ++i) steps.push_back(b.trainer.optim_step({.learning_rate = 1e-6}));
  for (int i = 999; i >= 0; --i) BOOST_TEST(steps[static_cast<unsigned>(i)].result(60s).metric("step") == i + 1);
}

BOOST_AUTO_TEST_CASE(threads_share_a_client) {
  bench b;
  const auto data = supervised();
  std::vector<std::thread> threads;
  std::atomic<int> done{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 20; ++k) {
        b.trainer.forward(data).result();
        ++done;
      }
    });
  }
  for (auto& t : threads) t.join();
  BOOST_TEST(done == 80);
  BOOST_TEST(b.net->count("/forward_backward") == 80u);
}

// ---- what is lost on the way ----

BOOST_AUTO_TEST_CASE(a_lost_answer_is_asked_for_again_and_executed_once) {
  bench b;
  const auto data = supervised();
  b.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
  int steps = 0;
  b.net->on_request([&](const exchange& e, http_response&) {
    return e.target.ends_with("/optim_step") && ++steps == 1 ? fault::lose_reply : fault::none;
  });
  BOOST_TEST(b.trainer.optim_step().result().metric("step") == 1);
  BOOST_TEST(steps == 2);  // sent twice, same bytes, recognised by its number
  const auto log = b.net->log();
  std::vector<std::string> bodies;
  for (const auto& e : log) {
    if (e.target.ends_with("/optim_step")) bodies.push_back(e.body);
  }
  BOOST_TEST(bodies.at(0) == bodies.at(1));
  BOOST_TEST(b.trainer.optim_step().result().metric("step") == 2);
}

BOOST_AUTO_TEST_CASE(a_lost_answer_to_a_save_is_asked_for_again) {
  bench b;
  int saves = 0;
  b.net->on_request([&](const exchange& e, http_response&) {
    return e.target.ends_with("/save_weights") && ++saves == 1 ? fault::lose_reply : fault::none;
  });
  BOOST_TEST(b.trainer.save_state("a").result().path.ends_with("/a"));
  BOOST_TEST(b.net->count("/save_weights") == 2u);
}

BOOST_AUTO_TEST_CASE(refused_connections_are_tried_again) {
  bench b;
  int tries = 0;
  b.net->on_request([&](const exchange& e, http_response&) {
    return e.target.ends_with("/optim_step") && ++tries < 4 ? fault::refuse : fault::none;
  });
  BOOST_TEST(b.trainer.optim_step().result().metric("step") == 1);
  BOOST_TEST(tries == 4);
}

BOOST_AUTO_TEST_CASE(a_failed_call_holds_the_step_and_the_numbers_go_on) {
  bench b;
  const auto data = supervised();
  b.net->on_request([&](const exchange& e, http_response& reply) {
    if (!e.target.ends_with("/forward_backward")) return fault::none;
    reply = {422, {{"Content-Type", "application/json"}}, R"({"detail":"no"})"};
    return fault::answer;
  });
  auto good_before = b.trainer.forward_backward(data, server_loss::cross_entropy{});
  auto optim = b.trainer.optim_step();
  auto saved = b.trainer.save_state("still-works");
  must_fail(errc::status, {"forward_backward", "seq_id 1", "422", "no"}, [&] { good_before.result(); });
  const auto held = must_fail(errc::closed, {"not stepped", "422"}, [&] { optim.result(); });
  BOOST_TEST(b.net->count("/optim_step") == 0u);
  BOOST_TEST(!saved.result().path.empty());
  b.net->on_request(nullptr);
  b.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
  BOOST_TEST(b.trainer.optim_step().result().metric("step") == 1);
}

BOOST_AUTO_TEST_CASE(a_server_that_takes_json_only_is_found_out_with_the_first_batch) {
  bench b;
  const auto data = supervised();
  int refused = 0;
  b.net->on_request([&](const exchange& e, http_response& reply) {
    if (e.content_type != "application/x-protobuf") return fault::none;
    ++refused;
    reply = {415, {{"Content-Type", "application/json"}}, R"({"detail":"Unsupported media type"})"};
    return fault::answer;
  });
  const auto run = b.trainer.forward(data).result();
  b.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
  BOOST_TEST(b.trainer.optim_step().result().metric("step") == 1);
  BOOST_TEST(refused == 1);
  BOOST_TEST(b.net->count("/api/v1/forward") == 1u);
  bench c;
  BOOST_TEST(largest_difference(run.logprobs, c.trainer.forward(data).result().logprobs) == 0.0);
}

BOOST_AUTO_TEST_CASE(a_strict_server_is_followed_after_a_failure) {
  bench b({.sequence = loopback::sequence_policy::strict});
  const auto data = supervised();
  b.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
  auto good = b.trainer.save_state("a");
  good.result();
  // executed and refused: the server's counter does not advance, ours is brought back by its answer
  must_fail(errc::status, {"409"}, [&] { b.trainer.save_state("a").result(); });
  BOOST_TEST(b.trainer.optim_step().result().metric("step") == 1);
  BOOST_TEST(b.trainer.forward(data).result().tokens == 17u);
}

BOOST_AUTO_TEST_CASE(a_whole_loop_on_a_strict_server_and_on_one_that_does_not_count) {
  for (auto policy : {loopback::sequence_policy::strict, loopback::sequence_policy::none}) {
    bench b({.sequence = policy});
    const auto plain = supervised();
    auto reference = b.service.create_reference_client(b.trainer).result();
    const auto data = with(fields::ref_logprobs = reference.forward(plain).result(), plain);
    std::vector<future<training_step>> passes;
    std::vector<future<optimizer_step>> steps;
    for (int i = 0; i < 4; ++i) {
      passes.push_back(b.trainer.forward_backward_custom(
          data, sft_nll{}() + 0.1 * mean_over_all_tokens(k3(fields::logprobs, fields::ref_logprobs))));
      passes.push_back(b.trainer.forward_backward(data, server_loss::cross_entropy{}));
      steps.push_back(b.trainer.optim_step({.learning_rate = 1e-3, .pipelined = i % 2 == 1}));
    }
    for (std::size_t i = 0; i < 4; ++i) BOOST_TEST(steps[i].result().metric("step") == static_cast<double>(i + 1));
    for (auto& p : passes) BOOST_TEST(std::isfinite(p.result().loss));
    // a call that fails in the middle: those behind it are carried out
    auto before = b.trainer.forward(data);
    auto failing = b.trainer.load_state("tinker://none/weights/none");
    must_fail(errc::status, {}, [&] { failing.result(); });
    BOOST_TEST(b.trainer.forward(data).result().tokens == 17u);
    BOOST_TEST(before.result().tokens == 17u);
  }
}

BOOST_AUTO_TEST_CASE(servers_that_say_try_again_or_hold_briefly) {
  for (bool try_again : {false, true}) {
    bench b({.hold_seconds = 0.001, .try_again = try_again});
    const auto data = supervised();
    BOOST_TEST(std::isfinite(b.trainer.forward_backward_custom(data, sft_nll{}).result().loss));
    BOOST_TEST(b.trainer.optim_step().result().metric("step") == 1);
  }
}

BOOST_AUTO_TEST_CASE(a_server_may_want_the_key_exchanged_for_a_passing_one) {
  auto server = loopback::start();
  const std::string own = "tml-own-key", passing = server.endpoint().token;  // the token is what this server accepts
  auto net = std::make_shared<spy>();
  std::atomic<int> exchanges{0};
  net->on_request([&](const exchange& e, http_response& reply) {
    const std::vector<http_header> as_json{{"Content-Type", "application/json"}};
    if (e.target.ends_with("/client/config")) {
      reply = {200, as_json, R"({"pjwt_auth_enabled":true,"server":"gradwire"})"};
      return fault::answer;
    }
    if (!e.target.ends_with("/auth/token")) return fault::none;
    ++exchanges;
    reply = {200, as_json, R"({"jwt":")" + passing + R"("})"};
    return fault::answer;
  });
  auto service = service_client::connect_through(net, endpoint{server.endpoint().url, own}, quick());
  auto trainer = service.create_training_client({.base_model = server.model(), .lora_rank = 4}).result();
  BOOST_TEST(trainer.forward(supervised()).result().tokens == 17u);
  BOOST_TEST(exchanges == 1);
  for (const auto& e : net->log())
    BOOST_TEST(e.key == (e.target.ends_with("/client/config") || e.target.ends_with("/auth/token") ? own : passing));
}

// ---- closing ----

BOOST_AUTO_TEST_CASE(a_client_that_goes_away_ends_what_runs_as_closed_and_quickly) {
  std::vector<future<forward_result>> runs;
  std::vector<future<training_step>> passes;
  auto server = loopback::start();
  const auto data = supervised();
  std::chrono::steady_clock::time_point begun;
  {
    auto service = service_client::connect(server.endpoint());
    auto trainer = service.create_training_client({.base_model = server.model(), .lora_rank = 4}).result();
    for (int i = 0; i < 100; ++i) runs.push_back(trainer.forward(data));
    for (int i = 0; i < 10; ++i) passes.push_back(trainer.forward_backward_custom(data, sft_nll{}));
    begun = std::chrono::steady_clock::now();
  }
  BOOST_TEST((std::chrono::steady_clock::now() - begun < 250ms));
  int closed = 0;
  for (auto& f : runs) {
    try {
      f.result(1s);
    } catch (const error& e) {
      BOOST_TEST((e.kind() == errc::closed));
      ++closed;
    }
  }
  for (auto& f : passes) {
    try {
      f.result(1s);
    } catch (const error& e) {
      BOOST_TEST((e.kind() == errc::closed));
      ++closed;
    }
  }
  BOOST_TEST(closed > 0);
}

BOOST_AUTO_TEST_CASE(a_dropped_failure_is_told_once) {
  std::atomic<int> lost{0};
  const auto before = on_lost_error([&](std::exception_ptr) { ++lost; });
  {
    bench b;
    { auto dropped = b.trainer.save_state("../x"); }
    BOOST_TEST(lost == 1);
    { auto fine = b.trainer.forward(supervised()); }
    b.trainer.forward(supervised()).result();
  }
  on_lost_error(before);
  BOOST_TEST(lost == 1);
}

BOOST_AUTO_TEST_CASE(waiting_inside_a_loss_is_an_error_and_not_a_deadlock) {
  bench b;
  const auto data = supervised();
  auto step = b.trainer.forward_backward_custom(data, [&](const auto&, ragged_view<const float>, ragged_view<float>) {
    return static_cast<double>(b.trainer.forward(data).result().tokens);
  });
  must_fail(errc::config, {"inside a loss function"}, [&] { step.result(10s); });
}

BOOST_AUTO_TEST_CASE(heartbeats_go_on_while_a_loss_is_slow) {
  auto options = quick();
  options.heartbeat_seconds = 0.05;
  bench b({}, options);
  b.trainer
      .forward_backward_custom(supervised(),
                               [](const auto&, ragged_view<const float>, ragged_view<float>) {
                                 std::this_thread::sleep_for(400ms);
                                 return 0.0;
                               })
      .result();
  BOOST_TEST(b.net->count("/session_heartbeat") >= 4u);
}

// ---- states, references, samples ----

BOOST_AUTO_TEST_CASE(a_saved_state_brings_weights_and_optimizer_back) {
  bench b;
  const auto data = supervised();
  const auto train = [&](training_client& t) {
    t.forward_backward(data, server_loss::cross_entropy{}).result();
    return t.optim_step({.learning_rate = 1e-2}).result().metric("step");
  };
  train(b.trainer);
  const auto saved = b.trainer.save_state("one").result();
  const auto at_save = b.trainer.forward(data).result();
  train(b.trainer);
  const auto went_on = b.trainer.forward(data).result();
  BOOST_TEST(largest_difference(at_save.logprobs, went_on.logprobs) > 1e-3);

  b.trainer.load_state(saved.path).result();
  BOOST_TEST(largest_difference(b.trainer.forward(data).result().logprobs, at_save.logprobs) == 0.0);
  BOOST_TEST(train(b.trainer) == 2);
  BOOST_TEST(largest_difference(b.trainer.forward(data).result().logprobs, went_on.logprobs) < 1e-6);

  auto resumed = b.service.create_training_client_from_state(saved.path).result();
  BOOST_TEST(largest_difference(resumed.forward(data).result().logprobs, at_save.logprobs) == 0.0);
  BOOST_TEST(train(resumed) == 2);
  BOOST_TEST(largest_difference(resumed.forward(data).result().logprobs, went_on.logprobs) < 1e-6);

  auto fresh_optimizer =
      b.service
          .create_training_client_from_state(
              {.path = saved.path, .with_optimizer = false, .user_metadata = {{"from", "a state"}}})
          .result();
  const auto noted = b.service.rest().training_run(fresh_optimizer.model_id()).result().user_metadata;
  BOOST_TEST((noted == metadata{{"from", "a state"}}));
  BOOST_TEST(largest_difference(fresh_optimizer.forward(data).result().logprobs, at_save.logprobs) == 0.0);
  BOOST_TEST(train(fresh_optimizer) == 1);
}

BOOST_AUTO_TEST_CASE(a_reference_is_what_the_trainer_was_and_the_base_is_untrained) {
  bench b;
  const auto data = supervised();
  auto base = b.service.create_reference_client({.base_model = b.server.model()}).result();
  const auto untrained = b.trainer.forward(data).result();
  BOOST_TEST(largest_difference(base.forward(data).result().logprobs, untrained.logprobs) < 1e-6);

  for (int i = 0; i < 3; ++i) {
    b.trainer.forward_backward_custom(data, sft_nll{}).result();
    b.trainer.optim_step({.learning_rate = 1e-2}).result();
  }
  auto reference_future = b.service.create_reference_client(b.trainer);  // asked for before the next step …
  auto pass = b.trainer.forward_backward_custom(data, sft_nll{});
  auto step = b.trainer.optim_step({.learning_rate = 1e-2});
  auto reference = std::move(reference_future).result();
  step.result();
  const auto frozen = reference.forward(data).result();
  BOOST_TEST(largest_difference(frozen.logprobs, pass.result().logprobs) == 0.0);  // … and so it is from before it
  BOOST_TEST(largest_difference(frozen.logprobs, b.trainer.forward(data).result().logprobs) > 1e-3);
  BOOST_TEST(largest_difference(frozen.logprobs, base.forward(data).result().logprobs) > 1e-3);
  BOOST_TEST(largest_difference(reference.forward(data).result().logprobs, frozen.logprobs) == 0.0);  // and stays
}

BOOST_AUTO_TEST_CASE(samples_and_their_logprobs) {
  bench b;
  const auto data = supervised();
  b.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
  b.trainer.optim_step({.learning_rate = 1e-2}).result();
  const auto saved = b.trainer.save_weights_for_sampler({.name = "for-sampling", .type = checkpoint::base}).result();
  auto sampler = b.service.create_sampling_client(saved).result();
  const std::vector<int> question{72, 105, 33};
  auto a = sampler.sample(question, {.num_samples = 3, .max_tokens = 6, .seed = 1, .prompt_logprobs = true});
  auto c = sampler.sample(question, {.num_samples = 3, .max_tokens = 6, .seed = 1});
  const auto& drawn = a.result();
  BOOST_REQUIRE(drawn.sequences.size() == 3u);
  BOOST_TEST(drawn.prompt_logprobs.size() == 3u);
  BOOST_TEST(std::isnan(drawn.prompt_logprobs[0]));
  for (std::size_t i = 0; i < 3; ++i) {
    BOOST_TEST(drawn.sequences[i].tokens == c.result().sequences[i].tokens, boost::test_tools::per_element());
    BOOST_TEST(drawn.sequences[i].logprobs.size() == drawn.sequences[i].tokens.size());
  }
  // the sampler's logprobs are the trainer's
  const auto& one = drawn.sequences[0];
  batch rollout{datum{prompt(question) + response(one.tokens)}};
  const auto run = b.trainer.forward(rollout).result();
  for (std::size_t i = 0; i < one.tokens.size(); ++i)
    BOOST_TEST(std::abs(run[0][question.size() - 1 + i] - one.logprobs[i]) < 1e-4f);
  std::vector<int> all(question);
  all.insert(all.end(), one.tokens.begin(), one.tokens.end());
  const auto scored = sampler.compute_logprobs(all).result();
  BOOST_TEST(scored.size() == all.size());
  for (std::size_t i = 1; i < all.size(); ++i) BOOST_TEST(std::abs(run[0][i - 1] - scored[i]) < 1e-4f);
  // greedy is the same each time
  const auto greedy = sampler.sample(question, {.max_tokens = 4, .temperature = 0}).result();
  BOOST_TEST(greedy.sequences[0].tokens ==
                 sampler.sample(question, {.max_tokens = 4, .temperature = 0}).result().sequences[0].tokens,
             boost::test_tools::per_element());
  // a base model can be sampled too
  auto untrained = b.service.create_sampling_client({.base_model = b.server.model()}).result();
  const auto sampled =
      untrained.sample(question, {.max_tokens = 2, .seed = 1}).result().tokens;  // 1: it drew the end of text
  BOOST_TEST((sampled == 1u || sampled == 2u));
}

BOOST_AUTO_TEST_CASE(the_servers_policy_losses_agree_with_the_formula) {
  bench b;
  auto other = b.another();
  const auto plain = supervised();
  const auto now = b.trainer.forward(plain).result();
  const auto data = with(fields::old_logprobs = now, fields::advantage = std::vector<double>{1, -1, 0.5}, plain);
  const auto by_server = b.trainer.forward_backward(data, server_loss::importance_sampling{}).result();
  using namespace fields;
  const auto by_formula =
      other.forward_backward_custom(data, sum_over_all_tokens(-exp(logprobs - old_logprobs) * advantage)).result();
  BOOST_TEST(by_server.loss == by_formula.loss, boost::test_tools::tolerance(1e-5));
  BOOST_TEST(b.trainer.optim_step(linear_step).result().metric("grad_norm") ==
                 other.optim_step(linear_step).result().metric("grad_norm"),
             boost::test_tools::tolerance(1e-5));
  b.trainer.forward_backward(data, server_loss::ppo{.clip_low_threshold = 0.9}).result();
  b.trainer.forward_backward(data, server_loss::cispo{}).result();
}

BOOST_AUTO_TEST_SUITE_END()
