// SPDX-License-Identifier: Apache-2.0
// What the description of service-mode training promises its reader, sentence by sentence (B01 to B32), each kept here
// against the embedded trainer.
#include <cmath>
#include <fstream>
#include <thread>

#include "spy.hpp"

#include <gradwire/loopback/loaded_snapshot.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/platform/snapshot_chain.hpp>

using namespace spying;
using namespace gradwire::fields;

namespace {

const auto close_to = boost::test_tools::tolerance(1e-5);

wire::forward_backward_request as_sent(const exchange& e) {
  return wire::from_protobuf<wire::forward_backward_request>(e.body);
}

std::string text_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    return e.what();
  }
}

std::vector<wire::forward_backward_request> batches_sent(const spy& net) {
  std::vector<wire::forward_backward_request> all;
  for (const auto& e : net.log()) {
    if (e.target.ends_with("/forward_backward")) all.push_back(as_sent(e));
  }
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(promises)

BOOST_AUTO_TEST_CASE(B01_a_loop_on_your_machine_controls_the_training) {
  bench b;
  const auto data = supervised();
  double first = 0, last = 0;
  for (int i = 0; i < 5; ++i) {
    auto step = b.trainer.forward_backward_custom(data, sft_nll{});
    auto optim = b.trainer.optim_step({.learning_rate = 1e-2});
    optim.result();
    (i == 0 ? first : last) = step.result().loss;
  }
  BOOST_TEST(last < first);
}

BOOST_AUTO_TEST_CASE(B02_the_model_is_computed_by_the_trainer) {
  bench b;  // the client asks; what comes back is the server's computation, for the tokens that were sent
  const auto a = b.trainer.forward(batch{sequence({1, 2}, {3})}).result();
  const auto c = b.trainer.forward(batch{sequence({1, 2}, {4})}).result();
  BOOST_TEST(a[0][1] != c[0][1]);
  BOOST_TEST(b.net->count("/forward_backward") == 2u);
}

BOOST_AUTO_TEST_CASE(B03_they_communicate_over_an_http_api) {
  bench b;
  BOOST_TEST(b.server.endpoint().url.starts_with("http://127.0.0.1:"));
  b.trainer.forward(supervised()).result();
  for (const auto& e : b.net->log()) BOOST_TEST(e.target.starts_with("/api/v1/"));
}

BOOST_AUTO_TEST_CASE(B04_no_gpu_is_needed_here) {
  std::ifstream maps("/proc/self/maps");  // everything that this program has loaded, the trainer included
  std::string line;
  while (std::getline(maps, line)) {
    BOOST_TEST(line.find("libcuda") == std::string::npos);
    BOOST_TEST(line.find("libcudart") == std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(B05_the_loss_is_yours_and_runs_in_your_process) {
  bench b;
  int called = 0;  // a variable of this process, changed by the loss
  b.trainer
      .forward_backward_custom(supervised(),
                               [&](const auto&, ragged_view<const float> lp, ragged_view<float>) {
                                 return called += static_cast<int>(lp.size()), 0.0;
                               })
      .result();
  BOOST_TEST(called == 3);
}

BOOST_AUTO_TEST_CASE(B06_checkpointing_and_serving_are_the_trainers) {
  bench b;
  const auto state = b.trainer.save_state("state").result();
  const auto weights = b.trainer.save_weights_for_sampler({.name = "weights"}).result();
  BOOST_TEST(b.service.create_sampling_client(weights).result().sample({1, 2, 3}, {.max_tokens = 3}).result().tokens ==
             3u);
  BOOST_TEST(b.trainer.load_state(state.path).result().path == state.path);
}

BOOST_AUTO_TEST_CASE(B07_a_datum_is_the_unit_that_is_sent) {
  bench b;
  b.trainer.forward_backward(supervised(), server_loss::cross_entropy{}).result();
  const auto sent = batches_sent(*b.net);
  BOOST_REQUIRE(sent.size() == 1u);
  BOOST_TEST(sent[0].data.size() == 3u);
}

BOOST_AUTO_TEST_CASE(B08_it_wraps_tokens_and_what_the_loss_needs) {
  bench b;
  const auto data = with(old_logprobs = b.trainer.forward(supervised()).result(),
                         advantage = std::vector<double>{1, -1, 0.5}, supervised());
  b.trainer.forward_backward(data, server_loss::importance_sampling{}).result();
  const auto sent = batches_sent(*b.net).back();
  const auto& first = sent.data.at(0);
  const auto tokens = std::get<wire::encoded_text>(first.model_input.at(0)).tokens;
  BOOST_TEST(std::vector<int>(tokens.begin(), tokens.end()) == (std::vector<int>{72, 105, 33, 65, 66, 67}),
             boost::test_tools::per_element());
  const auto targets = wire::find(first.loss_fn_inputs, "target_tokens")->values<std::int64_t>();
  BOOST_TEST(
      std::vector<std::int64_t>(targets.begin(), targets.end()) == (std::vector<std::int64_t>{105, 33, 65, 66, 67, 68}),
      boost::test_tools::per_element());
  const auto advantages = wire::find(first.loss_fn_inputs, "advantages")->values<float>();
  BOOST_TEST(std::vector<float>(advantages.begin(), advantages.end()) == (std::vector<float>{0, 0, 1, 1, 1, 1}),
             boost::test_tools::per_element());
  BOOST_TEST(wire::find(first.loss_fn_inputs, "logprobs")->size() == 6u);
}

BOOST_AUTO_TEST_CASE(B09_one_datum_is_one_sequence_and_keeps_its_place) {
  bench b;
  const auto together = b.trainer.forward(supervised()).result();
  BOOST_TEST(together.size() == 3u);
  const auto alone = b.trainer.forward(batch{sequence({1, 2}, {3, 4, 5, 6, 7, 8})}).result();
  for (std::size_t t = 0; t < 7; ++t) BOOST_TEST(std::abs(together[2][t] - alone[0][t]) < 1e-5f);
}

BOOST_AUTO_TEST_CASE(B10_weight_0_is_not_trained_on) {
  bench b;
  b.trainer.forward_backward_custom(supervised(), sft_nll{}).result();
  const auto back = batches_sent(*b.net).back();
  const auto sent = wire::find(back.data[0].loss_fn_inputs, "weights")->values<float>();
  BOOST_TEST(sent[0] == 0);  // prompt
  BOOST_TEST(sent[1] == 0);
  // a batch without a counted token leaves the model where it is
  bench c;
  datum d{prompt(std::vector<int>{1, 2}) + response(std::vector<int>{3}), weights = std::vector<float>{0, 0}};
  c.trainer.forward_backward(batch{d}, server_loss::cross_entropy{}).result();
  BOOST_TEST(c.trainer.optim_step().result().metric("grad_norm") == 0);
}

BOOST_AUTO_TEST_CASE(B11_weight_1_is_trained_on) {
  bench b;
  b.trainer.forward_backward_custom(supervised(), sft_nll{}).result();
  const auto back = batches_sent(*b.net).back();
  const auto sent = wire::find(back.data[0].loss_fn_inputs, "weights")->values<float>();
  for (std::size_t t = 2; t < 6; ++t) BOOST_TEST(sent[t] == 1.0f / 11, close_to);
}

BOOST_AUTO_TEST_CASE(B12_the_weights_can_be_read_from_the_datum) {
  const auto data = supervised();
  const auto of_one = data[1].loss_fn_inputs["weights"];
  BOOST_TEST(of_one.dtype == "float32");
  BOOST_TEST(of_one.shape == (std::vector<std::size_t>{4}), boost::test_tools::per_element());
  const std::vector<double> values(of_one.data.begin(), of_one.data.end());
  BOOST_TEST(values == (std::vector<double>{0, 0, 0, 1}), boost::test_tools::per_element());
  // and they survive the way over the wire
  bench b;
  b.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
  const auto arrived = wire::find(batches_sent(*b.net).back().data[1].loss_fn_inputs, "weights")->values<double>();
  BOOST_TEST(std::vector<double>(arrived.begin(), arrived.end()) == values, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(B13_a_forward_returns_logprobs_for_every_token) {
  bench b;
  const auto data = supervised();
  const auto run = b.trainer.forward(data).result();
  for (std::size_t s = 0; s < data.size(); ++s) {
    BOOST_TEST(run[s].size() == data[s].size());
    for (float x : run[s]) BOOST_TEST((x < 0 && std::isfinite(x)));
  }
  // log-probabilities: those of all 256 bytes and the special tokens as next token sum to one, or a little under
  double total = 0;
  std::vector<datum<field_list<>>> all;
  for (int next = 0; next < 256; ++next) all.push_back(sequence({72}, {next}));
  const auto each = b.trainer.forward(batch(all)).result();
  for (std::size_t s = 0; s < 256; ++s) total += std::exp(static_cast<double>(each[s][0]));
  BOOST_TEST(total < 1.0001);
  BOOST_TEST(total > 0.5);
}

BOOST_AUTO_TEST_CASE(B14_the_loss_is_differentiated_by_the_logprobs) {
  // Finite differences of the loss that is reported, in the one logprob, against the gradient that is sent.
  bench b;
  const auto data = supervised();
  const auto run = b.trainer.forward(data).result();
  const auto formula = sum_over_all_tokens(logprobs * logprobs);
  const double h = 1e-6;
  const auto at_shift = [&](double shift) {
    std::vector<std::vector<double>> rows;
    for (std::size_t s = 0; s < 3; ++s) rows.emplace_back(run[s].begin(), run[s].end());
    rows[0][3] += shift;
    const auto twice =
        batch_of<double>(group(sequence({72, 105, 33}, {65, 66, 67, 68}), sequence({50, 43, 50, 61}, {52})),
                         group(sequence({1, 2}, {3, 4, 5, 6, 7, 8})));
    return value_and_gradient(formula, wrt(logprobs), at(with(logprobs = rows, twice))).loss;
  };
  const double slope = (at_shift(h) - at_shift(-h)) / (2 * h);
  b.trainer.forward_backward_custom(data, formula).result();
  const auto sent = wire::find(batches_sent(*b.net).back().data[0].loss_fn_inputs, "weights")->values<float>();
  BOOST_TEST(-static_cast<double>(sent[3]) == slope, close_to);
}

BOOST_AUTO_TEST_CASE(B15_the_loss_is_a_scalar_of_the_logprobs) {
  bench b;
  const auto data = supervised();
  const auto run = b.trainer.forward(data).result();
  double expected = 0;
  for (std::size_t t = 2; t < 6; ++t) expected -= static_cast<double>(run[0][t]);
  expected -= static_cast<double>(run[1][3]);
  for (std::size_t t = 1; t < 7; ++t) expected -= static_cast<double>(run[2][t]);
  BOOST_TEST(b.trainer.forward_backward_custom(data, sft_nll_sum{}).result().loss == expected, close_to);
}

BOOST_AUTO_TEST_CASE(B16_its_gradient_is_sent_back) {
  bench b;
  b.trainer.forward_backward_custom(supervised(), 3 * sft_nll_sum{}()).result();
  const auto sent = batches_sent(*b.net);
  BOOST_REQUIRE(sent.size() == 2u);
  BOOST_TEST(!sent[1].forward_only);
  BOOST_TEST(wire::find(sent[1].data[0].loss_fn_inputs, "weights")->values<float>()[4] == 3.0f);
}

BOOST_AUTO_TEST_CASE(B17_step_1_you_call_forward_backward_custom) {
  bench b;
  auto step = b.trainer.forward_backward_custom(supervised(), sft_nll{});
  BOOST_TEST(step.valid());
  BOOST_TEST(step.result().loss > 0);
}

BOOST_AUTO_TEST_CASE(B18_step_2_the_datums_are_sent) {
  bench b;
  b.trainer.forward_backward_custom(supervised(), sft_nll{}).result();
  const auto first = batches_sent(*b.net).at(0);
  BOOST_TEST(first.forward_only);
  BOOST_TEST(first.loss_fn == "cross_entropy");
  BOOST_TEST(first.data.size() == 3u);
  for (float w : wire::find(first.data[0].loss_fn_inputs, "weights")->values<float>()) BOOST_TEST(w == 0);
}

BOOST_AUTO_TEST_CASE(B19_step_3_a_forward_pass_returns_logprobs) {
  bench b;
  const auto data = supervised();
  const auto run = b.trainer.forward(data).result();
  std::vector<float> seen;
  b.trainer
      .forward_backward_custom(data,
                               [&](const auto&, ragged_view<const float> lp, ragged_view<float>) {
                                 for (auto row : lp) seen.insert(seen.end(), row.begin(), row.end());
                                 return 0.0;
                               })
      .result();
  BOOST_TEST(seen == flat(run.logprobs), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(B20_step_4_your_loss_runs_here_once) {
  bench b;
  int calls = 0;
  b.trainer
      .forward_backward_custom(with(advantage = std::vector<double>{1, 2, 3}, supervised()),
                               [&](const auto& data, ragged_view<const float>, ragged_view<float>) {
                                 ++calls;
                                 BOOST_TEST(data.data(advantage)[2] == 3);  // with the data as they were given
                                 return 0.0;
                               })
      .result();
  BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE(B21_step_5_the_slope_is_computed_for_every_token) {
  bench b;
  b.trainer.forward_backward_custom(supervised(), sft_nll{}).result();
  const auto back = batches_sent(*b.net).back();
  for (const auto& d : back.data) {
    BOOST_TEST(wire::find(d.loss_fn_inputs, "weights")->size() ==
               wire::find(d.loss_fn_inputs, "target_tokens")->size());
  }
  // a function that leaves every gradient at 0 is allowed: nothing moves
  bench c;
  c.trainer
      .forward_backward_custom(supervised(),
                               [](const auto&, ragged_view<const float>, ragged_view<float>) { return 1.0; })
      .result();
  BOOST_TEST(c.trainer.optim_step().result().metric("grad_norm") == 0);
}

BOOST_AUTO_TEST_CASE(B22_step_6_the_model_goes_down_the_gradient) {
  bench b;  // the sign: a loss that falls when a logprob rises makes it rise
  const auto data = supervised();
  const auto before = b.trainer.forward(data).result();
  for (int i = 0; i < 3; ++i) {
    b.trainer.forward_backward_custom(data, sum_over_all_tokens(-logprobs)).result();
    b.trainer.optim_step({.learning_rate = 1e-2}).result();
  }
  const auto after = b.trainer.forward(data).result();
  BOOST_TEST(after[1][3] > before[1][3]);
}

BOOST_AUTO_TEST_CASE(B23_every_call_returns_a_future) {
  bench b;
  const auto data = supervised();
  future<forward_result> a = b.trainer.forward(data);
  future<training_step> c = b.trainer.forward_backward(data, server_loss::cross_entropy{});
  future<training_step> d = b.trainer.forward_backward_custom(data, sft_nll{});
  future<optimizer_step> e = b.trainer.optim_step();
  future<saved_weights> f = b.trainer.save_state("a");
  future<saved_weights> g = b.trainer.save_weights_for_sampler({.name = "b"});
  future<reference_client> h = b.service.create_reference_client(b.trainer);
  future<training_client> i = b.service.create_training_client({.base_model = b.server.model()});
  future<std::vector<model_description>> j = b.service.capabilities();
  a.result(), c.result(), d.result(), e.result(), f.result(), h.result(), i.result(), j.result();
  future<sampling_client> k = b.service.create_sampling_client(g.result());
  auto sampler = k.result();
  future<samples> l = sampler.sample({1, 2}, {.max_tokens = 1});
  future<std::vector<float>> m = sampler.compute_logprobs(std::vector<int>{1, 2});
  l.result(), m.result();
}

BOOST_AUTO_TEST_CASE(B24_result_blocks_until_it_is_there) {
  bench b;
  auto slow =
      b.trainer.forward_backward_custom(supervised(), [](const auto&, ragged_view<const float>, ragged_view<float>) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        return 4.0;
      });
  must_fail(errc::timeout, {"goes on"}, [&] { slow.result(std::chrono::milliseconds(5)); });
  BOOST_TEST(slow.result().loss == 4.0);
}

BOOST_AUTO_TEST_CASE(B25_no_error_is_swallowed) {
  std::vector<std::string> lost;
  const auto before = on_lost_error([&](std::exception_ptr e) { lost.push_back(text_of(e)); });
  {
    bench b;
    auto failing = b.trainer.forward_backward_custom(
        supervised(),
        [](const auto&, ragged_view<const float>, ragged_view<float>) -> double { throw std::logic_error("mine"); });
    auto after = b.trainer.forward(supervised());
    after.result();  // the failure is there by now; nobody has read it
    BOOST_TEST(lost.empty());
  }
  on_lost_error(before);
  BOOST_TEST(lost == std::vector<std::string>{"mine"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(B26_optim_step_applies_the_update) {
  bench b;
  const auto data = supervised();
  const auto before = b.trainer.forward(data).result();
  b.trainer.forward_backward_custom(data, sft_nll{}).result();
  BOOST_TEST(largest_difference(b.trainer.forward(data).result().logprobs, before.logprobs) == 0.0);  // not yet
  b.trainer.optim_step({.learning_rate = 1e-2}).result();
  BOOST_TEST(largest_difference(b.trainer.forward(data).result().logprobs, before.logprobs) > 1e-3);
}

BOOST_AUTO_TEST_CASE(B27_several_calls_accumulate_before_one_step) {
  bench b;
  auto other = b.another();
  const auto data = supervised();
  for (int i = 0; i < 3; ++i) b.trainer.forward_backward_custom(data, sft_nll{}).result();
  other.forward_backward_custom(data, sft_nll{}).result();
  const double three = b.trainer.optim_step(linear_step).result().metric("grad_norm");
  const double one = other.optim_step(linear_step).result().metric("grad_norm");
  BOOST_TEST(three == 3 * one, close_to);
}

namespace {

// A trainer of every parameter and a deployment of its snapshots, kept together by the chain.
struct serving {
  bench b;
  platform::snapshot_chain chain;
  loopback::loaded_snapshot deployment;

  explicit serving(int rank = 0)
      : b({}, quick(), rank), chain(rank), deployment(loopback::frozen_model::load({.threads = 1})) {}

  void train(double learning_rate = 1e-6) {
    b.trainer.forward_backward_custom(supervised(), sft_nll{}).result();
    b.trainer.optim_step({.learning_rate = learning_rate}).result();
  }
  // The type that was asked for on the wire.
  std::string save(const std::string& name) {
    const auto plan = chain.begin_save();
    chain.saved(plan, name, b.trainer.save_weights_for_sampler({.name = name, .type = plan.type()}).result().path);
    std::string sent;
    for (const auto& e : b.net->log())
      if (e.target.ends_with("/save_weights_for_sampler")) sent = e.body;
    for (const char* type : {"base", "delta"})
      if (sent.find("\"checkpoint_type\":\"" + std::string(type) + "\"") != sent.npos) return type;
    return sent;
  }
  void load(const std::string& name) {
    const auto plan = chain.begin_load(name);
    deployment = deployment.load(folder(name), plan.identity(), plan.previous());
    chain.loaded(plan);
  }
  std::filesystem::path folder(const std::string& name) const {
    for (const auto& run : std::filesystem::directory_iterator(b.server.checkpoints()))
      if (std::filesystem::exists(run.path() / "sampler_weights" / name)) return run.path() / "sampler_weights" / name;
    return {};
  }
  std::uintmax_t bytes(const std::string& name) const {
    std::uintmax_t sum = 0;
    for (const auto& file : std::filesystem::directory_iterator(folder(name))) sum += file.file_size();
    return sum;
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(B28_a_base_is_the_full_weights) {
  serving it;  // 16 GB for a model of 8 B are two bytes a parameter
  it.train();
  BOOST_TEST(it.save("step-1") == "base");
  const auto parameters = loopback::training_model(it.deployment.weights(), {.rank = 0}).trainable_parameters();
  const auto weights = std::filesystem::file_size(it.folder("step-1") / "model.safetensors");
  BOOST_TEST(static_cast<double>(weights) / static_cast<double>(parameters) == 2.0, boost::test_tools::tolerance(0.02));
}

BOOST_AUTO_TEST_CASE(B29_the_first_checkpoint_is_a_base) {
  serving it;
  BOOST_TEST((it.chain.next() == checkpoint::base));
  must_fail(errc::status, {"'step-1'", "save a base"},
            [&] { it.b.trainer.save_weights_for_sampler({.name = "step-1", .type = checkpoint::delta}).result(); });
  BOOST_TEST(it.save("step-2") == "base");
}

BOOST_AUTO_TEST_CASE(B30_a_delta_is_the_difference_to_the_snapshot_before) {
  serving it;
  for (int i = 1; i <= 4; ++i) {
    const std::string name = "step-" + std::to_string(i);
    for (int step = 0; step < 3; ++step) it.train();
    it.save(name);
    it.load(name);
    if (i == 1) continue;
    BOOST_TEST((it.deployment.description().kind == loopback::snapshot_kind::delta));
    BOOST_TEST(it.deployment.description().previous_identity == "step-" + std::to_string(i - 1));
    BOOST_TEST_MESSAGE(name << ": " << it.bytes(name) << " bytes, the base " << it.bytes("step-1"));
    BOOST_TEST(10 * it.bytes(name) <= it.bytes("step-1"));
  }
}

BOOST_AUTO_TEST_CASE(B31_the_checkpoints_after_it_are_deltas) {
  serving it, lora(4);
  for (int i = 1; i <= 3; ++i) {
    const std::string name = "step-" + std::to_string(i);
    it.train();
    BOOST_TEST(it.save(name) == (i == 1 ? "base" : "delta"));
    it.load(name);
    BOOST_TEST(lora.save(name) == "base");  // of an adapter always
    lora.load(name);
  }
  it.save("not-loaded");
  BOOST_TEST(it.save("after-it") == "base");  // the deployment has another one than the trainer saved last
}

BOOST_AUTO_TEST_CASE(B32_checkpoints_are_exported_for_serving) {
  serving it;
  const std::vector<std::int32_t> prompt{1, 2, 3};  // 3 is what supervised() trains after 1, 2
  const loopback::sample_request one{prompt, {.max_tokens = 4, .seed = 1, .prompt_logprobs = true}};
  const float untrained = it.deployment.weights().sample({&one, 1})[0].prompt_logprobs[2];
  for (int i = 0; i < 20; ++i) it.train(1e-2);
  it.save("export");
  it.load("export");
  const auto served = it.deployment.weights().sample({&one, 1})[0];
  BOOST_TEST(served.sequences.at(0).tokens.size() > 0u);
  BOOST_TEST(served.prompt_logprobs[2] > untrained + 1);
  const auto trained = it.b.trainer.forward(batch{sequence({1, 2}, {3})}).result();
  BOOST_TEST(std::abs(served.prompt_logprobs[2] - trained[0][1]) < 0.1);
  // that a delta is not promoted: tests/platform/checkpoints.cpp
}

BOOST_AUTO_TEST_SUITE_END()
