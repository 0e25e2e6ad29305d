// SPDX-License-Identifier: Apache-2.0
// What a program inherits that this one starts: no socket of the client, none of the server.
#include <filesystem>
#include <future>
#include <set>
#include <string>
#include <system_error>

#include <fcntl.h>

#include <boost/test/unit_test.hpp>

#include <gradwire/transport/http_server.hpp>
#include <gradwire/transport/runtime.hpp>

using namespace gradwire;

namespace {

std::set<int> open_sockets() {
  std::set<int> found;
  for (const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code closed_meanwhile;
    const std::string what = std::filesystem::read_symlink(each.path(), closed_meanwhile).string();
    if (what.starts_with("socket:")) found.insert(std::stoi(each.path().filename().string()));
  }
  return found;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(descriptors)

BOOST_AUTO_TEST_CASE(no_socket_is_inherited) {
  const std::set<int> before = open_sockets();
  http_server server({}, [](const http_request&, const http_server::responder& respond) { respond({200, {}, "ok"}); });
  runtime net;
  auto to = std::make_shared<http_peer>();
  to->address = parse_url(server.base_url());
  std::promise<http_outcome> arrived;
  auto outcome = arrived.get_future();
  net.send({.to = to,
            .request = std::make_shared<const http_request>(http_request{.target = "/"}),
            .deadline = net.now() + in_seconds(5)},
           [&](http_outcome result) { arrived.set_value(std::move(result)); });
  BOOST_TEST(std::get<http_response>(outcome.get()).status == 200);
  int made = 0;  // both ends of the connection, which is kept open, and the listening socket
  for (const int each : open_sockets()) {
    if (before.contains(each)) continue;
    ++made;
    BOOST_TEST((::fcntl(each, F_GETFD) & FD_CLOEXEC) != 0, "socket " << each);
  }
  BOOST_TEST(made == 3);
}

BOOST_AUTO_TEST_SUITE_END()
