// error: assignment of read-only member
// A profile says what the shape provides; it changes nothing.
#define GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform.hpp>

using namespace gradwire;

std::int64_t user(platform::training_profile& profile) {
#ifndef FIXED
  profile.accelerator_count = 16;
#endif
  return profile.accelerator_count;
}
