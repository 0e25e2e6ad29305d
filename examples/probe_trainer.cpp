// SPDX-License-Identifier: Apache-2.0
// What a trainer really does, found out by experiment:
//
//   probe_trainer http://127.0.0.1:8000 --model Qwen/Qwen3-8B
//   probe_trainer http://127.0.0.1:8000 --json
//
// It makes a small LoRA model, asks for a few gradients, and unloads the model. The key is read from TINKER_API_KEY.
#include <boost/program_options.hpp>
#include <cstdlib>
#include <iostream>

#include <gradwire/trainer.hpp>
#include <gradwire/trainer/probe.hpp>

namespace options = boost::program_options;
using namespace gradwire;

int main(int argc, char** argv) {
  try {
    std::string address, dialect;
    probe_options how;
    options::options_description known("probe_trainer URL, what a trainer does");
    auto add = known.add_options();
    add("help", "print this");
    add("url", options::value(&address), "the trainer's address; without it TINKER_BASE_URL");
    add("model", options::value(&how.base_model), "base model; without it the first that the server offers");
    add("rank", options::value(&how.lora_rank), "of the adapter that is made (4)");
    add("dialect", options::value(&dialect), "drive it as: tinker, skyrl, skyrl-json, tuft, fireworks, gradwire");
    add("timeout", options::value(&how.seconds_per_call), "seconds for one call (300)");
    add("json", options::bool_switch(), "print JSON");
    options::positional_options_description first;
    first.add("url", 1);
    options::variables_map given;
    options::store(options::command_line_parser(argc, argv).options(known).positional(first).run(), given);
    options::notify(given);
    if (given.count("help")) {
      std::cout << known;
      return 0;
    }
    connect_options connection{.dialect = dialect};
    if (const char* key = std::getenv("TINKER_API_KEY")) connection.token = key;
    auto service = address.empty() ? service_client::connect_from_environment(connection)
                                   : service_client::connect(address, connection);
    const auto traits = probe(service, how);
    std::cout << (given["json"].as<bool>() ? to_json(traits) + "\n" : to_table(traits));
    return 0;
  } catch (const std::exception& problem) {
    std::cerr << problem.what() << '\n';
    return 1;
  }
}
