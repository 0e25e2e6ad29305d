// SPDX-License-Identifier: Apache-2.0
// This test program once more, as another process with a part to play (roles.cpp): an embedded trainer or a training
// loop, which may be told to end itself with SIGKILL at a certain point. Ended by its id only.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gradwire/loopback/files/text_file.hpp>
#include <gradwire/transport/endpoint.hpp>

extern char** environ;

// What the process of a role is told, as variables GRADWIRE_TEST_<name>.
using role_settings = std::map<std::string, std::string>;

// Starts a role; its output goes to the end of `log`. `ready` is a pipe's end that it inherits, or -1.
inline ::pid_t start_role(const std::string& role, const role_settings& settings, const std::filesystem::path& log,
                          int ready = -1, const std::vector<std::string>& in_front = {}) {
  std::vector<std::string> words = in_front;
  words.insert(words.end(), {std::filesystem::read_symlink("/proc/self/exe").string(), "--run_test=roles/" + role,
                             "--catch_system_errors=no", "--color_output=no"});
  std::vector<std::string> variables;
  for (char** each = environ; *each != nullptr; ++each) variables.emplace_back(*each);
  for (const auto& [name, value] : settings) variables.push_back("GRADWIRE_TEST_" + name + "=" + value);
  if (ready >= 0) variables.push_back("GRADWIRE_TEST_READY=" + std::to_string(ready));
  std::vector<char*> arguments, environment;
  for (auto& each : words) arguments.push_back(each.data());
  for (auto& each : variables) environment.push_back(each.data());
  arguments.push_back(nullptr);
  environment.push_back(nullptr);
  ::posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
  // Open in this child alone: another one that held it would keep the reader waiting for a child that has died.
  if (ready >= 0) ::posix_spawn_file_actions_adddup2(&actions, ready, ready);
  ::pid_t made = -1;
  const int failed = ::posix_spawnp(&made, arguments[0], &actions, nullptr, arguments.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw std::runtime_error("cannot start " + words[0]);
  return made;
}

// Waits for a process that was started here; its wait status, or -1 when the time was over first.
inline int wait_for(::pid_t process, double seconds) {
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, process, 0));
  ::pollfd ended{handle, POLLIN, 0};
  const int there = ::poll(&ended, 1, seconds < 0 ? -1 : static_cast<int>(1000 * seconds));
  ::close(handle);
  if (there <= 0) return -1;
  int status = 0;
  ::waitpid(process, &status, 0);
  return status;
}

// A trainer that is started again whenever it dies, on the same port and folder, until this goes away.
class kept_trainer {
 public:
  // `first` holds for the first process only: where it is to end itself.
  kept_trainer(std::filesystem::path folder, role_settings settings, const role_settings& first = {},
               std::vector<std::string> in_front = {})
      : folder_(std::move(folder)), settings_(std::move(settings)), in_front_(std::move(in_front)) {
    settings_["STATE"] = (folder_ / "state").string();
    settings_["PORT"] = std::to_string(port_);
    auto once = settings_;
    for (const auto& [name, value] : first) once[name] = value;
    if (!start(once)) {  // it ended before it was ready
      ::waitpid(process_.exchange(-1), nullptr, 0);
      ++deaths_;
      if (!start(settings_)) throw std::runtime_error("the trainer did not start: " + output());
    }
    keeper_ = std::thread([this] { keep(); });
  }
  ~kept_trainer() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      if (process_ > 0) ::kill(process_, SIGKILL);
    }
    keeper_.join();
    ::close(held_);
  }
  ::pid_t process() const { return process_; }
  kept_trainer(const kept_trainer&) = delete;
  kept_trainer& operator=(const kept_trainer&) = delete;

  gradwire::endpoint endpoint() const {
    return {"http://127.0.0.1:" + std::to_string(port_), "tml-" + std::string(32, '7')};
  }
  void kill() {
    const std::lock_guard lock(mutex_);
    if (process_ > 0) ::kill(process_, SIGKILL);
  }
  int deaths() const noexcept { return deaths_; }
  std::filesystem::path log() const { return folder_ / "trainer.log"; }
  std::string output() const { return gradwire::loopback::read_text_if_there(log()).value_or(""); }

 private:
  // False when it ended before it was ready; starts nothing once this is going away.
  bool start(const role_settings& settings) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    {
      const std::lock_guard lock(mutex_);
      if (!ending_) process_ = start_role("trainer", settings, log(), ends[1], in_front_);
    }
    ::close(ends[1]);
    char text[16] = {};
    const ::ssize_t got = ::read(ends[0], text, sizeof text - 1);
    ::close(ends[0]);
    return got > 0;
  }

  void keep() {
    while (process_ > 0) {
      ::siginfo_t ended{};
      ::waitid(P_PID, static_cast<::id_t>(process_), &ended, WEXITED | WNOWAIT);
      {
        const std::lock_guard lock(mutex_);  // not to be killed any more when its id is free again
        ::waitpid(process_, nullptr, 0);
        process_ = -1;
      }
      if (++deaths_ <= 50) start(settings_);
    }
  }

  // A port that nobody else gets while the trainer is away: bound, and not listening.
  static int hold_a_port(int& port) {
    const int held = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(held, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::socklen_t size = sizeof at;
    if (::bind(held, reinterpret_cast<::sockaddr*>(&at), size) != 0 ||
        ::getsockname(held, reinterpret_cast<::sockaddr*>(&at), &size) != 0)
      throw std::runtime_error("no port");
    port = ntohs(at.sin_port);
    return held;
  }

  std::filesystem::path folder_;
  role_settings settings_;
  std::vector<std::string> in_front_;  // a program that runs the trainer
  std::mutex mutex_;
  std::atomic<::pid_t> process_{-1};
  std::atomic<int> deaths_{0};
  bool ending_ = false;  // under mutex_
  int port_ = 0;
  int held_ = hold_a_port(port_);
  std::thread keeper_;
};
