// SPDX-License-Identifier: Apache-2.0
// The key is in no text: servers that repeat it in every way there is, and everything that the client says about them.
// What the other tests leave behind is searched by tests/security/canary, which tests/run calls at its end.
#include <fcntl.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>

#include <boost/test/tree/traverse.hpp>
#include <boost/test/tree/visitor.hpp>

#include <gradwire/loopback/server.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/trainer.hpp>
#include <gradwire/trainer/ledger.hpp>
#include <gradwire/trainer/timeline.hpp>

#include "support.hpp"

using namespace security;

namespace {

// What the program writes to standard output and standard error meanwhile.
class captured {
 public:
  captured() {
    for (int i = 0; i < 2; ++i) {
      std::fflush(nullptr);
      kept_[i] = ::dup(i + 1);
      const int file = ::open((folder_.path / std::to_string(i)).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
      ::dup2(file, i + 1);
      ::close(file);
    }
  }
  ~captured() { restore(); }
  std::string text() {
    restore();
    std::string all;
    for (int i = 0; i < 2; ++i) {
      std::ifstream in(folder_.path / std::to_string(i));
      all.append(std::istreambuf_iterator<char>(in), {});
    }
    return all;
  }

 private:
  void restore() {
    std::fflush(nullptr);
    for (int i = 0; i < 2; ++i) {
      if (kept_[i] < 0) continue;
      ::dup2(kept_[i], i + 1);
      ::close(std::exchange(kept_[i], -1));
    }
  }
  temporary_folder folder_;
  int kept_[2] = {-1, -1};
};

// Everything that somebody may read of an error.
std::string all_of(const error& e) {
  const error_details& d = e.details();
  return std::string(e.what()) + "|" + d.operation + "|" + d.request_id + "|" + d.column + "|" + d.value;
}

std::string all_of(const client_event& e) { return e.name + "|" + e.model_id + "|" + e.request_id + "|" + e.detail; }

std::string http(const std::string& status, const std::string& body, const std::string& headers = "") {
  return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

connect_options impatient(client_event_handler handler = {}) {
  connect_options options;
  options.operation_timeout_seconds = 0.3;
  options.first_contact_seconds = 0.05;
  options.heartbeat_seconds = 0;
  options.retry.first_pause_seconds = 0.001;
  options.retry.longest_pause_seconds = 0.002;
  options.retry.unreachable_seconds = 0.05;
  options.retry.poll_timeout_seconds = 0.2;
  options.on_event = std::move(handler);
  return options;
}

// What a client says that makes a model, trains it and saves it, against a server that answers so.
std::string everything_said(const std::function<std::string(const std::string&)>& answer, const std::string& key) {
  listener server([&](int it) {
    const std::string request = read_request(it);
    write_all(it, answer(request));
    ::shutdown(it, SHUT_WR);
    while (!read_some(it).empty()) continue;
  });
  const temporary_folder folder;
  std::string said;
  captured out;
  {
    std::mutex mutex;
    const timeline picture((folder.path / "timeline.json").string());
    const ledger books;
    auto options = impatient(tell_all(picture.handler(), books.handler(), [&](const client_event& event) {
      std::lock_guard lock(mutex);
      said += all_of(event) + "\n";
    }));
    const auto note = [&](auto&& call) {
      try {
        call();
      } catch (const error& e) {
        std::lock_guard lock(mutex);
        said += all_of(e) + "\n";
      }
    };
    note([&] {
      auto service = service_client::connect(endpoint{"http://" + server.at("127.0.0.1"), key}, options);
      note([&] { service.capabilities().result(); });
      static_cast<void>(service.capabilities());  // nobody looks: a lost error
      auto trainer = service.create_training_client({.base_model = "m", .lora_rank = 1}).result();
      const batch data{datum{prompt({1, 2}) + response({3, 4})}};
      note([&] { trainer.forward_backward_custom(data, sft_nll{}).result(); });
      note([&] { trainer.optim_step({}).result(); });
      note([&] { trainer.save_state({.name = "a"}).result(); });
    });
    said += books.table();
  }
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder.path)) {
    std::ifstream in(file.path());
    said.append(std::istreambuf_iterator<char>(in), {});
  }
  return said + out.text();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(canary_)

SECURITY_TEST(T10, servers_that_repeat_the_key) {
  const std::string key = canary("repeated-by-a-server");
  const std::string id = R"({"session_id":")" + key + R"(","request_id":")" + key + R"(","model_id":")" + key + R"("})";
  const std::vector<std::string> replies = {
      http("401 Unauthorized", R"({"detail":"no such key: )" + key + "\"}"),
      http("403 Forbidden", key),
      http("400 Bad", R"({"error":{"message":")" + key + R"(","code":")" + key + "\"}}"),
      http("404 Not Found", R"({"message":")" + key + "\"}"),
      http("409 Conflict", R"({"detail":"expected 5, got 7 )" + key + "\"}"),
      http("410 Gone", R"({"detail":")" + key + "\"}"),
      http("413 Large", key + key),
      http("422 No", R"({"detail":[{"loc":["body",")" + key + R"("],"msg":")" + key + R"(","type":"x"}]})"),
      http("429 Slow", R"({"detail":")" + key + "\"}", "Retry-After: 0\r\nX-Key: " + key + "\r\n"),
      http("500 Oops", "<h1>" + key + "</h1>"),
      http("503 Busy", key, "Retry-After: " + key + "\r\n"),
      http("307 There", "", "Location: http://evil.test/" + key + "\r\n"),
      http("200 OK", key),
      http("200 OK", "\"" + key + "\""),
      http("200 OK", "{\"" + key + "\":1}"),
      http("200 OK", R"({"error":")" + key + R"(","category":")" + key + "\"}"),
      http("200 OK", R"({"type":"try_again","request_id":")" + key + R"(","queue_state":")" + key + "\"}"),
      http("200 OK", id),
      http("200 OK", R"({"supported_models":")" + key + "\"}"),
      http("200 OK", id, "Content-Encoding: " + key + "\r\n"),
      http("200 OK", id, "X-Deprecation-Note: " + key + "\r\n"),
      http("200 " + key, "{"),
      http("299 Odd", key),
      "HTTP/1.1 200 OK\r\n\r\n" + key,
      "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + key,
      key + "\r\n\r\n",
      "HTTP/1.1 " + key + "\r\n\r\n",
      "",
  };
  for (const std::string& reply : replies) {
    const std::string said = everything_said([&](const std::string&) { return reply; }, key);
    if (reply.starts_with("HTTP/1.1 4")) BOOST_TEST(contains(said, "(key)"), shown(reply) << " led to " << said);
    BOOST_TEST(!contains(said, "tml-canary"), shown(reply) << " led to " << said);
  }
}

SECURITY_TEST(T10, a_server_that_repeats_the_key_late) {
  const std::string key = canary("repeated-late");
  for (const char* where :
       {"create_session", "create_model", "retrieve_future", "forward", "optim_step", "save_weights"}) {
    const std::string said = everything_said(
        [&](const std::string& request) {
          const std::string line = request.substr(0, request.find("\r\n"));
          if (contains(line, where)) return http("200 OK", R"({"error":"with )" + key + R"(","category":"user"})");
          if (contains(line, "retrieve_future")) return http("200 OK", R"({"model_id":"m","path":"p"})");
          return http("200 OK", R"({"session_id":"s","request_id":"r","model_id":"m"})");
        },
        key);
    BOOST_TEST(!contains(said, "tml-canary"), where << " led to " << said);
  }
}

// A whole session with the embedded trainer, which has the key too.
SECURITY_TEST(T10, a_session_that_goes_well) {
  const std::string key = canary("goes-well");
  const temporary_folder folder;
  std::string said;
  captured out;
  {
    const loopback::server server({.token = key, .checkpoints = folder.path / "checkpoints", .threads = 1});
    std::mutex mutex;
    const timeline picture((folder.path / "timeline.json").string());
    connect_options options;
    options.on_event = tell_all(picture.handler(), [&](const client_event& event) {
      std::lock_guard lock(mutex);
      said += all_of(event) + "\n";
    });
    auto service = service_client::connect(server.endpoint(), options);
    auto trainer = service.create_training_client({.base_model = server.model(), .lora_rank = 1}).result();
    const batch data{datum{prompt({1, 2}) + response({3, 4})}};
    trainer.forward_backward_custom(data, sft_nll{}).result();
    trainer.optim_step({}).result();
    trainer.save_state({.name = "a"}).result();
  }
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder.path)) {
    if (!file.is_regular_file()) continue;
    std::ifstream in(file.path(), std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    BOOST_TEST(!contains(text, key), file.path());
  }
  said += out.text();
  BOOST_TEST(!contains(said, "tml-canary"), said);
}

BOOST_AUTO_TEST_SUITE_END()

// ---- no row of the tables is forgotten ----

BOOST_AUTO_TEST_CASE(every_row_of_the_tables_has_a_test) {
  struct collector : boost::unit_test::test_tree_visitor {
    void visit(const boost::unit_test::test_case& each) override { names += "\n" + each.p_name.get(); }
    std::string names;
  } tests;
  boost::unit_test::traverse_test_tree(boost::unit_test::framework::master_test_suite(), tests, true);
  for (const auto& [letter, last] :
       {std::pair{'T', 12}, std::pair{'K', 9}}) {  // K10, a full disk, is with the checkpoints
    for (int number = 1; number <= last; ++number) {
      char id[32];
      std::snprintf(id, sizeof id, "\n%c%02d_", letter, number);
      BOOST_TEST(contains(tests.names, id), "no test of " << id + 1);
    }
  }
}
