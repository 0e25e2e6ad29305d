// error: the training shape owns this field
// Hardware is the shape's to choose.
#define GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform.hpp>

using namespace gradwire;

platform::trainer_job_config config(const platform::training_profile& profile) {
  return {.base_model = "accounts/fireworks/models/qwen3-8b",
          .training_shape_ref = profile.training_shape_version,
#ifdef FIXED
          .lora_rank = 32};
#else
          .lora_rank = 32,
          .accelerator_type = "NVIDIA_B200_180GB"};
#endif
}
