// SPDX-License-Identifier: Apache-2.0
// to_json(message) and from_json<message>(text) for every message of messages.hpp.
#pragma once

#include <gradwire/wire/json_members_access.hpp>
#include <gradwire/wire/json_sampling.hpp>
#include <gradwire/wire/json_training.hpp>
