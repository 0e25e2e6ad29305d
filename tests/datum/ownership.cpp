// SPDX-License-Identifier: Apache-2.0
// Rvalues move, lvalues copy, view(x) borrows; a batch has one allocation a column. Counted in the allocator.
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <cstdlib>
#include <new>
#include <vector>

#include <gradwire/datum.hpp>

using namespace gradwire;
using namespace gradwire::fields;

namespace {

constexpr std::size_t large = 1 << 20;  // elements: an allocation of this many bytes is one of values
std::size_t large_allocations = 0;
std::size_t all_allocations = 0;

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) {  // inlined, g++ would warn of a mismatched delete
  ++all_allocations;
  if (bytes >= large) ++large_allocations;
  if (void* memory = std::malloc(bytes ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

template <class Work>
std::size_t large_allocations_of(Work&& work) {
  const std::size_t before = large_allocations;
  work();
  return large_allocations - before;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ownership)

BOOST_AUTO_TEST_CASE(naming_a_column_copies_an_lvalue_moves_an_rvalue_and_borrows_a_view) {
  std::vector<float> values(large);
  const void* const memory = values.data();
  BOOST_TEST(large_allocations_of([&] {
               const auto column = (old_logprobs = values);
               BOOST_TEST(column.values.data != memory);
             }) == 1u);
  BOOST_TEST(large_allocations_of([&] {
               const auto column = (old_logprobs = view(values));
               BOOST_TEST(column.values.data == memory);
             }) == 0u);
  const std::vector<float>& constant = values;
  BOOST_TEST(large_allocations_of([&] { (void)(old_logprobs = std::span(constant)); }) ==
             1u);  // a span owns nothing to move
  BOOST_TEST(large_allocations_of([&] {
               const auto column = (old_logprobs = std::move(values));
               BOOST_TEST(column.values.data == memory);
             }) == 0u);
  BOOST_TEST(values.empty());
}

BOOST_AUTO_TEST_CASE(a_datum_keeps_what_was_moved_into_it) {
  std::vector<std::int32_t> question(large), answer(large);
  std::vector<double> sampled(2 * large - 1);
  // The weights (1) and the tokens, joined (1); nothing for the column.
  BOOST_TEST(
      large_allocations_of([&] {
        const datum d{prompt(std::move(question)) + response(std::move(answer)), old_logprobs = std::move(sampled)};
      }) == 2u);
}

BOOST_AUTO_TEST_CASE(parts_that_are_lvalues_are_copied_once_more) {
  std::vector<std::int32_t> question(large), answer(large);
  BOOST_TEST(large_allocations_of([&] { const datum d{prompt(question) + response(answer)}; }) == 4u);
  BOOST_TEST(large_allocations_of([&] { const datum d{prompt(view(question)) + response(view(answer))}; }) == 2u);
}

BOOST_AUTO_TEST_CASE(values_of_the_response_are_copied_once_to_where_they_belong) {
  std::vector<std::int32_t> question(8), answer(large);
  std::vector<float> sampled(large, -1.f);
  const auto placed = [&] { return datum{prompt(question) + response(view(answer)), old_logprobs = view(sampled)}; };
  BOOST_TEST(large_allocations_of(placed) == 3u);  // tokens, weights, column
}

BOOST_AUTO_TEST_CASE(copies_of_datums_and_batches_share) {
  const datum d{prompt({1, 2}) + response({3, 4}), old_logprobs = std::vector<float>(3, -1), advantage = 1};
  const batch data{d, d};
  const std::size_t before = all_allocations;
  {
    const auto same_datum = d;
    const auto same_batch = data;
    BOOST_TEST(same_batch.data(old_logprobs) == data.data(old_logprobs));
    BOOST_TEST(same_datum.model_input.data() == d.model_input.data());
  }
  BOOST_TEST(all_allocations == before);
}

BOOST_AUTO_TEST_CASE(a_batch_has_one_allocation_a_column_and_shares_the_tokens) {
  std::vector<std::int32_t> ids(large);
  const datum d{prompt(view(ids)), old_logprobs = std::vector<float>(large - 1),
                ref_logprobs = std::vector<float>(large - 1), advantage = 1};
  BOOST_TEST(large_allocations_of([&] {
               const batch data{group(d, d), group(d)};
               BOOST_TEST(data.input_tokens(2).data() == d.model_input.data());
             }) == 3u);  // weights, old_logprobs, ref_logprobs
}

BOOST_AUTO_TEST_CASE(a_batch_outlives_its_datums_and_a_datum_of_it_outlives_the_batch) {
  const auto make = [] {
    const batch data{datum{prompt({1, 2}) + response({3}), old_logprobs = {-1, -2}}};
    return data[0];
  };
  const auto one = make();
  BOOST_TEST(one.model_input[1] == 2);
  BOOST_TEST(one.loss_fn_inputs["old_logprobs"].data[1] == -2);
}

BOOST_AUTO_TEST_CASE(a_view_is_read_when_the_batch_is_made_and_not_later) {
  std::vector<float> sampled{-1, -2, -3};
  const datum d{prompt({1, 2}) + response({3, 4}), old_logprobs = view(sampled)};
  sampled[1] = -7;
  const batch data{d};
  sampled[1] = -9;
  BOOST_TEST(data.data(old_logprobs)[1] == -7);
}

BOOST_AUTO_TEST_CASE(with_shares_every_other_column) {
  std::vector<std::int32_t> ids(large);
  const datum d{prompt(view(ids)), old_logprobs = std::vector<float>(large - 1)};
  const batch data{d};
  std::vector<float> reference(large - 1);
  BOOST_TEST(large_allocations_of([&] {
               const auto more = with(ref_logprobs = view(reference), data);
               BOOST_TEST(more.data(old_logprobs) == data.data(old_logprobs));
               BOOST_TEST(more.data(weights) == data.data(weights));
               BOOST_TEST(more.weight_sum() == data.weight_sum());
               BOOST_TEST(more.input_tokens(0).data() == data.input_tokens(0).data());
               BOOST_TEST(&more.shape() == &data.shape());
             }) == 1u);
}

BOOST_AUTO_TEST_CASE(a_column_of_the_same_layout_is_shared_without_a_copy) {
  std::vector<std::int32_t> ids(large);
  const batch data{datum{prompt(view(ids)), old_logprobs = std::vector<float>(large - 1)}};
  writable_column<float> forward(data.layout_handle(), per_token);
  column<float> finished = std::move(forward);
  BOOST_TEST(large_allocations_of([&] {
               const auto more = with(logprobs = finished, data);
               BOOST_TEST(more.data(logprobs) == finished.data());
             }) == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
