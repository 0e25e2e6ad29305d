// SPDX-License-Identifier: Apache-2.0
// All of gradwire but the adapters for xtensor and Eigen: losses, trainers, and the embedded trainer.
#pragma once

#include <gradwire/version.hpp>  // first: it refuses an older C++

#include <gradwire/loopback.hpp>
#include <gradwire/loss.hpp>
#include <gradwire/trainer.hpp>
