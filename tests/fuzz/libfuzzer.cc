// SPDX-License-Identifier: Apache-2.0
// libFuzzer's entry points: one program for all targets, FUZZ_TARGET names the one to run. With FUZZ_SEEDS=FOLDER it
// writes the target's seeds there first.
#include "fuzz.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace {

const fuzz::target* chosen = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = std::getenv("FUZZ_TARGET");
  for (const fuzz::target& each : fuzz::targets())
    if (name && each.name == name) chosen = &each;
  if (!chosen) {
    std::fprintf(stderr, "FUZZ_TARGET is not one of:");
    for (const fuzz::target& each : fuzz::targets()) std::fprintf(stderr, " %s", each.name.c_str());
    std::fprintf(stderr, "\n");
    std::exit(2);
  }
  if (const char* folder = std::getenv("FUZZ_SEEDS")) {
    std::filesystem::create_directories(folder);
    int number = 0;
    for (const std::string& seed : chosen->seeds())
      std::ofstream(std::filesystem::path(folder) / std::to_string(number++), std::ios::binary) << seed;
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    chosen->run({reinterpret_cast<const char*>(data), size});
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "fuzz target %s: %s\n", chosen->name.c_str(), problem.what());
    std::abort();
  }
  return 0;
}
