// SPDX-License-Identifier: Apache-2.0
// The server's compute thread: order, samples that run together, the end. And the routes of its requests.
#include <boost/test/unit_test.hpp>
#include <future>
#include <string>

#include <gradwire/loopback/service/compute_thread.hpp>
#include <gradwire/loopback/service/router.hpp>

using namespace gradwire::loopback::detail;

namespace {

struct job {
  char weights;
  int number;
  bool has_fixed_weights() const { return weights != 'i'; }  // else inflight
  bool same_weights(const job& other) const { return weights == other.weights; }
};

// What runs, in its order, of what `fill(compute, log)` has put into the queue before the thread begins.
template <class Fill>
std::string order_of(Fill fill) {
  std::string log;
  std::promise<void> done;
  compute_thread<job> compute([&](std::vector<job>& jobs) {
    log += " ";
    for (const auto& item : jobs) log += item.weights + std::to_string(item.number);
  });
  fill(compute, log);
  compute.submit([&] { done.set_value(); });
  compute.start();
  done.get_future().wait();
  return log;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(server_compute)

BOOST_AUTO_TEST_CASE(samples_of_the_same_weights_that_wait_run_together) {
  BOOST_TEST(order_of([](auto& compute, std::string& log) {
               compute.submit(job{'a', 1});
               compute.submit([&] { log += " task"; });
               compute.submit(job{'b', 1});
               compute.submit(job{'a', 2});
               compute.submit(job{'b', 2});
               compute.submit(job{'a', 3});
             }) == " a1a2a3 task b1b2");
}

BOOST_AUTO_TEST_CASE(samples_of_weights_that_change_do_not_overtake_what_changes_them) {
  BOOST_TEST(order_of([](auto& compute, std::string& log) {
               compute.submit(job{'i', 1});
               compute.submit(job{'i', 2});
               compute.submit([&] { log += " save"; });
               compute.submit(job{'i', 3});
             }) == " i1i2 save i3");
}

BOOST_AUTO_TEST_CASE(what_is_queued_at_the_end_is_dropped) {
  int ran = 0;
  std::promise<void> begun, go;
  compute_thread<job> compute([&](std::vector<job>&) { ++ran; });
  compute.submit([&] {
    begun.set_value();
    go.get_future().wait();
    ++ran;
  });
  for (int i = 0; i < 5; ++i) compute.submit([&] { ran += 100; });
  compute.start();
  begun.get_future().wait();
  std::thread release([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // until stop() waits
    go.set_value();
  });
  compute.stop();
  release.join();
  BOOST_TEST(ran == 1);
  compute.submit([&] { ran = -1; });
  BOOST_TEST(ran == 1);
}

BOOST_AUTO_TEST_CASE(paths_match_segment_by_segment) {
  std::vector<std::string> arguments;
  BOOST_TEST(matches("sessions/*/finish", "sessions/a%3Ab/finish", arguments));
  BOOST_TEST(arguments == (std::vector<std::string>{"a:b"}), boost::test_tools::per_element());
  BOOST_TEST(matches("training_runs/*/checkpoints/*/*", "training_runs/r:train:0/checkpoints/weights/x.1", arguments));
  BOOST_TEST(arguments == (std::vector<std::string>{"r:train:0", "weights", "x.1"}), boost::test_tools::per_element());
  for (const char* path :
       {"sessions", "sessions/", "sessions//finish", "sessions/a", "sessions/a/finish/", "sessions/a/b/finish"})
    BOOST_TEST(!matches("sessions/*/finish", path, arguments), path);
  BOOST_TEST(percent_decoded("%2e%2E%2fa%zz%4") == "../a%zz%4");
}

BOOST_AUTO_TEST_CASE(tokens_are_compared_whole) {
  BOOST_TEST(same_token("tml-1", "tml-1"));
  for (const char* wrong : {"", "tml-", "tml-2", "tml-11", "Tml-1"}) BOOST_TEST(!same_token(wrong, "tml-1"), wrong);
}

BOOST_AUTO_TEST_SUITE_END()
