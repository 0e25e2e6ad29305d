// SPDX-License-Identifier: Apache-2.0
// Cuts a batch into requests, writes them straight from its columns, and reads what comes back.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <gradwire/trainer/plain_batch.hpp>
#include <gradwire/trainer/server_loss.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/wire/messages_training.hpp>

namespace gradwire::inline v0 {
namespace detail {

// As few requests as the limits allow. A group is never split; one that is over a limit goes alone.
GRADWIRE_DECL std::vector<chunk_range> plan_chunks(const plain_batch& data, std::size_t max_datums,
                                                   std::size_t max_bytes);

// The bytes of a request in plan_chunks' measure. JSON has about four times as many.
GRADWIRE_DECL std::size_t estimated_bytes(const std::vector<wire::datum>& data);

// Gives the datums of one request their inputs; the batch's storage is borrowed and kept alive.
GRADWIRE_DECL std::vector<wire::datum> datums_with_zero_weights(const plain_batch& data, chunk_range range);

// The call for the batch's first chunk throws error{data} for any value of the whole batch that the wire's float cannot
// hold, error{config} for such a setting.
GRADWIRE_DECL std::vector<wire::datum> datums_for_loss(const plain_batch& data, chunk_range range,
                                                       const server_loss::named& loss);

// cross_entropy is Σ −logprob·weight, so weights = −slope make the server's gradient the slope. `slope` lies in the
// batch's layout and type.
GRADWIRE_DECL std::vector<wire::datum> datums_with_slope(const plain_batch& data, chunk_range range,
                                                         const block& slope);

// For a server that divides cross_entropy by the sum of weights and by the number of sequences: importance_sampling
// with the forward's logprobs (float32) and advantages −slope·T·N, T tokens of the sequence, N the sequences that
// accumulate until the step (held_gradients.hpp).
GRADWIRE_DECL std::vector<wire::datum> datums_with_scaled_slope(const plain_batch& data, chunk_range range,
                                                                const block& slope, const block& logprobs,
                                                                double sequences);

// Throws error{data} when the batch lacks what the loss reads.
GRADWIRE_DECL void check_inputs(const plain_batch& data, const server_loss::named& loss);

// Copies the "logprobs" of a reply into float32 storage of the batch's layout. Throws error{data} that names datum,
// token and value: a wrong number of rows or values, or where the weight is not 0 a logprob that is NaN, infinite or
// above 0.
GRADWIRE_DECL void read_logprobs(const plain_batch& data, chunk_range range, const wire::forward_backward_reply& reply,
                                 block& logprobs);

// Throws error{data} for a slope that is not finite as float32 where the weight is not 0; elsewhere it becomes 0.
GRADWIRE_DECL void check_slope(const plain_batch& data, block& slope);

// Σ −logprob·weight in double: the loss of a server that reports none.
GRADWIRE_DECL double plain_cross_entropy(const plain_batch& data, const block& logprobs);

GRADWIRE_DECL double count_of_weights(const plain_batch& data);  // that are not 0

}  // namespace detail
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/plain_batch.hpp>
#endif
