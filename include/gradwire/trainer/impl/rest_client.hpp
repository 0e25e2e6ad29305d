// SPDX-License-Identifier: Apache-2.0
// How rest_client.hpp works: each call is one request and the reading of its answer.
#pragma once

#include <memory>
#include <utility>

#include <gradwire/trainer/impl/archive.hpp>
#include <gradwire/trainer/impl/rest_answers.hpp>
#include <gradwire/trainer/impl/service_call.hpp>
#include <gradwire/trainer/rest_client.hpp>

namespace gradwire::inline v0 {
namespace detail {

inline std::string query_of(const page_options& which) {
  if (which.limit < 1 || which.offset < 0)
    throw error(errc::config, "a page has a limit of 1 or more and an offset of 0 or more; given are " +
                                  std::to_string(which.limit) + " and " + std::to_string(which.offset));
  return "?limit=" + std::to_string(which.limit) + "&offset=" + std::to_string(which.offset);
}

// `begin`: what comes before the parameter.
inline std::string scope_of(access_scope scope, char begin) {
  return scope == access_scope::accessible ? begin + std::string("access_scope=accessible") : "";
}

// …/training_runs/<run>/checkpoints/<weights|sampler_weights|external_weights>/<name>
inline std::string checkpoint_url(const std::string& path, bool bare_name = false) {
  const auto parts = wire::parse_tinker_path(path);
  if (!parts)
    throw error(errc::config,
                "'" + printable(path, 200) +
                    "' is no path of a checkpoint like tinker://<run>/weights/<name>; give what save_state() "
                    "or save_weights_for_sampler() returned");
  const auto kind =
      parts->kind == wire::checkpoint_kind::unknown ? wire::checkpoint_kind::sampler : parts->kind;  // two segments
  return "/api/v1/training_runs/" + wire::url_segment(parts->run) + "/checkpoints/" +
         (bare_name ? "" : std::string(wire::path_segment(kind)) + "/") + wire::url_segment(parts->name);
}

// Sends it when the session exists; `read(result, session)` makes the value. `make` may throw.
template <class T, class Make, class Read>
future<T> ask(const session_owner& owner, Make make, Read read) {
  return begin_service_call<T>(owner, [make, read](const auto& call) {
    operation_record record = make(*call);
    record.has_future = false;
    run_for(call, std::move(record), [call, read](operation_result& result) {
      T value = read(result, *call);
      call->finish([&](const session_owner&) { return std::move(value); });
    });
  });
}

template <class T>
operation_record get(const service_call<T>& call, const char* name, const std::string& path) {
  auto record = call.record(name, path, "", effect::reads);
  record.method = "GET";
  record.result_limit = std::size_t{64} << 20;
  return record;
}

inline completed read_change(const operation_result& result) {
  if (result.status >= 300) throw error(errc::protocol, "the trainer answered with a redirect");
  return completed{result.elapsed_seconds};
}

// A change of a checkpoint that is the same when it is made twice.
inline future<completed> change_checkpoint(const session_owner& owner, const char* name, const char* method,
                                           const std::string& path, const std::string& tail, std::string body) {
  return ask<completed>(
      owner,
      [=](const auto& call) {
        auto record = call.record(name, checkpoint_url(path) + tail, body, effect::reads);
        record.method = method;
        record.any_reply = true;
        return record;
      },
      [](const operation_result& result, const auto&) { return read_change(result); });
}

}  // namespace detail

GRADWIRE_DECL future<page<training_run_description>> rest_client::training_runs(page_options which, access_scope scope,
                                                                                const std::string& project_id) {
  return detail::ask<page<training_run_description>>(
      owner_,
      [which, scope, project_id](const auto& call) {
        return detail::get(call, "training_runs",
                           "/api/v1/training_runs" + detail::query_of(which) + detail::scope_of(scope, '&') +
                               (project_id.empty() ? "" : "&project_id=" + wire::url_segment(project_id)));
      },
      [](const operation_result& result, const auto&) {
        const auto reply = wire::from_json<wire::training_runs_reply>(result.body);
        page<training_run_description> made;
        for (const auto& each : reply.training_runs) made.items.push_back(detail::describe(each));
        if (reply.cursor) made.total = reply.cursor->total_count;
        return made;
      });
}

GRADWIRE_DECL future<training_run_description> rest_client::training_run(const std::string& id, access_scope scope) {
  return detail::ask<training_run_description>(
      owner_,
      [id, scope](const auto& call) {
        return detail::get(call, "training_run",
                           "/api/v1/training_runs/" + wire::url_segment(id) + detail::scope_of(scope, '?'));
      },
      [](const operation_result& result, const auto&) {
        return detail::describe(wire::from_json<wire::training_run>(result.body));
      });
}

GRADWIRE_DECL future<page<checkpoint_description>> rest_client::checkpoints(page_options which) {
  return detail::ask<page<checkpoint_description>>(
      owner_,
      [which](const auto& call) {
        return detail::get(call, "checkpoints", "/api/v1/checkpoints" + detail::query_of(which));
      },
      [](const operation_result& result, const auto&) {
        return detail::describe(wire::from_json<wire::checkpoints_reply>(result.body), "");
      });
}

GRADWIRE_DECL future<page<checkpoint_description>> rest_client::checkpoints_of(const std::string& run_id) {
  return detail::ask<page<checkpoint_description>>(
      owner_,
      [run_id](const auto& call) {
        return detail::get(call, "checkpoints", "/api/v1/training_runs/" + wire::url_segment(run_id) + "/checkpoints");
      },
      [run_id](const operation_result& result, const auto&) {
        return detail::describe(wire::from_json<wire::checkpoints_reply>(result.body), run_id);
      });
}

GRADWIRE_DECL future<weights_description> rest_client::weights_info(const std::string& path) {
  return detail::ask<weights_description>(
      owner_,
      [path](const auto& call) {
        return call.record("weights_info", "/api/v1/weights_info", wire::to_json(wire::weights_info_request{path}),
                           effect::reads);
      },
      [](const operation_result& result, const auto&) {
        const auto reply = wire::from_json<wire::weights_info_reply>(result.body);
        return weights_description{reply.base_model,
                                   reply.is_lora,
                                   reply.lora_rank,
                                   reply.train_unembed,
                                   reply.train_mlp,
                                   reply.train_attn,
                                   reply.optimizer_config ? reply.optimizer_config->type : ""};
      });
}

GRADWIRE_DECL future<completed> rest_client::delete_checkpoint(const std::string& path) {
  return detail::change_checkpoint(owner_, "delete_checkpoint", "DELETE", path, "", "");
}
GRADWIRE_DECL future<completed> rest_client::publish_checkpoint(const std::string& path) {
  return detail::change_checkpoint(owner_, "publish_checkpoint", "POST", path, "/publish", "");
}
GRADWIRE_DECL future<completed> rest_client::unpublish_checkpoint(const std::string& path) {
  return detail::change_checkpoint(owner_, "unpublish_checkpoint", "DELETE", path, "/publish", "");
}
GRADWIRE_DECL future<completed> rest_client::set_checkpoint_ttl(const std::string& path,
                                                                std::optional<std::int64_t> seconds) {
  return detail::change_checkpoint(owner_, "set_checkpoint_ttl", "PUT", path, "/ttl",
                                   wire::to_json(wire::checkpoint_ttl_request{seconds}));
}

namespace detail {

// 302 with Location and Expires, or 200 with url and expires.
inline checkpoint_archive read_archive_url(const operation_result& result) {
  if (result.status >= 300) {
    if (result.location.empty())
      throw error(errc::protocol, "the trainer sends elsewhere for the archive without saying where");
    return {result.location, result.expires};
  }
  const auto reply = wire::from_json<wire::archive_url_reply>(result.body);
  return {reply.url, reply.expires};
}

template <class T>
operation_record archive_question(const service_call<T>& call, const std::string& path) {
  auto record =
      get(call, "checkpoint_archive", checkpoint_url(path, call.of->dialect().bare_archive_names) + "/archive");
  record.any_reply = true;
  return record;
}

}  // namespace detail

GRADWIRE_DECL future<checkpoint_archive> rest_client::checkpoint_archive_url(const std::string& path) {
  return detail::ask<checkpoint_archive>(
      owner_, [path](const auto& call) { return detail::archive_question(call, path); },
      [](const operation_result& result, const auto& call) {
        auto found = detail::read_archive_url(result);
        static_cast<void>(detail::read_archive_address(found.url, call.of->peer().address));
        return found;
      });
}

GRADWIRE_DECL future<downloaded_archive> rest_client::download_checkpoint_archive(const std::string& path,
                                                                                  const std::string& file,
                                                                                  std::size_t most_bytes) {
  return detail::begin_service_call<downloaded_archive>(owner_, [path, file, most_bytes](const auto& call) {
    auto record = detail::archive_question(*call, path);
    record.has_future = false;
    detail::run_for(call, std::move(record), [call, file, most_bytes](operation_result& result) {
      auto fetch = std::make_shared<detail::archive_fetch>();
      fetch->call = call;
      fetch->file = file;
      fetch->most_bytes = most_bytes;
      fetch->from(detail::read_archive_url(result).url, call->of->peer().address);
    });
  });
}

GRADWIRE_DECL future<external_weights> rest_client::external_weights_urls(const std::string& path) {
  return detail::ask<external_weights>(
      owner_,
      [path](const auto& call) {
        return detail::get(call, "external_weights_urls", detail::checkpoint_url(path) + "/external_weights_urls");
      },
      [](const operation_result& result, const auto&) {
        auto reply = wire::from_json<wire::external_weights_urls_reply>(result.body);
        return external_weights{std::move(reply.urls), std::move(reply.expires)};
      });
}

GRADWIRE_DECL future<std::string> rest_client::copy_weights(const copy_weights_options& options) {
  return detail::begin_service_call<std::string>(owner_, [options](const auto& call) {
    wire::copy_weights_request body;
    body.source_path = options.path;
    body.ttl_seconds = options.ttl_seconds;
    if (options.destination_project_id.empty()) {
      body.session_id = call->of->id();
      body.model_seq_id = call->of->take_model_number();
    } else {
      body.destination_project_id = options.destination_project_id;
    }
    auto record = call->record("copy_weights", "/api/v1/copy_weights", wire::to_json(body), effect::mutates);
    record.has_future = false;
    std::shared_ptr<http_peer> with_token;
    record.token = secret(options.weights_access_token, "weights_access_token");
    if (!options.weights_access_token.empty()) {
      with_token = std::make_shared<http_peer>(call->of->peer());
      with_token->headers.push_back({"X-Tinker-Weights-Access-Token", record.token});
    }
    call->of->begin_creation();  // the copy is a run of this session
    call->of->run(
        std::move(record), traffic::submit, nullptr,
        [call](const detail::operation_outcome& outcome) {
          detail::settle_creation(*call->of, outcome);
          try {
            if (outcome.failure) std::rethrow_exception(outcome.failure);
            const auto path = wire::from_json<wire::copy_weights_reply>(outcome.result->body).tinker_path;
            if (const auto parts = wire::parse_tinker_path(path)) call->of->note_model(parts->run);
            call->of->end_creation();
            call->finish([&](const detail::session_owner&) { return path; });
          } catch (...) {
            call->fail(std::current_exception());
          }
        },
        with_token);
  });
}

}  // namespace gradwire::inline v0
