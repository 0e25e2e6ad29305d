// SPDX-License-Identifier: Apache-2.0
// A program that prints a key: started without a shell, with a time limit, its output kept out of every text.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/transport/environment.hpp>
#include <gradwire/transport/network.hpp>

extern char** environ;

namespace gradwire::inline v0 {
namespace detail {

[[noreturn]] inline void credential_command_failed(const std::string& sentence) {
  throw error(errc::config, "TINKER_CREDENTIAL_CMD " + sentence);
}

inline std::vector<std::string> split_command(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == '\'' ? c == '\'' : quote == '"' && c == '"') {
      quote = 0;
    } else if (quote == '\'') {
      word += c;
    } else if (c == '\\' && i + 1 < text.size()) {
      const char next = text[++i];
      if (quote && next != '"' && next != '\\' && next != '$' && next != '`') word += c;
      word += next;
      in_word = true;
    } else if (std::string_view(quote ? "$`" : "$`|;&<>()*?[]{}~#!\n\\").find(c) != std::string_view::npos) {
      credential_command_failed(std::string("has a '") + (c == '\n' ? ' ' : c) +
                                "' in it, but is run without a shell; put it into quotes, or into a script");
    } else if (quote) {
      word += c;
    } else if (c == '"' || c == '\'') {
      quote = c;
      in_word = true;
    } else if (c == ' ' || c == '\t') {
      if (in_word) words.push_back(std::exchange(word, ""));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote) credential_command_failed("has a quote that is not closed");
  if (in_word) words.push_back(word);
  if (words.empty()) credential_command_failed("has no program in it");
  return words;
}

struct pipe_ends {
  int read_end = -1, write_end = -1;
  pipe_ends() {
    int both[2];
    if (::pipe2(both, O_CLOEXEC) != 0) credential_command_failed(std::string("cannot be run: ") + std::strerror(errno));
    read_end = both[0], write_end = both[1];
  }
  pipe_ends(const pipe_ends&) = delete;
  pipe_ends& operator=(const pipe_ends&) = delete;
  ~pipe_ends() { ::close(read_end), close_write_end(); }
  void close_write_end() {
    if (write_end >= 0) ::close(std::exchange(write_end, -1));
  }
};

// Everything until the end of the program's output; false when the time is over, or there is too much of it.
inline bool read_output(int from, std::chrono::steady_clock::time_point until, std::string& printed) {
  constexpr std::size_t limit = 64 * 1024;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd waiting{from, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(std::min<long long>(left, 1000))) <= 0) continue;
    char block[4096];
    const auto got = ::read(from, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    printed.append(block, static_cast<std::size_t>(got));
    if (printed.size() > limit) return false;
  }
}

// It may close its output and go on.
inline bool wait_for_end(pid_t child, std::chrono::steady_clock::time_point until, int& status) {
  for (;;) {
    const pid_t found = ::waitpid(child, &status, WNOHANG);
    if (found == child || (found < 0 && errno != EINTR)) return true;
    if (std::chrono::steady_clock::now() >= until) return false;
    ::poll(nullptr, 0, 5);
  }
}

}  // namespace detail

GRADWIRE_DECL std::string run_credential_command(std::string_view command, double timeout_seconds) {
  std::vector<std::string> words = detail::split_command(command);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  detail::pipe_ends output;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output.write_end, STDOUT_FILENO);
  pid_t child = 0;
  const int problem = ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (problem != 0) detail::credential_command_failed(std::string("cannot be started: ") + std::strerror(problem));
  output.close_write_end();
  const auto until = std::chrono::steady_clock::now() + in_seconds(timeout_seconds);
  std::string printed;
  bool ended = detail::read_output(output.read_end, until, printed);
  int status = 0;
  ended = ended && detail::wait_for_end(child, until, status);
  if (!ended) {
    ::kill(child, SIGKILL);
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  }
  if (!ended) detail::credential_command_failed("printed no key in time, or far more than one");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    detail::credential_command_failed("ended with " + (WIFEXITED(status)
                                                           ? "status " + std::to_string(WEXITSTATUS(status))
                                                           : "signal " + std::to_string(WTERMSIG(status))));
  while (printed.ends_with('\n') || printed.ends_with('\r')) printed.pop_back();
  return printed;
}

}  // namespace gradwire::inline v0
