// SPDX-License-Identifier: Apache-2.0
// How a lifecycle is begun and its state saved; lifecycle_publish.hpp and lifecycle_close.hpp have the rest.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <gradwire/platform/impl/lifecycle_close.hpp>
#include <gradwire/platform/impl/lifecycle_open.hpp>
#include <gradwire/platform/impl/lifecycle_publish.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

// What a journal is of: another plan under it is an error.
inline std::string text_of_plan(const lifecycle_plan& plan, const std::string& account) {
  return "account " + account + ", " + plan.training_shape + ", reference " +
         (plan.reference_shape.empty() ? "none" : plan.reference_shape) + ", " + plan.base_model + ", LoRA rank " +
         std::to_string(plan.lora_rank) + (plan.deployment ? ", with a deployment" : ", without a deployment");
}

inline void check_plan(const lifecycle_plan& plan, const lifecycle_options& options) {
  const auto refuse = [](const char* member, const std::string& why) {
    throw error(errc::config, std::string("lifecycle: ") + member + " " + why,
                {.operation = "lifecycle", .column = member});
  };
  if (options.journal.empty()) refuse("journal", "is empty; name a file that says after a kill what the run has made");
  if (plan.training_shape.empty())
    refuse("training_shape", "is empty; give a shape's id like accounts/fireworks/trainingShapes/qwen3-8b-128k-h200");
  if (plan.base_model.empty()) refuse("base_model", "is empty; give accounts/<account>/models/<model>");
  if (plan.lora_rank < 0) refuse("lora_rank", "is negative; 0 trains every parameter");
  const bool is_marked = !plan.trainer_job_id.empty() || !plan.reference_job_id.empty();
  constexpr std::size_t mark = std::string_view(" [9f2c01ab]").size();
  const std::size_t longest = most_of_a_display_name - (is_marked ? mark : 0);
  if (plan.display_name.size() > longest)
    refuse("display_name", "has " + std::to_string(plan.display_name.size()) + " characters, at most " +
                               std::to_string(longest) + " are allowed" +
                               (is_marked ? " where a job's id is given, because the run's tag is added" : ""));
  if (plan.gradient_accumulation_steps < 1) refuse("gradient_accumulation_steps", "must be 1 or more");
}

inline opening_wishes wishes_of(const lifecycle_core& of) {
  opening_wishes wishes;
  wishes.reference = !of.plan.reference_shape.empty();
  wishes.deployment = of.plan.deployment;
  wishes.deployment_first = of.plan.bucket == hot_load_bucket::of_deployment;
  wishes.existing = {of.plan.trainer_job_id, of.plan.reference_job_id, of.plan.deployment_id};
  // Weights that were trained are worth more than a clean account: the journal names what there is.
  wishes.keep_on_failure = of.options.keep_on_failure || !of.journal.state().state.empty();
  return wishes;
}

}  // namespace detail

GRADWIRE_DECL lifecycle::lifecycle(client platform, lifecycle_plan plan, lifecycle_options options) {
  detail::check_plan(plan, options);
  core_ = std::make_shared<detail::lifecycle_core>(std::move(platform), std::move(plan), std::move(options));
}

GRADWIRE_DECL lifecycle_state lifecycle::state() const { return core_->journal.state(); }
GRADWIRE_DECL const std::string& lifecycle::journal() const noexcept { return core_->journal.file(); }

GRADWIRE_DECL future<lifecycle_parts> lifecycle::open() const {
  using detail::lifecycle_core;
  using detail::with_core;
  const std::weak_ptr<lifecycle_core> weak = core_;
  auto made = std::make_shared<promise<lifecycle_parts>>();
  auto result = made->get_future();
  const auto stop = std::make_shared<std::function<void()>>();  // what a cancel does, on the I/O thread
  made->on_cancel([stop, net = std::weak_ptr(core_->platform.net())] {
    const auto alive = net.lock();
    if (alive)
      alive->post([stop] {
        if (const auto now = std::exchange(*stop, nullptr)) now();
      });
  });
  const detail::steps<completed> body = [weak, made, stop](detail::flow& f) -> detail::task<completed> {
    *stop = [&f] { f.cancel(); };
    std::exception_ptr failure;
    bool was_fresh = false;
    try {
      auto asked = with_core(weak, [&](lifecycle_core& c) {
        if (c.at != lifecycle_core::phase::fresh)
          throw error(errc::config, "open(): the run of " + c.options.journal +
                                        (c.at == lifecycle_core::phase::opening ? " is being opened"
                                         : c.at == lifecycle_core::phase::open  ? " is open"
                                                                                : " is closed"));
        if (const auto now = c.journal.state(); now.closing || now.closed)
          throw error(errc::closed,
                      "open(): the run of " + c.options.journal +
                          (now.closed ? " is closed; nothing of it is left. Begin one with another journal"
                                      : " is being closed; close() deletes what is left of it"));
        c.at = lifecycle_core::phase::opening;
        was_fresh = true;
        return c.platform.account();
      });
      const std::string account = co_await detail::wait_for(f, std::move(asked));
      with_core(weak, [&](lifecycle_core& c) {
        const std::string plan = detail::text_of_plan(c.plan, account);
        const auto now = c.journal.state();
        c.parts = {};
        c.parts.resumed = !now.run.empty();
        if (now.run.empty())
          c.journal.write({.what = lifecycle_fact::begun, .id = detail::random_digits(), .path = plan});
        else if (now.plan != plan)
          throw error(errc::config, "open(): the journal " + c.options.journal + " is of another run (" + now.plan +
                                        "), and this one is " + plan + "; name another journal");
        const auto run =
            std::make_shared<detail::opening_run>(c.shared_from_this(), detail::wishes_of(c), std::move(*made));
        *stop = [gone = std::weak_ptr(run)] {
          if (const auto alive = gone.lock())
            alive->perform(
                alive->machine.on_failed({}, lifecycle_action::kind::wait,
                                         std::make_exception_ptr(error(errc::closed, "open() was cancelled"))));
        };
        run->perform(run->machine.begin());
      });
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      *stop = nullptr;
      if (const auto core = weak.lock(); core && was_fresh) core->at = lifecycle_core::phase::fresh;
      made->set_error(failure);
    }
    co_return completed{};
  };
  detail::let_go(detail::run_on<completed>(core_->platform, body));
  return result;
}

GRADWIRE_DECL future<saved_weights> lifecycle::save_state(std::int64_t step) const {
  using detail::lifecycle_core;
  using detail::with_core;
  const std::weak_ptr<lifecycle_core> weak = core_;
  return detail::run_on<saved_weights>(core_->platform, [weak, step](detail::flow& f) -> detail::task<saved_weights> {
    auto asked = with_core(weak, [&](lifecycle_core& c) {
      c.must_be_open("save_state()");
      return c.parts.trainer.save_state({.name = "step-" + std::to_string(step) + "-" + detail::random_digits()});
    });
    const saved_weights saved = co_await detail::wait_for(f, std::move(asked));
    with_core(weak, [&](lifecycle_core& c) {
      c.journal.write({.what = lifecycle_fact::state, .path = saved.path, .step = step});
      c.tell(saved.path, "state");
    });
    co_return saved;
  });
}

}  // namespace platform
}  // namespace gradwire::inline v0
