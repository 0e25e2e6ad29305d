// SPDX-License-Identifier: Apache-2.0
// How lifecycle::open() carries out what lifecycle_opening says. Each action is a call of its own on the client's I/O
// thread, so that parts wait side by side; what it comes to is the machine's next event.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/platform/impl/lifecycle_steps.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

struct opening_run : opening_steps, std::enable_shared_from_this<opening_run> {
  promise<lifecycle_parts> ended;
  std::vector<std::pair<lifecycle_action::kind, future<completed>>> running;
  int under_way = 0;            // of them
  std::exception_ptr failed{};  // how it ends, when none is

  opening_run(const std::shared_ptr<lifecycle_core>& of, opening_wishes wishes, promise<lifecycle_parts> to)
      : opening_steps(of, std::move(wishes)), ended(std::move(to)) {}
  ~opening_run() {
    for (auto& [kind, each] : running) let_go(std::move(each));
  }

  void perform(const lifecycle_actions& actions) {
    for (auto next = actions.begin(); next != actions.end(); ++next) {
      const lifecycle_action& each = *next;
      const auto alive = core.lock();
      if (!alive) return;
      switch (each.what) {
        case action_kind::write:
          try {
            alive->journal.write(each.event);
          } catch (...) {
            return perform(machine.on_unwritable(std::current_exception(), alive->journal.state(),
                                                 lifecycle_actions(next, actions.end())));
          }
          if (each.of)
            alive->tell(std::string(to_string(*each.of)) + " " + each.id, std::string(name_of(each.event.what)));
          break;
        case action_kind::finish:
          return finish(*alive);
        case action_kind::fail:
          return fail(each.failure);
        default:
          begin(*alive, each);
      }
    }
    if (machine.is_failing()) stop_waits();
  }

  // What only waits need not go on.
  void stop_waits() {
    for (auto& [kind, each] : running)
      if (kind == action_kind::resolve || kind == action_kind::revive || kind == action_kind::wait ||
          kind == action_kind::connect || kind == action_kind::inspect)
        each.cancel();
  }

  void fail(std::exception_ptr failure) {
    failed = std::move(failure);
    stop_waits();
    tell_failure();
  }

  // When nothing asks or calls on_progress any more; and when this thread does not hold the core: its user may let it, and
  // its journal, go then.
  void tell_failure() {
    const auto alive = core.lock();
    if (!alive || !failed || under_way > 0) return;
    alive->at = lifecycle_core::phase::fresh;
    alive->let_clients_go();
    alive->platform.net()->post([self = shared_from_this()] { self->ended.set_error(self->failed); });
  }
  void succeed(lifecycle_core& of) {
    of.at = lifecycle_core::phase::open;
    auto made = std::make_shared<lifecycle_parts>(of.parts);
    of.platform.net()->post([self = shared_from_this(), made] { self->ended.set_value(std::move(*made)); });
  }

  void begin(const lifecycle_core& of, const lifecycle_action& action) {
    const auto self = shared_from_this();
    ++under_way;
    running.emplace_back(action.what, run_on<completed>(of.platform, [self, action](flow& f) -> task<completed> {
                           lifecycle_actions next;
                           try {
                             next = co_await self->run(f, action);
                           } catch (...) {
                             const auto failure = std::current_exception();
                             next = self->machine.on_failed(action.of, action.what, failure, may_be_done(failure));
                           }
                           self->perform(next);
                           --self->under_way;
                           self->tell_failure();
                           co_return completed{};
                         }));
  }

  inline void finish(lifecycle_core& of);
};

inline void opening_run::finish(lifecycle_core& of) {
  const lifecycle_state now = of.journal.state();
  of.parts.profile = profiles[0];
  of.parts.reference_profile = profiles[1];
  of.parts.policy = policy.of(of.platform);
  if (reference) of.parts.reference = reference.of(of.platform);
  of.parts.step = now.step;
  of.parts.serves = now.loaded.name.empty() ? -1 : now.loaded.step;
  of.chain = snapshot_chain(of.plan.lora_rank);
  if (!now.loaded.name.empty()) of.chain.deployment_holds(now.loaded.name);
  of.replicas_known = !now.loaded.name.empty();
  if (of.plan.deployment) of.parts.deployment = now[part::deployment].id;
  if (!of.plan.deployment) return succeed(of);
  const auto self = shared_from_this();
  running.emplace_back(action_kind::finish, run_on<completed>(of.platform, [self](flow& f) -> task<completed> {
                         auto asked = with_core(self->core, [](lifecycle_core& c) {
                           return c.platform.deployments().sampler(c.parts.deployment);
                         });
                         std::exception_ptr failure;
                         std::optional<deployment_sampler> made;
                         try {
                           made = co_await wait_for(f, std::move(asked));
                         } catch (...) {
                           failure = std::current_exception();
                         }
                         with_core(self->core, [&](lifecycle_core& c) {
                           if (failure) return self->fail(failure);
                           c.parts.sampler = std::move(*made);
                           self->succeed(c);
                         });
                         co_return completed{};
                       }));
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
