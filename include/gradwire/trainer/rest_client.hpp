// SPDX-License-Identifier: Apache-2.0
// Asks a server for its runs, checkpoints, sessions and samplers, and manages checkpoints. Servers have these calls in
// part: one that a server does not have ends as error{status}.
//
//   auto rest = service.rest();
//   for (const auto& run : rest.training_runs().result().items) …
//   rest.delete_checkpoint(saved.path).result();
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/records.hpp>
#include <gradwire/trainer/training_client.hpp>
#include <gradwire/transport/config.hpp>
#include <gradwire/transport/future.hpp>

namespace gradwire::inline v0 {
namespace detail {

class session_handle;
using session_owner = std::shared_ptr<session_handle>;

}  // namespace detail

class rest_client {
 public:
  explicit rest_client(detail::session_owner owner) noexcept : owner_(std::move(owner)) {}

  GRADWIRE_DECL future<page<training_run_description>> training_runs(page_options which = {},
                                                                     access_scope scope = access_scope::owned,
                                                                     const std::string& project_id = {});  // "": any
  GRADWIRE_DECL future<training_run_description> training_run(const std::string& id,
                                                              access_scope scope = access_scope::owned);

  GRADWIRE_DECL future<page<checkpoint_description>> checkpoints(page_options which = {});       // the user's
  GRADWIRE_DECL future<page<checkpoint_description>> checkpoints_of(const std::string& run_id);  // of one run

  // `path` is what save_state() and its like gave: tinker://<run>/<weights|sampler_weights>/<name>.
  GRADWIRE_DECL future<weights_description> weights_info(const std::string& path);
  GRADWIRE_DECL future<completed> delete_checkpoint(const std::string& path);
  GRADWIRE_DECL future<completed> publish_checkpoint(const std::string& path);
  GRADWIRE_DECL future<completed> unpublish_checkpoint(const std::string& path);
  GRADWIRE_DECL future<completed> set_checkpoint_ttl(const std::string& path, std::optional<std::int64_t> seconds);

  // The server may send elsewhere for an archive. What is there is fetched without the key when the host, the port or
  // the scheme is another than the trainer's, and only over http and https. The file appears whole or not at all.
  GRADWIRE_DECL future<checkpoint_archive> checkpoint_archive_url(const std::string& path);
  GRADWIRE_DECL future<downloaded_archive> download_checkpoint_archive(const std::string& path, const std::string& file,
                                                                       std::size_t most_bytes = std::size_t{4} << 30);
  // Of what save_weights_external() gave.
  GRADWIRE_DECL future<external_weights> external_weights_urls(const std::string& path);

  // The copy's path. A re-send is told by its idempotency key; where a server does not look at it, an answer that is
  // lost ends as error{outcome_unknown}.
  GRADWIRE_DECL future<std::string> copy_weights(const copy_weights_options& options);

  GRADWIRE_DECL future<std::vector<std::string>> sessions(page_options which = {},
                                                          access_scope scope = access_scope::owned);
  GRADWIRE_DECL future<session_description> session(const std::string& id, access_scope scope = access_scope::owned);
  // Moves a session into a project, with its runs and samplers.
  GRADWIRE_DECL future<completed> assign_session_project(const std::string& id, const std::string& project_id);
  // All that match, newest first, page after page up to `most`. Experimental on the server's side.
  GRADWIRE_DECL future<std::vector<found_session>> search_sessions(const session_search& which,
                                                                   std::size_t most = 1000);
  GRADWIRE_DECL future<sampler_description> sampler(const std::string& id);

 private:
  detail::session_owner owner_;
};

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/rest_client.hpp>
#include <gradwire/trainer/impl/rest_sessions.hpp>
#include <gradwire/trainer/impl/search_sessions.hpp>
#endif
