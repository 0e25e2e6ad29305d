// SPDX-License-Identifier: Apache-2.0
// What the platform writes down of what it is asked, and that no key is in it.
#include <sys/stat.h>

#include <fstream>
#include <mutex>
#include <sstream>

#include <gradwire/transport/lost_error.hpp>
#include <gradwire/wire/base64.hpp>
#include <gradwire/wire/json_document.hpp>

#include "../support/temporary_folder.hpp"
#include "platform_driver.hpp"

BOOST_AUTO_TEST_SUITE(request_log)

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  BOOST_REQUIRE(in.good());
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::istringstream in(text_of(file));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// A member of a line that is a text.
std::string said(const std::string& line, std::string_view member) {
  const wire::json_document json(line);
  const auto* found = json.find(json.root(), member);
  BOOST_REQUIRE_MESSAGE(found != nullptr, member << " is not in " << line);
  return std::string(found->text);
}

struct recording {
  temporary_folder folder{};
  std::filesystem::path file = folder.path / "new" / "requests.jsonl";

  loopback::platform_options options() const {
    auto chosen = quick();
    chosen.token = "fw_canary-of-the-record";
    chosen.inference_token = "fw_canary-for-inference";
    chosen.requests = file;
    return chosen;
  }
};

BOOST_AUTO_TEST_CASE(a_line_for_each_request) {
  const recording to;
  const platform_driver it(to.options());
  it.ask("GET", "/v1/accounts?pageSize=2");
  it.create_job("job");
  it.ask("POST", "/training/v1/rlorTrainerJobs/acme/job/api/v1/create_session", R"({"tags":["ä\n"]})");
  it.ask("GET", "/v1/nothing");                                      // answered 404
  it.say("GET", "/v1/accounts/acme", "", "X-API-Key: another\r\n");  // not let in
  it.ask("POST", "/training/v1/rlorTrainerJobs/acme/job/api/v1/optim_step", "\xff", "X-Own: 1\r\n");
  const auto lines = lines_of(to.file);
  BOOST_REQUIRE(lines.size() == 5u);
  BOOST_TEST(said(lines[0], "method") == "GET");
  BOOST_TEST(said(lines[0], "target") == "/v1/accounts?pageSize=2");
  BOOST_TEST(said(lines[0], "body") == "");
  BOOST_TEST(said(lines[1], "target") == platform_driver::create_target("job", qwen8_shape));
  BOOST_TEST(said(lines[1], "body") == message::to_json(platform_driver::policy()));
  BOOST_TEST(said(lines[2], "body") == R"({"tags":["ä\n"]})");
  BOOST_TEST(said(lines[3], "target") == "/v1/nothing");
  BOOST_TEST(said(lines[4], "body_base64") == wire::to_base64("\xff"));
  BOOST_TEST(contains(lines[4], R"(["X-Own","1"])"));
  BOOST_TEST(contains(lines[4], R"x(["X-API-Key","(key)"])x"));
}

BOOST_AUTO_TEST_CASE(no_key_is_in_it) {
  const recording to;
  const platform_driver it(to.options());
  it.create_deployment("d", "");
  const std::string inference = "fw_canary-for-inference";
  it.say("POST", "/inference/v1/completions", message::to_json(it.completion("d")),
         "Authorization: Bearer " + inference + "\r\n");
  it.ask("GET", "/v1/accounts?key=" + it.token, R"({"key":")" + it.token + "\"}", "X-Other: a " + it.token + "\r\n");
  const std::string all = text_of(to.file);
  BOOST_TEST(lines_of(to.file).size() == 3u);
  BOOST_TEST(!contains(all, "canary"), all);
  BOOST_TEST(contains(all, R"x(["Authorization","Bearer (key)"])x"));
  BOOST_TEST(contains(all, R"x("target":"/v1/accounts?key=(key)")x"));
  BOOST_TEST(contains(all, R"x(["X-Other","a (key)"])x"));
}

BOOST_AUTO_TEST_CASE(the_file_is_its_owners_and_begins_anew) {
  const recording to;
  for (int i = 0; i < 2; ++i) {
    const platform_driver it(to.options());
    it.ask("GET", "/v1/accounts");
    BOOST_TEST(lines_of(to.file).size() == 1u);
  }
  struct ::stat about {};
  BOOST_REQUIRE(::stat(to.file.c_str(), &about) == 0);
  BOOST_TEST((about.st_mode & 0777) == 0600u);
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_made) {
  const recording to;
  auto options = to.options();
  options.requests = to.folder.path;  // a folder
  BOOST_CHECK_EXCEPTION(loopback::start_platform(options), error, [&](const error& wrong) {
    return wrong.kind() == errc::config && contains(wrong.what(), to.folder.path.string());
  });
}

BOOST_AUTO_TEST_CASE(without_room_for_a_line_the_platform_goes_on) {
  std::mutex mutex;
  std::vector<std::string> told;
  const auto before = on_lost_error([&](const std::exception_ptr& lost) {
    const std::lock_guard lock(mutex);
    try {
      std::rethrow_exception(lost);
    } catch (const std::exception& said) {
      told.emplace_back(said.what());
    }
  });
  {
    auto options = quick();
    options.requests = "/dev/full";  // the file for which there is never room
    const platform_driver it(options);
    for (int i = 0; i < 3; ++i) it.ok<message::accounts_reply>("GET", "/v1/accounts");
  }
  on_lost_error(before);
  BOOST_REQUIRE(told.size() == 1u);
  BOOST_TEST(contains(told[0], "cannot write /dev/full: No space left on device"), told[0]);
}

BOOST_AUTO_TEST_CASE(without_one_nothing_is_kept_and_the_folder_is_told) {
  const temporary_folder folder;
  auto options = quick();
  options.files = folder.path / "platform";
  const platform_driver it(options);
  it.create_job("job");
  BOOST_TEST(it.platform.files() == std::filesystem::canonical(options.files));
}

BOOST_AUTO_TEST_SUITE_END()
