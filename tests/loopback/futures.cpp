// SPDX-License-Identifier: Apache-2.0
// The server's results: kept after they were fetched, dropped when there are too many, forgotten when very many.
#include <boost/test/unit_test.hpp>

#include <gradwire/loopback/service/futures.hpp>

using namespace gradwire;
using loopback::detail::finished;
using loopback::detail::future_table;

namespace {

int status_of(future_table& all, const std::string& id) {
  int status = 0;
  all.retrieve(id, false, [&](const http_response& reply) { status = reply.status; });
  return status;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(futures)

BOOST_AUTO_TEST_CASE(what_was_dropped_long_ago_is_forgotten) {
  future_table all("f-");
  const std::string result(2048, 'x');
  const std::size_t kept = future_table::most_kept_bytes / result.size();  // at most so many
  std::vector<std::string> ids;
  std::size_t answered = 0;
  for (std::size_t i = 0; i < future_table::most_dropped + kept; ++i) {
    ids.push_back(all.create());
    all.finish(ids.back(), {.result = result});
    answered += status_of(all, ids.back()) == 200;
  }
  BOOST_TEST(answered == ids.size());
  BOOST_TEST(status_of(all, ids.back()) == 200);
  BOOST_TEST(status_of(all, ids[future_table::most_dropped / 2]) == 410);
  BOOST_TEST(status_of(all, ids.front()) == 404);
  BOOST_TEST(status_of(all, ids[future_table::most_dropped / 2]) == 410);
}

BOOST_AUTO_TEST_CASE(failures_are_dropped_too) {
  future_table all("f-");
  const auto first = all.create();
  all.finish(first, {.status = 400, .sentence = "no"});
  BOOST_TEST(status_of(all, first) == 400);
  BOOST_TEST(status_of(all, first) == 400);
  for (std::size_t bytes = 0; bytes <= future_table::most_kept_bytes; bytes += 1 << 20) {
    const auto id = all.create();
    all.finish(id, {.status = 400, .sentence = std::string(1 << 20, 'x')});
    status_of(all, id);
  }
  BOOST_TEST(status_of(all, first) == 410);
}

BOOST_AUTO_TEST_SUITE_END()
