// SPDX-License-Identifier: Apache-2.0
// Training on a trainer that speaks the Tinker protocol: the embedded one, SkyRL, TuFT, Tinker, Fireworks.
//
// Every .cpp that includes this compiles Boost.Beast, unless the program defines GRADWIRE_SEPARATE_COMPILATION for all
// of its files and includes <gradwire/src.hpp> in one.
#pragma once

#include <gradwire/version.hpp>  // first: it refuses an older C++

#include <gradwire/loss.hpp>
#include <gradwire/trainer/accumulate.hpp>
#include <gradwire/trainer/client_event.hpp>
#include <gradwire/trainer/custom_loss.hpp>
#include <gradwire/trainer/ledger.hpp>
#include <gradwire/trainer/options.hpp>
#include <gradwire/trainer/progress.hpp>
#include <gradwire/trainer/reference_client.hpp>
#include <gradwire/trainer/results.hpp>
#include <gradwire/trainer/run_journal.hpp>
#include <gradwire/trainer/run_log.hpp>
#include <gradwire/trainer/sampling_client.hpp>
#include <gradwire/trainer/server_loss.hpp>
#include <gradwire/trainer/service_client.hpp>
#include <gradwire/trainer/timeline.hpp>
#include <gradwire/trainer/training_client.hpp>
