// SPDX-License-Identifier: Apache-2.0
// gradwire's half of custom_loss.py: reads the data that it wrote, sends GRPO on groups and DPO on pairs as custom
// losses from the saved state that it names, steps once, saves, and prints what the results say as one JSON object.
//   custom_loss DATA.json            (server and key: TINKER_BASE_URL, TINKER_API_KEY)
#include "given.hpp"

#include <gradwire/loss/dpo.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/trainer.hpp>

#include <cstdio>
#include <exception>
#include <iostream>

using namespace gradwire;

namespace {

void print(const char* name, const std::vector<named_value>& values, double loss, const char* end) {
  std::printf("\"%s\": {\"loss\": %.17g", name, loss);
  for (const named_value& v : values)
    if (v.name != "loss") std::printf(", \"%s\": %.17g", v.name.c_str(), v.value);
  std::printf("}%s\n", end);
}

void train(const golden::node& data) {
  const auto samples = given::samples_of(data);
  const auto pairs = given::pairs_of(data);

  auto service = service_client::connect();
  auto trainer =
      service.create_training_client_from_state({.path = data["state"].text, .with_optimizer = false}).result();
  auto first = trainer.forward_backward_custom(
      samples, grpo{.clip = offset{data["clip"].as_double()}, .beta = data["kl_beta"].as_double()});
  auto second = trainer.forward_backward_custom(pairs, dpo{.beta = data["dpo_beta"].as_double()});
  auto step = trainer.optim_step({.learning_rate = data["learning_rate"].as_double(),
                                  .beta1 = data["beta1"].as_double(),
                                  .beta2 = data["beta2"].as_double(),
                                  .eps = data["eps"].as_double()});
  const training_step on_samples = first.result(), on_pairs = second.result();
  const optimizer_step stepped = step.result();
  const saved_weights saved = trainer.save_state({.name = data["save_as"].text}).result();

  std::printf("{\"path\": \"%s\",\n", saved.path.c_str());
  print("grpo", on_samples.metrics, on_samples.loss, ",");
  print("dpo", on_pairs.metrics, on_pairs.loss, ",");
  print("optim", stepped.metrics, 0, "}");
}

}  // namespace

int main(int count, char** arguments) {
  try {
    if (count != 2) throw std::runtime_error("usage: custom_loss DATA.json");
    train(given::read(arguments[1]));
  } catch (const std::exception& failure) {
    std::cerr << "custom_loss: " << failure.what() << '\n';
    return 1;
  }
}
