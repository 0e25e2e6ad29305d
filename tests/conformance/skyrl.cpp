// SPDX-License-Identifier: Apache-2.0
// The gradwire client trains on a real SkyRL server (start_skyrl), and the embedded trainer, which serves the same
// safetensors, is asked for the same logprobs.
//   skyrl SKYRL_URL SKYRL_TOKEN EMBEDDED_URL EMBEDDED_TOKEN MODEL
#include "../support/larger.hpp"
#include "checks.hpp"
#include "questions.hpp"

#include <gradwire/loss/dpo.hpp>
#include <gradwire/trainer.hpp>

#include <cmath>
#include <optional>
#include <string_view>

using namespace gradwire;
using namespace gradwire::fields;
using checks::check;
using checks::require;
using checks::text_of;
using questions::bytes;
using questions::question;

namespace {

double cross_entropy(const column<float>& logprobs, const batch<float>& data) {
  double sum = 0, weight = 0;
  for (std::size_t s = 0; s < data.size(); ++s) {
    const std::span<const float> row = logprobs[s];
    const float* w = data.data(weights) + data.shape().offset[s];
    for (std::size_t t = 0; t < row.size(); ++t) {
      sum -= static_cast<double>(w[t]) * static_cast<double>(row[t]);
      weight += static_cast<double>(w[t]);
    }
  }
  return sum / weight;
}

// A norm tells linearity, sign and the count of sequences directly, and additivity by the parallelogram law.
std::string gradients_are_the_users(training_client& client) {
  const auto two = question("Q: two plus two? A:", " four."), sky = question("Q: sky? A:", " blue, usually."),
             one = question("Q: one? A:", " 1");
  const batch all{two, sky, one}, first{two}, second{sky}, third{one}, pair{two, sky};
  const auto nll = sum_over_all_tokens(-logprobs);
  const auto norm = [&](auto&&... pass) {
    (pass(), ...);
    const optimizer_step done = client.optim_step({.learning_rate = 0}).result();
    for (const named_value& metric : done.metrics)
      if (metric.name.ends_with("grad_norm")) return metric.value;
    throw std::runtime_error("the server reports no gradient norm");
  };
  const auto custom = [&](const auto& data, const auto& loss) {
    return [&client, data, loss] { client.forward_backward_custom(data, loss).result(); };
  };
  std::string line;
  const auto equal = [&](const char* what, double found, double expected) {
    require(expected > 0.1 && std::abs(found / expected - 1) < 1e-4,
            std::string(what) + ": " + text_of(found) + ", expected " + text_of(expected));
    line += (line.empty() ? "" : ", ") + std::string(what) + " " + text_of(found);
  };

  const double whole = norm(custom(all, nll));
  equal("L", whole, whole);
  equal("100 L", norm(custom(all, 100.0 * nll)), 100 * whole);
  equal("-L", norm(custom(all, -1.0 * nll)), whole);
  equal("in 2 calls", norm(custom(pair, nll), custom(third, nll)), whole);
  equal("in 3 calls", norm(custom(first, nll), custom(second, nll), custom(third, nll)), whole);
  equal("in 2 parts", norm([&] { client.forward_backward_custom(accumulate(pair, third), nll).result(); }), whole);
  const double a = norm(custom(first, nll)), b = norm(custom(second, nll));
  const auto signs = [&](double x, double y) {
    const auto signed_pair = with(advantage = std::vector<double>{x, y}, pair);
    return norm(custom(signed_pair, sum_over_all_tokens(-advantage * logprobs)));
  };
  const double sum = signs(1, 1), difference = signs(1, -1);
  equal("a + b", sum, norm(custom(pair, nll)));
  equal("a - b in 2 calls", norm(custom(first, nll), custom(second, -1.0 * nll)), difference);
  equal("|a+b|^2 + |a-b|^2", sum * sum + difference * difference, 2 * (a * a + b * b));
  // The server's own mean over the 6 counted tokens of one sequence fixes the absolute scale.
  const double mean = norm([&] { client.forward_backward(first, server_loss::cross_entropy{}).result(); });
  equal("one sequence", a, 6 * mean);
  return line;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 6) {
    std::fprintf(stderr, "usage: skyrl SKYRL_URL SKYRL_TOKEN EMBEDDED_URL EMBEDDED_TOKEN MODEL\n");
    return 2;
  }
  const std::string model = arguments[5];
  const batch data{question("Q: two plus two? A:", " four."), question("Q: sky? A:", " blue, usually."),
                   question("Q: one? A:", " 1"), question("a b c d e f g", " h i j k l m n o p q r s t u v w x y z")};

  std::optional<service_client> skyrl, embedded;
  std::optional<training_client> trainer, twin;
  const bool connected = check("both servers accept a LoRA client", [&] {
    skyrl = service_client::connect(endpoint{.url = arguments[1], .token = arguments[2]});
    embedded = service_client::connect(endpoint{.url = arguments[3], .token = arguments[4]});
    trainer = skyrl->create_training_client({.base_model = model, .lora_rank = 8, .seed = 1}).result();
    twin = embedded->create_training_client({.base_model = model, .lora_rank = 8}).result();
    return std::string{};
  });
  if (!connected) return checks::conclude();

  check("forward gives the embedded trainer's logprobs on the same safetensors", [&] {
    const forward_result theirs = trainer->forward(data).result(), ours = twin->forward(data).result();
    double worst = 0;
    for (std::size_t s = 0; s < data.size(); ++s) {
      require(theirs[s].size() == data.target_tokens(s).size() && ours[s].size() == theirs[s].size(),
              "a row has another length");
      for (std::size_t t = 0; t < theirs[s].size(); ++t)
        worst = larger(worst, std::abs(static_cast<double>(theirs[s][t]) - static_cast<double>(ours[s][t])));
    }
    require(worst <= 1e-4, "off by " + text_of(worst));
    require(theirs[0][0] < -0.5F, "the logprobs are not those of a language model");
    return "largest difference " + text_of(worst);
  });

  check("8 steps of the server's cross_entropy lower the loss", [&] {
    std::string line;
    double first = 0, last = 0;
    bool lower = true;
    for (int i = 0; i < 8; ++i) {
      auto step = trainer->forward_backward(data, server_loss::cross_entropy{});
      auto optim = trainer->optim_step({.learning_rate = 1e-2});
      const training_step done = step.result();
      optim.result();
      last = cross_entropy(done.logprobs, data);
      if (i == 0) first = last;
      lower = lower && (i == 0 || last < first);
      line += (i != 0 ? " " : "") + text_of(last);
    }
    require(lower && last < 0.8 * first, line);  // the adapter's start is fixed by its seed, and with it every number
    return line;
  });

  check("save_state answers with a path, and the saved state is what was trained", [&] {
    const forward_result before = trainer->forward(data).result();
    const saved_weights saved = trainer->save_state({.name = "after-8-steps"}).result();
    require(saved.path.starts_with("tinker://"), saved.path);
    auto restored = skyrl->create_training_client_from_state({.path = saved.path}).result();
    const forward_result after = restored.forward(data).result();
    for (std::size_t s = 0; s < data.size(); ++s)
      for (std::size_t t = 0; t < before[s].size(); ++t)
        require(std::abs(before[s][t] - after[s][t]) < 1e-5F, "the restored model gives other logprobs");
    return saved.path;
  });

  check("sampled logprobs are those of forward on the trained weights", [&] {
    const saved_weights saved = trainer->save_weights_for_sampler({.name = "sampler"}).result();
    auto sampler = skyrl->create_sampling_client({.model_path = saved.path}).result();
    const auto asked = bytes("Q: sky? A:");
    const samples drawn = sampler.sample(asked, {.num_samples = 2, .max_tokens = 8, .seed = 3}).result();
    require(drawn.sequences.size() == 2, "2 sequences were asked for");
    double worst = 0;
    for (const sample& s : drawn.sequences) {
      require(!s.tokens.empty() && s.tokens.size() == s.logprobs.size(), "a sampled sequence lacks tokens or logprobs");
      const batch again{datum{prompt(asked) + response(s.tokens)}};
      const forward_result forward = trainer->forward(again).result();
      for (std::size_t t = 0; t < s.tokens.size(); ++t)
        worst = larger(worst, std::abs(static_cast<double>(s.logprobs[t]) -
                                       static_cast<double>(forward[0][asked.size() - 1 + t])));
    }
    require(worst <= 1e-3, "off by " + text_of(worst));
    return "largest difference " + text_of(worst);
  });

  for (const std::int64_t seed : {1, 2, 3}) {
    check("the gradient of a custom loss is the user's, seed " + std::to_string(seed), [&] {
      auto client = skyrl->create_training_client({.base_model = model, .lora_rank = 8, .seed = seed}).result();
      return gradients_are_the_users(client);
    });
  }

  check("a custom loss and a server's loss in one step are refused, in both orders, and lower() is", [&] {
    const auto refused = [](auto&& call) {
      try {
        call();
      } catch (const error& failure) {
        require(failure.kind() == errc::config, failure.what());
        return;
      }
      throw std::runtime_error("it was accepted");
    };
    const auto loss = sum_over_all_tokens(-logprobs);
    trainer->forward_backward_custom(data, loss).result();
    refused([&] { trainer->forward_backward(data, server_loss::cross_entropy{}).result(); });
    try {
      trainer->optim_step({.learning_rate = 0}).result();  // one of its calls failed
      throw std::runtime_error("a step after a failed call was sent");
    } catch (const error& failure) {
      require(failure.kind() == errc::closed, failure.what());
    }
    trainer->optim_step({.learning_rate = 0}).result();
    trainer->forward_backward(data, server_loss::cross_entropy{}).result();
    refused([&] { trainer->forward_backward_custom(data, loss).result(); });
    try {
      trainer->optim_step().result();
    } catch (const error&) {
    }
    trainer->optim_step({.learning_rate = 0}).result();
    refused([&] { trainer->forward_backward_custom(data, lower(loss)).result(); });  // its cross_entropy is another
    return std::string{};
  });

  check("a custom loss with weights of both signs does what it says", [&] {
    auto client = skyrl->create_training_client({.base_model = model, .lora_rank = 8}).result();
    const auto pair = [&](std::string_view asked, std::string_view good, std::string_view bad) {
      return group(chosen(question(asked, good)), rejected(question(asked, bad)));
    };
    const batch pairs{pair("Q: two plus two? A:", " four.", " five."), pair("Q: sky? A:", " blue.", " green.")};
    const auto untrained = with(ref_logprobs = client.forward(pairs).result(), pairs);
    double first = 0, last = 0;
    for (int i = 0; i < 6; ++i) {
      const training_step done = client.forward_backward_custom(untrained, dpo{.beta = 0.1}).result();
      client.optim_step({.learning_rate = 5e-3}).result();
      last = done.loss;
      if (i == 0) first = last;
    }
    const auto now = with(logprobs = client.forward(pairs).result(), untrained);
    double margins[2] = {};
    for (std::size_t s = 0; s < 4; ++s)
      for (std::size_t t = 0; t < now.target_tokens(s).size(); ++t) {
        const std::size_t at = now.shape().offset[s] + t;
        margins[s % 2] +=
            static_cast<double>(now.data(weights)[at]) *
            (static_cast<double>(now.data(logprobs)[at]) - static_cast<double>(now.data(ref_logprobs)[at]));
      }
    require(std::abs(first - std::log(2.0)) < 1e-4, "the first loss must be log 2, it is " + text_of(first));
    require(last < 0.7 * first && margins[0] > 0 && margins[1] < 0, "loss " + text_of(first) + " -> " + text_of(last) +
                                                                        ", chosen " + text_of(margins[0]) +
                                                                        ", rejected " + text_of(margins[1]));
    return "loss " + text_of(first) + " -> " + text_of(last) + ", chosen " + text_of(margins[0]) + ", rejected " +
           text_of(margins[1]);
  });

  check("a missing model and a used name are refused", [&] {
    const auto refused = [](auto&& call) {
      try {
        call();
      } catch (const error& failure) {
        return failure.kind() == errc::status || failure.kind() == errc::config || failure.kind() == errc::data;
      }
      return false;
    };
    require(refused([&] {
              skyrl->create_training_client_from_state({.path = "tinker://model_nothing/weights/none"}).result();
            }),
            "a checkpoint that does not exist was accepted");
    require(refused([&] { trainer->save_state({.name = "after-8-steps"}).result(); }), "a used name was accepted");
    return std::string{};
  });
  return checks::conclude();
}
