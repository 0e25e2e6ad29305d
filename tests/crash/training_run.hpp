// SPDX-License-Identifier: Apache-2.0
// The small deterministic run that the tests of this folder break off, and what is compared afterwards: every byte of
// the last saved state, and the sequence of losses.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <gradwire/transport/endpoint.hpp>

#include "../support/temporary_folder.hpp"

struct run_settings {
  std::size_t batches = 3;
  std::size_t save_every = 2;
};

struct run_result {
  std::vector<double> losses{};
  std::vector<std::string> states{};   // of every line that names one, also of those that were superseded
  std::vector<std::string> notices{};  // of going back
};

// Trains until it is done, whatever becomes of the trainer; goes on where the journal ends.
run_result train(const gradwire::endpoint& trainer, const std::filesystem::path& journal, const run_settings& settings);

// The same of a run that another process has finished.
run_result read_run(const std::filesystem::path& journal);

// Weights and optimizer as they lie in the last saved state; throws where a state that the journal names is missing or
// damaged.
std::string final_state(const std::filesystem::path& folder, const run_result& run);

struct run_folder : temporary_folder {
  run_folder() : temporary_folder(folder_in_memory()) {}
};
