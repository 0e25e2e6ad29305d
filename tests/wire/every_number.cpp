// SPDX-License-Identifier: Apache-2.0
// A million random doubles and a million random floats, of random bits (subnormals, both zeros, the largest and the
// smallest among them), both ways in both encodings: what arrives has the same bits. Not finite ones are no JSON; they
// are refused where they are sent, read back as NaN where the server writes null, and protobuf keeps their bits.
#include <bit>
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 is wrong about half-made messages in braces
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <random>

#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/protobuf.hpp>

using namespace gradwire;
using namespace gradwire::wire;

namespace {

constexpr std::size_t how_many = 1'000'000;

template <class T>
using bits_of = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

// Half of random bits, whose exponents are as likely as each other, and a quarter each of subnormals and of the
// everyday range; then the edges.
template <class T>
std::vector<T> numbers(bool finite_only) {
  using limits = std::numeric_limits<T>;
  std::mt19937_64 random(20261122);
  std::vector<T> made{T(0),
                      -T(0),
                      limits::min(),
                      limits::denorm_min(),
                      limits::max(),
                      limits::lowest(),
                      T(0.1),
                      limits::epsilon(),
                      -limits::denorm_min()};
  constexpr bits_of<T> mantissa = (bits_of<T>{1} << (limits::digits - 1)) - 1;
  constexpr bits_of<T> sign = bits_of<T>{1} << (sizeof(T) * 8 - 1);
  while (made.size() < how_many) {
    const auto bits = static_cast<bits_of<T>>(random());
    T value = std::bit_cast<T>(bits);
    const auto kind = made.size() % 4;
    if (kind == 2) value = std::bit_cast<T>(bits & (mantissa | sign));
    if (kind == 3) value = std::ldexp(static_cast<T>(bits & mantissa), -limits::digits) * (bits & sign ? -9 : 9);
    if (!finite_only || std::isfinite(value)) made.push_back(value);
  }
  return made;
}

template <class T>
void same_bits(std::span<const T> found, std::span<const T> expected) {
  BOOST_REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    if (std::bit_cast<bits_of<T>>(found[i]) != std::bit_cast<bits_of<T>>(expected[i]))
      BOOST_FAIL("number " << i << ", " << std::hexfloat << expected[i] << ", became " << found[i]);
}

forward_backward_request request_with(const std::vector<float>& values) {
  forward_backward_request request{.model_id = "m", .seq_id = 1};
  request.data.push_back({.loss_fn_inputs = {{"weights", tensor(array<float>(std::vector<float>(values)))}}});
  return request;
}

forward_backward_reply reply_with(const std::vector<float>& values) {
  forward_backward_reply reply{.loss_fn_output_type = "scalar"};
  reply.loss_fn_outputs.push_back({{"logprobs", tensor(array<float>(std::vector<float>(values)))}});
  return reply;
}

array<float> column(const named_tensors& from, const char* name) { return find(from, name)->values<float>(); }

// Doubles travel in the settings of a loss and in metrics, here in messages of a thousand each.
template <class Trip>
void in_thousands(const std::vector<double>& values, Trip trip) {
  for (std::size_t from = 0; from < values.size(); from += 1000) {
    const std::size_t count = std::min<std::size_t>(1000, values.size() - from);
    metrics sent;
    for (std::size_t i = 0; i < count; ++i) sent.push_back({std::to_string(i), values[from + i]});
    const metrics found = trip(sent);
    BOOST_REQUIRE(found.size() == count);
    std::vector<double> numbers_found;
    for (const auto& item : found) numbers_found.push_back(item.value);
    same_bits<double>(numbers_found, std::span(values).subspan(from, count));
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(every_number)

BOOST_AUTO_TEST_CASE(floats_to_a_server_and_back_as_json) {
  const auto values = numbers<float>(true);
  const auto read = from_json<forward_backward_request>(to_json(request_with(values)));
  same_bits<float>(column(read.data.at(0).loss_fn_inputs, "weights").span(), values);
  const auto back = from_json<forward_backward_reply>(to_json(reply_with(values)));
  same_bits<float>(column(back.loss_fn_outputs.at(0), "logprobs").span(), values);
}

BOOST_AUTO_TEST_CASE(floats_to_a_server_and_back_as_protobuf) {
  const auto values = numbers<float>(false);  // NaN payloads and infinities too
  const auto read = from_protobuf<forward_backward_request>(to_protobuf(request_with(values)));
  same_bits<float>(column(read.data.at(0).loss_fn_inputs, "weights").span(), values);
  const auto back = from_protobuf<forward_backward_reply>(to_protobuf(reply_with(values)));
  same_bits<float>(column(back.loss_fn_outputs.at(0), "logprobs").span(), values);
}

BOOST_AUTO_TEST_CASE(doubles_as_json) {
  in_thousands(numbers<double>(true), [](const metrics& sent) {
    return from_json<optim_step_reply>(to_json(optim_step_reply{sent})).metrics;
  });
}

BOOST_AUTO_TEST_CASE(doubles_as_protobuf) {
  in_thousands(numbers<double>(false), [](const metrics& sent) {
    return from_protobuf<forward_backward_reply>(to_protobuf(forward_backward_reply{.metrics = sent})).metrics;
  });
}

BOOST_AUTO_TEST_CASE(doubles_in_the_settings_of_a_loss) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 10'000; ++i) {
    const auto value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    forward_backward_request sent{.model_id = "m", .seq_id = 1, .loss_fn_config = {{"beta", value}}};
    for (const bool twice : {false, true})
      BOOST_REQUIRE(
          std::get<double>(from_protobuf<forward_backward_request>(to_protobuf(sent, {.loss_fn_config_v2 = twice}))
                               .loss_fn_config.at(0)
                               .value) == value);
    BOOST_REQUIRE(std::get<double>(from_json<forward_backward_request>(to_json(sent)).loss_fn_config.at(0).value) ==
                  value);
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_finite_is_no_json) {
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    BOOST_CHECK_THROW(to_json(request_with({1, bad})), error);
    const auto back = from_json<forward_backward_reply>(to_json(reply_with({1, bad}), nonfinite::null));
    BOOST_TEST(std::isnan(column(back.loss_fn_outputs.at(0), "logprobs")[1]));
  }
}

BOOST_AUTO_TEST_SUITE_END()
