// SPDX-License-Identifier: Apache-2.0
// The trainer of one job: the embedded trainer's service, answering on the platform's server instead of one of its own.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include <gradwire/loopback/impl/server.hpp>
#include <gradwire/loopback/platform/options.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

class hosted_trainer {
 public:
  // Checkpoints go to `files`, where they outlive the trainer.
  hosted_trainer(const platform_options& options, const frozen_model& base, const std::filesystem::path& files,
                 const std::string& token, http_server& http)
      : service_(settings(options, base, files, token), base) {
    service_.run_samples = detail::run_sample_jobs;
    service_.tokenizer_id = detail::provide_tokenizer(service_);
    service_.compute.start();
    service_.http = &http;
    service_.http.notify_all();
  }

  // The request's target is the trainer's own, /api/v1/….
  void serve(http_request request, http_server::responder respond) {
    detail::serve(service_, std::move(request), std::move(respond));
  }

  const detail::checkpoint_store& store() const noexcept { return service_.store; }
  const frozen_model& base() const noexcept { return service_.base; }

  operation_counts executed() const {
    using detail::counter;
    const auto count = [this](counter what) { return service_.executed[static_cast<std::size_t>(what)].load(); };
    return {.create_model = count(counter::create_model),
            .forward = count(counter::forward),
            .forward_backward = count(counter::forward_backward),
            .optim_step = count(counter::optim_step),
            .save_weights = count(counter::save_weights),
            .save_weights_for_sampler = count(counter::save_weights_for_sampler),
            .load_weights = count(counter::load_weights),
            .sample = count(counter::sample)};
  }

  // Waits for the operation that is running. Before the server's thread ends.
  void stop() { service_.compute.stop(); }

  // No request comes any more. Polls that wait may still name the service until their time is over; then, and after
  // all that is queued, `gone` runs on the server's thread.
  void retire(std::function<void()> gone) {
    service_.compute.submit([this, gone = std::move(gone)]() mutable {
      for (auto& [id, model] : service_.models) model->trained.reset(), model->frozen.reset();
      service_.http.load()->post_after(service_.options.hold_seconds + 1, std::move(gone));
    });
  }

 private:
  static start_options settings(const platform_options& from, const frozen_model& base,
                                const std::filesystem::path& files, const std::string& token) {
    return {.token = token,
            .model = from.model,
            .checkpoints = files,
            .seed = from.seed,
            .threads = from.threads,
            .sequence = from.sequence,
            .body_limit = from.body_limit,
            .hold_seconds = from.hold_seconds,
            .try_again = from.try_again,
            .debug = from.debug,
            .name = base.name()};
  }

  detail::service service_;
};

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
