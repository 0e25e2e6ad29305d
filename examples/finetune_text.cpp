// SPDX-License-Identifier: Apache-2.0
// Trains the embedded model on text of your own:
//
//   finetune_text FILE [--steps N] [--lora-rank R] [--checkpoints DIR] …
//
// FILE is any text, or JSON lines {"prompt": …, "response": …} of which the responses are learned. A tenth of it is
// kept for validation. At the end it writes a continuation, and says where the checkpoint is.
#include <gradwire/loopback.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/trainer.hpp>

#include <boost/program_options.hpp>

#include <cmath>
#include <iostream>
#include <random>

#include "support/text_data.hpp"

using namespace gradwire;
using namespace gradwire::fields;

namespace {

struct settings {
  std::string file, checkpoints, runs = "runs";
  std::uint64_t seed = 1;
  int steps = 200, examples_a_step = 16, lora_rank = 0;
  std::size_t context = 128;  // bytes of a window of plain text
  double learning_rate = 1e-3;
};

const loopback::byte_tokenizer tokenizer;

auto datum_of(const text_example& e) {
  auto answer = tokenizer.encode(e.response);
  if (e.prompt.empty()) return datum{response(answer)};
  answer.push_back(tokenizer.id("<|im_end|>"));
  return datum{prompt(tokenizer.encode(e.prompt)) + response(answer)};
}
using datums = std::vector<decltype(datum_of(text_example{}))>;

// Nats a token of the responses, without a gradient.
double loss_on(training_client& trainer, const datums& data) {
  double sum = 0, weight = 0;
  for (std::size_t begin = 0; begin < data.size(); begin += 32) {
    const batch part(datums(data.begin() + static_cast<std::ptrdiff_t>(begin),
                            data.begin() + static_cast<std::ptrdiff_t>(std::min(begin + 32, data.size()))));
    const auto known = with(logprobs = trainer.forward(part).result(), part);
    sum += value_and_gradient(sft_nll_sum{}, wrt(logprobs), at(known)).loss;
    weight += known.total_weight();
  }
  return sum / weight;
}

void run(const settings& set) {
  auto examples = read_examples(set.file, set.context);
  std::mt19937_64 random(set.seed);
  for (std::size_t i = examples.size(); i > 1; --i) std::swap(examples[i - 1], examples[random() % i]);
  datums all;
  for (const auto& e : examples) all.push_back(datum_of(e));
  const std::size_t kept = std::max<std::size_t>(1, std::min<std::size_t>(all.size() / 10, 256));
  const datums validation(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(kept));
  const datums training(all.begin() + static_cast<std::ptrdiff_t>(kept), all.end());

  auto server = loopback::start({.checkpoints = set.checkpoints, .seed = set.seed});
  progress bar;
  auto service = service_client::connect(server.endpoint(), {.on_event = bar.handler()});
  auto trainer = service.create_training_client({.base_model = server.model(), .lora_rank = set.lora_rank}).result();
  run_log log({.folder = new_run_folder(set.runs, std::to_string(set.seed))});
  std::printf("%zu examples to train on, %zu to validate; run folder %s\n", training.size(), validation.size(),
              log.folder().c_str());
  const double before = loss_on(trainer, validation);
  bar.start("SFT", set.steps);
  for (int step = 1; step <= set.steps; ++step) {
    datums chosen_now;
    for (int i = 0; i < set.examples_a_step; ++i) chosen_now.push_back(training[random() % training.size()]);
    auto done = trainer.forward_backward_custom(batch(chosen_now), sft_nll{});
    const double rest = 1 - static_cast<double>(step - 1) / set.steps;
    auto updated = trainer.optim_step(
        {.learning_rate = set.learning_rate * std::min(rest, step / 20.0), .eps = 1e-8, .grad_clip_norm = 1});
    const auto result = done.result();
    log.write(step, result, updated.result());
    bar.show(step, {{"loss", result.loss}}, result.tokens);
  }
  bar.end();
  const double after = loss_on(trainer, validation);
  log.write(set.steps, {{"validation/before", before}, {"validation/after", after}});
  std::printf("validation loss, nats a byte: %.3f before, %.3f after\n", before, after);

  const auto saved = trainer.save_weights_for_sampler({.name = "finetuned"}).result();
  auto sampler = service.create_sampling_client(saved).result();
  const auto& shown = examples.front();  // of the validation examples
  const std::string start = shown.prompt.empty() ? shown.response.substr(0, shown.response.size() / 2) : shown.prompt;
  const auto answer = sampler
                          .sample(tokenizer.encode(start), {.max_tokens = 64,
                                                            .temperature = 0.7,
                                                            .seed = static_cast<std::int64_t>(set.seed),
                                                            .stop_ids = {tokenizer.id("<|im_end|>")}})
                          .result();
  std::printf("--- prompt\n%s\n--- continuation\n%s\n", start.c_str(),
              tokenizer.decode(answer.sequences.at(0).tokens, true).c_str());
  if (!set.checkpoints.empty()) std::printf("checkpoint %s in %s\n", saved.path.c_str(), set.checkpoints.c_str());
}

}  // namespace

int main(int argc, char** argv) try {
  namespace options = boost::program_options;
  settings set;
  options::options_description known(
      "finetune_text FILE: trains the embedded model on text, or on JSON lines of prompt and response");
  known.add_options()("help", "this text")("file", options::value(&set.file), "the text")(
      "steps", options::value(&set.steps)->default_value(set.steps), "optimizer steps")(
      "batch", options::value(&set.examples_a_step)->default_value(set.examples_a_step), "examples a step")(
      "context", options::value(&set.context)->default_value(set.context), "bytes of a window of plain text")(
      "learning-rate", options::value(&set.learning_rate)->default_value(set.learning_rate), "at its highest")(
      "lora-rank", options::value(&set.lora_rank)->default_value(set.lora_rank), "0: every parameter is trained")(
      "checkpoints", options::value(&set.checkpoints), "folder to keep the checkpoint in")(
      "runs", options::value(&set.runs)->default_value(set.runs), "folder of the run folders")(
      "seed", options::value(&set.seed)->default_value(set.seed), "of the model and of the order");
  options::positional_options_description first;
  first.add("file", 1);
  options::variables_map given;
  options::store(options::command_line_parser(argc, argv).options(known).positional(first).run(), given);
  options::notify(given);
  if (given.count("help") != 0 || set.file.empty()) {
    std::cout << known;
    return given.count("help") != 0 ? 0 : 2;
  }
  run(set);
  return 0;
} catch (const std::exception& e) {
  std::cerr << e.what() << "\n";
  return 1;
}
