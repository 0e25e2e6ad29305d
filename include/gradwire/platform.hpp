// SPDX-License-Identifier: Apache-2.0
// A training platform: from a shape's id to trainer jobs and a deployment that samples from their weights.
#pragma once

#include <gradwire/version.hpp>  // first: it refuses an older C++

#include <gradwire/platform/client.hpp>
#include <gradwire/platform/run_file.hpp>
#include <gradwire/trainer.hpp>
