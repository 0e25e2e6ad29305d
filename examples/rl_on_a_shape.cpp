// SPDX-License-Identifier: Apache-2.0
// The whole way on a training platform: from the id of a training shape to a policy trainer, a reference trainer on a
// forward-only shape and a deployment; GRPO on rollouts that the deployment samples, a hot load of the new weights every
// few steps (a base first, deltas then), and everything deleted in the end.
//
//   rl_on_a_shape                                                            # on the embedded platform, in this process
//   FIREWORKS_BASE_URL=https://api.fireworks.ai FIREWORKS_API_KEY=fw_… rl_on_a_shape           # the same, hosted
//
// Stop it (Ctrl-C) or kill it at any moment and start it again with the same words: the journal knows what there is, and
// the run goes on from its last saved state. (That of the embedded platform ends with this process, so there it begins
// anew, unless FIREWORKS_BASE_URL names a loopback_platform.) A hosted run is billed until its last line, or until
// `--close`.
//
// The task has a reward that can be verified and that a fresh model can climb: answer an addition in digits. Prompts are
// token ids, one a byte, as the embedded model reads them; another model's tokenizer goes into encode().
#include <gradwire/loopback/platform.hpp>
#include <gradwire/platform.hpp>
#include <gradwire/platform/lifecycle.hpp>
#include <gradwire/platform/training_loop.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <random>

#include "support/arithmetic.hpp"
#include "support/rl_settings.hpp"
#include "support/stop_signal.hpp"

using namespace gradwire;
using namespace gradwire::fields;
using arithmetic::question;

namespace {

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

// Says what is waited for, which on a hosted platform can take long.
platform::progress_handler tell_states() {
  return [told = std::map<std::string, std::string>()](const platform::wait_progress& now) mutable {
    if (now.polls == 0 || !(now.what.starts_with("trainer job") || now.what.starts_with("deployment"))) return;
    if (std::exchange(told[now.what], now.state) != now.state)
      std::printf("%s: %s\n", now.what.c_str(), now.state.c_str());
  };
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
  rl_on_a_shape(const platform::client& fireworks, const rl_settings& chosen, std::filesystem::path files)
      : set_(chosen), files_(std::move(files)), questions_(set_.seed), run_(fireworks, plan(), options()) {}

  bool leaves_something() const {
    const auto now = run_.state();
    return std::any_of(std::begin(platform::all_parts), std::end(platform::all_parts),
                       [&](platform::part each) { return now.owes(each); });
  }

  // False: it was stopped.
  bool run() {
    const auto was = run_.state();
    if (was.closed && !set_.only_close)
      throw error(errc::config, "the run of " + set_.journal + " is over; for another one name another --journal");
    if (was.closing || set_.only_close) return close(), true;
    made_ = run_.open().result();
    std::printf("%s: %s, context %lld\n", made_.resumed ? "goes on" : "begins",
                made_.profile->training_shape_version.name().c_str(),
                static_cast<long long>(made_.profile->max_supported_context_length));
    std::printf("policy job %s, reference job %s, deployment %s\n", made_.policy.id().c_str(),
                made_.reference.id().c_str(), made_.deployment.c_str());
    if (made_.serves != made_.step) publish(made_.step);
    if (!train()) return false;
    close();
    return true;
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
  platform::lifecycle_options options() const {
    platform::lifecycle_options chosen;
    chosen.journal = set_.journal;
    chosen.trainer.on_event = bar_.handler();
    chosen.hot_load_wait.poll_seconds = 1;  // nothing else can be done meanwhile
    chosen.on_progress = tell_states();
    return chosen;
  }

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

  bool train() {
    platform::training_loop loop(made_.trainer,
                                 {.gradient_accumulation_steps = set_.gradient_accumulation_steps,
                                  .optim = {.learning_rate = set_.learning_rate, .eps = 1e-8, .grad_clip_norm = 1}},
                                 made_.step);
    bar_.start("GRPO", set_.steps);
    while (loop.steps() < set_.steps) {
      if (stop_signal::was_asked) return stop(loop.steps()), false;
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
      bar_.show(static_cast<int>(step),
                {{"loss", loss}, {"reward", reward_sum / set_.prompts / set_.gradient_accumulation_steps}, {"KL", kl}},
                tokens);
      if (step % set_.hot_load_every == 0 || step == set_.steps) publish(step);
      if (step % set_.save_every == 0) run_.save_state(step).result();
    }
    bar_.end();
    return true;
  }

  void publish(std::int64_t step) {
    bar_.end();
    const auto made = run_.publish(step).result();
    const bool is_delta = made.type == checkpoint::delta;
    std::printf("step %lld: %s %s loaded in %.2f s", static_cast<long long>(step), is_delta ? "delta" : "base",
                made.identity.c_str(), made.elapsed_seconds);
    if (const auto bytes = bytes_of(files_, made.identity); bytes > 0) {
      std::printf(", %llu bytes", static_cast<unsigned long long>(bytes));
      if (is_delta)
        std::printf(", a base is %.1f times that", static_cast<double>(base_bytes_) / static_cast<double>(bytes));
      else
        base_bytes_ = bytes;
    }
    std::printf("\n");
  }

  void stop(std::int64_t step) {
    bar_.end();
    if (step > made_.step) run_.save_state(step).result();
    std::printf("stopped after step %lld\n", static_cast<long long>(step));
  }

  void close() {
    made_ = {};
    run_.close().result();
    std::printf("closed: nothing of the run is left\n");
  }

  const rl_settings set_;
  const std::filesystem::path files_;
  const arithmetic::questions questions_;
  progress bar_;
  const platform::lifecycle run_;
  platform::lifecycle_parts made_;
  std::uintmax_t base_bytes_ = 0;
};

// The exit status.
int run(rl_settings set) {
  std::optional<loopback::platform> embedded;
  if (set.platform.empty()) {
    loopback::platform_options own;
    own.files = set.files;
    own.requests = set.requests;
    own.seed = set.seed;
    own.delays.job_creating = own.delays.deployment_creating = 0;
    embedded.emplace(std::move(own));
    set.journal += ".embedded";            // not that of a run on a hosted platform, which would be lost
    std::filesystem::remove(set.journal);  // of an embedded platform that is not there any more
  }
  const auto connect = [&](platform::client_options how) {
    return embedded ? platform::client::connect(embedded->endpoint(), std::move(how))
                    : platform::client::from_environment(std::move(how));
  };
  std::printf("platform: %s\n", embedded ? ("embedded, " + embedded->endpoint().url).c_str() : set.platform.c_str());
  connect({.call_timeout_seconds = 20}).account().result();  // a wrong address is told soon
  rl_on_a_shape here(connect({}), set, embedded ? embedded->files() : "");
  int status = 0;
  try {
    if (!here.run()) status = 130;
  } catch (const std::exception& failed) {
    std::cerr << failed.what() << '\n';
    status = 1;
  }
  if (status != 0 && here.leaves_something())
    std::cerr << (embedded ? "the embedded platform ends with this process, and all that was made with it\n"
                           : "what was made is there and billed: the same words go on, with --close it is deleted\n");
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  rl_settings set;
  if (const int status = read_command_line(argc, argv, set); status >= 0) return status;
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // also where it goes into a file
  stop_signal::listen();
  try {
    return run(std::move(set));
  } catch (const std::exception& failed) {
    std::cerr << failed.what() << '\n';
    return 1;
  }
}
