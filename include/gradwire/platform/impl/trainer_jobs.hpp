// SPDX-License-Identifier: Apache-2.0
// How trainer_jobs.hpp works.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/platform/impl/job_waits.hpp>
#include <gradwire/platform/trainer_jobs.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

GRADWIRE_DECL service_client connect_to(const job_handle& job, connect_options options) {
  if (!job.owner) throw error(errc::config, "this job is empty; trainer_jobs().create() makes one");
  const client_core& core = *job.owner->core();
  if (options.dialect.empty()) options.dialect = "fireworks";
  if (options.ca_file.empty()) options.ca_file = core.options().ca_file;
  if (options.proxy.empty()) options.proxy = core.options().proxy;
  options.allow_key_over_http = options.allow_key_over_http || core.options().allow_key_over_http;
  const auto& headers = core.options().headers;
  options.headers.insert(options.headers.begin(), headers.begin(), headers.end());
  return service_client::connect_through(
      job.owner->shared_net(), {job.url, options.token.empty() ? core.api->key.reveal() : options.token}, options);
}

inline training_client_options model_of(const trainer_job& job, const job_model_options& options) {
  training_client_options made;
  made.base_model = job.base_model;
  made.lora_rank = options.lora_rank.value_or(job.lora_rank);
  if (made.lora_rank > job.lora_rank)
    throw error(errc::config, "lora_rank is " + std::to_string(made.lora_rank) + "; the job was created for " +
                                  (job.lora_rank == 0 ? "full-parameter training (0)"
                                                      : "a rank of " + std::to_string(job.lora_rank) + " or less"));
  made.lora_alpha = options.lora_alpha;
  made.seed = options.seed;
  made.train_unembed = options.train_unembed;
  made.train_mlp = options.train_mlp;
  made.train_attn = options.train_attn;
  return made;
}

// A job of one kind as its handle.
template <class Job>
Job as_kind(job_handle found) {
  const bool forward_only = std::same_as<Job, reference_job>;
  if (found.info.forward_only != forward_only)
    throw error(errc::config,
                "the job '" + found.info.id + "' is a " +
                    (forward_only ? "policy trainer; attach_policy() takes it"
                                  : "forward-only trainer, which cannot train; attach_reference() takes it"));
  return Job(std::move(found));
}

template <class Job, class Make>
future<Job> create_as(const client_owner& owner, Make make) {
  return start<Job>(owner, [keep = std::weak_ptr(owner), make](flow& f) -> task<Job> {
    job_request wanted = make(f.core().options());
    job_handle made = co_await create_job(f, std::move(wanted));
    made.owner = keep.lock();
    co_return Job(std::move(made));
  });
}

template <class Job>
future<Job> attach_as(const client_owner& owner, const std::string& id) {
  return start<Job>(owner, [keep = std::weak_ptr(owner), id](flow& f) -> task<Job> {
    job_handle found;
    found.info = co_await get_job(f, job_id_of(id));
    found.url = url_of(f.core(), found.info.name);
    found.existed = true;
    found.owner = keep.lock();
    co_return as_kind<Job>(std::move(found));
  });
}

template <class Job>
future<Job> wait_as(const client_owner& owner, const Job& job, job_wait_options how, progress_handler told) {
  job_handle without_owner = job.handle();
  without_owner.owner = nullptr;
  return start<Job>(owner, [keep = std::weak_ptr(owner), without_owner, how, told](flow& f) -> task<Job> {
    if (without_owner.info.id.empty())
      throw error(errc::config, "this job is empty; trainer_jobs().create() makes one");
    job_handle waited = co_await wait_for_job(f, without_owner, how, told);
    waited.owner = keep.lock();
    co_return Job(std::move(waited));
  });
}

// A client of the job's trainer. The connection is kept until it is made: from then on the client keeps it.
template <class Client>
future<Client> connect_and(const job_handle& job, connect_options how,
                           const std::function<future<gradwire::training_client>(service_client&)>& make) {
  service_client opened = connect_to(job, std::move(how));
  auto coming = std::make_shared<future<gradwire::training_client>>(make(opened));
  return start<Client>(job.owner, [coming, opened](flow& f) -> task<Client> {
    auto made = co_await wait_for(f, std::move(*coming));
    if constexpr (std::same_as<Client, gradwire::reference_client>)
      co_return gradwire::reference_client(made.handle());
    else
      co_return made;
  });
}

}  // namespace detail

GRADWIRE_DECL future<gradwire::training_client> policy_job::training_client(const job_model_options& options,
                                                                            connect_options how) const {
  const auto model = detail::model_of(job_.info, options);
  return detail::connect_and<gradwire::training_client>(
      job_, std::move(how), [&](service_client& service) { return service.create_training_client(model); });
}

GRADWIRE_DECL future<gradwire::training_client> policy_job::training_client_from_state(
    const from_state_options& options, connect_options how) const {
  return detail::connect_and<gradwire::training_client>(job_, std::move(how), [&](service_client& service) {
    return service.create_training_client_from_state(options);
  });
}

GRADWIRE_DECL future<gradwire::reference_client> reference_job::reference_client(connect_options how) const {
  const auto model = detail::model_of(job_.info, {});
  return detail::connect_and<gradwire::reference_client>(
      job_, std::move(how), [&](service_client& service) { return service.create_training_client(model); });
}

GRADWIRE_DECL std::string trainer_jobs_client::fresh_id() { return detail::fresh_job_id(); }

GRADWIRE_DECL future<policy_job> trainer_jobs_client::create(const trainer_job_config& config) const {
  return detail::create_as<policy_job>(owner_,
                                       [config](const client_options& how) { return detail::request_of(config, how); });
}
GRADWIRE_DECL future<reference_job> trainer_jobs_client::create_reference(const reference_job_config& config) const {
  return detail::create_as<reference_job>(
      owner_, [config](const client_options& how) { return detail::request_of(config, how); });
}
GRADWIRE_DECL future<policy_job> trainer_jobs_client::create_manual(const manual_trainer_job_config& config) const {
  return detail::create_as<policy_job>(
      owner_, [config](const client_options& how) { return detail::request_of(config, how, false); });
}
GRADWIRE_DECL future<reference_job> trainer_jobs_client::create_manual_reference(
    const manual_trainer_job_config& config) const {
  return detail::create_as<reference_job>(
      owner_, [config](const client_options& how) { return detail::request_of(config, how, true); });
}

GRADWIRE_DECL future<trainer_job> trainer_jobs_client::get(const std::string& id) const {
  return detail::start<trainer_job>(owner_, [id](detail::flow& f) -> detail::task<trainer_job> {
    co_return co_await detail::get_job(f, detail::job_id_of(id));
  });
}
GRADWIRE_DECL future<std::optional<trainer_job>> trainer_jobs_client::find(const std::string& id) const {
  return detail::start<std::optional<trainer_job>>(owner_,
                                                   [id](detail::flow& f) -> detail::task<std::optional<trainer_job>> {
                                                     co_return co_await detail::find_job(f, detail::job_id_of(id));
                                                   });
}

GRADWIRE_DECL future<std::vector<trainer_job>> trainer_jobs_client::list(const job_list_options& which) const {
  return detail::start<std::vector<trainer_job>>(
      owner_, [which](detail::flow& f) -> detail::task<std::vector<trainer_job>> {
        const std::string account_id = co_await detail::account(f);
        detail::question asked;
        asked.name = "list trainer jobs";
        asked.target = "/v1/accounts/" + account_id + "/rlorTrainerJobs";
        wire::platform::query_parameters query;
        if (!which.filter.empty()) query.emplace_back("filter", which.filter);
        if (!which.order_by.empty()) query.emplace_back("orderBy", which.order_by);
        query.emplace_back("pageSize", "200");
        const auto part = [](wire::platform::trainer_jobs_reply& reply) { return std::move(reply.rlor_trainer_jobs); };
        const auto found = co_await detail::list_all<wire::platform::trainer_jobs_reply, wire::platform::trainer_job>(
            f, std::move(asked), std::move(query), part);
        std::vector<trainer_job> jobs;
        for (const auto& each : found) jobs.push_back(detail::describe(each));
        co_return jobs;
      });
}

GRADWIRE_DECL future<policy_job> trainer_jobs_client::attach_policy(const std::string& id) const {
  return detail::attach_as<policy_job>(owner_, id);
}
GRADWIRE_DECL future<reference_job> trainer_jobs_client::attach_reference(const std::string& id) const {
  return detail::attach_as<reference_job>(owner_, id);
}

GRADWIRE_DECL future<policy_job> trainer_jobs_client::wait(const policy_job& job, job_wait_options options,
                                                           progress_handler told) const {
  return detail::wait_as(owner_, job, options, std::move(told));
}
GRADWIRE_DECL future<reference_job> trainer_jobs_client::wait(const reference_job& job, job_wait_options options,
                                                              progress_handler told) const {
  return detail::wait_as(owner_, job, options, std::move(told));
}

GRADWIRE_DECL future<trainer_job> trainer_jobs_client::resume(const std::string& id) const {
  return detail::start<trainer_job>(owner_, [id](detail::flow& f) -> detail::task<trainer_job> {
    co_return co_await detail::resume_job(f, detail::job_id_of(id));
  });
}

GRADWIRE_DECL future<policy_job> trainer_jobs_client::reconnect(const std::string& id, job_wait_options options,
                                                                progress_handler told) const {
  return detail::start<policy_job>(
      owner_, [keep = std::weak_ptr(owner_), id, options, told](detail::flow& f) -> detail::task<policy_job> {
        detail::job_handle found = co_await detail::reconnect_job(f, detail::job_id_of(id), options, told);
        found.existed = true;
        found.owner = keep.lock();
        co_return detail::as_kind<policy_job>(std::move(found));
      });
}

GRADWIRE_DECL future<completed> trainer_jobs_client::cancel(const std::string& id) const {
  return detail::start<completed>(owner_, [id](detail::flow& f) -> detail::task<completed> {
    co_return co_await detail::cancel_job(f, detail::job_id_of(id));
  });
}
GRADWIRE_DECL future<completed> trainer_jobs_client::remove(const std::string& id, remove_options options) const {
  return detail::start<completed>(owner_, [id, options](detail::flow& f) -> detail::task<completed> {
    co_return co_await detail::remove_job(f, detail::job_id_of(id), options.settle_seconds);
  });
}

}  // namespace platform
}  // namespace gradwire::inline v0
