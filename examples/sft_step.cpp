// SPDX-License-Identifier: Apache-2.0
// Supervised fine-tuning of the embedded model on one pair of question and answer, prompt masked; then its answer.
#include <cstdio>
#include <string>
#include <vector>

#include <gradwire/loopback.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/trainer.hpp>

using namespace gradwire;

int main() {
  const std::string question = "2+2=", answer = "4.";  // the embedded model reads bytes
  const std::vector<int> q(question.begin(), question.end()), a(answer.begin(), answer.end());

  auto server = loopback::start();  // lives as long as this variable
  auto service = service_client::connect(server.endpoint());
  auto trainer = service.create_training_client({.base_model = "gradwire/tiny", .lora_rank = 8}).result();

  batch data{datum{prompt(q) + response(a)}};
  for (int i = 0; i < 20; ++i) {
    auto step =
        trainer.forward_backward_custom(data, sft_nll{});  // or forward_backward(data, server_loss::cross_entropy{})
    auto optim = trainer.optim_step({.learning_rate = 1e-2});  // sent once the step has succeeded
    optim.result();
    std::printf("step %2d  loss %.4f\n", i, step.result().loss);
  }

  auto saved = trainer.save_weights_for_sampler({.name = "sft", .type = checkpoint::base}).result();
  auto sampler = service.create_sampling_client(saved).result();
  auto drawn = sampler.sample(q, {.max_tokens = 2, .temperature = 0}).result();
  std::printf("%s", question.c_str());
  for (int token : drawn.sequences[0].tokens) std::printf("%c", token);
  std::printf("\n");
}
