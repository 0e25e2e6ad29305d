// SPDX-License-Identifier: Apache-2.0
// How training_run.hpp works.
#include "training_run.hpp"

#include <gradwire/loopback/files/checksums.hpp>
#include <gradwire/trainer.hpp>

using namespace gradwire;

namespace {

auto make_batch(std::size_t number) {
  std::vector<int> first, second;
  for (std::size_t t = 0; t < 6; ++t) {
    first.push_back(static_cast<int>((number * 31 + t * 7) % 256));
    second.push_back(static_cast<int>((number * 17 + t * 11) % 256));
  }
  return batch(std::vector{datum{response(first)}, datum{response(second)}});
}

// A loss of this side: half of the sum of the squares of the logprobs.
custom_value half_of_squares(const decltype(make_batch(0))&, ragged_view<const float> logprobs,
                             ragged_view<float> gradients) {
  double sum = 0;
  for (std::size_t s = 0; s < logprobs.size(); ++s)
    for (std::size_t t = 0; t < logprobs[s].size(); ++t) {
      const double value = static_cast<double>(logprobs[s][t]);
      sum += value * value / 2;
      gradients[s][t] = logprobs[s][t];
    }
  return {sum, {}};
}

run_result with_journal(run_result result, const std::filesystem::path& file, const run_journal& journal) {
  for (const auto& entry : journal.entries()) {
    if (entry.batch != result.losses.size()) throw std::runtime_error("a batch is missing in " + file.string());
    result.losses.push_back(entry.loss);
  }
  const std::string text = loopback::read_text(file);
  for (std::size_t from = 0, end = 0; (end = text.find('\n', from)) != text.npos; from = end + 1)
    if (const auto entry = run_journal::parse(std::string_view(text).substr(from, end - from));
        entry && !entry->state.empty())
      result.states.push_back(entry->state);
  return result;
}

}  // namespace

run_result train(const endpoint& trainer, const std::filesystem::path& file, const run_settings& settings) {
  run_result result;
  run_journal journal(file.string());
  connect_options how;
  how.operation_timeout_seconds = 60;
  how.retry.first_pause_seconds = 0.004;
  how.retry.longest_pause_seconds = 0.05;
  how.retry.budget_retries = 0;
  run_options options;
  options.save_every = settings.save_every;
  options.on_notice = [&](const std::string& notice) { result.notices.push_back(notice); };
  const auto open = [&](const std::string& state) {
    auto service = service_client::connect(trainer, how);
    if (!state.empty()) return service.create_training_client_from_state(state).result();
    return service.create_training_client({.base_model = "gradwire/tiny", .lora_rank = 2, .seed = 1}).result();
  };
  const auto step = [&](training_client& model, std::size_t number) {
    const auto data = make_batch(number);
    auto done = number % 2 == 0 ? model.forward_backward(data, server_loss::cross_entropy{})
                                : model.forward_backward_custom(data, &half_of_squares);
    auto updated = model.optim_step({.learning_rate = 1e-2});
    const double loss = done.result().loss;
    updated.result();
    return journal_entry{.seed = number, .loss = loss, .digest = digest_of(data)};
  };
  journal.run(settings.batches, open, step, options);
  return with_journal(std::move(result), file, journal);
}

run_result read_run(const std::filesystem::path& file) { return with_journal({}, file, run_journal(file.string())); }

std::string final_state(const std::filesystem::path& folder, const run_result& run) {
  std::string last;
  for (const std::string& state : run.states) {
    // tinker://<model>/weights/<name>
    const auto at = folder / "state" / "checkpoints" / state.substr(sizeof "tinker://" - 1);
    loopback::verify_checksums(at, true);
    last.clear();
    for (const char* name : {"adapter_model.safetensors", "optimizer.safetensors"})
      last += loopback::read_text(at / name);
    const std::string about = loopback::read_text(at / "training.json");  // it names the request, too
    last += about.substr(0, about.find("\"saved_by\""));
  }
  return last;
}
