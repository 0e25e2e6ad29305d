// SPDX-License-Identifier: Apache-2.0
// The embedded platform as a program of its own, for any client of the hosted one:
//
//   loopback_platform --port 8000 --token-file my.token --folder runs/platform
//
// Prints one line when it is ready, and stops on SIGINT or SIGTERM.
#include <boost/program_options.hpp>
#include <charconv>
#include <csignal>
#include <fstream>
#include <iostream>

#include <gradwire/error.hpp>
#include <gradwire/loopback/platform.hpp>
#include <gradwire/loopback/platform/faults.hpp>
#include <gradwire/loopback/platform/training_shapes.hpp>

namespace options = boost::program_options;
using namespace gradwire;

namespace {

std::string read_token(const std::string& file) {
  std::string token;
  if (!(std::ifstream(file) >> token)) throw error(errc::config, "no key can be read from '" + file + "'");
  return token;
}

// NAME[=VALUE][*TIMES]
loopback::platform_fault parse_fault(std::string text) {
  loopback::platform_fault fault;
  if (const auto star = text.rfind('*'); star != text.npos) {
    const auto parsed = std::from_chars(text.data() + star + 1, text.data() + text.size(), fault.times);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size())
      throw error(errc::config, "--fault is NAME[=VALUE][*TIMES], not '" + text + "'");
    text.resize(star);
  }
  const auto equals = text.find('=');
  fault.name = text.substr(0, equals);
  if (equals != text.npos) fault.value = text.substr(equals + 1);
  return fault;
}

void print_faults() {
  for (const auto& each : loopback::known_faults)
    std::cout << each.name << (each.values.empty() ? "" : "=") << each.values << "\n    " << each.what << '\n';
}

int run(int argc, char** argv) {
  loopback::platform_options start;
  std::string token_file, inference_file, folder, requests, catalogue;
  std::vector<std::string> faults;
  double delay = -1;
  options::options_description known("loopback_platform, the platform embedded in gradwire");
  auto add = known.add_options();
  add("help", "print this");
  add("port", options::value(&start.port), "port on 127.0.0.1; without it any free one");
  add("token", options::value(&start.token), "API key that clients must send; without it a new one");
  add("token-file", options::value(&token_file), "file whose first word is the API key");
  add("inference-token-file", options::value(&inference_file), "of a key that may only sample");
  add("account", options::value(&start.account), "the key's account (acme)");
  add("superuser", options::bool_switch(&start.superuser), "the key may skip validations");
  add("folder", options::value(&folder), "for checkpoints and models; without it a temporary one");
  add("requests", options::value(&requests), "file that gets a line of JSON for each request, without the key");
  add("model", options::value(&start.model), "what every base model really is: gradwire/tiny, or a Qwen3 folder");
  add("seed", options::value(&start.seed), "of its weights");
  add("threads", options::value(&start.threads), "of each trainer and deployment; without it as many as there are");
  add("catalogue", options::value(&catalogue), "JSON file of training shapes instead of the built-in one");
  add("print-catalogue", "print that one");
  add("delay", options::value(&delay), "seconds that creating a job or a deployment and promoting take (0.05)");
  add("pending", options::value(&start.delays.job_pending), "seconds that a new job is pending (0)");
  add("hot-load-delay", options::value(&start.delays.hot_load), "seconds until a hot load is told of (0)");
  add("max-jobs", options::value(&start.quotas.trainer_jobs), "trainer jobs of the account at a time");
  add("max-deployments", options::value(&start.quotas.deployments), "deployments of the account at a time");
  add("max-accelerators", options::value(&start.quotas.accelerators), "accelerators of its trainer jobs");
  add("fault", options::value(&faults)->composing(), "NAME[=VALUE][*TIMES]; may be given more than once");
  add("list-faults", "print the faults that there are");
  add("debug", options::bool_switch(&start.debug), "the trainers tell what was executed");
  options::variables_map given;
  try {
    options::store(options::command_line_parser(argc, argv).options(known).positional({}).run(), given);
    options::notify(given);
  } catch (const options::error& wrong) {
    return std::cerr << wrong.what() << '\n' << known, 2;
  }
  if (given.count("help") > 0) return std::cout << known, 0;
  if (given.count("print-catalogue") > 0) return std::cout << loopback::training_shapes_json, 0;
  if (given.count("list-faults") > 0) return print_faults(), 0;
  if (!token_file.empty()) start.token = read_token(token_file);
  if (!inference_file.empty()) start.inference_token = read_token(inference_file);
  start.files = folder;
  start.requests = requests;
  start.catalogue = catalogue;
  for (const std::string& each : faults) start.faults.push_back(parse_fault(each));
  if (delay >= 0) start.delays.job_creating = start.delays.deployment_creating = start.delays.promotion = delay;

  sigset_t signals;  // blocked before any thread starts, so that they arrive at sigwait below
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);  // a file over the process's limit is then a disk that is full

  const std::string model = start.model;
  const auto platform = loopback::start_platform(std::move(start));
  const auto [url, token] = platform.endpoint();
  std::cout << "listening on " << url << " token " << token << " model " << model << std::endl;
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
