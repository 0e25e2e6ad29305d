// error: the training shape owns this field
// The deployment shape is the one that the training shape is linked to.
#define GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform.hpp>

using namespace gradwire;

platform::deployment_config config(const platform::training_profile& profile) {
#ifdef FIXED
  return {.deployment_id = "rollouts", .base_model = "m", .linked_shape = profile.deployment_shape_version};
#else
  return {.deployment_id = "rollouts",
          .base_model = "m",
          .linked_shape = profile.deployment_shape_version,
          .deployment_shape = "accounts/fireworks/deploymentShapes/other"};
#endif
}
