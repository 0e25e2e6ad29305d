// SPDX-License-Identifier: Apache-2.0
// Every request and reply of the training protocol as plain values. Bytes: json_codec.hpp and protobuf.hpp.
#pragma once

#include <gradwire/wire/messages_access.hpp>
#include <gradwire/wire/messages_checkpoint.hpp>
#include <gradwire/wire/messages_future.hpp>
#include <gradwire/wire/messages_sampling.hpp>
#include <gradwire/wire/messages_session.hpp>
#include <gradwire/wire/messages_training.hpp>
