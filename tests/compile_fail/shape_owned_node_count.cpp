// error: the training shape owns this field
// A launch without a shape has another config, where it may be said.
#define GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform.hpp>

using namespace gradwire;

#ifdef FIXED
platform::manual_trainer_job_config config() {
  return {.base_model = "accounts/fireworks/models/qwen3-8b", .node_count = 2};
}
#else
platform::trainer_job_config config() { return {.base_model = "accounts/fireworks/models/qwen3-8b", .node_count = 2}; }
#endif
