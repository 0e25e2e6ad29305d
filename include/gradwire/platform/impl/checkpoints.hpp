// SPDX-License-Identifier: Apache-2.0
// How checkpoints.hpp works.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/platform/checkpoints.hpp>
#include <gradwire/platform/impl/checkpoint_steps.hpp>

namespace gradwire::inline v0 {
namespace platform {

GRADWIRE_DECL future<std::vector<job_checkpoint>> checkpoints_client::list(const std::string& job_id) const {
  return detail::start<std::vector<job_checkpoint>>(
      owner_, [job_id](detail::flow& f) -> detail::task<std::vector<job_checkpoint>> {
        const auto id = detail::job_id_of(job_id);
        const std::string account_id = co_await detail::account(f);
        co_return co_await detail::list_checkpoints(f, account_id, id);
      });
}

GRADWIRE_DECL future<promotion> checkpoints_client::begin_promote(const promote_options& options) const {
  return detail::start<promotion>(owner_, [options](detail::flow& f) -> detail::task<promotion> {
    co_return co_await detail::begin_promotion(f, options);
  });
}

GRADWIRE_DECL future<model_record> checkpoints_client::promote(const promote_options& options, promote_wait_options how,
                                                               progress_handler told) const {
  return detail::start<model_record>(owner_, [options, how, told](detail::flow& f) -> detail::task<model_record> {
    promotion begun = co_await detail::begin_promotion(f, options);
    co_return co_await detail::wait_for_promotion(f, std::move(begun), how, told);
  });
}

GRADWIRE_DECL future<promotion> checkpoints_client::operation(const std::string& name) const {
  return detail::start<promotion>(owner_, [name](detail::flow& f) -> detail::task<promotion> {
    co_return co_await detail::look_at_operation(f, name);
  });
}

GRADWIRE_DECL future<model_record> checkpoints_client::wait_operation(const std::string& name, promote_wait_options how,
                                                                      progress_handler told) const {
  return detail::start<model_record>(owner_, [name, how, told](detail::flow& f) -> detail::task<model_record> {
    promotion begun = co_await detail::look_at_operation(f, name);
    co_return co_await detail::wait_for_promotion(f, std::move(begun), how, told);
  });
}

GRADWIRE_DECL future<std::optional<model_record>> checkpoints_client::find_model(const std::string& name) const {
  return detail::start<std::optional<model_record>>(
      owner_, [name](detail::flow& f) -> detail::task<std::optional<model_record>> {
        const auto parsed = wire::platform::parse_resource_name(name);
        if (!parsed || parsed->collection != "models")
          throw error(errc::config,
                      "'" + v0::detail::printable(name, 120) + "' is no accounts/<account>/models/<model>");
        co_return co_await detail::find_model_record(f, name);
      });
}

}  // namespace platform
}  // namespace gradwire::inline v0
