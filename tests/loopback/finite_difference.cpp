// SPDX-License-Identifier: Apache-2.0
// The backward pass in double against central differences of the forward pass, every parameter, to 1e-6: full training
// and LoRA, one thread a micro-batch and all threads in one, both linear algebra backends.
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <functional>
#include <vector>

#include <gradwire/loopback/compute/product_eigen.hpp>
#include <gradwire/loopback/compute/product_xtensor.hpp>
#include <gradwire/loopback/compute/random.hpp>
#include <gradwire/loopback/model/batch.hpp>

#include "../support/larger.hpp"

namespace {

using namespace gradwire::loopback;

model_config small_config(bool tied) {
  model_config config;
  config.vocab_size = 11;
  config.hidden_size = 10;
  config.intermediate_size = 7;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 6;
  config.tie_word_embeddings = tied;
  return config;
}

// L = Σ c1 · logprob + c2 · logprob², so that slopes depend on the logprobs.
struct problem {
  parameter_layout layout;
  std::vector<double> weights;
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<std::vector<std::int64_t>> targets;
  std::vector<std::size_t> candidates;
  std::vector<std::vector<double>> first, second;  // coefficients
  rotary_table<double> rotary;
  thread_pool pool;
  product_table<double> products;
  std::size_t micro_batch_tokens;
  std::vector<workspace<double>> work;

  problem(bool tied, std::vector<std::size_t> lengths, std::size_t threads, product_table<double> with,
          std::size_t tokens_at_once)
      : layout(make_parameter_layout(small_config(tied))),
        weights(layout.size, 0.0),
        rotary(64, 6, 100.0),
        pool(threads),
        products(with),
        micro_batch_tokens(tokens_at_once),
        work(threads) {
    random_stream random(7);
    for (const tensor_entry& tensor : layout.tensors)
      for (std::size_t i = 0; i < tensor.size; ++i)
        weights[tensor.offset + i] = tensor.shape.size() == 1 ? 1 + 0.3 * random.normal() : 0.5 * random.normal();
    for (const std::size_t length : lengths) {
      const std::size_t k = 1 + tokens.size() % 2;
      candidates.push_back(k);
      tokens.emplace_back(), targets.emplace_back(), first.emplace_back(), second.emplace_back();
      for (std::size_t t = 0; t < length; ++t) tokens.back().push_back(int(random.bits() % 11));
      for (std::size_t t = 0; t < length * k; ++t) {
        targets.back().push_back(t % 5 == 3 ? -1 : std::int64_t(random.bits() % 11));
        first.back().push_back(t % 4 == 1 ? 0 : random.normal());
        second.back().push_back(t % 4 == 1 ? 0 : 0.1 * random.normal());
      }
    }
  }

  // The loss, and its gradient if `into` has a place for it.
  double evaluate(const double* values, const gradient_target<double>& into, std::size_t size) {
    std::vector<std::vector<double>> logprobs;
    std::vector<batch_example<double>> examples;
    for (const auto& each : targets) logprobs.emplace_back(each.size());
    for (std::size_t i = 0; i < tokens.size(); ++i)
      examples.push_back({tokens[i], targets[i], candidates[i], logprobs[i]});
    const batch_runner<double> runner{layout, values, products, rotary, pool, work, micro_batch_tokens};
    const slope_callback<double> slope = [&](std::size_t i, std::span<const double> lp, std::span<double> out) {
      for (std::size_t t = 0; t < lp.size(); ++t) out[t] = first[i][t] + 2 * second[i][t] * lp[t];
    };
    std::vector<std::vector<double>> apart(pool.size(), std::vector<double>(size, 0.0));
    std::vector<gradient_target<double>> into_each(pool.size(), into);
    for (std::size_t worker = 0; worker < pool.size(); ++worker) into_each[worker].gradients = apart[worker].data();
    runner.run(runner.plan(examples), examples, into.gradients ? &slope : nullptr, into_each);
    for (std::size_t i = 0; into.gradients && i < size; ++i)
      for (const auto& each : apart) into.gradients[i] += each[i];
    double loss = 0;
    for (std::size_t i = 0; i < logprobs.size(); ++i)
      for (std::size_t t = 0; t < logprobs[i].size(); ++t)
        loss += first[i][t] * logprobs[i][t] + second[i][t] * logprobs[i][t] * logprobs[i][t];
    return loss;
  }
};

// Compares the gradient with central differences of f at every element of x.
void compare(std::vector<double>& x, const std::vector<double>& gradient, const std::function<double()>& f) {
  double worst = 0;
  std::size_t nonzero = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double before = x[i], h = 1e-5;
    const auto at = [&](double step) {
      x[i] = before + step;
      const double value = f();
      x[i] = before;
      return value;
    };
    // Fourth order, so that the step can be large enough for double's rounding.
    const double expected = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    worst = larger(worst, std::abs(expected - gradient[i]) / std::max(1.0, std::abs(expected)));
    nonzero += gradient[i] != 0;
  }
  BOOST_TEST(worst < 1e-6, "worst relative difference " << worst);
  BOOST_TEST(nonzero > x.size() / 2);
}

void check_full(problem&& p) {
  std::vector<double> gradient(p.weights.size(), 0.0);
  p.evaluate(p.weights.data(), {gradient.data()}, gradient.size());
  compare(p.weights, gradient, [&] { return p.evaluate(p.weights.data(), {}, 0); });
}

void check_lora(problem& p, bool attention, bool mlp, bool unembed) {
  const adapter_layout adapters = make_adapter_layout(p.layout, 2, 3.0, attention, mlp, unembed);
  std::vector<double> values(adapters.size, 0.0), merged = p.weights, gradient(adapters.size, 0.0);
  random_stream random(3);
  std::size_t used = 0;
  adapters.for_each([&](const adapter_entry& entry) {
    for (std::size_t i = 0; i < 2 * entry.in; ++i) values[entry.a + i] = 0.4 * random.normal();
    for (std::size_t i = 0; i < 2 * entry.out; ++i) values[entry.b + i] = 0.4 * random.normal();
    used += 2 * (entry.in + entry.out);
  });
  const auto loss = [&](double* into) {
    merge_adapters(p.products, team(), adapters, values.data(), p.weights.data(), merged.data());
    return p.evaluate(merged.data(), {into, &adapters, values.data()}, into ? adapters.size : 0);
  };
  loss(gradient.data());
  compare(values, gradient, [&] { return loss(nullptr); });
}

const std::vector<std::size_t> ragged{3, 1, 5, 2};

}  // namespace

BOOST_AUTO_TEST_SUITE(finite_difference)

BOOST_AUTO_TEST_CASE(full_training) {
  check_full(problem(false, ragged, 1, eigen_products<double>(), 100));
  check_full(problem(true, ragged, 2, eigen_products<double>(), 4));  // several micro-batches
  check_full(problem(false, ragged, 2, xtensor_products<double>(), 100));
}

BOOST_AUTO_TEST_CASE(lora) {
  problem p(false, ragged, 1, eigen_products<double>(), 100);
  check_lora(p, true, true, true);
  check_lora(p, true, false, false);
  check_lora(p, false, true, false);
  check_lora(p, false, false, true);
  problem other(false, ragged, 2, xtensor_products<double>(), 100);
  check_lora(other, true, true, true);
}

// One long sequence: all threads work on it together, in more than one block of attention.
BOOST_AUTO_TEST_CASE(threads_that_share_a_sequence) {
  problem p(false, {150}, 3, eigen_products<double>(), 1000);
  p.rotary = rotary_table<double>(256, 6, 100.0);
  BOOST_TEST(plan_work(std::vector<std::size_t>{150}, 3, 1000, 80).shared);
  std::vector<double> gradient(p.weights.size(), 0.0), alone(p.weights.size(), 0.0);
  p.evaluate(p.weights.data(), {gradient.data()}, gradient.size());
  problem single(false, {150}, 1, eigen_products<double>(), 1000);
  single.rotary = rotary_table<double>(256, 6, 100.0);
  single.evaluate(single.weights.data(), {alone.data()}, alone.size());
  double worst = 0;
  for (std::size_t i = 0; i < gradient.size(); ++i)
    worst = larger(worst, std::abs(gradient[i] - alone[i]) / std::max(1.0, std::abs(alone[i])));
  BOOST_TEST(worst < 1e-10, worst);
  // and a sample of the parameters against differences
  for (std::size_t i = 0; i < p.weights.size(); i += 97) {
    const double before = single.weights[i], h = 1e-5;
    const auto at = [&](double step) {
      single.weights[i] = before + step;
      const double value = single.evaluate(single.weights.data(), {}, 0);
      single.weights[i] = before;
      return value;
    };
    const double expected = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    BOOST_TEST(std::abs(expected - gradient[i]) < 1e-6 * std::max(1.0, std::abs(expected)));
  }
}

// A vocabulary so large that a sequence's logits need several blocks gives the same as one block.
BOOST_AUTO_TEST_CASE(blocks_of_the_head) {
  const auto run = [](std::size_t length, bool parts) {
    model_config config = small_config(false);
    config.vocab_size = 3000;
    config.num_hidden_layers = 1;
    const parameter_layout layout = make_parameter_layout(config);
    std::vector<double> weights(layout.size), gradient(layout.size, 0.0);
    random_stream random(1);
    for (double& each : weights) each = 0.5 * random.normal();
    std::vector<std::int32_t> tokens;
    std::vector<std::int64_t> targets;
    for (std::size_t t = 0; t < length; ++t) tokens.push_back(int(t % 11)), targets.push_back(int(7 * t % 3000));
    std::vector<double> logprobs(length);
    const rotary_table<double> rotary(1024, 6, 100.0);
    thread_pool pool(1);
    std::vector<workspace<double>> work(1);
    const product_table<double> products = eigen_products<double>();
    const batch_runner<double> runner{layout, weights.data(), products, rotary, pool, work, 1000};
    const slope_callback<double> slope = [&](std::size_t, std::span<const double> lp, std::span<double> out) {
      // Only some positions have a slope: with `parts`, in one call each third of them.
      for (std::size_t t = 0; t < out.size(); ++t) out[t] = std::sin(double(t)) * lp[t];
    };
    const slope_callback<double> third = [&](std::size_t i, std::span<const double> lp, std::span<double> out) {
      slope(i, lp, out);
      for (std::size_t t = 0; t < out.size(); ++t)
        if (t % 3 != i) out[t] = 0;
    };
    const gradient_target<double> target{gradient.data()};
    if (!parts) {
      const batch_example<double> examples[] = {{tokens, targets, 1, logprobs}};
      runner.run(runner.plan(examples), examples, &slope, {&target, 1});
    } else {
      std::vector<double> second(length), last(length);
      const batch_example<double> examples[] = {
          {tokens, targets, 1, logprobs}, {tokens, targets, 1, second}, {tokens, targets, 1, last}};
      runner.run(runner.plan(examples), examples, &third, {&target, 1});
    }
    return gradient;
  };
  // 3000 doubles a row: blocks of 256 rows (the least), so 600 tokens take three.
  const std::vector<double> once = run(600, false), thirds = run(600, true);
  double worst = 0;
  for (std::size_t i = 0; i < once.size(); ++i)
    worst = larger(worst, std::abs(once[i] - thirds[i]) / std::max(1.0, std::abs(once[i])));
  BOOST_TEST(worst < 1e-11, worst);
}

BOOST_AUTO_TEST_SUITE_END()
