// SPDX-License-Identifier: Apache-2.0
// A network that a test plays by hand: its clock jumps to the next timer, and each request is answered by the rules of
// the test. Everything runs in run(), on the test's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/test/unit_test.hpp>

#include <gradwire/platform.hpp>
#include <gradwire/wire/platform.hpp>

namespace playing {

using namespace gradwire;
namespace wp = gradwire::wire::platform;

struct seen {
  std::string method, target, body, key, host;
  std::vector<http_header> headers;
  bool bearer = false;
  std::string ca_file, proxy;
  double at = 0;  // seconds since the beginning

  std::string path() const { return wp::split_target(target).path; }
  std::string query(std::string_view name) const { return wp::split_target(target).value(name); }
  std::string header(std::string_view name) const { return std::string(gradwire::detail::find_header(headers, name)); }
};

using server = std::function<http_outcome(const seen&)>;

inline http_response reply(int status, std::string body, std::vector<http_header> headers = {}) {
  headers.push_back({"Content-Type", "application/json"});
  return {.status = status, .headers = std::move(headers), .body = std::move(body)};
}
template <class M>
http_response reply_with(const M& message) {
  return reply(200, wp::to_json(message));
}
inline http_failure lost() { return {errc::transport, true, "connection reset (by the test)"}; }
inline http_failure refused() { return {errc::transport, false, "connection refused (by the test)"}; }

class played : public network {
 public:
  time_point now() const override { return now_; }
  void post(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
  std::uint64_t start_timer(time_point when, std::function<void()> task) override {
    timers_.emplace(std::make_pair(when, ++last_), std::move(task));
    return last_;
  }
  void cancel_timer(std::uint64_t timer) override {
    for (auto it = timers_.begin(); it != timers_.end(); ++it)
      if (it->first.second == timer) return void(timers_.erase(it));
  }
  void send(http_call call, std::function<void(http_outcome)> done) override {
    std::vector<http_header> headers = call.request->headers;
    headers.insert(headers.end(), call.to->open_headers.begin(), call.to->open_headers.end());
    for (const auto& each : call.to->headers) headers.push_back({each.name, each.value.reveal()});
    const http_proxy* const way = call.to->way();
    log.push_back({.method = call.request->method,
                   .target = call.request->target,
                   .body = call.request->body,
                   .key = call.to->key.reveal(),
                   .host = call.to->address.host_header(),
                   .headers = std::move(headers),
                   .bearer = call.to->bearer,
                   .ca_file = call.to->ca_file,
                   .proxy = way ? way->address.host_header() : "",
                   .at = seconds()});
    http_outcome answer = http_failure{errc::transport, false, "no rule for " + log.back().target};
    for (auto& [method, path, rule] : rules_)
      if (log.back().method == method && log.back().path() == path) answer = rule(log.back());
    post([done = std::move(done), answer = std::move(answer)] { done(answer); });
  }
  void compute(std::function<void()> task) override { post(std::move(task)); }

  // The last rule for a method and path counts.
  void on(std::string method, std::string path, server rule) {
    rules_.push_back({std::move(method), std::move(path), std::move(rule)});
  }
  // One answer after another, the last one for ever.
  void on(std::string method, std::string path, std::vector<http_outcome> answers) {
    on(std::move(method), std::move(path), [answers = std::move(answers), next = std::size_t{0}](const seen&) mutable {
      return answers[next + 1 < answers.size() ? next++ : next];
    });
  }

  void run() {
    while (!tasks_.empty() || !timers_.empty()) {
      while (!tasks_.empty()) {
        auto task = std::move(tasks_.front());
        tasks_.pop_front();
        task();
      }
      if (timers_.empty()) break;
      auto first = timers_.extract(timers_.begin());
      now_ = std::max(now_, first.key().first);
      first.mapped()();
    }
  }
  double seconds() const { return std::chrono::duration<double>(now_ - begun_).count(); }

  std::size_t count(std::string_view method, std::string_view path) const {
    std::size_t n = 0;
    for (const auto& each : log) n += each.method == method && each.path() == path;
    return n;
  }
  const seen& last(std::string_view method, std::string_view path) const {
    for (std::size_t i = log.size(); i-- > 0;)
      if (log[i].method == method && log[i].path() == path) return log[i];
    BOOST_FAIL("nothing was sent to " << path);
    throw 0;
  }

  std::vector<seen> log;

 private:
  struct known_path {
    std::string method, path;
    server answer;
  };
  const time_point begun_{std::chrono::hours(1)};
  time_point now_ = begun_;
  std::uint64_t last_ = 0;
  std::deque<std::function<void()>> tasks_;
  std::map<std::pair<time_point, std::uint64_t>, std::function<void()>> timers_;
  std::vector<known_path> rules_;
};

inline constexpr const char* jobs_path = "/v1/accounts/acme/rlorTrainerJobs";
inline constexpr const char* deployments_path = "/v1/accounts/acme/deployments";
inline constexpr const char* hot_load_path = "/hot_load/v1/models/hot_load";
inline constexpr const char* completions_path = "/inference/v1/completions";
inline constexpr const char* shape_id = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200";
inline constexpr const char* key = "fw_0123456789abcdef0123456789abcdef";

inline wp::training_shape_version version_of_shape() {
  wp::training_shape_version v;
  v.name = std::string(shape_id) + "/versions/v7";
  v.snapshot.base_model = "accounts/fireworks/models/qwen3-8b";
  v.snapshot.trainer_mode.name = "POLICY_TRAINER";
  v.snapshot.trainer_image_tag = "trainer-2026-10";
  v.snapshot.max_supported_context_length = 131072;
  v.snapshot.accelerator_type = "NVIDIA_H200_141GB";
  v.snapshot.accelerator_count = 4;
  v.snapshot.node_count = 1;
  v.snapshot.deployment_shape_version = "accounts/fireworks/deploymentShapes/qwen3-8b-h200/versions/d3";
  v.latest_validated = true;
  return v;
}

inline wp::trainer_job job(const std::string& id, const std::string& state) {
  wp::trainer_job made;
  made.name = "accounts/acme/rlorTrainerJobs/" + id;
  made.state = state;
  made.training_config.base_model = "accounts/fireworks/models/qwen3-8b";
  return made;
}

inline wp::deployment served(const std::string& id, const std::string& state) {
  wp::deployment made;
  made.name = "accounts/acme/deployments/" + id;
  made.state = state;
  made.base_model = "accounts/fireworks/models/qwen3-8b";
  made.deployment_shape = version_of_shape().snapshot.deployment_shape_version;
  return made;
}

// A client on a played network that knows the key's account and one training shape.
struct scene {
  std::shared_ptr<played> net = std::make_shared<played>();
  gradwire::platform::client client;

  explicit scene(gradwire::platform::client_options options = {})
      : client(gradwire::platform::client::connect_through(net, {"https://api.example.com", key}, std::move(options))) {
    net->on("GET", "/v1/accounts", {reply(200, R"({"accounts":[{"name":"accounts/acme"}]})")});
    wp::training_shape_versions_reply versions;
    versions.training_shape_versions.push_back(version_of_shape());
    net->on("GET", "/v1/" + std::string(shape_id) + "/versions", {reply_with(versions)});
    net->on("GET", hot_load_path,
            {reply(200, R"({"replicas":[{"readiness":true,"loading_state":{"stage":"idle"}}]})")});
  }

  template <class T>
  T get(future<T> from) {
    net->run();
    return std::move(from).result(std::chrono::seconds(5));
  }
  gradwire::platform::training_profile profile() { return get(client.resolve_training_profile(shape_id)); }

  // What create() takes, complete.
  gradwire::platform::trainer_job_config job_config() {
    return {.base_model = "accounts/fireworks/models/qwen3-8b",
            .training_shape_ref = profile().training_shape_version,
            .job_id = "grpo-1"};
  }
};

// Runs f, which must throw a gradwire::error of this kind whose text has all parts, and not the key.
template <class F>
error must_fail(errc kind, std::initializer_list<const char*> parts, F&& f) {
  try {
    f();
  } catch (const error& e) {
    const std::string_view text = e.what();
    BOOST_TEST(to_string(e.kind()) == to_string(kind), "expected " << to_string(kind) << ": " << text);
    for (const char* part : parts) BOOST_TEST(text.find(part) != std::string_view::npos, text << " lacks: " << part);
    BOOST_TEST(text.find(key) == std::string_view::npos, "the key stands in: " << text);
    return e;
  }
  BOOST_FAIL("no error was thrown");
  throw 0;
}

inline wire::json_kind kind_at(const std::string& body, std::initializer_list<std::string_view> names) {
  const wire::json_document document(body);
  const wire::json_node* node = &document.root();
  for (const auto name : names) {
    node = document.find(*node, name);
    if (!node) return wire::json_kind::null;
  }
  return node->kind;
}
inline std::string text_at(const std::string& body, std::initializer_list<std::string_view> names) {
  const wire::json_document document(body);
  const wire::json_node* node = &document.root();
  for (const auto name : names) {
    node = document.find(*node, name);
    if (!node) return "(absent)";
  }
  if (node->kind == wire::json_kind::boolean) return node->flag ? "true" : "false";
  return std::string(node->text);
}

}  // namespace playing
