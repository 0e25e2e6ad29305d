// SPDX-License-Identifier: Apache-2.0
// Everything that a run can be watched with: a progress line, metrics for TensorBoard, a timeline, and a ledger.
//   watch_a_run [FOLDER]             then: tensorboard --logdir FOLDER, and trace.json in ui.perfetto.dev
#include <cstdio>
#include <string>

#include <gradwire/loopback.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/trainer.hpp>

using namespace gradwire;

int main(int count, char** arguments) {
  if (count > 2 || (count == 2 && arguments[1][0] == '-')) {
    std::puts("watch_a_run [FOLDER]: trains for 100 steps and leaves metrics, a trace and a ledger in FOLDER");
    return 2;
  }
  const std::string folder = count > 1 ? arguments[1] : new_run_folder("runs", "watched");

  run_log log({.folder = folder});         // metrics.jsonl, and an event file that TensorBoard reads
  timeline trace(folder + "/trace.json");  // a Chrome trace of every request and every loss
  ledger books;                            // calls, requests, tokens, bytes by operation
  progress line("SFT", 100);               // "SFT  [####....] 42/100  loss 0.31  left 0:41", "paused: capacity, 3m12s"

  auto server = loopback::start();
  auto service = service_client::connect(server.endpoint(),
                                         {.on_event = tell_all(line.handler(), trace.handler(), books.handler())});
  auto trainer = service.create_training_client({.base_model = server.model(), .lora_rank = 8}).result();
  const batch data{datum{prompt({72, 105}) + response({33, 10})}};

  for (int step = 1; step <= 100; ++step) {
    trace.mark("step " + std::to_string(step));
    auto done = trainer.forward_backward_custom(data, sft_nll{});
    auto updated = trainer.optim_step({.learning_rate = 1e-3});
    log.write(step, done.result(), updated.result(), {{"epoch", step / 10.0}});
    line.show(step, {{"loss", done.result().loss}}, done.result().tokens);
  }
  line.end();
  std::printf("%s", books.table().c_str());
  std::printf("written to %s\n", folder.c_str());
}
