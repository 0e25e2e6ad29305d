// SPDX-License-Identifier: Apache-2.0
// The loss language: what a loss header includes.
#pragma once

#include <gradwire/version.hpp>  // first: it refuses an older C++

#include <gradwire/datum/fields.hpp>
#include <gradwire/expression/bounds.hpp>
#include <gradwire/expression/conditional.hpp>
#include <gradwire/expression/group.hpp>
#include <gradwire/expression/objective.hpp>
#include <gradwire/expression/order.hpp>
#include <gradwire/expression/selection.hpp>
