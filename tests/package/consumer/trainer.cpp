// SPDX-License-Identifier: Apache-2.0
// A project that talks to a trainer somewhere else, header-only. Nobody listens on port 1, and the client says so.
#include <gradwire/trainer.hpp>

#include <cstdio>

int main() {
  auto service = gradwire::service_client::connect("http://127.0.0.1:1", {.first_contact_seconds = 0.1});
  try {
    service.create_training_client({.base_model = "gradwire/tiny", .lora_rank = 4}).result();
  } catch (const gradwire::error& e) {
    std::printf("%s: %s\n", to_string(e.kind()), e.what());
    return e.kind() == gradwire::errc::transport ? 0 : 1;
  }
  return 1;
}
