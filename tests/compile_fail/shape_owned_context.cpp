// error: the training shape owns this field
// The context beside a shape, which the platform would drop in silence.
#define GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform.hpp>

using namespace gradwire;

platform::trainer_job_config config(const platform::training_profile& profile) {
  return {.base_model = "accounts/fireworks/models/qwen3-8b",
          .training_shape_ref = profile.training_shape_version,
#ifdef FIXED
          .lora_rank = 8};
#else
          .lora_rank = 8,
          .max_context_length = 4096};
#endif
}
