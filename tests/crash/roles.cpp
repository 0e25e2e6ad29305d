// SPDX-License-Identifier: Apache-2.0
// What this program does as another process (trainer_process.hpp). Not run unless named.
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include <gradwire/loopback/files/file_layer.hpp>
#include <gradwire/loopback/server.hpp>
#include <gradwire/trainer/run_journal.hpp>

#include "../support/crash_points.hpp"
#include "training_run.hpp"

using namespace gradwire;

namespace {

// Ends this process before, within or after the k-th call of a kind.
struct deadly_files : loopback::detail::file_layer {
  ::ssize_t write(int file, const void* data, std::size_t bytes) override {
    at_point("write");
    if (bytes > 1) {
      at_point("half", [&] { (void)!file_layer::write(file, data, bytes / 2); });
      at_point("most", [&] { (void)!file_layer::write(file, data, bytes - 1); });
    }
    return file_layer::write(file, data, bytes);
  }
  int sync(int file) override {
    at_point("sync");
    return file_layer::sync(file);
  }
  int rename(int directory, const char* from, const char* to, unsigned flags) override {
    at_point("rename");
    const int result = file_layer::rename(directory, from, to, flags);
    at_point("renamed");
    return result;
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(roles, *boost::unit_test::disabled())

BOOST_AUTO_TEST_CASE(trainer) {
  static deadly_files files;
  if (!wanted().point.empty()) {
    loopback::detail::other_file_layer = &files;
    loopback::detail::crash_point_hook = &at_point;
  }
  std::signal(SIGXFSZ, SIG_IGN);
  loopback::start_options options;
  options.port = static_cast<std::uint16_t>(std::atoi(setting("PORT").c_str()));
  options.token = "tml-" + std::string(32, '7');
  options.threads = 1;
  options.state = setting("STATE");
  options.commit_every = std::atoi(setting("COMMIT_EVERY").c_str());
  const auto server = loopback::start(options);
  for (const auto& notice : server.notices()) std::cout << "notice: " << notice << std::endl;
  const std::string url = server.endpoint().url;
  const std::string port = url.substr(url.rfind(':') + 1);
  BOOST_REQUIRE(::write(std::atoi(setting("READY").c_str()), port.data(), port.size()) > 0);
  for (;;) ::pause();
}

BOOST_AUTO_TEST_CASE(client) {
  if (!wanted().point.empty()) gradwire::detail::journal_write = &deadly_journal;
  const run_settings settings{.batches = static_cast<std::size_t>(std::atoi(setting("BATCHES").c_str())),
                              .save_every = static_cast<std::size_t>(std::atoi(setting("SAVE_EVERY").c_str()))};
  const auto run = train({setting("URL"), "tml-" + std::string(32, '7')}, setting("JOURNAL"), settings);
  for (const auto& notice : run.notices) std::cout << "notice: " << notice << std::endl;
}

BOOST_AUTO_TEST_SUITE_END()
