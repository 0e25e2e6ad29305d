// SPDX-License-Identifier: Apache-2.0
// Times that a user gives: for ever is for ever, and what is no time is refused when connecting.
#include <cmath>
#include <limits>

#include "by_hand.hpp"

using namespace by_hand;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

BOOST_AUTO_TEST_SUITE(times)

BOOST_AUTO_TEST_CASE(a_very_long_time_is_not_over_at_once) {
  for (const double seconds : {infinity, 1e300, 1e11, 9.3e9}) {
    auto how = ten_seconds();
    how.operation_timeout_seconds = seconds;
    how.retry.submit_timeout_seconds = seconds;
    how.retry.poll_timeout_seconds = seconds;
    how.retry.unreachable_seconds = seconds;
    how.connections.idle_seconds = seconds;
    scene s(how);
    auto trainer = s.trainer();
    s.net->server["/save_weights"] = always(R"({"request_id":"r"})", 100'000);
    auto saved = trainer.save_state("a");
    BOOST_TEST(s.net->wait(saved, 200'000) >= 100'000);
    BOOST_CHECK_NO_THROW(saved.result());
  }
}

BOOST_AUTO_TEST_CASE(seconds_become_a_duration_that_can_be_added_to_now) {
  const auto now = std::chrono::steady_clock::now();
  const auto years = std::chrono::hours(99 * 365 * 24);
  for (const double seconds : {infinity, 1e300, 1e11, 9.3e9}) BOOST_TEST((now + in_seconds(seconds) > now + years));
  for (const double seconds : {-infinity, -1e300}) BOOST_TEST((now + in_seconds(seconds) < now - years));
  BOOST_TEST((in_seconds(std::nan("")) == duration(0)));
  BOOST_TEST((in_seconds(1.5) == std::chrono::milliseconds(1500)));
  BOOST_TEST((in_seconds(-1.5) == std::chrono::milliseconds(-1500)));
}

BOOST_AUTO_TEST_CASE(what_is_no_time_is_refused) {
  const auto refused = [](const char* name, auto set) {
    for (const double seconds : {-1.0, -infinity, std::nan("")}) {
      auto how = ten_seconds();
      set(how) = seconds;
      BOOST_CHECK_EXCEPTION(scene{how}, error,
                            [&](const error& e) { return e.kind() == errc::config && says(e, name); });
    }
  };
  refused("operation_timeout_seconds", [](connect_options& o) -> double& { return o.operation_timeout_seconds; });
  refused("heartbeat_seconds", [](connect_options& o) -> double& { return o.heartbeat_seconds; });
  refused("session_limit_seconds", [](connect_options& o) -> double& { return o.session_limit_seconds; });
  refused("first_contact_seconds", [](connect_options& o) -> double& { return o.first_contact_seconds; });
  refused("unreachable_seconds", [](connect_options& o) -> double& { return o.retry.unreachable_seconds; });
  refused("idle_seconds", [](connect_options& o) -> double& { return o.connections.idle_seconds; });
}

BOOST_AUTO_TEST_SUITE_END()
