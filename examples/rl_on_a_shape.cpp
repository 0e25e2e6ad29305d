// SPDX-License-Identifier: Apache-2.0
// The whole way on a training platform: from the id of a training shape to a policy trainer, a reference trainer on a
// forward-only shape and a deployment; GRPO on rollouts that the deployment samples, a hot load of the new weights every
// few steps (a base first, deltas then), and everything deleted in the end.
//
//   rl_on_a_shape                                                            # on the embedded platform, in this process
//   FIREWORKS_BASE_URL=https://api.fireworks.ai FIREWORKS_API_KEY=fw_… rl_on_a_shape           # the same, hosted
//
// Kill it at any moment and start it again with the same words: the journal knows what there is, and the run goes on
// from its last saved state. (That of the embedded platform ends with this process, so there it begins anew, unless
// FIREWORKS_BASE_URL names a loopback_platform.) A hosted run is billed until its last line, or until `--close`.
//
// The task has a reward that can be verified and that a fresh model can climb: answer an addition in digits. Prompts are
// token ids, one a byte, as the embedded model reads them; another model's tokenizer goes into encode().
#include <gradwire/loopback/platform.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/platform.hpp>
#include <gradwire/platform/lifecycle.hpp>
#include <gradwire/platform/training_loop.hpp>

#include <boost/program_options.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>

#include "support/arithmetic.hpp"

using namespace gradwire;
using namespace gradwire::fields;
using arithmetic::question;

namespace {

struct settings {
  std::string training_shape = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200";
  std::string reference_shape = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200-forward-only";
  std::string base_model = "accounts/fireworks/models/qwen3-8b";
  int lora_rank = 0;  // 0: every parameter; an adapter is always loaded as a base
  std::string journal = "runs/rl_on_a_shape/lifecycle.jsonl";
  std::string files;  // of the embedded platform; "": a temporary folder
  std::uint64_t seed = 1;

  int steps = 40;                       // of the optimizer
  int gradient_accumulation_steps = 2;  // forward_backward calls for each
  int prompts = 8;                      // a call
  int group_size = 8;                   // samples a prompt
  int hot_load_every = 4;               // steps
  int save_every = 10;                  // steps between two states to go on from
  double learning_rate = 1e-3;
  grpo loss{.clip = offset{0.2}, .beta = 0.01};
  bool only_close = false;
};

constexpr int longest_answer = 4;  // tokens

std::vector<std::int32_t> encode(const std::string& text) { return {text.begin(), text.end()}; }

// The share of the answer that is digits, and as much again for the right ones.
double reward(const question& q, const std::string& answer) {
  double digits = 0;
  for (const char c : answer) digits += c >= '0' && c <= '9' ? 1 : 0;
  const double share = answer.empty() ? 0 : digits / static_cast<double>(answer.size());
  return (share + (answer == q.answer ? 1 : 0)) / 2;
}

auto rollout_datum(const question& q, const platform::completion& answer, double own_advantage) {
  return datum{prompt(encode(q.text)) + response(answer.tokens), old_logprobs = answer.logprobs,
               advantage = own_advantage};
}

// What a snapshot takes on the embedded platform's disk; 0 where that is not here.
std::uintmax_t bytes_of(const std::filesystem::path& files, const std::string& identity) {
  std::uintmax_t bytes = 0;
  if (files.empty()) return bytes;
  const std::string name = identity.substr(identity.rfind('/') + 1);
  for (const auto& each : std::filesystem::recursive_directory_iterator(files))
    if (each.is_regular_file() && each.path().parent_path().filename() == name) bytes += each.file_size();
  return bytes;
}

class rl_on_a_shape {
 public:
  rl_on_a_shape(const platform::client& fireworks, const settings& chosen, std::filesystem::path files)
      : set_(chosen), files_(std::move(files)), questions_(set_.seed), run_(fireworks, plan(), options()) {}

  void run() {
    if (const auto was = run_.state(); was.closing || set_.only_close) return close();
    made_ = run_.open().result();
    std::printf("%s: %s, context %lld\n", made_.resumed ? "goes on" : "begins",
                made_.profile->training_shape_version.name().c_str(),
                static_cast<long long>(made_.profile->max_supported_context_length));
    std::printf("policy job %s, reference job %s, deployment %s\n", made_.policy.id().c_str(),
                made_.reference.id().c_str(), made_.deployment.c_str());
    if (made_.serves != made_.step) publish(made_.step);
    train();
    close();
  }

 private:
  platform::lifecycle_plan plan() const {
    return {.training_shape = set_.training_shape,
            .reference_shape = set_.reference_shape,
            .base_model = set_.base_model,
            .lora_rank = set_.lora_rank,
            .learning_rate = set_.learning_rate,
            .gradient_accumulation_steps = set_.gradient_accumulation_steps,
            .display_name = "rl-on-a-shape"};
  }
  platform::lifecycle_options options() const { return {.journal = set_.journal}; }

  // Groups of the deployment's samples, with advantages from the group: (reward - mean) / (deviation + 1e-6).
  auto roll_out(std::int64_t step, int part, double& reward_sum) {
    std::mt19937_64 random(set_.seed * 1'000'003 + static_cast<std::uint64_t>(step) * 64 + static_cast<unsigned>(part));
    std::vector<const question*> asked;
    std::vector<future<platform::completions>> pending;
    for (int i = 0; i < set_.prompts; ++i) {
      asked.push_back(&questions_.training[random() % questions_.training.size()]);
      pending.push_back(
          made_.sampler.sample(encode(asked.back()->text), {.num_samples = set_.group_size,
                                                            .max_tokens = longest_answer,
                                                            .seed = static_cast<std::int64_t>(random() >> 33)}));
    }
    const auto group_of = [&](std::size_t i) {
      const auto answers = pending[i].result().sequences;
      std::vector<double> rewards;
      double mean = 0, square = 0;
      for (const auto& each : answers) rewards.push_back(reward(*asked[i], each.text));
      for (const double r : rewards) mean += r / static_cast<double>(rewards.size());
      for (const double r : rewards) square += (r - mean) * (r - mean);
      const double deviation = std::sqrt(square / static_cast<double>(rewards.size() - 1));
      reward_sum += mean;
      std::vector<decltype(rollout_datum(*asked[0], answers[0], 0.0))> members;
      for (std::size_t k = 0; k < answers.size(); ++k)
        members.push_back(rollout_datum(*asked[i], answers[k], (rewards[k] - mean) / (deviation + 1e-6)));
      return group(members);
    };
    std::vector<decltype(group_of(0))> groups;
    for (std::size_t i = 0; i < asked.size(); ++i) groups.push_back(group_of(i));
    return batch(groups);
  }

  void train() {
    platform::training_loop loop(made_.trainer,
                                 {.gradient_accumulation_steps = set_.gradient_accumulation_steps,
                                  .optim = {.learning_rate = set_.learning_rate, .eps = 1e-8, .grad_clip_norm = 1}},
                                 made_.step);
    progress bar("GRPO", set_.steps);
    while (loop.steps() < set_.steps) {
      const std::int64_t step = loop.steps() + 1;
      double reward_sum = 0, loss = 0, kl = 0;
      std::size_t tokens = 0;
      for (int part = 0; part < set_.gradient_accumulation_steps; ++part) {
        const auto rollout = roll_out(step, part, reward_sum);
        const auto data = with(ref_logprobs = made_.frozen.forward(rollout).result(), rollout);
        auto fed = loop.feed(data, set_.loss);
        const auto& done = fed.step.result();
        loss += done.loss / set_.gradient_accumulation_steps;
        kl += done.metric("kl") / set_.gradient_accumulation_steps;
        tokens += done.tokens;
        if (fed.optim) fed.optim->result();
      }
      bar.show(static_cast<int>(step),
               {{"loss", loss}, {"reward", reward_sum / set_.prompts / set_.gradient_accumulation_steps}, {"KL", kl}},
               tokens);
      if (step % set_.hot_load_every == 0 || step == set_.steps) publish(step);
      if (step % set_.save_every == 0) run_.save_state(step).result();
    }
    bar.end();
  }

  void publish(std::int64_t step) {
    const auto made = run_.publish(step).result();
    std::printf("step %lld: %s %s loaded in %.2f s", static_cast<long long>(step),
                made.type == checkpoint::delta ? "delta" : "base", made.identity.c_str(), made.elapsed_seconds);
    if (const auto bytes = bytes_of(files_, made.identity); bytes > 0)
      std::printf(", %llu bytes", static_cast<unsigned long long>(bytes));
    std::printf("\n");
  }

  void close() {
    made_ = {};
    run_.close().result();
    std::printf("closed: nothing of the run is left\n");
  }

  const settings set_;
  const std::filesystem::path files_;
  const arithmetic::questions questions_;
  const platform::lifecycle run_;
  platform::lifecycle_parts made_;
};

void run(settings set) {
  if (std::getenv("FIREWORKS_BASE_URL") != nullptr)
    return rl_on_a_shape(platform::client::from_environment(), set, {}).run();
  const auto embedded = loopback::start_platform({.files = set.files, .seed = set.seed});
  set.journal += ".embedded";            // not that of a run on a hosted platform, which would be lost
  std::filesystem::remove(set.journal);  // of an embedded platform that is not there any more
  rl_on_a_shape(platform::client::connect(embedded.endpoint()), set, set.files).run();
}

}  // namespace

int main(int argc, char** argv) try {
  namespace options = boost::program_options;
  settings set;
  options::options_description known("rl_on_a_shape: GRPO from a training shape's id to a hot-loaded deployment");
  auto add = known.add_options();
  add("help", "print this");
  add("shape", options::value(&set.training_shape)->default_value(set.training_shape), "of the policy trainer");
  add("reference-shape", options::value(&set.reference_shape)->default_value(set.reference_shape), "forward-only");
  add("model", options::value(&set.base_model)->default_value(set.base_model), "base model");
  add("lora-rank", options::value(&set.lora_rank)->default_value(set.lora_rank), "0: every parameter");
  add("journal", options::value(&set.journal)->default_value(set.journal), "file that knows what there is");
  add("files", options::value(&set.files), "folder of the embedded platform");
  add("seed", options::value(&set.seed)->default_value(set.seed), "of the questions and the sampling");
  add("steps", options::value(&set.steps)->default_value(set.steps), "of the optimizer");
  add("gradient-accumulation-steps",
      options::value(&set.gradient_accumulation_steps)->default_value(set.gradient_accumulation_steps),
      "forward_backward calls for each");
  add("hot-load-every", options::value(&set.hot_load_every)->default_value(set.hot_load_every), "steps");
  add("learning-rate", options::value(&set.learning_rate)->default_value(set.learning_rate), "Adam");
  add("close", options::bool_switch(&set.only_close), "delete what the journal names, and end");
  options::variables_map given;
  options::store(options::parse_command_line(argc, argv, known), given);
  options::notify(given);
  if (given.count("help") != 0) {
    std::cout << known;
    return 0;
  }
  run(set);
  return 0;
} catch (const std::exception& failed) {
  std::cerr << failed.what() << '\n';
  return 1;
}
