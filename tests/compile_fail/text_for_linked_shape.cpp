// error: a text is no linked deployment shape
// Which deployment shape belongs to a training shape is the profile's to say.
#define GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform.hpp>

using namespace gradwire;

platform::deployment_config config(const platform::training_profile& profile) {
#ifdef FIXED
  return {.deployment_id = "rollouts", .base_model = "m", .linked_shape = profile.deployment_shape_version};
#else
  static_cast<void>(profile);
  return {.deployment_id = "rollouts", .base_model = "m", .linked_shape = "accounts/fireworks/deploymentShapes/x"};
#endif
}
