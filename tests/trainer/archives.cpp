// SPDX-License-Identifier: Apache-2.0
// Where an archive is fetched from, and where its bytes are written; on a clock that stands still.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "../support/temporary_folder.hpp"
#include "by_hand.hpp"

using namespace by_hand;

namespace {

const std::string checkpoint = "tinker://s:train:0/weights/a";

answering sends_to(const std::string& location) {
  return [location](const http_call&) { return answer{http_response{302, {{"Location", location}}, ""}}; };
}

struct archive_scene : scene {
  temporary_folder here;
  std::string file = (here.path / "a.tar").string();

  explicit archive_scene(const std::string& address) : scene(ten_seconds(), address) {
    net->server["/bucket/a"] = [](const http_call& call) {
      BOOST_TEST(call.to->key.empty());
      return answer{http_response{200, {{"Content-Type", "application/x-tar"}}, "bytes"}};
    };
  }
  future<downloaded_archive> download() { return service.rest().download_checkpoint_archive(checkpoint, file); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(archives)

BOOST_AUTO_TEST_CASE(the_way_does_not_lead_out_of_https) {
  archive_scene s("https://trainer.test");
  const auto is_refused = [&] {
    auto got = s.download();
    const error refused = failure_of(*s.net, got, errc::protocol);
    BOOST_TEST(says(refused, "from https to http"), refused.what());
    BOOST_TEST(says(refused, "nothing was fetched"), refused.what());
    BOOST_TEST(!std::filesystem::exists(s.file));
    BOOST_TEST(s.net->count("/bucket/a") == 0);
  };
  s.net->server["/archive"] = sends_to("http://store.test/bucket/a");
  is_refused();
  s.net->server["/archive"] = sends_to("https://store.test/again");  // nor at the second step
  s.net->server["/again"] = sends_to("http://store.test/bucket/a");
  is_refused();
  BOOST_TEST(s.net->count("/again") == 1);
}

BOOST_AUTO_TEST_CASE(https_stays_https_and_this_machine_is_near) {
  for (const char* there : {"https://store.test/bucket/a", "http://127.0.0.1:2/bucket/a"}) {
    archive_scene s("https://trainer.test");
    s.net->server["/archive"] = sends_to(there);
    auto got = s.download();
    s.net->wait(got);
    BOOST_TEST(got.result().bytes == 5u);
  }
}

BOOST_AUTO_TEST_CASE(the_file_is_not_written_where_heartbeats_are_sent) {
  archive_scene s("https://trainer.test");
  s.net->server["/archive"] = sends_to("https://store.test/bucket/a");
  auto got = s.download();
  s.net->wait(got);
  BOOST_TEST(s.net->computed == 1);
  std::ifstream in(s.file, std::ios::binary);
  BOOST_TEST(std::string(std::istreambuf_iterator<char>(in), {}) == "bytes");
  BOOST_TEST(got.result().content_type == "application/x-tar");
  s.file = (s.here.path / "nowhere" / "a.tar").string();
  auto failed = s.download();
  BOOST_TEST(says(failure_of(*s.net, failed, errc::config), "nowhere/a.tar"));
}

BOOST_AUTO_TEST_SUITE_END()
