// SPDX-License-Identifier: Apache-2.0
// The main job on a laptop: a fresh small transformer learns to add. First supervised fine-tuning, until a validation
// set says that it is about half good; then GRPO with a reward that can be verified, groups of samples, and a KL term
// to the frozen model that supervised training left. The losses are <gradwire/loss/sft_nll.hpp> and
// <gradwire/loss/grpo.hpp>, a page each; the trainer is the embedded one, and any other takes its place by its address.
#include <gradwire/loopback.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/trainer.hpp>

#include <boost/program_options.hpp>

#include <cmath>
#include <iostream>
#include <random>

#include "support/arithmetic.hpp"

using namespace gradwire;
using namespace gradwire::fields;
using arithmetic::question;

namespace {

struct settings {
  std::uint64_t seed = 1;
  bool shuffle_rewards = false;  // a control: rewards of a step dealt out at random teach nothing
  std::string runs = "runs";     // where the run's folder goes

  int sft_batch = 128;              // questions a step
  double sft_learning_rate = 3e-3;  // Adam
  double sft_until = 0.45;          // accuracy on the validation set
  int sft_most_steps = 3000;

  int prompts = 64;    // questions a GRPO step
  int group_size = 8;  // samples a question
  int grpo_steps = 200;
  double grpo_learning_rate = 1e-3;  // falls to 0 over the steps
  grpo loss{.clip = offset{0.2}, .beta = 0.02};
};

constexpr int longest_answer = 5;  // tokens, the end included

auto sft_datum(const question& q) { return datum{prompt(q.prompt) + response(q.response)}; }

auto rollout_datum(const question& q, const sample& answer, double own_advantage) {
  return datum{prompt(q.prompt) + response(answer.tokens), old_logprobs = answer.logprobs, advantage = own_advantage};
}

class quickstart {
 public:
  explicit quickstart(settings chosen)
      : set_(std::move(chosen)),
        questions_(set_.seed),
        log_({.folder = new_run_folder(set_.runs, std::to_string(set_.seed))}),
        trace_(log_.folder() + "/trace.json"),
        random_(set_.seed),
        server_(loopback::start({.seed = set_.seed})),
        service_(service_client::connect(server_.endpoint(), {.on_event = tell_all(bar_.handler(), trace_.handler())})),
        trainer_(service_.create_training_client({.base_model = server_.model(), .lora_rank = 0}).result()) {}

  void run() {
    std::printf("run folder %s\n", log_.folder().c_str());
    const double start = held_out_accuracy("start");
    show_answers("before training");
    supervised();
    const double after_sft = held_out_accuracy("after-sft");
    show_answers("after SFT");
    reinforced();
    const double after_grpo = held_out_accuracy("after-grpo");
    show_answers("after GRPO");
    log_.write(steps_,
               {{"accuracy/start", start}, {"accuracy/after_sft", after_sft}, {"accuracy/after_grpo", after_grpo}});
    std::printf("accuracy on 500 held-out questions: start %.2f, after SFT %.2f, after GRPO %.2f\n", start, after_sft,
                after_grpo);
  }

 private:
  // ---- supervised fine-tuning ----

  void supervised() {
    bar_.start("SFT ", set_.sft_most_steps);
    double accuracy = 0;
    for (int step = 1; step <= set_.sft_most_steps && accuracy < set_.sft_until; ++step) {
      std::vector<decltype(sft_datum(question{}))> datums;
      for (int i = 0; i < set_.sft_batch; ++i) datums.push_back(sft_datum(any_question()));
      auto done = trainer_.forward_backward_custom(batch(datums), sft_nll{});
      auto updated = trainer_.optim_step(
          {.learning_rate = set_.sft_learning_rate * std::min(1.0, step / 20.0), .eps = 1e-8, .grad_clip_norm = 1});
      const auto result = done.result();
      updated.result();
      if (step % 5 == 0) accuracy = accuracy_on(questions_.validation, "sft-" + std::to_string(step));
      log_.write(++steps_, {{"sft/loss", result.loss}, {"sft/validation_accuracy", accuracy}});
      bar_.show(step, {{"loss", result.loss}, {"validation", accuracy}}, result.tokens,
                std::min(1.0, accuracy / set_.sft_until));
    }
    bar_.end();
  }

  // ---- reinforcement ----

  // Groups of samples of the current policy, with advantages from the group: (reward - mean) / (deviation + 1e-6).
  auto roll_out(int step, double& mean_reward) {
    auto policy = sampler("rollout-" + std::to_string(step));
    std::vector<const question*> asked;
    std::vector<future<samples>> pending;
    for (int i = 0; i < set_.prompts; ++i) {
      asked.push_back(&any_question());
      pending.push_back(policy.sample(asked.back()->prompt, sampling(set_.group_size)));
    }
    std::vector<samples> answers;
    std::vector<double> rewards;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      answers.push_back(pending[i].result());
      for (const auto& s : answers.back().sequences) rewards.push_back(arithmetic::reward(*asked[i], s.tokens));
    }
    mean_reward = 0;
    for (const double r : rewards) mean_reward += r / static_cast<double>(rewards.size());
    if (set_.shuffle_rewards)
      for (std::size_t i = rewards.size(); i > 1; --i) std::swap(rewards[i - 1], rewards[random_() % i]);

    const auto group_of = [&](std::size_t i) {
      const auto size = static_cast<std::size_t>(set_.group_size);
      const double* own = rewards.data() + i * size;
      double mean = 0, square = 0;
      for (std::size_t k = 0; k < size; ++k) mean += own[k] / static_cast<double>(size);
      for (std::size_t k = 0; k < size; ++k) square += (own[k] - mean) * (own[k] - mean);
      const double deviation = std::sqrt(square / static_cast<double>(size - 1));
      std::vector<decltype(rollout_datum(*asked[0], sample{}, 0.0))> members;
      for (std::size_t k = 0; k < size; ++k)
        members.push_back(rollout_datum(*asked[i], answers[i].sequences[k], (own[k] - mean) / (deviation + 1e-6)));
      return group(members);
    };
    std::vector<decltype(group_of(0))> groups;
    for (std::size_t i = 0; i < asked.size(); ++i) groups.push_back(group_of(i));
    return batch(groups);
  }

  void reinforced() {
    auto reference = service_.create_reference_client(trainer_).result();  // the weights as they are now, frozen
    bar_.start("GRPO", set_.grpo_steps);
    for (int step = 1; step <= set_.grpo_steps; ++step) {
      double mean_reward = 0;
      const auto rollout = roll_out(step, mean_reward);
      const auto data = with(ref_logprobs = reference.forward(rollout).result(), rollout);
      auto done = trainer_.forward_backward_custom(data, set_.loss);
      const double rest = 1 - static_cast<double>(step - 1) / set_.grpo_steps;
      auto updated =
          trainer_.optim_step({.learning_rate = set_.grpo_learning_rate * rest, .eps = 1e-8, .grad_clip_norm = 1});
      const auto result = done.result();
      updated.result();
      const double kl = result.metric("kl"), clipped = result.metric("out_of_band_frac");
      log_.write(++steps_, {{"grpo/loss", result.loss},
                            {"grpo/reward", mean_reward},
                            {"grpo/kl", kl},
                            {"grpo/out_of_band_frac", clipped}});
      bar_.show(step, {{"loss", result.loss}, {"reward", mean_reward}, {"KL", kl}, {"clip", clipped}}, result.tokens);
    }
    bar_.end();
  }

  // ---- sampling ----

  sampling_client sampler(const std::string& name) {
    const auto saved = trainer_.save_weights_for_sampler({.name = name}).result();
    return service_.create_sampling_client(saved).result();
  }
  sample_options sampling(int samples_each, double temperature = 1) {
    return {.num_samples = samples_each,
            .max_tokens = longest_answer,
            .temperature = temperature,
            .seed = static_cast<std::int64_t>(random_() >> 2),
            .stop_ids = {arithmetic::end_of_answer}};
  }
  const question& any_question() { return questions_.training[random_() % questions_.training.size()]; }

  std::vector<std::vector<std::int32_t>> answer_greedily(std::span<const question> asked, const std::string& name) {
    auto policy = sampler(name);
    std::vector<future<samples>> pending;
    for (const question& q : asked) pending.push_back(policy.sample(q.prompt, sampling(1, 0)));
    std::vector<std::vector<std::int32_t>> answers;
    for (auto& p : pending) answers.push_back(p.result().sequences.at(0).tokens);
    return answers;
  }
  double accuracy_on(std::span<const question> asked, const std::string& name) {
    const auto answers = answer_greedily(asked, name);
    double right = 0;
    for (std::size_t i = 0; i < asked.size(); ++i) right += arithmetic::reward(asked[i], answers[i]);
    return right / static_cast<double>(asked.size());
  }
  double held_out_accuracy(const std::string& when) { return accuracy_on(questions_.held_out, "held-out-" + when); }

  void show_answers(const char* when) {  // of validation questions: the held-out ones are for the three figures only
    const std::span asked(questions_.validation.data(), 6);
    const auto answers = answer_greedily(asked, "shown-" + std::to_string(shown_++));
    std::printf("%s:", when);
    for (std::size_t i = 0; i < asked.size(); ++i)
      std::printf("  %s%s%s", asked[i].text.c_str(), arithmetic::text_of(answers[i]).c_str(),
                  arithmetic::reward(asked[i], answers[i]) == 1 ? " ✓" : "");
    std::printf("\n");
  }

  settings set_;
  arithmetic::questions questions_;
  run_log log_;
  timeline trace_;
  progress bar_;
  std::mt19937_64 random_;
  loopback::server server_;
  service_client service_;
  training_client trainer_;
  int shown_ = 0;
  int steps_ = 0;  // of the optimizer, both phases
};

}  // namespace

int main(int argc, char** argv) try {
  namespace options = boost::program_options;
  settings set;
  options::options_description known("quickstart: a small transformer learns to add, by SFT and then by GRPO");
  known.add_options()("help", "this text")("seed", options::value(&set.seed)->default_value(set.seed),
                                           "of the model, the questions and the sampling")(
      "shuffle-rewards", options::bool_switch(&set.shuffle_rewards), "a control run: rewards dealt out at random")(
      "runs", options::value(&set.runs)->default_value(set.runs), "folder of the run folders")(
      "grpo-steps", options::value(&set.grpo_steps)->default_value(set.grpo_steps), "GRPO steps");
  options::variables_map given;
  options::store(options::parse_command_line(argc, argv, known), given);
  options::notify(given);
  if (given.count("help") != 0) {
    std::cout << known;
    return 0;
  }
  quickstart(set).run();
  return 0;
} catch (const std::exception& e) {
  std::cerr << e.what() << "\n";
  return 1;
}
