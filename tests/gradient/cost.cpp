// SPDX-License-Identifier: Apache-2.0
// What an evaluation costs, counted: exponentials a block of lanes, and heap allocations.
#include <gradwire/gradient/threads.hpp>
#include <gradwire/loss.hpp>
#include <gradwire/loss/dpo.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/gspo.hpp>
#include <gradwire/loss/sft_nll.hpp>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <new>

namespace {
std::size_t allocations = 0;
}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
  if (void* memory = std::malloc(bytes ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
  return std::malloc(bytes ? bytes : 1);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace gradwire;
using namespace gradwire::fields;

namespace {

std::size_t exponentials = 0;
template <class T>
struct counting_isa : isa_baseline {  // T: so that float and double do not share symbols with other tests
  static void on_exponential() { ++exponentials; }
};

template <class T>
auto make_batch(std::size_t sequences, std::size_t length) {
  std::vector<double> now(length), old(length), ref(length);
  for (std::size_t t = 0; t < length; ++t) {
    now[t] = -0.1 - static_cast<double>(t % 11) / 5;
    old[t] = now[t] + static_cast<double>(t % 7) / 20 - 0.15;
    ref[t] = now[t] + static_cast<double>(t % 5) / 10 - 0.2;
  }
  const std::vector<double> w(length, 1.0);
  const auto one = [&](double a) {
    return datum{prompt(std::vector<int>(length + 1, 3)),
                 weights = w,
                 logprobs = now,
                 old_logprobs = old,
                 ref_logprobs = ref,
                 advantage = a};
  };
  std::vector<decltype(group(chosen(one(0.0)), rejected(one(0.0))))> groups;
  for (std::size_t s = 0; s < sequences; s += 2) groups.push_back(group(chosen(one(0.5)), rejected(one(-0.5))));
  return batch_of<T>(groups);
}

template <class T, class Loss>
std::size_t exponentials_a_block(const Loss& loss) {
  constexpr std::size_t length = 64, sequences = 4;
  const auto data = make_batch<T>(sequences, length);
  exponentials = 0;
  value_and_gradient<counting_isa<T>>(loss, wrt(logprobs), at(data));
  constexpr std::size_t blocks = sequences * length / (isa_baseline::bytes / sizeof(T));
  BOOST_TEST(exponentials % blocks == 0u);
  return exponentials / blocks;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cost)

BOOST_AUTO_TEST_CASE(grpo_takes_two_exponentials_a_block) {
  BOOST_TEST(exponentials_a_block<double>(grpo{}) == 2u);
  BOOST_TEST(exponentials_a_block<float>(grpo{}) == 2u);
  BOOST_TEST(exponentials_a_block<double>(sft_nll{}) == 0u);
}

BOOST_AUTO_TEST_CASE(metrics_share_what_they_have_in_common_with_the_loss) {
  const auto data = make_batch<double>(4, 64);
  exponentials = 0;
  evaluate<counting_isa<double>>(grpo{}, wrt(logprobs), at(data));
  BOOST_TEST(exponentials == 2u * 4 * 64 / 2);
}

BOOST_AUTO_TEST_CASE(an_evaluation_allocates_nothing) {
  const auto data = make_batch<float>(8, 100);
  writable_column<float> buffer(data.layout_handle(), extent::token);
  workspace scratch;
  const thread_executor threads(2);
  const auto count = [&](auto loss) {
    value_and_gradient(loss, wrt(logprobs), at(data), into(buffer), with_scratch(scratch));
    const std::size_t before = allocations;
    value_and_gradient(loss, wrt(logprobs), at(data), into(buffer), with_scratch(scratch));
    value_and_gradient(loss, wrt(logprobs), at(data), into(buffer), on(threads), with_scratch(scratch));
    return allocations - before;
  };
  BOOST_TEST(count(grpo{}) == 0u);
  BOOST_TEST(count(sft_nll{}) == 0u);
  BOOST_TEST(count(gspo{}) == 0u);
  BOOST_TEST(count(dpo{}) == 0u);
  const auto ratio = exp(logprobs - old_logprobs);
  BOOST_TEST(count(mean_over_all_tokens(-ratio * centered_over_group(advantage) /
                                        (std_over_group<1>(advantage) + 1e-6))) == 0u);
  BOOST_TEST(count(mean_over_all_tokens(
                 where(smallest_hash_over_batch(ratio > 1, token_share(0.1), 1), 0, -ratio * advantage))) == 0u);
  BOOST_TEST(count(mean_over_sequences(-sort_over_batch(mean_over_tokens(ratio)) * advantage)) == 0u);
  BOOST_TEST(count(mean_over_all_tokens(-ratio, exp(ref_logprobs))) == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
