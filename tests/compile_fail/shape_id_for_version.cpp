// error: a text is no version of a training shape
// A shape's id says which shape, not which version of it.
#define GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform.hpp>

using namespace gradwire;

platform::trainer_job_config config(const platform::training_profile& profile) {
#ifdef FIXED
  return {.base_model = "accounts/fireworks/models/qwen3-8b", .training_shape_ref = profile.training_shape_version};
#else
  static_cast<void>(profile);
  return {.base_model = "accounts/fireworks/models/qwen3-8b",
          .training_shape_ref = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200"};
#endif
}
