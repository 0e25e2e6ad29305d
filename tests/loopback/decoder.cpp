// SPDX-License-Identifier: Apache-2.0
// The decoder against transformers and PyTorch: logprobs to 1e-5, the gradient of every tensor to 1e-4, on both linear
// algebra backends, alone and with threads.
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <string>

#include "golden_qwen3.hpp"

namespace {

using namespace gradwire::loopback;
using golden_qwen3::file;

struct setting {
  linear_algebra backend;
  int threads;
};
const setting settings[] = {{linear_algebra::eigen, 1},
                            {linear_algebra::eigen, 2},
                            {linear_algebra::eigen, 5},
                            {linear_algebra::xtensor_blas, 1},
                            {linear_algebra::xtensor_blas, 3}};

frozen_model load(const std::string& name, const setting& with) {
  return frozen_model::load(
      {.model = golden_qwen3::directory(name), .threads = with.threads, .linear_algebra = with.backend});
}

void check_logprobs(const example_logprobs& found, const std::string& name) {
  const auto expected = file().logprobs(name);
  BOOST_REQUIRE_EQUAL(found.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    BOOST_REQUIRE_EQUAL(found[i].size(), expected[i].size());
    for (std::size_t t = 0; t < expected[i].size(); ++t)
      BOOST_TEST(std::abs(found[i][t] - expected[i][t]) < 1e-5,
                 name << " sequence " << i << " token " << t << ": " << found[i][t] << " for " << expected[i][t]);
  }
}

void check_gradients(const training_model& model, const std::string& prefix) {
  for (const training_model::tensor_view& tensor : model.gradients()) {
    const std::vector<float> expected = golden_qwen3::gradient(prefix + tensor.name);
    BOOST_REQUIRE_EQUAL(tensor.values.size(), expected.size());
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      difference += std::pow(double(tensor.values[i]) - double(expected[i]), 2);
      size += std::pow(double(expected[i]), 2);
    }
    BOOST_TEST(size > 0, tensor.name);
    BOOST_TEST(std::sqrt(difference) < 1e-4 * std::sqrt(size), tensor.name << " " << std::sqrt(difference / size));
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(decoder)

BOOST_AUTO_TEST_CASE(logprobs_are_those_of_transformers) {
  for (const setting& with : settings)
    for (const char* name : {"qwen3", "qwen3_tied"}) check_logprobs(load(name, with).forward(file().examples()), name);
}

BOOST_AUTO_TEST_CASE(gradients_are_those_of_pytorch) {
  for (const setting& with : settings)
    for (const char* name : {"qwen3", "qwen3_tied"}) {
      training_model model(load(name, with), {.rank = 0});
      check_logprobs(model.forward_backward(file().examples(), golden_qwen3::cross_entropy()), name);
      check_gradients(model, std::string(name) + "/");
    }
}

BOOST_AUTO_TEST_CASE(adapters_are_those_of_peft) {
  for (const setting& with : settings) {
    const frozen_model base = load("qwen3", with);
    training_model model(base, {.rank = 3, .alpha = 12});
    model.load(golden_qwen3::directory("qwen3_adapter"), false);
    check_logprobs(model.forward_backward(file().examples(), golden_qwen3::cross_entropy()), "qwen3_adapter");
    check_gradients(model, "qwen3_adapter/");
    check_logprobs(base.with_checkpoint(golden_qwen3::directory("qwen3_adapter")).forward(file().examples()),
                   "qwen3_adapter");
  }
}

BOOST_AUTO_TEST_CASE(several_calls_accumulate) {
  const std::vector<example> all = file().examples();
  training_model model(load("qwen3", settings[1]), {.rank = 0});
  std::size_t first = 0;
  const auto slope = golden_qwen3::cross_entropy();
  for (const std::size_t count : {2U, 1U, 3U}) {
    model.forward_backward(std::span(all).subspan(first, count),
                           [&](std::size_t i, auto logprobs, auto out) { slope(first + i, logprobs, out); });
    first += count;
  }
  check_gradients(model, "qwen3/");
}

BOOST_AUTO_TEST_CASE(the_same_bits_each_time) {
  for (const setting& with : settings) {
    const frozen_model base = load("qwen3", with);
    std::vector<training_model::tensor_view> first;
    for (int run = 0; run < 3; ++run) {
      training_model model(base, {.rank = 0});
      model.forward_backward(file().examples(), golden_qwen3::cross_entropy());
      const auto gradients = model.gradients();
      if (run == 0) first = gradients;
      for (std::size_t i = 0; i < gradients.size(); ++i) BOOST_TEST(gradients[i].values == first[i].values);
    }
  }
}

// Products work on rows in fours; a sequence's logprobs must not depend on its neighbours.
BOOST_AUTO_TEST_CASE(a_sequence_alone_or_among_others) {
  const frozen_model model = load("qwen3", settings[0]);
  const std::vector<example> all = file().examples();
  const example_logprobs together = model.forward(all);
  for (std::size_t i = 0; i < all.size(); ++i)
    BOOST_TEST(model.forward(std::span(all).subspan(i, 1))[0] == together[i], "sequence " << i);
}

BOOST_AUTO_TEST_CASE(candidates_and_unwanted_targets) {
  const frozen_model model = load("qwen3", settings[0]);
  const golden_qwen3::sequence& sequence = file().sequences[3];
  const auto plain = file().logprobs("qwen3")[3];
  // Per token: the true target, every other token in turn, or nothing.
  std::vector<std::int64_t> targets;
  for (std::size_t t = 0; t < sequence.tokens.size(); ++t)
    for (const std::int64_t id : {t % 3 == 0 ? -1 : sequence.targets[t], std::int64_t(t), std::int64_t(-1)})
      targets.push_back(id);
  const example given{sequence.tokens, targets, 3};
  const std::vector<float> found = model.forward({&given, 1})[0];
  std::vector<double> mass(sequence.tokens.size(), 0.0);
  for (std::size_t t = 0; t < sequence.tokens.size(); ++t) {
    BOOST_TEST(found[3 * t + 2] == 0.0F);
    if (t % 3 == 0)
      BOOST_TEST(found[3 * t] == 0.0F);
    else
      BOOST_TEST(std::abs(found[3 * t] - plain[t]) < 1e-5);
  }
  // All tokens of the vocabulary as candidates: the probabilities add up to one.
  std::vector<std::int64_t> every;
  for (std::size_t t = 0; t < sequence.tokens.size(); ++t)
    for (std::int64_t id = 0; id < 64; ++id) every.push_back(id);
  const example whole{sequence.tokens, every, 64};
  const std::vector<float> logprobs = model.forward({&whole, 1})[0];
  for (std::size_t t = 0; t < sequence.tokens.size(); ++t) {
    double total = 0;
    for (std::size_t id = 0; id < 64; ++id) total += std::exp(double(logprobs[64 * t + id]));
    BOOST_TEST(std::abs(total - 1) < 1e-5);
  }
}

BOOST_AUTO_TEST_CASE(bad_examples_are_named) {
  training_model model(load("qwen3", settings[0]), {.rank = 0});
  const std::vector<std::int32_t> tokens{1, 2, 3}, negative{1, -2, 3}, large{1, 2, 64}, none;
  const std::vector<std::int64_t> targets{2, 3, 4}, two{2, 3}, wrong{2, 99, 4}, empty;
  const std::vector<std::int32_t> long_tokens(257, 1);
  const std::vector<std::int64_t> long_targets(257, 1);
  const auto refused = [&](const example& bad, std::int64_t token, const std::string& words) {
    const example batch[] = {{tokens, targets}, bad};
    const auto check = [&](const gradwire::error& e) {
      return e.kind() == gradwire::errc::data && e.details().datum == 1 && e.details().token == token &&
             std::string(e.what()).find(words) != std::string::npos;
    };
    bool called = false;
    BOOST_CHECK_EXCEPTION(model.forward_backward(batch, [&](auto, auto, auto) { called = true; }), gradwire::error,
                          check);
    BOOST_TEST(!called);
  };
  refused({negative, targets}, 1, "token 1 is -2, the vocabulary has ids 0 to 63");
  refused({large, targets}, 2, "token 2 is 64");
  refused({tokens, two}, -1, "3 tokens and 2 targets");
  refused({tokens, wrong}, 1, "target 1 is 99");
  refused({none, empty}, -1, "no tokens");
  refused({long_tokens, long_targets}, -1, "257 tokens, the model takes 256");
}

BOOST_AUTO_TEST_CASE(a_slope_that_throws_changes_nothing) {
  for (const int threads : {1, 2}) {
    training_model model(load("qwen3", {linear_algebra::eigen, threads}), {.rank = 0});
    const auto throwing = [](std::size_t i, auto, auto slope) {
      slope[0] = 1;
      if (i == 4) throw std::runtime_error("the user's own");
    };
    BOOST_CHECK_EXCEPTION(model.forward_backward(file().examples(), throwing), std::runtime_error,
                          [](const auto& e) { return std::string(e.what()) == "the user's own"; });
    model.forward_backward(file().examples(), golden_qwen3::cross_entropy());
    BOOST_CHECK_THROW(model.forward_backward(file().examples(), throwing), std::runtime_error);
    check_gradients(model, "qwen3/");
  }
}

BOOST_AUTO_TEST_SUITE_END()
