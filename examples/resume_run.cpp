// SPDX-License-Identifier: Apache-2.0
// A training run that may be killed at any moment and started again, trainer and loop alike:
//
//   resume_run [--journal FILE] [--state FOLDER] [--batches N] [--url URL]     TINKER_API_KEY for another trainer
//
// Without --url it starts the embedded trainer, which keeps what it has trained in --state. Kill it (Ctrl-C, kill -9),
// start it again with the same words: it goes on at the right batch, and its last line is the same as if it had not
// been disturbed.
#include <gradwire/loopback.hpp>
#include <gradwire/trainer.hpp>

#include <boost/program_options.hpp>

#include <cstdlib>
#include <iostream>
#include <random>

using namespace gradwire;

namespace {

struct settings {
  std::string journal = "runs/resume/journal.jsonl", state = "runs/resume/state", url;
  std::size_t batches = 60;
  std::uint64_t seed = 1;
};

// Batch number `number` of the run: made of its number and the seed, so that a repeated one is the same.
auto make_batch(std::uint64_t seed, std::size_t number) {
  static const loopback::byte_tokenizer tokenizer;
  std::mt19937_64 random(seed * 1'000'003 + number);
  const auto sum = [&] {
    const auto a = random() % 50, b = random() % 50;
    return datum{prompt(tokenizer.encode(std::to_string(a) + "+" + std::to_string(b) + "=")) +
                 response(tokenizer.encode(std::to_string(a + b) + "\n"))};
  };
  std::vector<decltype(sum())> data;
  for (int i = 0; i < 16; ++i) data.push_back(sum());
  return batch(data);
}

void run(const settings& set) {
  std::optional<loopback::server> server;
  if (set.url.empty()) server = loopback::start({.state = set.state, .commit_every = 0});
  const char* key = std::getenv("TINKER_API_KEY");
  const endpoint where = server ? server->endpoint() : endpoint{set.url, key ? key : ""};

  run_journal journal(set.journal);
  std::cout << "at batch " << journal.next_batch() << " of " << set.batches << std::endl;
  journal.run(
      set.batches,
      [&](const std::string& state) {  // at the beginning, and whenever the trainer was restarted
        auto service = service_client::connect(where);
        if (!state.empty()) return service.create_training_client_from_state(state).result();
        return service.create_training_client({.base_model = "gradwire/tiny", .lora_rank = 8, .seed = 1}).result();
      },
      [&](training_client& trainer, std::size_t number) {
        const auto data = make_batch(set.seed, number);
        auto step = trainer.forward_backward(data, server_loss::cross_entropy{});
        auto updated = trainer.optim_step({.learning_rate = 2e-3});
        const double loss = step.result().loss;
        updated.result();
        return journal_entry{.seed = set.seed, .loss = loss, .digest = digest_of(data)};
      });
  std::cout << "done; the last loss is " << journal.entries().back().loss << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  namespace options = boost::program_options;
  settings set;
  options::options_description known("resume_run: a run that may be killed at any moment and started again");
  auto add = known.add_options();
  add("help", "print this");
  add("journal", options::value(&set.journal)->default_value(set.journal), "file with a line a step");
  add("state", options::value(&set.state)->default_value(set.state), "folder of the embedded trainer");
  add("batches", options::value(&set.batches)->default_value(set.batches), "of the whole run");
  add("seed", options::value(&set.seed)->default_value(set.seed), "of the batches");
  add("url", options::value(&set.url), "another trainer");
  try {
    options::variables_map given;
    options::store(options::command_line_parser(argc, argv).options(known).positional({}).run(), given);
    options::notify(given);
    if (given.count("help")) return std::cout << known, 0;
  } catch (const options::error& wrong) {
    std::cerr << wrong.what() << '\n' << known;
    return 2;
  }
  try {
    run(set);
  } catch (const std::exception& failed) {
    std::cerr << failed.what() << '\n';
    return 1;
  }
}
