// SPDX-License-Identifier: Apache-2.0
// The code of the embedded trainer, compiled once: include this, beside <gradwire/src.hpp>, in exactly one .cpp of a
// program whose every file is compiled with GRADWIRE_SEPARATE_COMPILATION defined.
#pragma once

#include <gradwire/loopback.hpp>
//
#include <gradwire/loopback/impl/server.hpp>
#include <gradwire/loopback/impl/training.hpp>
