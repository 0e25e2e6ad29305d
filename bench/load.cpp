// SPDX-License-Identifier: Apache-2.0
// The client's half of load.py: one measurement against a trainer that computes nothing, printed as one line of JSON.
//
//   load steps|raw|flight|custom|upload COUNT MODEL      server and key: TINKER_BASE_URL, TINKER_API_KEY
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/trainer.hpp>
#include <gradwire/transport/runtime.hpp>
#include <gradwire/wire/json_codec.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <string_view>

using namespace gradwire;
using namespace gradwire::fields;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double percentile(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
}

// "VmHWM:    1234 kB" of /proc/self/status
double status(const char* name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name)) return std::strtod(line.c_str() + std::strlen(name) + 1, nullptr);
  return 0;
}

int open_sockets() {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry.path(), gone).string().starts_with("socket:")) ++count;
  }
  return count;
}

void steps(training_client& trainer, int count) {
  for (int i = 0; i < 50; ++i) trainer.optim_step().result();
  std::vector<double> took(static_cast<std::size_t>(count));
  const double begin = now();
  for (double& each : took) {
    const double from = now();
    trainer.optim_step().result();
    each = now() - from;
  }
  std::printf("{\"per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", count / (now() - begin),
              1e6 * percentile(took, 0.5), 1e6 * percentile(took, 0.99));
}

// The same two exchanges for each step with nothing around them: what the client's checks and records add is the rest.
void raw(const training_client& trainer, int count) {
  runtime net;
  const auto to = std::make_shared<const http_peer>(
      http_peer{parse_url(std::getenv("TINKER_BASE_URL")), secret(std::getenv("TINKER_API_KEY"))});
  const auto exchange = [&](const char* path, std::string body) {
    http_request request;
    request.target = std::string("/api/v1/") + path;
    request.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}};
    request.body = std::move(body);
    std::promise<http_outcome> came;
    auto outcome = came.get_future();
    http_call call;
    call.to = to;
    call.request = std::make_shared<const http_request>(std::move(request));
    call.deadline = net.now() + in_seconds(30);
    net.send(std::move(call), [&](http_outcome arrived) { came.set_value(std::move(arrived)); });
    return std::get<http_response>(outcome.get()).body;
  };
  std::int64_t sequence = 0;
  const auto step = [&] {
    const std::string submitted = exchange(
        "optim_step", wire::to_json(wire::optim_step_request{.model_id = trainer.model_id(), .seq_id = ++sequence}));
    exchange("retrieve_future", wire::to_json(wire::retrieve_future_request{
                                    wire::from_json<wire::submit_reply>(submitted).request_id, false}));
  };
  for (int i = 0; i < 50; ++i) step();
  const double begin = now();
  for (int i = 0; i < count; ++i) step();
  std::printf("{\"per_second\": %.1f}\n", count / (now() - begin));
}

void flight(training_client& trainer, int count) {
  trainer.optim_step().result();
  std::vector<future<optimizer_step>> pending;
  pending.reserve(static_cast<std::size_t>(count));
  const double begin = now();
  int sockets = 0, looked = 0;
  for (int i = 0; i < count; ++i) pending.push_back(trainer.optim_step());
  const double submitted = now() - begin;
  for (auto& each : pending) {
    each.result();
    if (++looked % 256 == 0) sockets = std::max(sockets, open_sockets());
  }
  std::printf(
      "{\"per_second\": %.1f, \"submit_seconds\": %.4f, \"peak_mib\": %.1f, \"threads\": %.0f, \"connections\": %d}\n",
      count / (now() - begin), submitted, status("VmHWM:") / 1024, status("Threads:"),
      std::max(sockets, open_sockets()));
}

auto big_batch(std::size_t sequences, std::size_t length) {
  std::vector<std::int32_t> ids(length + 1);
  std::vector<decltype(datum{prompt(ids), weights = std::vector<float>{}})> datums;
  for (std::size_t s = 0; s < sequences; ++s) {
    for (std::size_t t = 0; t < ids.size(); ++t) ids[t] = static_cast<std::int32_t>((s * 131 + t * 7) % 50000);
    datums.push_back(datum{prompt(ids), weights = std::vector<float>(length, 1.0F)});
  }
  return batch(datums);
}

void custom(training_client& trainer, int count) {
  const auto data = big_batch(256, 4096);
  trainer.forward_backward_custom(data, sft_nll{}).result();
  std::vector<double> took;
  for (int i = 0; i < count; ++i) {
    const double from = now();
    trainer.forward_backward_custom(data, sft_nll{}).result();
    took.push_back(now() - from);
  }
  std::printf("{\"seconds\": %.4f, \"peak_mib\": %.1f}\n", percentile(took, 0.5), status("VmHWM:") / 1024);
}

void upload(training_client& trainer, int count) {
  const auto data = big_batch(256, 4096);
  trainer.forward_backward(data, server_loss::cross_entropy{}).result();
  const double payload = 256.0 * 4096 * (4 + 8 + 4);  // tokens as int32, targets as int64, weights as float32
  std::vector<double> took;
  for (int i = 0; i < count; ++i) {
    const double from = now();
    trainer.forward_backward(data, server_loss::cross_entropy{}).result();
    took.push_back(now() - from);
  }
  std::printf("{\"megabytes_per_second\": %.1f, \"seconds\": %.4f}\n", payload / 1e6 / percentile(took, 0.5),
              percentile(took, 0.5));
}

}  // namespace

int main(int count, char** arguments) {
  const std::map<std::string_view, std::function<void(training_client&, int)>> all{
      {"steps", steps}, {"raw", raw}, {"flight", flight}, {"custom", custom}, {"upload", upload}};
  const auto what = all.find(count == 4 ? arguments[1] : "");
  if (what == all.end()) {
    std::fprintf(stderr, "usage: load steps|raw|flight|custom|upload COUNT MODEL\n");
    return 2;
  }
  try {
    auto service = service_client::connect();
    auto trainer = service.create_training_client({.base_model = arguments[3], .lora_rank = 8}).result();
    what->second(trainer, std::atoi(arguments[2]));
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    return 1;
  }
}
