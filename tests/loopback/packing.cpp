// SPDX-License-Identifier: Apache-2.0
// How a batch is cut: every sequence once, no micro-batch over the budget, threads with like work, the same plan each
// time.
#include <boost/test/unit_test.hpp>

#include <gradwire/loopback/compute/random.hpp>
#include <gradwire/loopback/model/packing.hpp>

namespace {

using namespace gradwire::loopback;

void check_plan(const std::vector<std::size_t>& lengths, std::size_t threads, std::size_t budget) {
  const work_plan plan = plan_work(lengths, threads, budget, 1000);
  BOOST_TEST(plan.micro_batches.size() == (plan.shared ? 1 : threads));
  std::vector<int> seen(lengths.size(), 0);
  const std::size_t limit = plan.shared ? budget * threads : budget;
  std::size_t most = 0, all = 0;
  for (const auto& thread : plan.micro_batches) {
    std::size_t mine = 0;
    for (const auto& micro_batch : thread) {
      std::size_t tokens = 0;
      for (const std::size_t i : micro_batch) ++seen[i], tokens += lengths[i];
      BOOST_TEST(!micro_batch.empty());
      BOOST_TEST((tokens <= limit || micro_batch.size() == 1));
      mine += tokens;
    }
    most = std::max(most, mine), all += mine;
  }
  for (const int count : seen) BOOST_TEST(count == 1);
  // Unless they share every micro-batch, no thread has much more than its part (128 tokens do not matter).
  if (!plan.shared) BOOST_TEST((static_cast<double>(most) <= 1.4 * double(all) / double(threads) || all <= 128));
  const work_plan again = plan_work(lengths, threads, budget, 1000);
  BOOST_TEST((again.micro_batches == plan.micro_batches && again.shared == plan.shared));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(packing)

BOOST_AUTO_TEST_CASE(plans) {
  random_stream random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::size_t> lengths(random.bits() % 40);
    for (std::size_t& length : lengths) length = 1 + random.bits() % (round % 2 ? 20 : 600);
    check_plan(lengths, 1 + random.bits() % 5, 1 + random.bits() % 700);
  }
}

BOOST_AUTO_TEST_CASE(one_long_sequence_is_shared) {
  BOOST_TEST(plan_work(std::vector<std::size_t>{4000}, 2, 512, 1000).shared);
  BOOST_TEST(plan_work(std::vector<std::size_t>{4000, 10, 10}, 2, 512, 1000).shared);
  BOOST_TEST(!plan_work(std::vector<std::size_t>{4000, 4000}, 2, 512, 1000).shared);
  BOOST_TEST(!plan_work(std::vector<std::size_t>{20}, 2, 512, 1000).shared);  // too little to wake a thread for
  BOOST_TEST(!plan_work(std::vector<std::size_t>{4000}, 1, 512, 1000).shared);
}

BOOST_AUTO_TEST_CASE(rows) {
  packed_batch batch;
  const std::vector<std::int32_t> first{7, 8, 9}, second{5, 6};
  batch.add(3, first);
  batch.add(1, second);
  batch.pad();
  BOOST_TEST(batch.tokens == (std::vector<std::int32_t>{7, 8, 9, 5, 6, 0, 0, 0}));
  BOOST_TEST(batch.positions == (std::vector<std::uint32_t>{0, 1, 2, 0, 1, 0, 0, 0}));
  BOOST_TEST(batch.used == 5U);
  BOOST_TEST(batch.longest == 3U);
  BOOST_TEST(batch.sequences[1].row == 3U);
  BOOST_TEST(batch.sequences[1].index == 1U);
}

BOOST_AUTO_TEST_SUITE_END()
