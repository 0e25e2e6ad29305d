// SPDX-License-Identifier: Apache-2.0
// gradwire's half of run_log.py: a short run on the server of the environment that keeps every log that gradwire has in
// FOLDER: metrics.jsonl and the TensorBoard events, trace.json, and the ledger as ledger.txt.
//   run_log FOLDER                   (server and key: TINKER_BASE_URL, TINKER_API_KEY; model: GRADWIRE_MODEL)
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/trainer.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <limits>

using namespace gradwire;

namespace {

void train(const std::string& folder) {
  run_log log({.folder = folder});
  timeline trace(folder + "/trace.json");
  ledger books;
  auto service =
      service_client::connect(endpoint{.url = std::getenv("TINKER_BASE_URL"), .token = std::getenv("TINKER_API_KEY")},
                              {.on_event = tell_all(trace.handler(), books.handler())});
  auto trainer = service.create_training_client({.base_model = std::getenv("GRADWIRE_MODEL"), .lora_rank = 4}).result();
  const batch data{datum{prompt({1, 2, 3}) + response({4, 5})}, datum{prompt({6, 7}) + response({8, 9, 10})}};
  for (int step = 1; step <= 5; ++step) {
    trace.mark("step " + std::to_string(step));
    auto done = trainer.forward_backward_custom(data, sft_nll{});
    auto updated = trainer.optim_step({.learning_rate = 1e-3});
    log.write(step, done.result(), updated.result(),
              {{"reward/mean", 0.1 * step}, {"not_a_number", std::numeric_limits<double>::quiet_NaN()}});
  }
  std::ofstream(folder + "/ledger.txt") << books.table();
}

}  // namespace

int main(int count, char** arguments) {
  try {
    if (count != 2) throw std::runtime_error("usage: run_log FOLDER");
    train(arguments[1]);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
