// SPDX-License-Identifier: Apache-2.0
// Sampling from a model's weights without a name for them.
#pragma once

#include <gradwire/trainer/sampling_client.hpp>

namespace gradwire::inline v0 {

enum class sampling_client_kind : unsigned char {
  snapshot,  // the weights as they are behind the calls made so far, for good
  inflight,  // one set of the model's that changes: each later inflight save replaces it for every inflight client, those
             // made before it too. A client samples from the weights it was made with or newer ones; a sample that is
             // being drawn goes on. Only where the server has it
};

namespace detail {

class training_core;

GRADWIRE_DECL future<sampling_client> run_save_and_sample(const training_core& core, sampling_client_kind kind);

}  // namespace detail
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/training_core.hpp>
//
#include <gradwire/trainer/impl/save_and_sample.hpp>
#endif
