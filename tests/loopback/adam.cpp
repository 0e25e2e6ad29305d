// SPDX-License-Identifier: Apache-2.0
// AdamW, clipping and norms against torch.optim.AdamW and torch.nn.utils.clip_grad_norm_, and through a whole model.
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <limits>

#include <gradwire/loopback/model/adam.hpp>

#include "golden_qwen3.hpp"

namespace {

using namespace gradwire::loopback;
using golden_qwen3::file;

// 5 + 18 values, as in the golden file: one vector with a tail, whatever the width of a lane block.
std::vector<float> joined(const golden::node& lists) {
  std::vector<float> values;
  for (const golden::node& list : lists.items)
    for (const golden::node& item : list.items) values.push_back(float(item.as_double()));
  return values;
}

double norm(const std::vector<training_model::tensor_view>& tensors) {
  double total = 0;
  for (const auto& tensor : tensors)
    for (const float value : tensor.values) total += double(value) * double(value);
  return std::sqrt(total);
}

frozen_model golden_model(int threads = 2) {
  return frozen_model::load({.model = golden_qwen3::directory("qwen3"), .threads = threads});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(adam)

BOOST_AUTO_TEST_CASE(five_steps_of_torch) {
  const golden::node& adam = file().root["adam"];
  std::vector<float> parameters = joined(adam["parameters"]);
  std::vector<float> first(parameters.size(), 0), second(parameters.size(), 0);
  const auto option = [&](const char* name) { return adam[name].as_double(); };
  double step = 0;
  bool clipped = false, unclipped = false;
  for (const golden::node& each : adam["steps"].items) {
    ++step;
    const std::vector<float> gradient = joined(each["gradients"]);
    const double size = std::sqrt(sum_of_squares(gradient.data(), gradient.size()));
    BOOST_TEST(std::abs(size - each["grad_norm"].as_double()) < 1e-5 * size);
    const double clip = std::min(1.0, option("grad_clip_norm") / (size + 1e-6));
    (clip < 1 ? clipped : unclipped) = true;
    const std::vector<float> before = parameters;
    const adam_factors factors{.keep = float(1 - option("learning_rate") * option("weight_decay")),
                               .beta1 = float(option("beta1")),
                               .beta2 = float(option("beta2")),
                               .rate = float(option("learning_rate") / (1 - std::pow(option("beta1"), step))),
                               .correction = float(1 / std::sqrt(1 - std::pow(option("beta2"), step))),
                               .eps = float(option("eps")),
                               .gradient = float(clip)};
    const adam_norms norms =
        adam_update(factors, gradient.data(), parameters.data(), first.data(), second.data(), parameters.size());
    const std::vector<float> expected = joined(each["parameters"]);
    double update = 0, all = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      BOOST_TEST(std::abs(parameters[i] - expected[i]) < 1e-6 * std::max(1.0F, std::abs(expected[i])));
      update += std::pow(double(parameters[i]) - double(before[i]), 2), all += std::pow(double(parameters[i]), 2);
    }
    BOOST_TEST(std::abs(norms.update - update) < 1e-5 * update);
    BOOST_TEST(std::abs(norms.parameters - all) < 1e-5 * all);
  }
  BOOST_TEST((clipped && unclipped));
}

BOOST_AUTO_TEST_CASE(a_step_of_a_model) {
  training_model model(golden_model(), {.rank = 0});
  model.forward_backward(file().examples(), golden_qwen3::cross_entropy());
  const auto gradients = model.gradients(), before = model.parameters();
  const adam_params params{.learning_rate = 0.01, .eps = 1e-3, .weight_decay = 0.1, .grad_clip_norm = 2};
  const optim_metrics metrics = model.optim_step(params);
  const double size = file().root["qwen3"]["grad_norm"].as_double();
  BOOST_TEST(std::abs(metrics.grad_norm - size) < 1e-4 * size);
  BOOST_TEST(std::abs(metrics.clipped_grad_norm - 2) < 1e-4);
  BOOST_TEST(metrics.step == 1);
  BOOST_TEST(metrics.learning_rate == 0.01);
  const auto after = model.parameters();
  BOOST_TEST(std::abs(metrics.param_norm - norm(after)) < 1e-4 * norm(after));
  // By hand: after one step m / (1 - b1) = g and v / (1 - b2) = g², so the update is g / (|g| + eps) and decay.
  double update = 0;
  for (std::size_t i = 0; i < after.size(); ++i)
    for (std::size_t j = 0; j < after[i].values.size(); ++j) {
      const double g = double(gradients[i].values[j]) * 2 / size, w = double(before[i].values[j]);
      const double expected = w - 0.01 * (g / (std::abs(g) + 1e-3) + 0.1 * w);
      BOOST_TEST(std::abs(double(after[i].values[j]) - expected) < 2e-6);
      update += std::pow(expected - w, 2);
    }
  BOOST_TEST(std::abs(metrics.update_norm - std::sqrt(update)) < 1e-3 * std::sqrt(update));
  BOOST_TEST(norm(model.gradients()) == 0.0);  // used up
}

BOOST_AUTO_TEST_CASE(training_lowers_the_loss) {
  for (const int rank : {0, 4}) {
    training_model model(golden_model(), {.rank = rank});
    const auto likelihood = [&] {
      double total = 0;
      for (const auto& each : model.forward(file().examples()))
        for (const float logprob : each) total += double(logprob);
      return total;
    };
    const double before = likelihood();
    const auto slope = [](std::size_t, auto, auto out) { std::fill(out.begin(), out.end(), -1.0F); };
    for (int step = 0; step < 30; ++step) {
      model.forward_backward(file().examples(), slope);
      model.optim_step({.learning_rate = 0.01});
    }
    BOOST_TEST(likelihood() > before / 3, "rank " << rank << ": " << before << " to " << likelihood());
  }
}

BOOST_AUTO_TEST_CASE(adapters_begin_at_the_base) {
  const frozen_model base = golden_model();
  training_model model(base, {.rank = 4, .seed = 3}), same(base, {.rank = 4, .seed = 3}), other(base, {.rank = 4});
  BOOST_TEST(model.forward(file().examples()) == base.forward(file().examples()));
  bool differs = false;
  const auto a = model.parameters(), b = same.parameters(), c = other.parameters();
  for (std::size_t i = 0; i < a.size(); ++i) {
    BOOST_TEST(a[i].values == b[i].values);
    differs |= a[i].values != c[i].values;
    float largest = 0;
    for (const float value : a[i].values) largest = std::max(largest, std::abs(value));
    const bool is_b = a[i].name.ends_with("lora_B.weight");
    const float bound = 1 / std::sqrt(float(a[i].shape[1]));  // Kaiming's uniform with a = sqrt(5)
    BOOST_TEST((is_b ? largest == 0 : largest <= bound && largest > 0.8F * bound), a[i].name << " " << largest);
  }
  BOOST_TEST(differs);
  // q 48, k 24, v 24, o, gate 40, up 40, down on 32 wide layers, and the head of 64
  const std::int64_t layer = (32 + 48) + 2 * (32 + 24) + (48 + 32) + 3 * (32 + 40);
  BOOST_TEST(model.trainable_parameters() == 4 * (2 * layer + 32 + 64));
  BOOST_TEST(training_model(base, {.rank = 4, .mlp = false, .unembed = false}).trainable_parameters() ==
             4 * 2 * ((32 + 48) + 2 * (32 + 24) + (48 + 32)));
  BOOST_CHECK_THROW(training_model(base, {.rank = -1}), gradwire::error);
  BOOST_CHECK_THROW(training_model(base, {.rank = 4, .attention = false, .mlp = false, .unembed = false}),
                    gradwire::error);
}

BOOST_AUTO_TEST_CASE(gradients_that_are_not_finite) {
  training_model model(golden_model(), {.rank = 0});
  const auto before = model.parameters();
  model.forward_backward(file().examples(), [](std::size_t i, auto, auto slope) {
    slope[0] = i == 2 ? std::numeric_limits<float>::quiet_NaN() : 1.0F;
  });
  BOOST_CHECK_EXCEPTION(model.optim_step({}), gradwire::error,
                        [](const gradwire::error& e) { return e.kind() == gradwire::errc::data; });
  const auto after = model.parameters();
  for (std::size_t i = 0; i < after.size(); ++i) BOOST_TEST(after[i].values == before[i].values);
  model.forward_backward(file().examples(), golden_qwen3::cross_entropy());
  BOOST_TEST(model.optim_step({}).step == 1);
  for (const adam_params& bad : {adam_params{.learning_rate = -1}, adam_params{.learning_rate = NAN},
                                 adam_params{.beta1 = 1}, adam_params{.beta2 = -0.1}, adam_params{.eps = 0},
                                 adam_params{.weight_decay = -1}, adam_params{.grad_clip_norm = -1}})
    BOOST_CHECK_THROW(model.optim_step(bad), gradwire::error);
}

BOOST_AUTO_TEST_CASE(a_snapshot_stays) {
  for (const int rank : {0, 4}) {
    training_model model(golden_model(), {.rank = rank});
    const auto step = [&] {
      model.forward_backward(file().examples(), golden_qwen3::cross_entropy());
      model.optim_step({.learning_rate = 0.01});
    };
    step();
    const frozen_model frozen = model.snapshot();
    const example_logprobs then = model.forward(file().examples());
    BOOST_TEST(frozen.forward(file().examples()) == then);
    step();
    BOOST_TEST(frozen.forward(file().examples()) == then);
    BOOST_TEST(model.forward(file().examples()) != then);
    BOOST_TEST(model.base().forward(file().examples()) == golden_model().forward(file().examples()));
    training_model from(frozen, {.rank = rank});  // a snapshot is a base, too
    BOOST_TEST(from.forward(file().examples()) == then);
  }
}

BOOST_AUTO_TEST_SUITE_END()
