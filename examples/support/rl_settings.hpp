// SPDX-License-Identifier: Apache-2.0
// What rl_on_a_shape is told, and its command line.
#pragma once

#include <boost/program_options.hpp>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

#include <gradwire/loss/grpo.hpp>

struct rl_settings {
  std::string training_shape = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200";
  std::string reference_shape = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200-forward-only";
  std::string base_model = "accounts/fireworks/models/qwen3-8b";
  int lora_rank = 0;  // 0: every parameter; an adapter is always loaded as a base
  std::string journal = "runs/rl_on_a_shape/lifecycle.jsonl";
  std::string platform{};  // FIREWORKS_BASE_URL; "": the embedded one, with …
  std::string files{};     // … this folder, "": a temporary one, …
  std::string requests{};  // … and this file for what it is asked, "": none
  std::uint64_t seed = 1;

  int steps = 40;                       // of the optimizer
  int gradient_accumulation_steps = 2;  // forward_backward calls for each
  int prompts = 8;                      // a call
  int group_size = 8;                   // samples a prompt
  int hot_load_every = 4;               // steps
  int save_every = 10;                  // steps between two states to go on from
  double learning_rate = 1e-3;
  gradwire::grpo loss{.clip = gradwire::offset{0.2}, .beta = 0.01};
  bool only_close = false;
};

// The exit status, where there is nothing to run: 0 for --help, 2 for what cannot be understood; else -1.
inline int read_command_line(int argc, char** argv, rl_settings& set) {
  namespace options = boost::program_options;
  options::options_description known("rl_on_a_shape: GRPO from a training shape's id to a hot-loaded deployment");
  const auto add = [&](const char* name, auto& value, const char* text) {
    known.add_options()(name, options::value(&value)->default_value(value), text);
  };
  known.add_options()("help", "print this");
  add("shape", set.training_shape, "of the policy trainer");
  add("reference-shape", set.reference_shape, "forward-only");
  add("model", set.base_model, "base model");
  add("lora-rank", set.lora_rank, "0: every parameter");
  add("journal", set.journal, "file that knows what there is");
  known.add_options()("files", options::value(&set.files),
                      "folder of the embedded platform; without it a temporary one")(
      "requests", options::value(&set.requests), "file that gets a line of JSON for each request to that platform");
  add("seed", set.seed, "of the questions and the sampling");
  add("steps", set.steps, "of the optimizer");
  add("gradient-accumulation-steps", set.gradient_accumulation_steps, "forward_backward calls for each");
  add("hot-load-every", set.hot_load_every, "steps");
  add("save-every", set.save_every, "steps between two states to go on from");
  add("learning-rate", set.learning_rate, "Adam");
  known.add_options()("close", options::bool_switch(&set.only_close), "delete what the journal names, and end");
  try {
    options::variables_map given;
    options::store(options::command_line_parser(argc, argv).options(known).positional({}).run(), given);
    options::notify(given);
    if (given.count("help") != 0) return std::cout << known, 0;
    for (const auto& [name, value] : {std::pair("steps", set.steps),
                                      {"gradient-accumulation-steps", set.gradient_accumulation_steps},
                                      {"hot-load-every", set.hot_load_every},
                                      {"save-every", set.save_every}})
      if (value < 1) throw options::error("--" + std::string(name) + " is 1 or more");
    if (set.reference_shape.empty()) throw options::error("--reference-shape is empty; the loss needs a reference");
    if (const char* const address = std::getenv("FIREWORKS_BASE_URL")) set.platform = address;
    if (set.only_close && set.platform.empty())
      throw options::error("--close is for a platform that FIREWORKS_BASE_URL names; the embedded one keeps nothing");
    if (!set.platform.empty() && !(set.files + set.requests).empty())
      throw options::error("--files and --requests are the embedded platform's, and FIREWORKS_BASE_URL names another");
  } catch (const options::error& wrong) {
    std::cerr << wrong.what() << '\n' << known;
    return 2;
  }
  return -1;
}
