// SPDX-License-Identifier: Apache-2.0
// The whole of gradwire from one file, header-only: the embedded trainer, a client, a loss of its own, one step.
#include <gradwire/adapt/eigen.hpp>
#include <gradwire/adapt/xtensor.hpp>
#include <gradwire/loopback.hpp>
#include <gradwire/trainer.hpp>

#include <cstdint>
#include <cstdio>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct plain_nll {
  constexpr auto operator()() const { return mean_over_all_tokens(-logprobs); }
};

int main() {
  auto server = loopback::start();
  auto service = service_client::connect(server.endpoint());
  auto trainer = service.create_training_client({.base_model = "gradwire/tiny", .lora_rank = 4}).result();

  std::vector<std::int32_t> question{11, 12}, answer{21, 22, 23};
  batch data{group(datum{prompt(question) + response(answer)})};
  double first = 0, last = 0;
  for (int step = 0; step < 3; ++step) {
    auto backward = trainer.forward_backward_custom(data, plain_nll{});
    auto optimizer = trainer.optim_step({.learning_rate = 1e-2});
    last = backward.result().loss;
    optimizer.result();
    if (step == 0) first = last;
  }
  std::printf("loss %g, then %g\n", first, last);
  return last < first ? 0 : 1;
}
