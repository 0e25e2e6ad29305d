// SPDX-License-Identifier: Apache-2.0
// The loss language: what a loss header includes.
#pragma once

#include <gradwire/datum/fields.hpp>
#include <gradwire/expression/objective.hpp>
#include <gradwire/expression/order.hpp>
