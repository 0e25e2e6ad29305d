// SPDX-License-Identifier: Apache-2.0
// Bytes choose datums: tokens, weights and columns, right and wrong ones. A batch goes out and comes back bit for bit
// in both encodings, or errc::data names a datum and a token that exist.
#include "fuzz.hpp"

#include <gradwire/datum.hpp>
#include <gradwire/trainer/impl/batch_messages.hpp>
#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/protobuf.hpp>

#include <bit>
#include <cmath>

namespace {

using namespace gradwire;
using namespace gradwire::fields;

std::int32_t token(fuzz::choices& from) {
  static constexpr std::int32_t edges[] = {0, 1, 255, 256, 319, 151935, 2147483647, -1};
  return from.below(16) == 0 ? edges[from.below(std::size(edges))] : from.value<std::uint8_t>();
}

float number(fuzz::choices& from) {
  return from.below(8) == 0 ? std::bit_cast<float>(from.value<std::uint32_t>())
                            : static_cast<float>(from.value<std::int8_t>()) / 8;
}

std::vector<std::int32_t> tokens(fuzz::choices& from) {
  std::vector<std::int32_t> ids(from.below(12));
  for (auto& id : ids) id = token(from);
  return ids;
}

std::vector<float> column(fuzz::choices& from, std::size_t length) {
  std::vector<float> values(from.below(10) == 0 ? from.below(8) : length);
  for (auto& value : values) value = number(from);
  return values;
}

auto made(fuzz::choices& from) {
  const auto asked = tokens(from), answered = tokens(from);
  const std::size_t targets = asked.size() + answered.size() == 0 ? 0 : asked.size() + answered.size() - 1;
  return datum{prompt(asked) + response(answered), weights = column(from, targets),
               old_logprobs = column(from, targets), advantage = static_cast<double>(number(from))};
}

bool same_bits(const wire::tensor& sent, const wire::tensor& came) {
  if (sent.dtype() == wire::dtype::float32) {
    const auto a = sent.values<float>(), b = came.values<float>();
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
      if (std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i])) return false;
    return true;
  }
  return sent.values<std::int64_t>() == came.values<std::int64_t>();
}

void compare(const wire::forward_backward_request& sent, const wire::forward_backward_request& came,
             const char* encoding) {
  const auto where = [&](std::size_t i, const std::string& what) {
    return std::string(encoding) + ": datum " + std::to_string(i) + ": " + what;
  };
  fuzz::require(came.data.size() == sent.data.size(), std::string(encoding) + ": another number of datums");
  for (std::size_t i = 0; i < sent.data.size(); ++i) {
    const auto &a = sent.data[i], &b = came.data[i];
    fuzz::require(a.model_input.size() == b.model_input.size(), where(i, "another number of chunks"));
    for (std::size_t c = 0; c < a.model_input.size(); ++c)
      fuzz::require(std::get<wire::encoded_text>(a.model_input[c]).tokens ==
                        std::get<wire::encoded_text>(b.model_input[c]).tokens,
                    where(i, "other tokens"));
    fuzz::require(a.loss_fn_inputs.size() == b.loss_fn_inputs.size(), where(i, "another number of columns"));
    for (const auto& each : a.loss_fn_inputs) {
      const wire::tensor* other = wire::find(b.loss_fn_inputs, each.name);
      fuzz::require(other && same_bits(each.value, *other), where(i, each.name + " changed"));
    }
  }
}

void check_place(const error& refused, std::size_t datums) {
  fuzz::require(refused.kind() == errc::data, std::string("refused as something else: ") + refused.what());
  fuzz::require(refused.details().datum < static_cast<std::int64_t>(datums),
                std::string("names a datum that does not exist: ") + refused.what());
}

void run(std::string_view input) {
  fuzz::choices from(input);
  const std::size_t count = 1 + from.below(4);
  std::vector<decltype(made(from))> datums;
  wire::forward_backward_request request;
  request.model_id = "m";
  request.seq_id = 1;
  try {
    for (std::size_t i = 0; i < count; ++i) datums.push_back(made(from));
    const batch data(datums);
    const auto plain = detail::erase_type(data);
    const server_loss::named loss = from.flag() ? server_loss::named(server_loss::cross_entropy{})
                                                : server_loss::named(server_loss::importance_sampling{});
    detail::check_inputs(plain, loss);
    request.loss_fn = loss.name;
    std::size_t covered = 0;
    for (const auto range : detail::plan_chunks(plain, 1 + from.below(3), 64 + from.below(200))) {
      fuzz::require(range.begin == covered && range.end > range.begin, "the requests do not cover the batch in order");
      covered = range.end;
      request.data = detail::datums_for_loss(plain, range, loss);
      const std::string json = wire::to_json(request), bytes = wire::to_protobuf(request);
      compare(request, wire::from_json<wire::forward_backward_request>(json), "JSON");
      compare(request, wire::from_protobuf<wire::forward_backward_request>(bytes), "protobuf");
    }
    fuzz::require(covered == datums.size(), "a datum is in no request");
  } catch (const error& refused) {
    check_place(refused, count);
  }
}

std::vector<std::string> seeds() {
  std::string plain(1, '\3');
  for (int i = 0; i < 400; ++i) plain += static_cast<char>(i * 37 + 11);
  std::string other(1, '\1');
  for (int i = 0; i < 200; ++i) other += static_cast<char>(i * i);
  return {plain, other, std::string(64, '\5'), std::string(64, '\xff')};
}

const fuzz::registered here({"datum", run, seeds, 20000});

}  // namespace
