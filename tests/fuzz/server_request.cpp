// SPDX-License-Identifier: Apache-2.0
// Bytes as what comes over a connection to the embedded trainer: it answers or closes, goes on living, and executes
// nothing that it answers with 4xx. Nothing is ever written outside of its folder.
#include "../support/temporary_folder.hpp"
#include "fuzz.hpp"
#include "sockets.hpp"

#include <gradwire/loopback/server.hpp>
#include <gradwire/transport/url.hpp>

#include <cstdlib>
#include <filesystem>
#include <numeric>

namespace {

using namespace gradwire;
namespace files = std::filesystem;

const std::string token = "tml-0123456789abcdef0123456789abcdef";

struct trainer {
  temporary_folder around;
  loopback::server server;
  std::uint16_t port;

  std::string session, model;
  std::int64_t sequence = 0;

  trainer() : server(options()), port(parse_url(server.endpoint().url).port) {
    session = text_of(post("/api/v1/create_session", R"({"tags":[],"sdk_version":"0.25.0","type":"create_session"})"),
                      "session_id");
    const std::string future = text_of(
        post("/api/v1/create_model",
             R"({"session_id":")" + session +
                 R"(","model_seq_id":0,"base_model":"gradwire/tiny","lora_config":{"rank":4},"type":"create_model"})"),
        "request_id");
    std::string made;
    do made = post("/api/v1/retrieve_future", R"({"request_id":")" + future + "\"}");
    while (made.find(" 408 ") != made.npos);
    model = text_of(made, "model_id");
  }

  loopback::start_options options() const {
    loopback::start_options made;
    made.token = token;
    made.checkpoints = around.path / "checkpoints";
    made.threads = 1;
    made.body_limit = 64 * 1024;
    made.hold_seconds = 0.02;
    made.no_op = true;
    return made;
  }

  static std::string text_of(const std::string& reply, const std::string& member) {
    const auto at = reply.find("\"" + member + "\":\"");
    if (at == reply.npos) throw fuzz::broken("no " + member + " in " + reply);
    const auto begin = at + member.size() + 4;
    return reply.substr(begin, reply.find('"', begin) - begin);
  }

  // What the seeds do not know beforehand.
  std::string filled(std::string_view input) {
    std::string bytes(input);
    const std::pair<std::string, std::string> values[] = {
        {"TOKEN", token}, {"SESSION", session}, {"MODEL", model}, {"SEQ", std::to_string(++sequence)}};
    for (const auto& [name, value] : values)
      for (auto at = bytes.find(name); at != bytes.npos; at = bytes.find(name, at + value.size()))
        bytes.replace(at, name.size(), value);
    if (const auto at = bytes.find("LENGTH"), head_end = bytes.find("\r\n\r\n");
        at < head_end && head_end != bytes.npos)
      bytes.replace(at, 6, std::to_string(bytes.size() - head_end - 4));
    return bytes;
  }

  // The bytes of one reply, or of several.
  std::string ask(std::string_view bytes) const {
    const fuzz::socket_handle to(fuzz::connected(port));
    to.send(bytes);
    to.end();
    std::string reply;
    while (to.receive(reply)) fuzz::require(reply.size() < (std::size_t{16} << 20), "a reply without an end");
    return reply;
  }
  std::string post(const std::string& path, const std::string& json) const {
    return ask("POST " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: " + token +
               "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
               std::to_string(json.size()) + "\r\n\r\n" + json);
  }

  // How often something was executed, once all that was accepted is done.
  std::int64_t executed(const std::string& reply) const {
    for (auto at = reply.find("\"request_id\":\""); at != reply.npos; at = reply.find("\"request_id\":\"", at + 1)) {
      const auto begin = at + 14, end = reply.find('"', begin);
      for (int poll = 0; poll < 500; ++poll)
        if (post("/api/v1/retrieve_future", "{\"request_id\":\"" + reply.substr(begin, end - begin) + "\"}")
                .find(" 408 ") == reply.npos)
          break;
    }
    const auto counts = server.executed();
    return counts.create_model + counts.forward + counts.forward_backward + counts.optim_step + counts.save_weights +
           counts.save_weights_for_sampler + counts.load_weights + counts.sample;
  }
};

trainer& running() {
  static trainer one;
  return one;
}

bool only_refused(std::string_view reply) {
  bool any = false;
  for (auto at = reply.find("HTTP/1.1 "); at != reply.npos; at = reply.find("HTTP/1.1 ", at + 9)) {
    any = true;
    if (reply.substr(at + 9, 1) != "4") return false;
  }
  return any || reply.empty();
}

void run(std::string_view input) {
  trainer& to = running();
  static std::int64_t before = to.executed("");
  const std::string bytes = to.filled(input);
  const std::string reply = to.ask(bytes);
  const std::int64_t after = to.executed(reply);
  if (only_refused(reply))
    fuzz::require(after == before, "something was executed behind a refusal: " + reply.substr(0, 200));
  if (bytes.find(token) == bytes.npos)
    fuzz::require(after == before && reply.find("tml-0123") == reply.npos,
                  "something was executed, or told, without the key");
  before = after;
  for (const auto& entry : files::directory_iterator(to.around.path))
    fuzz::require(entry.path().filename() == "checkpoints", "it wrote " + entry.path().string());
}

std::string request(const std::string& path, const std::string& json, const std::string& more = {}) {
  return "POST /api/v1/" + path +
         " HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: TOKEN\r\nContent-Type: application/json\r\n" + more +
         "Content-Length: LENGTH\r\n\r\n" + json;
}

std::vector<std::string> seeds() {
  return {
      "GET /api/v1/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
      "GET /api/v1/get_server_capabilities HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: TOKEN\r\n\r\n",
      request("create_session", R"({"tags":[],"user_metadata":{},"sdk_version":"0.25.0","type":"create_session"})"),
      request(
          "create_model",
          R"({"session_id":"SESSION","model_seq_id":SEQ,"base_model":"gradwire/tiny","lora_config":{"rank":4},"type":"create_model"})"),
      request(
          "forward_backward",
          R"({"model_id":"MODEL","seq_id":SEQ,"forward_backward_input":{"data":[{"model_input":{"chunks":[{"type":"encoded_text","tokens":[1,2]}]},"loss_fn_inputs":{"target_tokens":{"data":[2,3],"dtype":"int64"},"weights":{"data":[1,1],"dtype":"float32"}}}],"loss_fn":"cross_entropy"},"type":"forward_backward"})"),
      request("optim_step",
              R"({"model_id":"MODEL","seq_id":SEQ,"adam_params":{"learning_rate":0.001},"type":"optim_step"})"),
      request("save_weights",
              R"({"model_id":"MODEL","path":"kept","seq_id":SEQ,"overwrite":true,"type":"save_weights"})"),
      request("save_weights_for_sampler",
              R"({"model_id":"MODEL","path":"sampled","seq_id":SEQ,"type":"save_weights_for_sampler"})"),
      request("save_weights", R"({"model_id":"MODEL","path":"../../escaped","seq_id":SEQ,"type":"save_weights"})"),
      request(
          "load_weights",
          R"({"model_id":"MODEL","path":"tinker://MODEL/weights/..%2f..%2fx","optimizer":true,"seq_id":SEQ,"type":"load_weights"})"),
      request(
          "asample",
          R"({"base_model":"gradwire/tiny","num_samples":1,"prompt":{"chunks":[{"type":"encoded_text","tokens":[1]}]},"sampling_params":{"max_tokens":2},"type":"sample"})"),
      request("retrieve_future", R"({"request_id":"1"})"),
      request("create_session", "{}", "Transfer-Encoding: chunked\r\n"),
      "POST /api/v1/optim_step HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: TOKEN\r\nTransfer-Encoding: "
      "chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
      "DELETE /api/v1/training_runs/MODEL/checkpoints/weights/..%2f..%2fetc HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: "
      "TOKEN\r\n\r\n",
      "GET /../../etc/passwd HTTP/1.1\r\nHost: evil.test\r\nOrigin: http://evil.test\r\n\r\n",
      "POST /api/v1/create_session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
  };
}

const fuzz::registered here({"server_request", run, seeds, 1000});

}  // namespace
