// SPDX-License-Identifier: Apache-2.0
// Everything for a loss of one's own: data, masks, the loss language, value and gradient. Needs nothing but the compiler.
// Named losses are headers of their own: <gradwire/loss/grpo.hpp> …
#pragma once

#include <gradwire/datum.hpp>
#include <gradwire/expression.hpp>
#include <gradwire/gradient/gradient.hpp>
#include <gradwire/version.hpp>
