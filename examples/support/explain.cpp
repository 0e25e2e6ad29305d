// SPDX-License-Identifier: Apache-2.0
// The tools that walk over a formula, for a row of the catalogue.
#include <gradwire/gradient/dump.hpp>
#include <gradwire/gradient/explain.hpp>

#include "print.hpp"

namespace catalogue {
namespace {

gradwire::explanation explained(const preset_row& loss, std::span<const double> values) {
  gradwire::explain_options options{std::string(loss.name), loss.variable->name, loss.passes, {}};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const parameter& p = loss.parameters[i];
    std::string value = p.what == kind::flag ? (values[i] != 0 ? "true" : "false") : gradwire::detail::exact(values[i]);
    if (p.what == kind::offset || p.what == kind::bound) value = std::string(to_string(p.what)) + " " + value;
    options.parameters.push_back({std::string(p.name), value, std::string(p.comment)});
  }
  return gradwire::explain(loss.reflect(values), std::move(options));
}

}  // namespace

std::string explain_text(const preset_row& loss, std::span<const double> values) {
  const auto title = title_of(loss);
  std::string text = title.title;
  if (!title.source.empty()) text += "\nsource: " + title.source;
  if (!loss.description.empty()) text += "\n" + one_line(loss.description);
  return text + "\n\n" + explained(loss, values).text();
}

std::string explain_markdown(const preset_row& loss, std::span<const double> values) {
  return explained(loss, values).markdown();
}

std::string dump_text(const gradwire::formula::tree& formula, const preset_row& loss, const full_batch& batch,
                      const gradwire::evaluation<double>& result, bool csv) {
  return gradwire::dump(formula, result.slope, loss.variable->name, gradwire::at(batch),
                        csv ? gradwire::dump_format::csv : gradwire::dump_format::jsonl);
}

}  // namespace catalogue
