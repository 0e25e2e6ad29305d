// SPDX-License-Identifier: Apache-2.0
// The catalogue's answers as text and JSON. Numbers have the fewest digits that read back as the same double; what is
// not finite is null.
#pragma once

#include <string>

#include "batch_table.hpp"

namespace catalogue {

// Those whose name or comments contain the filter, whatever its case.
std::string list_text(std::string_view filter, std::size_t columns);  // no line longer, if no word is
std::string list_json(std::string_view filter);
std::string explain_text(const preset_row& loss, std::span<const double> values);
std::string explain_markdown(const preset_row& loss, std::span<const double> values);
std::string result_json(const preset_row& loss, std::span<const double> values, const made_batch& made,
                        const gradwire::evaluation<double>& result);
std::string advantage_json(const estimator_row& of, std::span<const double> values, const made_batch& made,
                           const gradwire::column<double>& found);
std::string dump_text(const gradwire::formula::tree& formula, const preset_row& loss, const full_batch& batch,
                      const gradwire::evaluation<double>& result, bool csv);

// "offset 0.2", "true", "as epsilon": a parameter's default as text.
std::string default_text(const parameter& of);
const char* to_string(kind what);

// What the head of a header says: its first paragraph without the source, and the source.
struct heading {
  std::string title, source;
};
heading title_of(const row& of);
// Comments as one line: blanks that set a source apart are closed up.
std::string one_line(std::string_view comment);

}  // namespace catalogue
