// SPDX-License-Identifier: Apache-2.0
// How server.hpp works: the HTTP server's thread asks the service, the service's compute thread asks the model.
#pragma once

#include <fstream>
#include <utility>

#include <gradwire/loopback/server.hpp>
#include <gradwire/loopback/service/router.hpp>
#include <gradwire/transport/secret.hpp>

namespace gradwire::inline v0 {
namespace loopback {

namespace detail {

inline start_options completed(start_options options) {
  if (options.allow_other_machines && options.token.empty())
    throw error(errc::config, "a server for other machines needs a token of your own, which its users know");
  if (options.token.empty()) options.token = "tml-" + random_hex();
  secret(options.token, "the token");  // throws for what cannot stand in a header
  return options;
}

inline frozen_model load_base(const start_options& options) {
  return frozen_model::load({.model = options.no_op ? "gradwire/tiny" : options.model,
                             .seed = options.seed,
                             .threads = options.threads,
                             .name = options.name.empty() ? options.model : options.name});
}

// Where clients find the tokenizer: the model's folder, or one that is written here for the built-in model.
inline std::string provide_tokenizer(const service& it) {
  std::error_code problem;
  const auto given = std::filesystem::absolute(it.options.model, problem);
  if (std::filesystem::is_directory(given, problem)) return given.string();
  if (!it.base.has_tokenizer()) return {};
  const auto folder = it.store.own_folder("tokenizer");
  std::ofstream(folder / "tokenizer.json") << it.base.tokenizer().tokenizer_json();
  std::ofstream(folder / "tokenizer_config.json") << it.base.tokenizer().tokenizer_config_json();
  return folder.string();
}

}  // namespace detail

struct server::state {
  explicit state(const start_options& options) : it(detail::completed(options), detail::load_base(options)) {}

  detail::service it;
  std::unique_ptr<http_server> http;
};

GRADWIRE_DECL server::server(start_options options) : state_(std::make_unique<state>(options)) {
  detail::service& it = state_->it;
  it.run_samples = detail::run_sample_jobs;
  it.tokenizer_id = detail::provide_tokenizer(it);
  it.compute.start();
  http_server_options listening{.port = it.options.port,
                                .address = it.options.address,
                                .allow_other_machines = it.options.allow_other_machines,
                                .host_names = it.options.host_names,
                                .body_limit = it.options.body_limit,
                                .max_connections = it.options.max_connections,
                                .head_timeout_seconds = it.options.head_timeout_seconds};
  listening.check_head = [&it](const http_request& head) { return detail::refuse_stranger(it, head); };
  state_->http =
      std::make_unique<http_server>(std::move(listening), [&it](http_request request, http_server::responder respond) {
        detail::serve(it, std::move(request), std::move(respond));
      });
  it.http = state_->http.get();
  it.http.notify_all();
}

GRADWIRE_DECL server::~server() {
  if (!state_) return;
  state_->it.compute.stop();  // it posts to the server's thread, which therefore goes after it
  state_->http.reset();
}

GRADWIRE_DECL server::server(server&&) noexcept = default;
GRADWIRE_DECL server& server::operator=(server&& other) noexcept {
  server old(std::move(*this));
  state_ = std::move(other.state_);
  return *this;
}

GRADWIRE_DECL endpoint server::endpoint() const { return {state_->http->base_url(), state_->it.options.token}; }

GRADWIRE_DECL const std::string& server::model() const { return state_->it.base.name(); }
GRADWIRE_DECL const std::filesystem::path& server::checkpoints() const { return state_->it.store.root(); }
GRADWIRE_DECL const std::vector<std::string>& server::notices() const { return state_->it.notices; }
GRADWIRE_DECL const std::string& server::boot_id() const { return state_->it.boot_id; }

GRADWIRE_DECL operation_counts server::executed() const {
  using detail::counter;
  const auto count = [this](counter what) { return state_->it.executed[static_cast<std::size_t>(what)].load(); };
  return {.create_model = count(counter::create_model),
          .forward = count(counter::forward),
          .forward_backward = count(counter::forward_backward),
          .optim_step = count(counter::optim_step),
          .save_weights = count(counter::save_weights),
          .save_weights_for_sampler = count(counter::save_weights_for_sampler),
          .load_weights = count(counter::load_weights),
          .sample = count(counter::sample)};
}

}  // namespace loopback
}  // namespace gradwire::inline v0
