// SPDX-License-Identifier: Apache-2.0
// The embedded trainer as a program of its own, for any client of the training protocol:
//
//   loopback_trainer --port 8000 --token-file my.token --checkpoints runs/checkpoints
//
// Prints one line when it is ready, and stops on SIGINT or SIGTERM.
#include <boost/program_options.hpp>
#include <csignal>
#include <fstream>
#include <iostream>

#include <gradwire/error.hpp>
#include <gradwire/loopback/server.hpp>

namespace options = boost::program_options;
using namespace gradwire;

namespace {

std::string read_token(const std::string& file) {
  std::string token;
  if (!(std::ifstream(file) >> token)) throw error(errc::config, "no token can be read from '" + file + "'");
  return token;
}

loopback::sequence_policy sequence(const std::string& name) {
  if (name == "dedupe") return loopback::sequence_policy::dedupe;
  if (name == "strict") return loopback::sequence_policy::strict;
  if (name == "none") return loopback::sequence_policy::none;
  throw error(errc::config, "--seq is '" + name + "'; it can be dedupe, strict or none");
}

int run(int argc, char** argv) {
  loopback::start_options start;
  std::string token_file, checkpoints, state, seq = "dedupe";
  options::options_description known("loopback_trainer, the trainer embedded in gradwire");
  auto add = known.add_options();
  add("help", "print this");
  add("port", options::value(&start.port), "port on 127.0.0.1; without it any free one");
  add("token", options::value(&start.token), "API key that clients must send; without it a new one");
  add("token-file", options::value(&token_file), "file whose first word is the API key");
  add("model", options::value(&start.model), "gradwire/tiny, or a folder in Hugging Face's Qwen3 format");
  add("checkpoints", options::value(&checkpoints), "folder for checkpoints; without it a temporary one");
  add("seed", options::value(&start.seed), "of the built-in model's weights");
  add("threads", options::value(&start.threads), "of the model; without it as many as the machine has");
  add("seq", options::value(&seq), "what to do with a repeated seq_id: dedupe (default), strict, none");
  add("hold", options::value(&start.hold_seconds), "seconds until a poll for a pending result is answered (30)");
  add("try-again", options::bool_switch(&start.try_again), "answer such a poll with 200 and try_again, not 408");
  add("state", options::value(&state), "folder that keeps what was trained; a restart goes on from there");
  add("commit-every", options::value(&start.commit_every),
      "operations between two writes of it (1); 0: only when a state is saved or loaded");
  add("name", options::value(&start.name), "what clients call the model; without it as --model");
  add("no-op", options::bool_switch(&start.no_op), "take everything, compute nothing: to measure transports");
  add("debug", options::bool_switch(&start.debug), "GET /api/v1/debug/counters tells what was executed");
  options::variables_map given;
  options::store(options::parse_command_line(argc, argv, known), given);
  options::notify(given);
  if (given.count("help")) {
    std::cout << known;
    return 0;
  }
  if (!token_file.empty()) start.token = read_token(token_file);
  start.checkpoints = checkpoints;
  start.state = state;
  start.sequence = sequence(seq);

  sigset_t signals;  // blocked before any thread starts, so that they arrive at sigwait below
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  std::signal(SIGXFSZ, SIG_IGN);  // a file over the process's limit is then a disk that is full

  const auto server = loopback::start(start);
  for (const std::string& notice : server.notices()) std::cerr << notice << '\n';
  const auto [url, token] = server.endpoint();
  std::cout << "listening on " << url << " token " << token << " model " << server.model() << std::endl;
  int received = 0;
  sigwait(&signals, &received);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& problem) {
    std::cerr << problem.what() << '\n';
    return 1;
  }
}
