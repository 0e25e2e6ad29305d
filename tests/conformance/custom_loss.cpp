// SPDX-License-Identifier: Apache-2.0
// gradwire's half of custom_loss.py: reads the data that it wrote, sends GRPO on groups and DPO on pairs as custom
// losses from the saved state that it names, steps once, saves, and prints what the results say as one JSON object.
//   custom_loss DATA.json            (server and key: TINKER_BASE_URL, TINKER_API_KEY)
#include "../golden/golden.hpp"

#include <gradwire/loss/dpo.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/trainer.hpp>

#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>

using namespace gradwire;
using namespace gradwire::fields;

namespace {

template <class T>
std::vector<T> numbers_of(const golden::node& from) {
  std::vector<T> values;
  for (const golden::node& item : from.items) values.push_back(static_cast<T>(item.as_double()));
  return values;
}

auto policy_datum(const golden::node& d) {
  return datum{prompt(numbers_of<std::int32_t>(d["tokens"])), weights = numbers_of<float>(d["weights"]),
               old_logprobs = numbers_of<float>(d["old_logprobs"]), ref_logprobs = numbers_of<float>(d["ref_logprobs"]),
               advantage = d["advantage"].as_double()};
}

auto preference_datum(const golden::node& d) {
  return datum{prompt(numbers_of<std::int32_t>(d["tokens"])), weights = numbers_of<float>(d["weights"]),
               ref_logprobs = numbers_of<float>(d["ref_logprobs"])};
}

void print(const char* name, const std::vector<named_value>& values, double loss, const char* end) {
  std::printf("\"%s\": {\"loss\": %.17g", name, loss);
  for (const named_value& v : values)
    if (v.name != "loss") std::printf(", \"%s\": %.17g", v.name.c_str(), v.value);
  std::printf("}%s\n", end);
}

void train(const golden::node& given) {
  std::vector<decltype(group(std::vector{policy_datum(given)}))> groups;
  std::vector<decltype(policy_datum(given))> members;
  for (const golden::node& d : given["samples"].items) {
    members.push_back(policy_datum(d));
    if (members.size() < given["group_size"].as_size()) continue;
    groups.push_back(group(members));
    members.clear();
  }
  const batch samples(groups);

  std::vector<decltype(group(chosen(preference_datum(given)), rejected(preference_datum(given))))> preferences;
  const std::vector<golden::node>& items = given["pairs"].items;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2)
    preferences.push_back(group(chosen(preference_datum(items[i])), rejected(preference_datum(items[i + 1]))));
  const batch pairs(preferences);

  auto service = service_client::connect();
  auto trainer =
      service.create_training_client_from_state({.path = given["state"].text, .with_optimizer = false}).result();
  auto first = trainer.forward_backward_custom(
      samples, grpo{.clip = offset{given["clip"].as_double()}, .beta = given["kl_beta"].as_double()});
  auto second = trainer.forward_backward_custom(pairs, dpo{.beta = given["dpo_beta"].as_double()});
  auto step = trainer.optim_step({.learning_rate = given["learning_rate"].as_double(),
                                  .beta1 = given["beta1"].as_double(),
                                  .beta2 = given["beta2"].as_double(),
                                  .eps = given["eps"].as_double()});
  const training_step on_samples = first.result(), on_pairs = second.result();
  const optimizer_step stepped = step.result();
  const saved_weights saved = trainer.save_state({.name = given["save_as"].text}).result();

  std::printf("{\"path\": \"%s\",\n", saved.path.c_str());
  print("grpo", on_samples.metrics, on_samples.loss, ",");
  print("dpo", on_pairs.metrics, on_pairs.loss, ",");
  print("optim", stepped.metrics, 0, "}");
}

}  // namespace

int main(int count, char** arguments) {
  try {
    if (count != 2) throw std::runtime_error("usage: custom_loss DATA.json");
    std::ifstream file(arguments[1], std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    train(golden::parse(text));
  } catch (const std::exception& failure) {
    std::cerr << "custom_loss: " << failure.what() << '\n';
    return 1;
  }
}
