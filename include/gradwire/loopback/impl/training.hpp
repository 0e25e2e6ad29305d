// SPDX-License-Identifier: Apache-2.0
// The code behind training.hpp.
#pragma once

#include <gradwire/loopback/impl/frozen_model.hpp>
#include <gradwire/loopback/impl/model_config.hpp>
#include <gradwire/loopback/impl/tokenizer.hpp>
#include <gradwire/loopback/impl/training_files.hpp>
#include <gradwire/loopback/impl/training_model.hpp>
