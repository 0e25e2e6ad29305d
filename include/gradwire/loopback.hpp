// SPDX-License-Identifier: Apache-2.0
// The embedded trainer: loopback::start() runs a real model behind the training protocol in this process; the model
// itself (load, forward, train, sample, save) can also be used without a server.
#pragma once

#include <gradwire/version.hpp>  // first: it refuses an older C++

#include <gradwire/loopback/server.hpp>
#include <gradwire/loopback/training.hpp>
