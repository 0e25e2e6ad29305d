// error: reference_client.*has no member named.*forward_backward_custom
// A forward-only trainer computes logprobs and nothing else.
#define GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform.hpp>

using namespace gradwire;

template <class Batch>
void user(platform::policy_job& policy, platform::reference_job& reference, const Batch& data) {
  auto trainer = policy.training_client().result();
  auto frozen = reference.reference_client().result();
  static_cast<void>(frozen.forward(data).result());
  static_cast<void>(trainer.forward_backward(data, server_loss::cross_entropy{}).result());
#ifndef FIXED
  static_cast<void>(frozen.forward_backward_custom(data, mean_over_all_tokens(-fields::logprobs)).result());
#endif
}

void instance(platform::policy_job& policy, platform::reference_job& reference) {
  user(policy, reference, batch{group(datum{prompt({1, 2}) + response({3})})});
}
