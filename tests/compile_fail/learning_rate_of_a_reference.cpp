// error: reference_job_config.*has no non-static data member named.*learning_rate
// What is not trained has no learning rate.
#define GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform.hpp>

using namespace gradwire;

platform::reference_job_config config(const platform::training_profile& profile) {
#ifdef FIXED
  return {.base_model = "m", .training_shape_ref = profile.training_shape_version};
#else
  return platform::reference_job_config{
      .base_model = "m", .training_shape_ref = profile.training_shape_version, .learning_rate = 1e-5};
#endif
}
