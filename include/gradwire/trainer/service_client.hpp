// SPDX-License-Identifier: Apache-2.0
// The connection to a trainer, and the maker of clients. Nothing is sent before the first client is made: an address
// that is wrong is told at once, a server that does not answer by the first future.
//
//   auto service = service_client::connect(server.endpoint());  // or connect("http://…", {.token = key}), or connect()
//   auto trainer = service.create_training_client({.base_model = "gradwire/tiny", .lora_rank = 8}).result();
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/options.hpp>
#include <gradwire/trainer/reference_client.hpp>
#include <gradwire/trainer/rest_client.hpp>
#include <gradwire/trainer/sampling_client.hpp>
#include <gradwire/trainer/training_client.hpp>
#include <gradwire/transport/endpoint.hpp>

namespace gradwire::inline v0 {

class network;
struct http_peer;

namespace detail {
struct service_access;  // of the probe
}

class service_client {
 public:
  // Throws error{config} for an address, key or option that cannot be right, and for a key that would go over plain
  // http to another machine.
  GRADWIRE_DECL static service_client connect(const endpoint& where, connect_options options = {});
  static service_client connect(const std::string& address, connect_options options = {}) {
    return connect(endpoint{address, ""}, std::move(options));
  }
  // With the address and key that the environment names: TINKER_BASE_URL and TINKER_API_KEY, or FIREWORKS_API_KEY; see
  // transport/environment.hpp.
  static service_client connect() { return connect_from_environment({}); }
  GRADWIRE_DECL static service_client connect_from_environment(connect_options options);

  // Over another network than the real one: for tests and for traffic that is already somebody's own.
  GRADWIRE_DECL static service_client connect_through(std::shared_ptr<network> net, const endpoint& where,
                                                      connect_options options = {});

  GRADWIRE_DECL future<training_client> create_training_client(const training_client_options& options);

  // A new model that goes on from what save_state() gave.
  GRADWIRE_DECL future<training_client> create_training_client_from_state(const from_state_options& options);
  future<training_client> create_training_client_from_state(const detail::text auto& path) {
    return create_training_client_from_state(from_state_options{.path = std::string(path)});
  }

  // The trainer's weights as they are after the calls made so far, frozen.
  GRADWIRE_DECL future<reference_client> create_reference_client(const training_client& trainer);
  // An untrained model.
  GRADWIRE_DECL future<reference_client> create_reference_client(const reference_options& options);

  GRADWIRE_DECL future<sampling_client> create_sampling_client(const sampling_client_options& options);
  future<sampling_client> create_sampling_client(const std::same_as<saved_weights> auto& weights) {
    return create_sampling_client(sampling_client_options{.model_path = weights.path, .base_model = ""});
  }

  // The models that the server offers.
  GRADWIRE_DECL future<std::vector<model_description>> capabilities();

  // Whether the server answers at all; no session is made for it.
  GRADWIRE_DECL future<server_health> health();

  // Runs, checkpoints, sessions and samplers on the server.
  rest_client rest() const { return rest_client(owner_); }

  // Tells the server that the session is over, and why. Later calls end as `closed`. A server that does not know the
  // call ends sessions by itself: that is no error.
  GRADWIRE_DECL future<completed> finish_session(session_end why = session_end::success,
                                                 const std::string& detail = "");

  // A loss that the server itself computes and differentiates, where it can: a traced graph {"format": 1, "nodes": […]}
  // with its inputs, "logprobs" first. The result is for forward_backward.
  GRADWIRE_DECL future<server_loss::named> create_custom_loss(const custom_loss_graph& graph);

 private:
  friend struct detail::service_access;
  GRADWIRE_DECL static service_client open(std::shared_ptr<network> net, http_peer peer, connect_options options);
  explicit service_client(detail::session_owner owner) noexcept : owner_(std::move(owner)) {}
  detail::session_owner owner_;
};

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/service_client.hpp>
#endif
