// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/test/unit_test.hpp>

#include <gradwire/transport/awaitable.hpp>
#include <gradwire/transport/future.hpp>

using namespace gradwire;
using namespace std::chrono_literals;

namespace {

struct counted_losses {  // collects lost errors while it lives
  std::vector<std::string> texts;
  lost_error_handler before;
  counted_losses() {
    before = on_lost_error([this](std::exception_ptr lost) {
      try {
        std::rethrow_exception(lost);
      } catch (const std::exception& e) {
        texts.push_back(e.what());
      }
    });
  }
  ~counted_losses() { on_lost_error(before); }
};

std::exception_ptr failure(const char* text) { return std::make_exception_ptr(std::logic_error(text)); }

}  // namespace

BOOST_AUTO_TEST_SUITE(future_)

BOOST_AUTO_TEST_CASE(a_value_arrives_and_can_be_read_again) {
  promise<std::string> p;
  auto f = p.get_future();
  BOOST_TEST(!f.ready());
  BOOST_TEST(p.set_value("seven"));
  BOOST_TEST(f.ready());
  BOOST_TEST(f.result() == "seven");
  BOOST_TEST(f.result() == "seven");
  BOOST_TEST(std::move(f).result() == "seven");
}

BOOST_AUTO_TEST_CASE(the_first_outcome_is_the_only_one) {
  promise<int> p;
  auto f = p.get_future();
  BOOST_TEST(p.set_value(1));
  BOOST_TEST(!p.set_value(2));
  BOOST_TEST(!p.set_error(failure("late")));
  BOOST_TEST(f.result() == 1);
}

BOOST_AUTO_TEST_CASE(an_exception_arrives_unchanged) {
  struct my_error : std::runtime_error {
    int code;
    my_error() : std::runtime_error("mine"), code(42) {}
  };
  promise<int> p;
  auto f = p.get_future();
  p.set_error(std::make_exception_ptr(my_error()));
  try {
    f.result();
    BOOST_FAIL("nothing thrown");
  } catch (const my_error& e) {
    BOOST_TEST(e.code == 42);
  }
  BOOST_CHECK_THROW(f.result(), my_error);
}

BOOST_AUTO_TEST_CASE(a_timeout_leaves_the_future_usable) {
  promise<int> p;
  auto f = p.get_future();
  try {
    f.result(1ms);
    BOOST_FAIL("nothing thrown");
  } catch (const error& e) {
    BOOST_TEST((e.kind() == errc::timeout));
  }
  std::thread late([&] {
    std::this_thread::sleep_for(10ms);
    p.set_value(5);
  });
  BOOST_TEST(f.result(10s) == 5);
  late.join();
}

BOOST_AUTO_TEST_CASE(a_very_long_limit_is_for_ever) {
  const auto waits = [](auto limit) {
    promise<int> p;
    auto f = p.get_future();
    std::thread late([&] {
      std::this_thread::sleep_for(10ms);
      p.set_value(5);
    });
    BOOST_CHECK_NO_THROW(f.result(limit));
    late.join();
  };
  waits(std::chrono::nanoseconds::max());
  waits(std::chrono::hours::max());
  waits(std::chrono::duration<double>(std::numeric_limits<double>::infinity()));
  promise<int> p;
  auto f = p.get_future();
  for (const auto limit : {std::chrono::nanoseconds::min(), -1ns, 0ns})
    BOOST_CHECK_EXCEPTION(f.result(limit), error, [](const error& e) { return e.kind() == errc::timeout; });
}

BOOST_AUTO_TEST_CASE(an_error_of_a_dropped_future_is_told_once_whichever_comes_first) {
  counted_losses lost;
  {
    promise<int> p;
    auto f = p.get_future();
    p.set_error(failure("unread"));
  }
  BOOST_REQUIRE(lost.texts.size() == 1u);
  BOOST_TEST(lost.texts[0] == "unread");
  {
    promise<int> p;
    { auto dropped = p.get_future(); }
    BOOST_TEST(lost.texts.size() == 1u);
    p.set_error(failure("late"));
  }
  BOOST_REQUIRE(lost.texts.size() == 2u);
  BOOST_TEST(lost.texts[1] == "late");
  {
    promise<int> p;
    auto f = p.get_future();
    p.set_error(failure("replaced"));
    f = future<int>();
  }
  BOOST_TEST(lost.texts.size() == 3u);
}

BOOST_AUTO_TEST_CASE(an_error_that_was_received_is_not_lost) {
  counted_losses lost;
  {
    promise<int> p;
    auto f = p.get_future();
    p.set_error(failure("seen"));
    BOOST_CHECK_THROW(f.result(), std::logic_error);
  }
  {
    promise<int> p;
    auto f = p.get_future();
    auto moved = std::move(f);
    p.set_value(1);
  }
  BOOST_TEST(lost.texts.empty());
}

BOOST_AUTO_TEST_CASE(a_promise_that_goes_away_ends_closed) {
  future<int> f;
  {
    promise<int> p;
    f = p.get_future();
  }
  try {
    f.result();
    BOOST_FAIL("nothing thrown");
  } catch (const error& e) {
    BOOST_TEST((e.kind() == errc::closed));
  }
}

BOOST_AUTO_TEST_CASE(an_empty_future_says_so) {
  future<int> f;
  BOOST_TEST(!f.valid());
  BOOST_CHECK_THROW(f.result(), error);
}

BOOST_AUTO_TEST_CASE(a_thread_that_finishes_futures_may_not_wait_for_one) {
  for (auto role : {detail::thread_role::io, detail::thread_role::compute}) {
    promise<int> p;
    auto f = p.get_future();
    std::thread own([&] {
      detail::role_of_this_thread = role;
      try {
        f.result();
        BOOST_ERROR("nothing thrown");
      } catch (const error& e) {
        BOOST_TEST((e.kind() == errc::config));
      }
      p.set_value(3);
      BOOST_TEST(f.result() == 3);  // finished already: no wait, no error
    });
    own.join();
  }
}

BOOST_AUTO_TEST_CASE(futures_read_in_any_order_from_many_threads) {
  std::vector<promise<int>> promises(200);
  std::vector<future<int>> futures;
  for (auto& p : promises) futures.push_back(p.get_future());
  std::thread forward([&] {
    for (int i = 0; i < 200; ++i) promises[static_cast<unsigned>(i)].set_value(i);
  });
  for (int i = 199; i >= 0; --i) BOOST_TEST(futures[static_cast<unsigned>(i)].result() == i);
  forward.join();
}

BOOST_AUTO_TEST_CASE(awaitable_by_a_coroutine_a_callback_and_a_std_future) {
  boost::asio::io_context io;
  promise<std::string> first, second, third;
  std::string by_coroutine, by_callback;
  boost::asio::co_spawn(
      io,
      [&, f = first.get_future()]() mutable -> boost::asio::awaitable<void> {
        by_coroutine = co_await std::move(f).async_wait(boost::asio::use_awaitable);
        try {
          promise<int> failing;
          auto g = failing.get_future();
          failing.set_error(failure("thrown out of co_await"));
          co_await std::move(g).async_wait(boost::asio::use_awaitable);
          BOOST_ERROR("nothing thrown");
        } catch (const std::logic_error& e) {
          by_coroutine += std::string(", ") + e.what();
        }
      },
      boost::asio::detached);
  second.get_future().async_wait(boost::asio::bind_executor(io, [&](std::exception_ptr failed, std::string value) {
    BOOST_TEST(!failed);
    by_callback = value;
  }));
  auto as_std = third.get_future().async_wait(boost::asio::use_future);
  std::thread other([&] {
    std::this_thread::sleep_for(5ms);
    first.set_value("one");
    second.set_value("two");
    third.set_value("three");
  });
  io.run();  // the pending waits count as work, so run() does not return early
  other.join();
  BOOST_TEST(by_coroutine == "one, thrown out of co_await");
  BOOST_TEST(by_callback == "two");
  BOOST_TEST(as_std.get() == "three");
}

BOOST_AUTO_TEST_CASE(many_small_futures_are_cheap) {
  long sum = 0;
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 100'000; ++i) {
    promise<int> p;
    auto f = p.get_future();
    p.set_value(1);
    sum += f.result();
  }
  BOOST_TEST(sum == 100'000);
  BOOST_TEST((std::chrono::steady_clock::now() - begun < 2s));  // 20 us each would be far too slow
}

BOOST_AUTO_TEST_SUITE_END()
