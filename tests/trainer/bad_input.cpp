// SPDX-License-Identifier: Apache-2.0
// What a user can get wrong: each a typed error with a sentence, nothing sent, nothing lost.
#include <cmath>
#include <limits>

#include "spy.hpp"

#include <gradwire/loss/sft_nll.hpp>

using namespace spying;

namespace {

// The calls of f send no operation, and the trainer works after them.
template <class F>
void nothing_is_sent(bench& b, F&& f) {
  const auto before = b.net->operations();
  f();
  BOOST_TEST(b.net->operations() == before);
  BOOST_TEST(b.trainer.forward(supervised()).result().tokens == 17u);
}

// A reply of the trainer with other numbers in it.
void reply_with(bench& b, std::function<void(wire::forward_backward_reply&)> change) {
  // The real reply is fetched first, then given with the change.
  const auto data = supervised();
  wire::forward_backward_reply reply;
  const auto run = b.trainer.forward(data).result();
  for (std::size_t s = 0; s < run.size(); ++s) {
    reply.loss_fn_outputs.push_back({{"logprobs", wire::tensor(std::vector<float>(run[s].begin(), run[s].end()))}});
  }
  change(reply);
  const std::string body = wire::to_protobuf(reply);
  auto next_is_forward = std::make_shared<bool>(false);
  b.net->on_request([body, next_is_forward](const exchange& e, http_response& answer) {
    if (e.target.ends_with("/forward_backward")) *next_is_forward = true;
    if (!e.target.ends_with("/retrieve_future") || !*next_is_forward) return fault::none;
    *next_is_forward = false;
    answer = {200, {{"Content-Type", "application/x-protobuf"}}, body};
    return fault::answer;
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(bad_input)

BOOST_AUTO_TEST_CASE(an_unreachable_trainer) {
  auto service = service_client::connect(endpoint{"http://127.0.0.1:9", ""}, quick());
  const auto begun = std::chrono::steady_clock::now();
  must_fail(errc::transport, {"cannot be reached", "127.0.0.1:9", "refused"},
            [&] { service.create_training_client({.base_model = "m"}).result(); });
  BOOST_TEST((std::chrono::steady_clock::now() - begun < std::chrono::seconds(3)));
}

BOOST_AUTO_TEST_CASE(a_wrong_token) {
  auto server = loopback::start();
  for (const char* token : {"", "tml-wrong"}) {
    auto service = service_client::connect(endpoint{server.endpoint().url, token}, quick());
    const auto e = must_fail(errc::status, {*token ? "the token given to connect()" : "TINKER_API_KEY"},
                             [&] { service.create_training_client({.base_model = "gradwire/tiny"}).result(); });
    BOOST_TEST((e.details().http_status == 401 || e.details().http_status == 403));
  }
  // the right one is in no text
  try {
    service_client::connect(server.endpoint(), quick()).create_training_client({.base_model = "no/such"}).result();
    BOOST_ERROR("nothing thrown");
  } catch (const error& e) {
    BOOST_TEST(std::string(e.what()).find(server.endpoint().token) == std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(addresses_and_keys_that_cannot_be_right) {
  must_fail(errc::config, {"http://"}, [] { service_client::connect("127.0.0.1:8000"); });
  must_fail(errc::config, {"user name or password"}, [] { service_client::connect("http://me:secret@127.0.0.1"); });
  must_fail(errc::config, {"port"}, [] { service_client::connect("http://127.0.0.1:99999"); });
  must_fail(errc::config, {"https"}, [] { service_client::connect("http://example.com", {.token = "tml-x"}); });
  const auto e = must_fail(errc::config, {"18 characters"},
                           [] { service_client::connect("http://127.0.0.1:1", {.token = "tml-abc\r\nX-Evil: 1"}); });
  BOOST_TEST(std::string(e.what()).find("abc") == std::string::npos);
  must_fail(errc::config, {"no dialect", "skyrl"},
            [] { service_client::connect("http://127.0.0.1:1", {.dialect = "unknown"}); });
  must_fail(errc::config, {"not be read", "/no/such/file.pem"}, [] {
    service_client::connect("https://127.0.0.1:1", {.ca_file = "/no/such/file.pem"}).capabilities().result();
  });
}

BOOST_AUTO_TEST_CASE(names_of_checkpoints) {
  bench b;
  nothing_is_sent(b, [&] {
    for (const char* name : {"../x", "/etc/x", "a/b", "", "..", "a b", "..%2f", "nul\n"}) {
      must_fail(errc::config, {"name of a checkpoint"}, [&] { b.trainer.save_state(name).result(); });
      must_fail(errc::config, {"name of a checkpoint"},
                [&] { b.trainer.save_weights_for_sampler({.name = name}).result(); });
    }
    must_fail(errc::config, {}, [&] { b.trainer.save_state(std::string(300, 'x')).result(); });
  });
}

BOOST_AUTO_TEST_CASE(a_delta_where_there_are_none) {
  auto how = quick();
  how.dialect = "tinker";
  bench b({}, how);
  nothing_is_sent(b, [&] {
    must_fail(errc::config, {"base checkpoints only"},
              [&] { b.trainer.save_weights_for_sampler({.name = "a", .type = checkpoint::delta}).result(); });
  });
}

BOOST_AUTO_TEST_CASE(a_name_that_is_taken) {
  bench b;
  const auto first = b.trainer.save_state("state").result();
  b.trainer.forward_backward(supervised(), server_loss::cross_entropy{}).result();
  b.trainer.optim_step({.learning_rate = 1e-2}).result();
  const auto trained = b.trainer.forward(supervised()).result();
  must_fail(errc::status, {"409", "state"}, [&] { b.trainer.save_state("state").result(); });
  // the old one is still the old one
  auto old = b.service.create_training_client_from_state(first.path).result();
  BOOST_TEST(largest_difference(old.forward(supervised()).result().logprobs, trained.logprobs) > 1e-4);
  b.trainer.save_state({.name = "state", .overwrite = true}).result();
  auto now = b.service.create_training_client_from_state(first.path).result();
  BOOST_TEST(largest_difference(now.forward(supervised()).result().logprobs, trained.logprobs) == 0.0);
}

BOOST_AUTO_TEST_CASE(states_and_models_that_do_not_exist) {
  bench b;
  must_fail(errc::status, {}, [&] { b.trainer.load_state("tinker://none/weights/none").result(); });
  must_fail(errc::config, {"path is empty"}, [&] { b.trainer.load_state("").result(); });
  must_fail(errc::status, {},
            [&] { b.service.create_training_client_from_state("tinker://none/weights/none").result(); });
  must_fail(errc::config, {"base_model is empty"}, [&] { b.service.create_training_client({}).result(); });
  must_fail(errc::config, {"lora_rank is -1"},
            [&] { b.service.create_training_client({.base_model = "gradwire/tiny", .lora_rank = -1}).result(); });
  must_fail(errc::config, {"one of the two"}, [&] { b.service.create_sampling_client({}).result(); });
  must_fail(errc::status, {}, [&] {
    b.service.create_sampling_client({.model_path = "tinker://none/sampler_weights/none"})
        .result()
        .sample({1}, {})
        .result();
  });
  BOOST_TEST(b.trainer.forward(supervised()).result().tokens == 17u);
}

BOOST_AUTO_TEST_CASE(data_that_do_not_fit) {
  bench b;
  nothing_is_sent(b, [&] {
    const std::vector<int> q{1, 2, 3}, a{4, 5};
    must_fail(errc::data, {}, [&] {
      datum{prompt(q) + response(a), fields::old_logprobs = std::vector<float>{-1, -2, -3}};
    });
    must_fail(errc::data, {"-7"}, [&] { datum{prompt(std::vector<int>{1, -7}) + response(a)}; });
    must_fail(errc::data, {}, [&] {
      datum d{prompt(q) + response(a), fields::old_logprobs = std::vector<float>{-1, std::nanf("")}};
      batch data{d};
    });
    must_fail(errc::data, {"empty"}, [&] { batch data(std::vector<datum<field_list<>>>{}); });
  });
}

BOOST_AUTO_TEST_CASE(inputs_that_a_server_loss_misses) {
  bench b;
  nothing_is_sent(b, [&] {
    const auto e = must_fail(errc::data, {"ppo", "'logprobs'", "old_logprobs"},
                             [&] { b.trainer.forward_backward(supervised(), server_loss::ppo{}).result(); });
    BOOST_TEST(e.details().column == "logprobs");
    must_fail(errc::data, {"'advantages'", "token_advantage"}, [&] {
      b.trainer
          .forward_backward(with(fields::old_logprobs = std::vector<float>(17, -1.0f), supervised()),
                            server_loss::ppo{})
          .result();
    });
    const std::vector<int> q{1, 2}, a{3};
    const std::vector<std::vector<int>> ids{{2, 90}, {3, 92}};
    batch top_two{datum{prompt(q) + response(a), fields::candidates = ids}};
    must_fail(errc::data, {"one logprob a target", "2 candidates"},
              [&] { b.trainer.forward_backward_custom(top_two, sft_nll{}).result(); });
    must_fail(errc::data, {"a plain function sees"}, [&] {
      b.trainer
          .forward_backward_custom(top_two,
                                   [](const auto&, ragged_view<const float>, ragged_view<float>) { return 0.0; })
          .result();
    });
  });
}

BOOST_AUTO_TEST_CASE(numbers_of_the_optimizer) {
  bench b;
  nothing_is_sent(b, [&] {
    must_fail(errc::config, {"learning_rate", "nan"},
              [&] { b.trainer.optim_step({.learning_rate = std::nan("")}).result(); });
    must_fail(errc::config, {"learning_rate"}, [&] { b.trainer.optim_step({.learning_rate = -1}).result(); });
    must_fail(errc::config, {"beta1"}, [&] { b.trainer.optim_step({.beta1 = 1}).result(); });
    must_fail(errc::config, {"eps"}, [&] { b.trainer.optim_step({.eps = 0}).result(); });
  });
  BOOST_TEST(b.trainer.optim_step().result().metric("step") == 1);
}

BOOST_AUTO_TEST_CASE(sampling_that_cannot_be) {
  bench b;
  auto sampler = b.service.create_sampling_client({.base_model = b.server.model()}).result();
  nothing_is_sent(b, [&] {
    must_fail(errc::data, {"prompt is empty"}, [&] { sampler.sample(std::vector<int>{}).result(); });
    must_fail(errc::data, {"token 1", "-3"}, [&] { sampler.sample({1, -3}).result(); });
    must_fail(errc::config, {"max_tokens"}, [&] { sampler.sample({1}, {.max_tokens = 0}).result(); });
    must_fail(errc::config, {"temperature"}, [&] { sampler.sample({1}, {.temperature = -1}).result(); });
    must_fail(errc::config, {"top_p"}, [&] { sampler.sample({1}, {.top_p = 0}).result(); });
    must_fail(errc::config, {"top_k"}, [&] { sampler.sample({1}, {.top_k = 0}).result(); });
    must_fail(errc::config, {"num_samples"}, [&] { sampler.sample({1}, {.num_samples = 0}).result(); });
    must_fail(errc::config, {"stop_ids"}, [&] { sampler.sample({1}, {.stop = {"x"}, .stop_ids = {1}}).result(); });
  });
}

BOOST_AUTO_TEST_CASE(token_ids_that_the_model_does_not_have) {
  bench b;
  must_fail(errc::data, {"datum 0"}, [&] { b.trainer.forward(batch{sequence({1, 2}, {1000000})}).result(); });
  BOOST_TEST(b.trainer.forward(supervised()).result().tokens == 17u);
}

// ---- a trainer that answers nonsense ----

BOOST_AUTO_TEST_CASE(logprobs_that_are_not_finite_are_named) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                    -std::numeric_limits<float>::infinity(), 0.5f}) {
    bench b;
    reply_with(b, [&](wire::forward_backward_reply& r) {
      auto values = wire::find(r.loss_fn_outputs[2], "logprobs")->values<float>();
      std::vector<float> changed(values.begin(), values.end());
      changed[4] = bad;
      changed[0] = std::nanf("");  // the prompt's: masked, not looked at
      r.loss_fn_outputs[2] = {{"logprobs", wire::tensor(std::move(changed))}};
    });
    const auto e = must_fail(errc::data, {"datum 2", "token 4"},
                             [&] { b.trainer.forward_backward_custom(supervised(), sft_nll{}).result(); });
    BOOST_TEST(e.details().datum == 2);
    BOOST_TEST(e.details().token == 4);
    BOOST_TEST(b.net->count("/forward_backward") == 2u);  // the two forwards; no backward
    b.net->on_request(nullptr);
    must_fail(errc::closed, {"not stepped"}, [&] { b.trainer.optim_step().result(); });
    BOOST_TEST(b.trainer.forward_backward_custom(supervised(), sft_nll{}).result().loss > 0);
    BOOST_TEST(b.trainer.optim_step().result().metric("step") == 1);
  }
}

BOOST_AUTO_TEST_CASE(a_masked_nan_changes_nothing) {
  bench b, c;
  reply_with(b, [&](wire::forward_backward_reply& r) {
    auto values = wire::find(r.loss_fn_outputs[2], "logprobs")->values<float>();
    std::vector<float> changed(values.begin(), values.end());
    changed[0] = std::nanf("");
    r.loss_fn_outputs[2] = {{"logprobs", wire::tensor(std::move(changed))}};
  });
  const auto with_nan = b.trainer.forward_backward_custom(supervised(), sft_nll{}).result();
  const auto without = c.trainer.forward_backward_custom(supervised(), sft_nll{}).result();
  BOOST_TEST(with_nan.loss == without.loss);
  BOOST_TEST(b.trainer.optim_step().result().metric("grad_norm") ==
             c.trainer.optim_step().result().metric("grad_norm"));
}

BOOST_AUTO_TEST_CASE(too_few_logprobs_or_datums) {
  bench b;
  reply_with(b, [](wire::forward_backward_reply& r) {
    r.loss_fn_outputs[1] = {{"logprobs", wire::tensor(std::vector<float>{-1, -1})}};
  });
  must_fail(errc::data, {"datum 1", "2 logprobs for 4 targets"},
            [&] { b.trainer.forward_backward_custom(supervised(), sft_nll{}).result(); });
  b.net->on_request(nullptr);
  reply_with(b, [](wire::forward_backward_reply& r) { r.loss_fn_outputs.pop_back(); });
  must_fail(errc::data, {"outputs for 2 datums, 3 were sent"}, [&] { b.trainer.forward(supervised()).result(); });
  b.net->on_request(nullptr);
  reply_with(b, [](wire::forward_backward_reply& r) { r.loss_fn_outputs[0].clear(); });
  must_fail(errc::data, {"no logprobs for datum 0"}, [&] { b.trainer.forward(supervised()).result(); });
}

BOOST_AUTO_TEST_CASE(a_gradient_divided_twice) {
  const optim_step_options by_tokens{.grad_accumulation_normalization = grad_normalization::num_loss_tokens};
  auto other = quick();
  other.dialect = "tinker";
  bench plain({}, other);
  plain.trainer.forward_backward_custom(supervised(), sft_nll_sum{}).result();
  must_fail(errc::config, {"does not normalise gradients"}, [&] { plain.trainer.optim_step(by_tokens).result(); });
  BOOST_TEST(plain.net->count("/optim_step") == 0u);

  auto how = quick();
  how.dialect = "fireworks";
  bench b({}, how);
  b.trainer.forward_backward_custom(supervised(), sft_nll{}).result();
  must_fail(errc::config, {"ends in a mean", "once more"}, [&] { b.trainer.optim_step(by_tokens).result(); });
  BOOST_TEST(b.net->count("/optim_step") == 0u);
  BOOST_TEST(b.trainer.optim_step().result().metric("step") == 1);  // the gradient was still there
  // after a sum it goes to the trainer, by its name
  b.trainer.forward_backward_custom(supervised(), sft_nll_sum{}).result();
  BOOST_TEST(b.trainer.optim_step(by_tokens).result().metric("step") == 2);
  std::string sent;
  for (const auto& each : b.net->log())
    if (each.target.ends_with("/optim_step")) sent = each.body;
  BOOST_TEST(sent.find("\"grad_accumulation_normalization\":\"num_loss_tokens\"") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
