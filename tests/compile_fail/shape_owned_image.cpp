// error: the training shape owns this field
// A reference's image is the shape's too.
#define GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform.hpp>

using namespace gradwire;

platform::reference_job_config config(const platform::training_profile& profile) {
  return {.base_model = "accounts/fireworks/models/qwen3-8b",
          .training_shape_ref = profile.training_shape_version,
#ifdef FIXED
          .display_name = "reference"};
#else
          .display_name = "reference",
          .custom_image_tag = "mine"};
#endif
}
