// SPDX-License-Identifier: Apache-2.0
// How a lifecycle's weights go into its deployment, and how a checkpoint becomes a model.
#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gradwire/platform/impl/checkpoint_steps.hpp>
#include <gradwire/platform/impl/lifecycle_core.hpp>
#include <gradwire/platform/lifecycle_publishing.hpp>
#include <gradwire/wire/platform_path.hpp>

namespace gradwire::inline v0 {
namespace platform {

GRADWIRE_DECL future<published_snapshot> lifecycle::publish(std::int64_t step, std::optional<checkpoint> wanted) const {
  using detail::lifecycle_core;
  using detail::with_core;
  using kind = publishing_action::kind;
  const std::weak_ptr<lifecycle_core> weak = core_;
  return detail::run_on<published_snapshot>(
      core_->platform, [weak, step, wanted](detail::flow& f) -> detail::task<published_snapshot> {
        const auto begun = f.net().now();
        auto machine = with_core(weak, [&](lifecycle_core& c) {
          c.must_be_open("publish()");
          if (!c.plan.deployment) throw error(errc::config, "publish(): the run was opened without a deployment");
          if (std::exchange(c.is_publishing, true))
            throw error(errc::config, "publish(): the one before has no result yet; wait for it");
          const std::string stem = "step-" + std::to_string(step) + "-";
          return std::make_unique<lifecycle_publishing>(
              c.chain, [stem] { return stem + detail::random_digits(); }, step, wanted,
              std::exchange(c.replicas_known, false));  // until a snapshot is loaded again
        });
        struct busy {
          std::weak_ptr<lifecycle_core> of;
          ~busy() {
            if (const auto core = of.lock()) core->is_publishing = false;
          }
        } const until_over{weak};
        std::deque<publishing_action> next;
        const auto then = [&](publishing_actions more) {
          for (auto& each : more) next.push_back(std::move(each));
        };
        // The machine looks at the core's chain: it is asked only while the core is there.
        const auto told = [&](auto&& call) { with_core(weak, [&](lifecycle_core&) { then(call(*machine)); }); };
        told([](lifecycle_publishing& m) { return m.begin(); });
        while (!next.empty()) {
          const publishing_action action = std::move(next.front());
          next.pop_front();
          if (action.what == kind::finish) break;
          if (action.what == kind::fail) std::rethrow_exception(action.failure);
          if (action.what == kind::write) {
            with_core(weak, [&](lifecycle_core& c) {
              c.journal.write(action.event);
              c.tell(action.event.id, std::string(name_of(action.event.what)), action.event.type);
            });
            continue;
          }
          std::exception_ptr failure;
          try {
            switch (action.what) {
              case kind::save: {
                auto asked = with_core(weak, [&](lifecycle_core& c) {
                  return c.parts.trainer.save_weights_for_sampler({.name = action.name, .type = action.type});
                });
                const saved_weights saved = co_await detail::wait_for(f, std::move(asked));
                told([&](lifecycle_publishing& m) { return m.on_saved(saved.path); });
                break;
              }
              case kind::look: {
                auto asked = with_core(weak, [&](lifecycle_core& c) {
                  return c.platform.deployments().hot_load_state(c.parts.deployment);
                });
                const hot_load_status status = co_await detail::wait_for(f, std::move(asked));
                told([&](lifecycle_publishing& m) { return m.on_status(detail::seen_in(status, action.name)); });
                break;
              }
              case kind::pause: {
                const double seconds =
                    with_core(weak, [](lifecycle_core& c) { return c.options.hot_load_wait.poll_seconds; });
                co_await detail::sleep(f, seconds);
                told([](lifecycle_publishing& m) { return m.on_pause(); });
                break;
              }
              case kind::load: {
                auto asked = with_core(weak, [&](lifecycle_core& c) {
                  hot_load_options how;
                  how.identity = action.name;
                  how.previous_identity = action.previous;
                  return c.platform.deployments().hot_load(c.parts.deployment, how);
                });
                static_cast<void>(co_await detail::wait_for(f, std::move(asked)));
                told([](lifecycle_publishing& m) { return m.on_accepted(); });
                break;
              }
              case kind::await: {
                auto asked = with_core(weak, [&](lifecycle_core& c) {
                  return c.platform.deployments().wait_hot_load(c.parts.deployment, action.name,
                                                                c.options.hot_load_wait, c.options.on_progress);
                });
                static_cast<void>(co_await detail::wait_for(f, std::move(asked)));
                told([](lifecycle_publishing& m) { return m.on_loaded(); });
                break;
              }
              default: {
                auto asked = with_core(weak, [&](lifecycle_core& c) {
                  return c.platform.deployments().warm_up(c.parts.deployment, c.options.warm_up, c.options.on_progress);
                });
                static_cast<void>(co_await detail::wait_for(f, std::move(asked)));
                told([](lifecycle_publishing& m) { return m.on_warm(); });
              }
            }
          } catch (...) {
            failure = std::current_exception();
          }
          if (failure) {
            f.check();  // cancelled: what is begun stays in the journal
            told([&](lifecycle_publishing& m) {
              return m.on_failed(action.what, failure, detail::may_be_done(failure));
            });
          }
        }
        with_core(weak, [](lifecycle_core& c) { c.replicas_known = true; });
        published_snapshot made;
        made.identity = machine->identity();
        made.type = machine->type();
        made.step = step;
        made.fell_back = machine->fell_back();
        made.elapsed_seconds = std::chrono::duration<double>(f.net().now() - begun).count();
        co_return made;
      });
}

GRADWIRE_DECL future<model_record> lifecycle::promote(const promote_plan& plan) const {
  using detail::lifecycle_core;
  using detail::with_core;
  const std::weak_ptr<lifecycle_core> weak = core_;
  const std::string model(wire::platform::last_segment(plan.output_model));  // however it was named
  return detail::run_on<model_record>(
      core_->platform, [weak, plan, model](detail::flow& f) -> detail::task<model_record> {
        const bool was_asked = with_core(weak, [&](lifecycle_core& c) {
          c.must_be_open("promote()");
          const auto& unsettled = c.journal.state().unsettled;
          return std::find(unsettled.begin(), unsettled.end(), model) != unsettled.end();
        });
        if (was_asked) {
          auto naming = with_core(weak, [](lifecycle_core& c) { return c.platform.account(); });
          const std::string account = co_await detail::wait_for(f, std::move(naming));
          const bool is_whole = plan.output_model.find('/') != std::string::npos;
          const std::string name =
              is_whole ? plan.output_model : "accounts/" + account + "/models/" + plan.output_model;
          auto looking = with_core(weak, [&](lifecycle_core& c) { return c.platform.checkpoints().find_model(name); });
          const std::optional<model_record> there = co_await detail::wait_for(f, std::move(looking));
          if (there) {
            promotion begun;
            begun.done = detail::is_made(*there);
            begun.model = *there;
            const auto how = with_core(weak, [](lifecycle_core& c) { return c.options.promote_wait; });
            const auto told = with_core(weak, [](lifecycle_core& c) { return c.options.on_progress; });
            const model_record made = co_await detail::wait_for_promotion(f, std::move(begun), how, told);
            with_core(weak,
                      [&](lifecycle_core& c) { c.journal.write({.what = lifecycle_fact::promoted, .id = model}); });
            co_return made;
          }
          if (!plan.again)
            throw error(
                errc::outcome_unknown,
                "promote(): the model " + plan.output_model +
                    " was asked for before, its answer is not known, and it is not there, or not yet. Look again "
                    "later, or promote with .again = true when it is certain that nothing runs any more",
                {.operation = "promote", .value = plan.output_model});
        }
        auto asked = with_core(weak, [&](lifecycle_core& c) {
          c.journal.write({.what = lifecycle_fact::promoting, .id = model, .path = plan.checkpoint});
          promote_options how;
          how.checkpoint = plan.checkpoint;
          how.output_model = plan.output_model;
          how.base_model = c.plan.base_model;
          how.job_id = c.parts.policy.id();
          return c.platform.checkpoints().promote(how, c.options.promote_wait, c.options.on_progress);
        });
        std::exception_ptr failure;
        std::optional<model_record> made;
        try {
          made = co_await detail::wait_for(f, std::move(asked));
        } catch (...) {
          failure = std::current_exception();
        }
        with_core(weak, [&](lifecycle_core& c) {
          if (!failure)
            c.journal.write({.what = lifecycle_fact::promoted, .id = model});
          else if (!detail::may_be_done(failure))
            c.journal.write({.what = lifecycle_fact::refused, .id = model});
        });
        if (failure) std::rethrow_exception(failure);
        co_return *made;
      });
}

}  // namespace platform
}  // namespace gradwire::inline v0
