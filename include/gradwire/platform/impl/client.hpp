// SPDX-License-Identifier: Apache-2.0
// How client.hpp works.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/platform/client.hpp>
#include <gradwire/platform/impl/peer.hpp>
#include <gradwire/platform/impl/shape_steps.hpp>
#include <gradwire/transport/environment.hpp>
#include <gradwire/transport/runtime.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

// The control plane stands at the root of what may be given as a trainer's address.
inline std::string root_of(std::string address) {
  while (address.ends_with('/')) address.pop_back();
  for (const std::string_view tail : {"/training/v1/serverless", "/training/v1"})
    if (std::string_view(address).ends_with(tail)) {
      address.resize(address.size() - tail.size());
      break;
    }
  return address;
}

struct opened_peers {
  std::shared_ptr<const http_peer> api{}, inference{}, hot_load{}, gateway{};
};

inline opened_peers open_peers(const std::string& address, const secret& key, const client_options& options) {
  const std::string root = root_of(address);
  const auto at = [&](const std::string& other) {
    return peer_for(other.empty() ? root : root_of(other), key, options, true);
  };
  return {peer_for(root, key, options, false), at(options.inference_url), at(options.hot_load_url),
          at(options.trainer_gateway_url)};
}

inline client_owner open_client(std::shared_ptr<network> net, opened_peers peers, client_options options) {
  const endpoint where{peers.api->address.text(), ""};
  auto core = std::make_shared<client_core>(net, where, std::move(options));
  core->api = std::move(peers.api);
  core->inference = std::move(peers.inference);
  core->hot_load = std::move(peers.hot_load);
  core->gateway = std::move(peers.gateway);
  return std::make_shared<client_handle>(std::move(net), std::move(core));
}

}  // namespace detail

GRADWIRE_DECL client client::connect(const endpoint& where, client_options options) {
  auto peers =
      detail::open_peers(where.url, secret(where.token), options);  // what is wrong is told before threads start
  auto net = std::make_shared<runtime>(options.connections);
  return client(detail::open_client(std::move(net), std::move(peers), std::move(options)));
}

GRADWIRE_DECL client client::connect_through(std::shared_ptr<network> net, const endpoint& where,
                                             client_options options) {
  auto peers = detail::open_peers(where.url, secret(where.token), options);
  return client(detail::open_client(std::move(net), std::move(peers), std::move(options)));
}

GRADWIRE_DECL client client::from_environment(client_options options) {
  const auto read = [](const char* name) {
    const char* const value = v0::detail::read_environment_variable(name);
    return std::string(value ? value : "");
  };
  const char* const key = v0::detail::read_environment_variable("FIREWORKS_API_KEY");
  if (!key)
    throw error(
        errc::config,
        "the environment variable FIREWORKS_API_KEY is not set; set it to a key that may train, or give address "
        "and key to platform::client::connect()");
  std::string address = read("FIREWORKS_BASE_URL");
  if (address.empty()) address = "https://api.fireworks.ai";
  if (options.trainer_gateway_url.empty()) options.trainer_gateway_url = read("FIREWORKS_TRAINER_GATEWAY_URL");
  auto peers =
      detail::open_peers(address, secret::required(key, "the environment variable FIREWORKS_API_KEY"), options);
  auto net = std::make_shared<runtime>(options.connections);
  return client(detail::open_client(std::move(net), std::move(peers), std::move(options)));
}

GRADWIRE_DECL std::shared_ptr<network> client::net() const { return owner_->shared_net(); }

GRADWIRE_DECL future<std::string> client::account() const {
  return detail::start<std::string>(owner_, [](detail::flow& f) { return detail::account(f); });
}

GRADWIRE_DECL future<training_profile> client::resolve_training_profile(const std::string& shape_id) const {
  return detail::start<training_profile>(owner_, [shape_id](detail::flow& f) -> detail::task<training_profile> {
    co_return co_await detail::resolve_profile(f, shape_id);
  });
}

GRADWIRE_DECL future<std::vector<training_profile>> client::training_shapes(const shape_list_options& which) const {
  return detail::start<std::vector<training_profile>>(
      owner_, [which](detail::flow& f) -> detail::task<std::vector<training_profile>> {
        std::string filter;
        if (!which.base_model.empty()) filter = "snapshot.base_model=" + detail::quoted_text(which.base_model);
        if (which.latest_validated) filter += std::string(filter.empty() ? "" : " AND ") + "latest_validated=true";
        const auto found = co_await detail::list_versions(f, which.account, filter);
        std::vector<training_profile> all;
        for (const auto& each : found) all.push_back(detail::describe(each));
        co_return all;
      });
}

GRADWIRE_DECL future<training_profile> client::select_training_shape(const shape_wish& wish) const {
  return detail::start<training_profile>(owner_, [wish](detail::flow& f) -> detail::task<training_profile> {
    co_return co_await detail::select_shape(f, wish);
  });
}

}  // namespace platform
}  // namespace gradwire::inline v0
