// SPDX-License-Identifier: Apache-2.0
// All messages of the control plane and of a deployment: wire::platform::to_json(message), from_json<message>(text).
#pragma once

#include <gradwire/wire/platform_checkpoints.hpp>
#include <gradwire/wire/platform_completions.hpp>
#include <gradwire/wire/platform_deployments.hpp>
#include <gradwire/wire/platform_jobs.hpp>
#include <gradwire/wire/platform_json.hpp>
#include <gradwire/wire/platform_path.hpp>
#include <gradwire/wire/platform_shapes.hpp>
#include <gradwire/wire/platform_status.hpp>
