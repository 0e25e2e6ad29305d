// SPDX-License-Identifier: Apache-2.0
// The data of a loss: datums, the masks of their tokens, batches.
#pragma once

#include <gradwire/version.hpp>  // first: it refuses an older C++

#include <gradwire/datum/batch.hpp>
#include <gradwire/datum/image.hpp>
#include <gradwire/datum/with.hpp>
#include <gradwire/mask/combine.hpp>
#include <gradwire/mask/mask.hpp>
#include <gradwire/mask/position.hpp>
#include <gradwire/mask/select.hpp>
