// SPDX-License-Identifier: Apache-2.0
// Losses that read one advantage a sequence, on a batch that has one a token. Systems carry advantages per token and
// multiply them in there, so the formula is the same with the other column; what it says per sequence becomes per
// token, and where that reaches a sum over sequences it is averaged over the sequence's tokens first.
#pragma once

#include "batch_table.hpp"

namespace catalogue {

// Advantages per token that are the same for every unmasked token of a row are one a sequence: gives the table that
// column.
void add_constant_advantage(batch_table& table);

// Has the table advantages per token only, while the loss reads one a sequence?
bool needs_token_advantage(const preset_row& loss, const batch_table& table);

// The formula with token_advantage for advantage. Throws error (errc::config) where it cannot be read so.
gradwire::formula::tree with_token_advantage(const gradwire::formula::tree& from);

// Value, slope and metrics of a formula by the interpreter.
gradwire::evaluation<double> interpret(const gradwire::formula::tree& of, const gradwire::field_info& variable,
                                       const full_batch& batch);

}  // namespace catalogue
