// SPDX-License-Identifier: Apache-2.0
// DPO with the embedded model: two preference pairs, in two parts that are trained on as one batch.
#include <cstdio>
#include <string>
#include <vector>

#include <gradwire/loopback.hpp>
#include <gradwire/loss/dpo.hpp>
#include <gradwire/trainer.hpp>

using namespace gradwire;
using namespace gradwire::fields;

namespace {

auto answer_to(const std::string& question, const std::string& answer) {
  return datum{prompt(std::vector<int>(question.begin(), question.end())) +
               response(std::vector<int>(answer.begin(), answer.end()))};
}

}  // namespace

int main() {
  auto server = loopback::start();
  auto service = service_client::connect(server.endpoint());
  auto trainer = service.create_training_client({.base_model = "gradwire/tiny", .lora_rank = 8}).result();
  auto reference = service.create_reference_client(trainer).result();

  batch polite{group(chosen(answer_to("more?", "yes, please")), rejected(answer_to("more?", "give me")))};
  batch brief{group(chosen(answer_to("why?", "because.")), rejected(answer_to("why?", "it is a long story that")))};
  const auto with_reference = [&](const auto& part) {
    return with(ref_logprobs = reference.forward(part).result(), part);
  };
  const auto pairs = accumulate(with_reference(polite), with_reference(brief));  // the mean is over both pairs

  for (int i = 0; i < 10; ++i) {
    auto step = trainer.forward_backward_custom(pairs, dpo{.beta = 0.1});
    trainer.optim_step({.learning_rate = 3e-3}).result();
    std::printf("step %2d  loss %.4f  margin %+.3f  accuracy %.2f\n", i, step.result().loss,
                step.result().metric("margin"), step.result().metric("accuracy"));
  }
}
