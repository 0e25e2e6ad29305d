// SPDX-License-Identifier: Apache-2.0
// The engine of the embedded trainer: frozen_model and training_model (engine.hpp) with the code behind them, unless
// that is compiled apart (src.hpp).
#pragma once

#include <gradwire/loopback/engine.hpp>

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/loopback/impl/training.hpp>
#endif
