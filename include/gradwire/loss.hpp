// SPDX-License-Identifier: Apache-2.0
// Everything for a loss of one's own: data, masks, the loss language, value and gradient. Needs nothing but the compiler.
// Named losses are headers of their own: <gradwire/loss/grpo.hpp> …
#pragma once

#include <gradwire/version.hpp>  // first: it refuses an older C++

#include <gradwire/datum.hpp>
#include <gradwire/expression.hpp>
#include <gradwire/gradient/gradient.hpp>
