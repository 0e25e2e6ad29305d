// SPDX-License-Identifier: Apache-2.0
// The code of the trainer side, compiled once: include this in exactly one .cpp of a program whose every file is
// compiled with GRADWIRE_SEPARATE_COMPILATION defined. Without that definition this header does nothing that is needed.
// The embedded trainer comes with it where GRADWIRE_WITH_LOOPBACK is defined, as the target gradwire::loopback does.
#pragma once

#include <gradwire/version.hpp>  // first: it refuses an older C++

#include <gradwire/platform.hpp>
#include <gradwire/trainer.hpp>
#include <gradwire/trainer/probe.hpp>
#include <gradwire/transport/http_server.hpp>
#include <gradwire/transport/runtime.hpp>
//
#include <gradwire/platform/impl/checkpoints.hpp>
#include <gradwire/platform/impl/client.hpp>
#include <gradwire/platform/impl/deployment_sampler.hpp>
#include <gradwire/platform/impl/deployments.hpp>
#include <gradwire/platform/impl/lifecycle.hpp>
#include <gradwire/platform/impl/lifecycle_close.hpp>
#include <gradwire/platform/impl/lifecycle_closing.hpp>
#include <gradwire/platform/impl/lifecycle_failing.hpp>
#include <gradwire/platform/impl/lifecycle_journal.hpp>
#include <gradwire/platform/impl/lifecycle_opening.hpp>
#include <gradwire/platform/impl/lifecycle_publish.hpp>
#include <gradwire/platform/impl/lifecycle_publishing.hpp>
#include <gradwire/platform/impl/lifecycle_state.hpp>
#include <gradwire/platform/impl/run_file.hpp>
#include <gradwire/platform/impl/shape_ref.hpp>
#include <gradwire/platform/impl/snapshot_chain.hpp>
#include <gradwire/platform/impl/trainer_jobs.hpp>
#include <gradwire/trainer/impl/accumulate.hpp>
#include <gradwire/trainer/impl/custom_call.hpp>
#include <gradwire/trainer/impl/custom_loss.hpp>
#include <gradwire/trainer/impl/event_file.hpp>
#include <gradwire/trainer/impl/held_gradients.hpp>
#include <gradwire/trainer/impl/key_exchange.hpp>
#include <gradwire/trainer/impl/ledger.hpp>
#include <gradwire/trainer/impl/lower.hpp>
#include <gradwire/trainer/impl/lowered_call.hpp>
#include <gradwire/trainer/impl/model.hpp>
#include <gradwire/trainer/impl/model_calls.hpp>
#include <gradwire/trainer/impl/model_info.hpp>
#include <gradwire/trainer/impl/optim_step.hpp>
#include <gradwire/trainer/impl/pass.hpp>
#include <gradwire/trainer/impl/plain_batch.hpp>
#include <gradwire/trainer/impl/probe.hpp>
#include <gradwire/trainer/impl/progress.hpp>
#include <gradwire/trainer/impl/rest_client.hpp>
#include <gradwire/trainer/impl/rest_sessions.hpp>
#include <gradwire/trainer/impl/run_journal.hpp>
#include <gradwire/trainer/impl/run_log.hpp>
#include <gradwire/trainer/impl/sampling_client.hpp>
#include <gradwire/trainer/impl/save_and_sample.hpp>
#include <gradwire/trainer/impl/search_sessions.hpp>
#include <gradwire/trainer/impl/service_client.hpp>
#include <gradwire/trainer/impl/session.hpp>
#include <gradwire/trainer/impl/session_start.hpp>
#include <gradwire/trainer/impl/timeline.hpp>
#include <gradwire/trainer/impl/training_core.hpp>
#include <gradwire/transport/impl/environment.hpp>
#include <gradwire/transport/impl/http_server.hpp>
#include <gradwire/transport/impl/operation.hpp>
#include <gradwire/transport/impl/proxy.hpp>
#include <gradwire/transport/impl/runtime.hpp>
#include <gradwire/transport/impl/server_text.hpp>

#ifdef GRADWIRE_WITH_LOOPBACK  // defined by the CMake target gradwire::loopback
#include <gradwire/loopback/impl/loaded_snapshot.hpp>
#include <gradwire/loopback/impl/model_config.hpp>
#include <gradwire/loopback/impl/platform.hpp>
#include <gradwire/loopback/impl/server.hpp>
#include <gradwire/loopback/impl/tokenizer.hpp>
#include <gradwire/loopback/impl/training.hpp>
#endif
