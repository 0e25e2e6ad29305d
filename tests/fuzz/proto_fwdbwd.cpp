// SPDX-License-Identifier: Apache-2.0
// Bytes as the protobuf messages that a server or a client sends: offsets, dtypes and shapes of a reply's tensors,
// datums of a request, samples. What is read lies inside the bytes, the tensors of a reply together are its data, and
// writing it gives what is read back as the same bytes; anything else is refused with errc::decode.
#include "fuzz.hpp"

#include <gradwire/error.hpp>
#include <gradwire/wire/protobuf.hpp>

#include <numeric>

namespace {

using namespace gradwire;

double everything_in(const wire::named_tensors& tensors) {
  double sum = 0;  // reads every value, so that a sanitizer sees one outside
  for (const wire::named_tensor& each : tensors) {
    std::int64_t cells = 1;
    for (const std::int64_t extent : each.value.shape()) {
      fuzz::require(extent >= 0, "a negative extent");
      cells *= extent;
    }
    if (!each.value.sparse())
      fuzz::require(cells == static_cast<std::int64_t>(each.value.size()), each.name + ": the shape is not the size");
    std::visit(
        [&](const auto& values) {
          for (const auto value : values) sum += static_cast<double>(value);
        },
        each.value.storage());
    if (const wire::sparse_rows* rows = each.value.sparse()) {
      for (const auto index : rows->crow_indices) sum += static_cast<double>(index);
      for (const auto index : rows->col_indices) sum += static_cast<double>(index);
    }
  }
  return sum;
}

void look_at(const wire::forward_backward_reply& reply) {
  for (const auto& datum : reply.loss_fn_outputs) everything_in(datum);
}
void look_at(const wire::forward_backward_request& request) {
  for (const auto& datum : request.data) everything_in(datum.loss_fn_inputs);
}
double look_at(const wire::sample_reply& reply) {
  double sum = 0;  // reads every value
  for (const auto& sequence : reply.sequences) {
    sum = std::accumulate(sequence.tokens.begin(), sequence.tokens.end(), sum);
    if (sequence.logprobs) sum = std::accumulate(sequence.logprobs->begin(), sequence.logprobs->end(), sum);
  }
  return sum;
}

template <class Message>
void round_trip(std::string_view bytes) {
  Message first;
  try {
    first = wire::from_protobuf<Message>(bytes);
  } catch (const error& refused) {
    fuzz::require(refused.kind() == errc::decode, std::string("refused as something else: ") + refused.what());
    return;
  }
  look_at(first);
  std::string written;
  try {
    written = wire::to_protobuf(first);
  } catch (const error& refused) {  // what a server may say and a client may not, such as a negative seq_id
    fuzz::require(refused.kind() == errc::data, std::string("not written: ") + refused.what());
    return;
  }
  Message again;
  try {
    again = wire::from_protobuf<Message>(written);
  } catch (const error& refused) {
    throw fuzz::broken(std::string("what was written is not read: ") + refused.what());
  }
  look_at(again);
  fuzz::require(wire::to_protobuf(again) == written, "other bytes the second time");
}

using reader = void (*)(std::string_view);
constexpr reader readers[] = {round_trip<wire::forward_backward_reply>, round_trip<wire::forward_backward_request>,
                              round_trip<wire::sample_reply>};

void run(std::string_view input) {
  if (input.empty()) return;
  readers[static_cast<unsigned char>(input.front()) % std::size(readers)](input.substr(1));
}

std::vector<std::string> seeds() {
  wire::forward_backward_reply reply;
  reply.loss_fn_output_type = "ArrayRecord";
  for (int i = 0; i < 3; ++i)
    reply.loss_fn_outputs.push_back(
        {{"logprobs", wire::tensor(wire::array<float>{-0.5F, -1.25F, -2})},
         {"ids", wire::tensor(wire::array<std::int64_t>{1, 2, 3, 4}, wire::shape_type{2, 2})}});
  reply.loss_fn_outputs.push_back({{"logprobs", wire::tensor(wire::array<float>{})}});
  reply.metrics = {{"loss:sum", 1.5}, {"n", 3}};
  wire::forward_backward_request request;
  request.model_id = "m-1";
  request.seq_id = 3;
  request.loss_fn = "ppo";
  request.loss_fn_config = {{"clip_low_threshold", 0.8}};
  request.data.push_back({{wire::encoded_text{{1, 2, 3}}},
                          {{"target_tokens", wire::tensor(wire::array<std::int32_t>{2, 3, 4})},
                           {"weights", wire::tensor(wire::array<float>{0, 1, 0.5F})}},
                          {},
                          {}});
  request.data.push_back({{wire::image{"abc", "png", 2}, wire::encoded_text{{7}}}, {}, {}, {}});
  wire::sample_reply samples;
  samples.sequences.resize(1);
  samples.sequences[0].tokens = {4, 9};
  samples.sequences[0].logprobs = wire::array<float>{-0.25F, -2};
  return {std::string(1, '\0') + wire::to_protobuf(reply), "\x01" + wire::to_protobuf(request),
          "\x02" + wire::to_protobuf(samples)};
}

const fuzz::registered here({"proto_fwdbwd", run, seeds, 20000});

}  // namespace
