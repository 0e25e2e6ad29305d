// SPDX-License-Identifier: Apache-2.0
// Rows F of the table of faults: what becomes of calls that nobody waits for, that are given up, or whose client goes.
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.hpp"

using namespace faults;

namespace {

int threads_of_this_process() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("Threads:")) return std::stoi(line.substr(8));
  return -1;
}

struct lost_errors_seen {
  std::atomic<int> count{0};
  lost_error_handler before;
  lost_errors_seen() {
    before = on_lost_error([this](std::exception_ptr) { ++count; });
  }
  ~lost_errors_seen() { on_lost_error(before); }
};

template <class Condition>
bool soon(Condition&& holds) {
  for (int i = 0; i < 400; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

faults::rule slow(const char* path, int ms) { return {.what = fault::delay, .path = path, .ms = ms}; }

// This program again, for one test case that is no test of its own.
int run_child(const std::string& name) {
  char path[4096];
  const auto length = ::readlink("/proc/self/exe", path, sizeof path - 1);
  BOOST_REQUIRE(length > 0);
  path[length] = '\0';
  const std::string command = std::string("GRADWIRE_FAULT_CHILD=1 timeout 20 ") + path + " --run_test=child/" + name;
  const int status = std::system((command + " > /dev/null 2>&1").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool is_child() { return std::getenv("GRADWIRE_FAULT_CHILD") != nullptr; }

}  // namespace

BOOST_AUTO_TEST_SUITE(futures)

FAULT_CASE(F01_a_future_is_dropped) {
  lost_errors_seen lost;
  scene s({slow("/optim_step", 100)});
  const auto begun = std::chrono::steady_clock::now();
  { auto dropped = s.trainer.optim_step(); }
  BOOST_TEST((std::chrono::steady_clock::now() - begun < 50ms));  // the destructor does not wait
  BOOST_TEST(soon([&] { return s.steps() == 1; }));               // the work goes on
  BOOST_TEST(lost.count == 0);
  s.proxy.set({{.what = fault::respond, .path = "/optim_step", .deliver = false, .status = 422}});
  { auto dropped = s.trainer.optim_step(); }
  BOOST_TEST(soon([&] { return lost.count == 1; }));
  must_be(verdict_of([&] { s.trainer.optim_step().result(); }), errc::status);
  BOOST_TEST(lost.count == 1);  // one that was read is not lost
}

FAULT_CASE(F02_result_with_a_limit) {
  scene s({slow("/optim_step", 150)});
  auto step = s.trainer.optim_step();
  const auto v = verdict_of([&] { step.result(20ms); });
  must_be(v, errc::timeout, {"goes on"});
  BOOST_TEST(v.seconds < 0.27);
  BOOST_TEST(step.result().metric("step") == 1);
  BOOST_TEST(step.result(0ms).metric("step") == 1);
}

FAULT_CASE(F03_cancelled_before_it_is_sent) {
  scene s({slow("/save_weights", 200)});
  auto first = s.trainer.save_state("first");
  auto waiting = s.trainer.optim_step();  // in the row, behind it
  BOOST_TEST(waiting.cancel());
  const auto v = verdict_of([&] { waiting.result(); });
  must_be(v, errc::closed, {"cancelled before anything was sent"});
  BOOST_TEST(v.seconds < 0.15);  // at once, not when its turn comes
  first.result();
  BOOST_TEST(s.trainer.optim_step().result().metric("step") == 1);  // and the numbers have no gap
  BOOST_TEST(s.arrived("/optim_step") == 1);
  for (const auto& each : s.proxy.log())
    if (each.path.ends_with("/optim_step")) BOOST_TEST(each.seq_id == 2);
}

FAULT_CASE(F03_cancelled_while_it_is_sent) {
  scene s({{.what = fault::delay, .path = "/optim_step", .late = true, .ms = 150}});
  auto step = s.trainer.optim_step();
  BOOST_TEST(soon([&] { return s.arrived("/optim_step") == 1; }));
  BOOST_TEST(step.cancel());
  const auto v = verdict_of([&] { step.result(); });
  must_be(v, errc::outcome_unknown, {"cancelled", "may or may not"});
  BOOST_TEST(v.seconds < 0.14);
  s.proxy.set({});
  s.trainer.forward(small_batch()).result();  // what comes behind it does not overtake it
  BOOST_TEST(s.steps() == 1);
  std::int64_t last = 0;
  for (const auto& each : s.proxy.log()) {
    if (each.seq_id < 0 || each.path.ends_with("/create_model")) continue;
    BOOST_TEST(each.seq_id >= last);
    last = each.seq_id;
  }
}

FAULT_CASE(F03_cancelled_after_the_trainer_has_it) {
  scene s({slow("/retrieve_future", 250)});
  auto step = s.trainer.optim_step();
  BOOST_TEST(soon([&] { return s.arrived("/retrieve_future") == 1; }));
  BOOST_TEST(step.cancel());
  const auto v = verdict_of([&] { step.result(); });
  must_be(v, errc::closed, {"cancelled", "executes it", "request "});
  BOOST_TEST(v.seconds < 0.2);
  std::this_thread::sleep_for(100ms);
  BOOST_TEST(s.arrived("/retrieve_future") == 1);  // not asked for again
  BOOST_TEST(s.steps() == 1);
  // a pass that is given up there leaves gradients that nobody can take back
  auto pass = s.trainer.forward_backward(small_batch(), server_loss::cross_entropy{});
  BOOST_TEST(soon([&] { return s.arrived("/retrieve_future") == 2; }));
  pass.cancel();
  must_be(verdict_of([&] { pass.result(); }), errc::closed, {"executes it"});
  must_be(verdict_of([&] { s.trainer.optim_step().result(); }), errc::closed, {"not stepped", "cannot be taken back"});
}

FAULT_CASE(F03_cancelled_after_the_result) {
  scene s;
  auto step = s.trainer.optim_step();
  BOOST_TEST(soon([&] { return step.ready(); }));
  BOOST_TEST(!step.cancel());
  BOOST_TEST(step.result().metric("step") == 1);
  auto session = s.service.create_training_client({.base_model = s.server.model(), .lora_rank = 2});
  session.result();
  BOOST_TEST(!session.cancel());
}

FAULT_CASE(F04_the_client_goes_with_a_hundred_in_flight) {
  shared_server();
  std::this_thread::sleep_for(50ms);
  const int before = threads_of_this_process();
  std::vector<future<optimizer_step>> steps;
  double seconds = 0;
  {
    fault_proxy proxy(port_of(shared_server()), {});
    std::optional<service_client> service(
        service_client::connect(endpoint{proxy.url(), std::string(canary)}, impatient()));
    std::optional<training_client> trainer(
        service->create_training_client({.base_model = shared_server().model(), .lora_rank = 2}).result());
    proxy.set({{.what = fault::stall, .path = "/retrieve_future"}});
    for (int i = 0; i < 100; ++i) steps.push_back(trainer->optim_step());
    const auto begun = std::chrono::steady_clock::now();
    trainer.reset();
    service.reset();
    int closed = 0;
    for (auto& each : steps) {
      const auto v = verdict_of([&] { each.result(); });
      closed += v.kind == errc::closed;
    }
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    BOOST_TEST(closed == 100);
  }
  BOOST_TEST(seconds < 0.25);
  BOOST_TEST(soon([&] { return threads_of_this_process() <= before; }));
}

FAULT_CASE(F05_result_on_the_thread_that_finishes_futures) {
  std::atomic<bool> asked{false};
  verdict v;
  std::optional<future<optimizer_step>> step;
  auto how = impatient();
  how.on_event = [&](const client_event& e) {
    if (e.what != client_event::type::finished || e.name != "save_state") return;
    v = verdict_of([&] { step->result(); });
    asked = true;
  };
  fault_proxy proxy(port_of(shared_server()), {});
  auto service = service_client::connect(endpoint{proxy.url(), std::string(canary)}, how);
  auto trainer = service.create_training_client({.base_model = shared_server().model(), .lora_rank = 2}).result();
  proxy.set({{.what = fault::delay, .path = "/retrieve_future", .nth = {1}, .ms = 250}});
  step.emplace(trainer.optim_step());
  trainer.save_state("f05").result();  // is finished first
  BOOST_TEST(asked.load());
  must_be(v, errc::config, {"callback"});
  BOOST_TEST(v.seconds < 0.05);
  BOOST_TEST(step->result().metric("step") == 1);
}

FAULT_CASE(F06_eight_threads_share_a_client) {
  const int each_does = is_long_run() ? 10'000 : 250;
  auto how = impatient();
  how.operation_timeout_seconds = 600;
  std::mutex mutex;
  std::vector<std::int64_t> sent;
  how.on_event = [&](const client_event& e) {
    if (e.what != client_event::type::sent || e.name != "optim_step" || e.attempt != 1) return;
    std::lock_guard lock(mutex);
    sent.push_back(e.seq_id);
  };
  auto server = loopback::start({.no_op = true});
  auto service = service_client::connect(server.endpoint(), how);
  auto trainer = service.create_training_client({.base_model = server.model(), .lora_rank = 2}).result();
  std::vector<std::thread> threads;
  std::atomic<int> disorder{0}, done{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      double last = 0;
      std::vector<future<optimizer_step>> some;
      for (int i = 0; i < each_does; ++i) {
        some.push_back(trainer.optim_step());
        if (some.size() < 25 && i + 1 < each_does) continue;
        for (auto& step : some) {  // of one thread in the order of its calls
          const double number = step.result().metric("step");
          disorder += number <= last;
          last = number;
          ++done;
        }
        some.clear();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  BOOST_TEST(done == 8 * each_does);
  BOOST_TEST(disorder == 0);
  BOOST_TEST(server.executed().optim_step == 8 * each_does);
  std::lock_guard lock(mutex);
  BOOST_REQUIRE(sent.size() == std::size_t(8 * each_does));
  for (std::size_t i = 0; i < sent.size(); ++i) BOOST_REQUIRE(sent[i] == std::int64_t(i) + 1);
}

FAULT_CASE(F07_a_callback_throws) {
  lost_errors_seen lost;
  auto how = impatient();
  how.on_event = [](const client_event& e) {
    if (e.what == client_event::type::accepted) throw std::runtime_error("a defect of the caller");
  };
  auto service = service_client::connect(shared_server().endpoint(), how);
  auto trainer = service.create_training_client({.base_model = shared_server().model(), .lora_rank = 2}).result();
  for (int i = 1; i <= 3; ++i) BOOST_TEST(trainer.optim_step().result().metric("step") == i);
  BOOST_TEST(lost.count >= 4);
}

FAULT_CASE(F09_the_network_stops_answering) {
  // The io_context is the client's own; what can stop is what a network of somebody else's does with the requests.
  struct silent final : network {
    time_point now() const override { return real.now(); }
    void post(std::function<void()> task) override { real.post(std::move(task)); }
    std::uint64_t start_timer(time_point when, std::function<void()> task) override {
      return real.start_timer(when, std::move(task));
    }
    void cancel_timer(std::uint64_t timer) override { real.cancel_timer(timer); }
    void compute(std::function<void()> task) override { real.compute(std::move(task)); }
    void send(http_call call, std::function<void(http_outcome)> done) override {
      if (stopped) return;  // and forgets who waits
      real.send(std::move(call), std::move(done));
    }
    std::atomic<bool> stopped{false};
    runtime real;
  };
  auto net = std::make_shared<silent>();
  std::vector<future<optimizer_step>> steps;
  {
    auto service = service_client::connect_through(net, shared_server().endpoint(), impatient());
    auto trainer = service.create_training_client({.base_model = shared_server().model(), .lora_rank = 2}).result();
    net->stopped = true;
    for (int i = 0; i < 10; ++i) steps.push_back(trainer.optim_step());
  }
  for (auto& each : steps) must_be(verdict_of([&] { each.result(1s); }), errc::closed);
}

FAULT_CASE(F10_a_signal_while_waiting) {
  static std::atomic<int> signals{0};
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) { ++signals; };  // without SA_RESTART
  ::sigaction(SIGALRM, &action, &before);
  scene s({slow("/optim_step", 200)});
  const itimerval often{{0, 10'000}, {0, 10'000}}, never{};
  ::setitimer(ITIMER_REAL, &often, nullptr);
  const auto v = verdict_of([&] { BOOST_TEST(s.trainer.optim_step().result().metric("step") == 1); });
  ::setitimer(ITIMER_REAL, &never, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
  must_be(v, std::nullopt);
  BOOST_TEST(signals > 3);
}

#ifndef __SANITIZE_THREAD__  // which knows no threads that begin in the child of a process with threads
FAULT_CASE(F10_fork_without_exec) { BOOST_TEST(run_child("forks") == 0); }
#endif
FAULT_CASE(F10_a_client_in_a_static_variable) { BOOST_TEST(run_child("keeps_a_static_client") == 0); }

BOOST_AUTO_TEST_SUITE_END()

// What F10 runs in a process of its own.
BOOST_AUTO_TEST_SUITE(child)

BOOST_AUTO_TEST_CASE(forks) {
  if (!is_child()) return;
  auto server = loopback::start();
  const auto where = server.endpoint();
  auto service = service_client::connect(where, impatient());
  auto trainer = service.create_training_client({.base_model = server.model(), .lora_rank = 2}).result();
  trainer.optim_step().result();
  const pid_t other = ::fork();
  if (other == 0) {
    // The threads of the client did not come along: it says so instead of waiting for ever. A new one works.
    int code = 1;
    try {
      trainer.optim_step().result();
    } catch (const error& e) {
      code = e.kind() == errc::config && std::string_view(e.what()).find("fork") != std::string_view::npos ? 0 : 2;
    }
    if (code == 0) {
      try {
        auto mine = service_client::connect(where, impatient());
        auto made = mine.create_training_client({.base_model = server.model(), .lora_rank = 2}).result();
        code = made.optim_step().result().metric("step") == 1 ? 0 : 3;
      } catch (const std::exception&) {
        code = 4;
      }
    }
    { auto gone = std::move(trainer); }  // nor does it wait when it goes
    { auto gone = std::move(service); }
    ::_exit(code);
  }
  int status = -1;
  ::waitpid(other, &status, 0);
  BOOST_TEST((WIFEXITED(status) ? WEXITSTATUS(status) : -1) == 0);
  BOOST_TEST(trainer.optim_step().result().metric("step") == 2);  // nothing changed here
}

BOOST_AUTO_TEST_CASE(keeps_a_static_client) {
  if (!is_child()) return;
  static auto server = loopback::start();
  static auto service = service_client::connect(server.endpoint(), impatient());
  static auto trainer = service.create_training_client({.base_model = server.model(), .lora_rank = 2}).result();
  static auto pending = trainer.optim_step();  // goes first, when statics go
}

BOOST_AUTO_TEST_SUITE_END()
