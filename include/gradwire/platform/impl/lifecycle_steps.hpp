// SPDX-License-Identifier: Apache-2.0
// The steps of lifecycle::open(): what is asked of the platform for each action of lifecycle_opening, and which event it
// comes to.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gradwire/platform/impl/lifecycle_looks.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

struct opening_steps {
  std::weak_ptr<lifecycle_core> core;
  lifecycle_opening machine;
  std::shared_ptr<const training_profile> profiles[2];  // of the policy's and of the reference's shape
  unowned<policy_job> policy;
  unowned<reference_job> reference;
  std::string policy_name;  // accounts/…
  bool was_revived[2] = {};

  opening_steps(const std::shared_ptr<lifecycle_core>& of, opening_wishes wishes)
      : core(of), machine(std::move(wishes), of->journal.state()) {}

  task<lifecycle_actions> run(flow& f, lifecycle_action action) {
    switch (action.what) {
      case action_kind::resolve:
        return resolve(f, *action.of, action.id);
      case action_kind::look:
        return look(f, *action.of, action.id);
      case action_kind::create:
        return create(f, *action.of, action.id);
      case action_kind::revive:
        return revive(f, *action.of, action.id);
      case action_kind::wait:
        return action.of == part::deployment ? wait_for_deployment(f, action.id)
                                             : wait_for_job(f, *action.of, action.id);
      case action_kind::connect:
        return action.of == part::policy_job ? connect_trainer(f) : connect_reference(f);
      case action_kind::inspect:
        return inspect(f, action.id);
      default:
        return remove(f, std::move(action));
    }
  }

  task<lifecycle_actions> resolve(flow& f, part of, std::string version) {
    auto asked = with_core(core, [&](lifecycle_core& c) {
      const std::string& shape = of == part::policy_job ? c.plan.training_shape : c.plan.reference_shape;
      return c.platform.resolve_training_profile(version.empty() ? shape : version);
    });
    auto got = co_await wait_for(f, std::move(asked));
    auto& profile = profiles[static_cast<std::size_t>(of)];
    profile = std::make_shared<const training_profile>(std::move(got));
    co_return machine.on_resolved(of, profile->training_shape_version.name());
  }

  task<lifecycle_actions> look(flow& f, part of, std::string id) {
    const part_seen seen = co_await look_for_part(f, core, of, id);
    co_return machine.on_found(of, seen.what, seen.description, seen.is_marked);
  }

  task<lifecycle_actions> create(flow& f, part of, std::string id) {
    creation how = creation::made;
    if (of == part::policy_job) {
      auto asked =
          with_core(core, [&](lifecycle_core& c) { return c.platform.trainer_jobs().create(policy_config(c, id)); });
      policy = co_await wait_for(f, std::move(asked));
      how = answer_of(policy->handle());
    } else if (of == part::reference_job) {
      auto asked = with_core(
          core, [&](lifecycle_core& c) { return c.platform.trainer_jobs().create_reference(reference_config(c, id)); });
      reference = co_await wait_for(f, std::move(asked));
      how = answer_of(reference->handle());
    } else {
      if (policy_name.empty()) co_await name_policy(f);
      auto asked =
          with_core(core, [&](lifecycle_core& c) { return c.platform.deployments().create(rollout_config(c, id)); });
      const deployment one = co_await wait_for(f, std::move(asked));
      how = answer_of(one);
    }
    co_return machine.on_created(of, how);
  }

  template <class Created>
  static creation answer_of(const Created& one) {
    return one.existed ? creation::taken : one.doubtful ? creation::unclear : creation::made;
  }

  task<completed> name_policy(flow& f) {
    auto asked = with_core(core, [&](lifecycle_core& c) { return c.platform.account(); });
    const std::string account = co_await wait_for(f, std::move(asked));
    policy_name = "accounts/" + account + "/rlorTrainerJobs/" + machine.state()[part::policy_job].id;
    co_return completed{};
  }

  task<lifecycle_actions> revive(flow& f, part of, std::string id) {
    auto asked = with_core(core, [&](lifecycle_core& c) { return c.platform.trainer_jobs().resume(id); });
    static_cast<void>(co_await wait_for(f, std::move(asked)));
    was_revived[static_cast<std::size_t>(of)] = true;
    co_return machine.on_ready(of);
  }

  task<lifecycle_actions> wait_for_job(flow& f, part of, std::string id) {
    auto how = with_core(core, [&](lifecycle_core& c) { return c.options.job_wait; });
    if (was_revived[static_cast<std::size_t>(of)] && how.settle_seconds == 0) how.settle_seconds = 30;
    if (of == part::policy_job) {
      if (!policy) {
        auto asked = with_core(core, [&](lifecycle_core& c) { return c.platform.trainer_jobs().attach_policy(id); });
        policy = co_await wait_for(f, std::move(asked));
      }
      auto asked = with_core(
          core, [&](lifecycle_core& c) { return c.platform.trainer_jobs().wait(*policy, how, c.options.on_progress); });
      policy = co_await wait_for(f, std::move(asked));
    } else {
      if (!reference) {
        auto asked = with_core(core, [&](lifecycle_core& c) { return c.platform.trainer_jobs().attach_reference(id); });
        reference = co_await wait_for(f, std::move(asked));
      }
      auto asked = with_core(core, [&](lifecycle_core& c) {
        return c.platform.trainer_jobs().wait(*reference, how, c.options.on_progress);
      });
      reference = co_await wait_for(f, std::move(asked));
    }
    co_return machine.on_ready(of);
  }

  task<lifecycle_actions> wait_for_deployment(flow& f, std::string id) {
    auto asked = with_core(core, [&](lifecycle_core& c) {
      return c.platform.deployments().wait(id, c.options.deployment_wait, c.options.on_progress);
    });
    const deployment there = co_await wait_for(f, std::move(asked));
    const part_record record = machine.state()[part::deployment];
    const bool attaches = with_core(
        core, [&](lifecycle_core& c) { return !record.ours && c.plan.bucket == hot_load_bucket::of_trainer; });
    if (attaches) {  // one that was there before may have had another trainer
      if (policy_name.empty()) co_await name_policy(f);
      if (record.times > 0 && there.hot_load_trainer_job != policy_name)  // another run has just made it for its own
        throw error(errc::config,
                    "deployment " + id + " was made by another run while this one asked for it, and follows " +
                        (there.hot_load_trainer_job.empty() ? "no trainer job" : there.hot_load_trainer_job) +
                        ": it is not taken over. Begin a run with another journal and another deployment_id",
                    {.operation = "open", .value = id});
      auto linked = with_core(core, [&](lifecycle_core& c) {
        return c.platform.deployments().attach_trainer(id, policy_name, c.options.deployment_wait,
                                                       c.options.on_progress);
      });
      static_cast<void>(co_await wait_for(f, std::move(linked)));
    }
    co_return machine.on_ready(part::deployment);
  }

  task<lifecycle_actions> connect_trainer(flow& f) {
    auto making = with_core(core, [&](lifecycle_core& c) {
      training_client_options model = c.plan.model;
      model.base_model = c.plan.base_model;
      model.lora_rank = c.plan.lora_rank;
      c.service = policy.of(c.platform).service(c.options.trainer);
      return c.service->create_training_client(model);
    });
    training_client made = co_await wait_for(f, std::move(making));
    if (const std::string state = machine.state().state; !state.empty()) {
      auto loading = made.load_state({.path = state});
      static_cast<void>(co_await wait_for(f, std::move(loading)));
    }
    const std::string model = made.model_id();
    with_core(core, [&](lifecycle_core& c) { c.parts.trainer = std::move(made); });
    co_return machine.on_connected(part::policy_job, model);
  }

  task<lifecycle_actions> connect_reference(flow& f) {
    auto making = with_core(
        core, [&](lifecycle_core& c) { return reference.of(c.platform).reference_client(c.options.trainer); });
    reference_client made = co_await wait_for(f, std::move(making));
    with_core(core, [&](lifecycle_core& c) { c.parts.frozen = std::move(made); });
    co_return machine.on_connected(part::reference_job, "");
  }

  // What the deployment holds, of what the journal says that it may hold.
  task<lifecycle_actions> inspect(flow& f, std::string id) {
    const std::string coming = machine.state().loading.name, there = machine.state().loaded.name;
    const std::string holds = co_await what_is_held(f, core, id, coming, there);
    co_return machine.on_inspected(holds);
  }

  task<lifecycle_actions> remove(flow& f, lifecycle_action what) {
    auto asked = with_core(core, [&](lifecycle_core& c) { return removal(c, what); });
    static_cast<void>(co_await wait_for(f, std::move(asked)));
    co_return machine.on_removed(*what.of);
  }

  static future<completed> removal(const lifecycle_core& of, const lifecycle_action& what) {
    const remove_options how{.settle_seconds = what.may_come_late ? of.options.settle_seconds : 0};
    if (what.of == part::deployment) return of.platform.deployments().remove(what.id, how);
    return of.platform.trainer_jobs().remove(what.id, how);
  }

  // What a job is called: one under an id that others may use says in its name whose it is.
  std::string display_name(const lifecycle_core& of, part which) const {
    const bool is_ours = has_own_id(machine.state(), which);
    return is_ours ? of.plan.display_name : marked_name(of.plan.display_name, machine.state().run);
  }

  inline trainer_job_config policy_config(const lifecycle_core& of, const std::string& id) const;
  inline reference_job_config reference_config(const lifecycle_core& of, const std::string& id) const;
  inline deployment_config rollout_config(const lifecycle_core& of, const std::string& id) const;
};

inline trainer_job_config opening_steps::policy_config(const lifecycle_core& of, const std::string& id) const {
  trainer_job_config config;
  config.base_model = of.plan.base_model;
  config.training_shape_ref = profiles[0]->training_shape_version;
  config.lora_rank = of.plan.lora_rank;
  config.learning_rate = of.plan.learning_rate;
  config.gradient_accumulation_steps = of.plan.gradient_accumulation_steps;
  config.display_name = display_name(of, part::policy_job);
  config.job_id = id;
  if (of.plan.deployment && of.plan.bucket == hot_load_bucket::of_deployment)
    config.hot_load_deployment_id = machine.state()[part::deployment].id;
  return config;
}

inline reference_job_config opening_steps::reference_config(const lifecycle_core& of, const std::string& id) const {
  reference_job_config config;
  config.base_model = of.plan.base_model;
  config.training_shape_ref = profiles[1]->training_shape_version;
  config.lora_rank = of.plan.lora_rank;
  config.display_name = display_name(of, part::reference_job);
  config.job_id = id;
  return config;
}

inline deployment_config opening_steps::rollout_config(const lifecycle_core& of, const std::string& id) const {
  deployment_config config;
  config.deployment_id = id;
  config.base_model = of.plan.base_model;
  config.linked_shape = profiles[0]->deployment_shape_version;
  config.min_replica_count = of.plan.min_replica_count;
  config.max_replica_count = of.plan.max_replica_count;
  config.transition = of.plan.transition;
  if (of.plan.bucket == hot_load_bucket::of_trainer) config.hot_load_trainer_job = policy_name;
  if (!has_own_id(machine.state(), part::deployment))
    config.annotations.emplace_back(run_annotation, machine.state().run);
  return config;
}

}  // namespace detail
}  // namespace platform
}  // namespace gradwire::inline v0
