// SPDX-License-Identifier: Apache-2.0
// How a lifecycle ends.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gradwire/platform/impl/lifecycle_steps.hpp>
#include <gradwire/platform/lifecycle_closing.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

// One that is not there any more has no replicas either.
inline future<completed> scaled_to_zero(const lifecycle_core& of, const std::string& id) {
  return run_on<completed>(of.platform, [weak = of.weak_from_this(), id](flow& f) -> task<completed> {
    auto asked = with_core(weak, [&](const lifecycle_core& c) { return c.platform.deployments().scale(id, 0, 0); });
    try {
      static_cast<void>(co_await wait_for(f, std::move(asked)));
    } catch (const error& said) {
      if (said.details().http_status != 404) throw;
    }
    co_return completed{};
  });
}

}  // namespace detail

GRADWIRE_DECL future<completed> lifecycle::close() const {
  using detail::lifecycle_core;
  using detail::with_core;
  using kind = lifecycle_action::kind;
  const std::weak_ptr<lifecycle_core> weak = core_;
  return detail::run_on<completed>(core_->platform, [weak](detail::flow& f) -> detail::task<completed> {
    const auto begun = f.net().now();
    auto machine = with_core(weak, [&](lifecycle_core& c) {
      if (c.at == lifecycle_core::phase::opening || c.at == lifecycle_core::phase::closing)
        throw error(errc::config, "close(): the run of " + c.options.journal +
                                      (c.at == lifecycle_core::phase::opening ? " is being opened; cancel that first"
                                                                              : " is being closed"));
      c.at = lifecycle_core::phase::closing;
      return std::make_unique<lifecycle_closing>(c.journal.state());
    });
    struct again {  // after a failure it may be called once more
      std::weak_ptr<lifecycle_core> of;
      ~again() {
        if (const auto core = of.lock(); core && core->at == lifecycle_core::phase::closing)
          core->at = lifecycle_core::phase::fresh;
      }
    } const unless_closed{weak};
    std::deque<lifecycle_action> next;
    const auto then = [&](lifecycle_actions more) {
      for (auto& each : more) next.push_back(std::move(each));
    };
    then(machine->begin());
    std::exception_ptr ended;
    // The clients first, and their sessions: a trainer that is deleted under them would be told of as lost.
    auto gone = with_core(weak, [&](lifecycle_core& c) {
      auto clients = std::make_shared<std::pair<lifecycle_parts, std::optional<service_client>>>(
          std::exchange(c.parts, {}), std::exchange(c.service, std::nullopt));
      return clients;
    });
    if (gone->second) {
      auto finishing = gone->second->finish_session();
      try {
        static_cast<void>(co_await detail::wait_for(f, std::move(finishing)));
      } catch (const error&) {
        f.check();  // a session ends without being told, too
      }
    }
    f.net().compute([gone = std::move(gone)] {});  // their threads are waited for elsewhere than here
    while (!next.empty()) {
      const lifecycle_action action = std::move(next.front());
      next.pop_front();
      if (action.what == kind::finish) break;
      if (action.what == kind::fail) {
        ended = action.failure;
        break;
      }
      if (action.what == kind::write) {
        with_core(weak, [&](lifecycle_core& c) {
          c.journal.write(action.event);
          c.tell(action.of ? std::string(to_string(*action.of)) + " " + action.id : action.id,
                 std::string(name_of(action.event.what)));
        });
        continue;
      }
      std::exception_ptr failure;
      if (action.what == kind::look) {
        detail::part_seen seen;
        try {
          seen = co_await detail::look_for_late_part(f, weak, *action.of, action.id);
        } catch (...) {
          failure = std::current_exception();
        }
        f.check();
        then(failure ? machine->on_failed(*action.of, failure)
                     : machine->on_found(*action.of, seen.what, seen.is_marked));
        continue;
      }
      try {
        auto asked = with_core(weak, [&](lifecycle_core& c) {
          const bool stays = c.options.end == end_of_deployment::scaled_to_zero && !action.may_come_late;
          if (action.of == part::deployment && stays) return detail::scaled_to_zero(c, action.id);
          return detail::opening_steps::removal(c, action);
        });
        static_cast<void>(co_await detail::wait_for(f, std::move(asked)));
      } catch (...) {
        failure = std::current_exception();
      }
      f.check();
      then(failure ? machine->on_failed(*action.of, failure) : machine->on_removed(*action.of));
    }
    if (ended) std::rethrow_exception(ended);
    with_core(weak, [&](lifecycle_core& c) { c.at = lifecycle_core::phase::closed; });
    co_return completed{std::chrono::duration<double>(f.net().now() - begun).count()};
  });
}

}  // namespace platform
}  // namespace gradwire::inline v0
