// SPDX-License-Identifier: Apache-2.0
// Names and parameters of the catalogue.
#include <algorithm>
#include <cstring>
#include <gradwire/error.hpp>
#include <gradwire/gradient/interpret.hpp>
#include <gradwire/gradient/report.hpp>
#include <string>
#include <utility>
#include <vector>

#include "catalogue_row.hpp"

namespace catalogue {
namespace {

// Letters to change, insert or remove to get from one name to the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> last(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j)
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
    std::swap(last, now);
  }
  return last[b.size()];
}

// trl::dapo is near trl::dappo, then dapo and verl::dapo; what has the same source comes first.
std::size_t distance_of_names(std::string_view asked, std::string_view name) {
  const auto cut = [](std::string_view text) {
    const std::size_t at = text.rfind("::");
    return at == std::string_view::npos ? std::pair(std::string_view(), text)
                                        : std::pair(text.substr(0, at), text.substr(at + 2));
  };
  const auto [asked_source, asked_part] = cut(asked);
  const auto [source, part] = cut(name);
  std::size_t found = 2 * distance(asked_part, part);
  if (part.find(asked_part) != std::string_view::npos) found = std::min<std::size_t>(found, 4);
  return found + (asked_source == source ? 0 : asked_source.empty() ? 1 : 3 + distance(asked_source, source));
}

// Is it one of the names that the comment above the preset declares: "Also: verl::ppo, verl::dual_clip."?
bool also_called(const row& of, std::string_view name) {
  const std::size_t at = of.description.find("Also: ");
  if (at == std::string_view::npos) return false;
  std::string_view names = of.description.substr(at + 6);
  while (!names.empty()) {
    const std::size_t end = std::min(names.find_first_of(", ."), names.size());
    if (names.substr(0, end) == name) return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

template <class Row>
const Row& named(std::span<const Row> rows, std::string_view name, const char* what) {
  std::vector<std::pair<std::size_t, std::string_view>> near;
  for (const Row& each : rows) {
    if (each.name == name || also_called(each, name)) return each;
    near.emplace_back(distance_of_names(name, each.name), each.name);
  }
  std::stable_sort(near.begin(), near.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string sentence = "there is no " + std::string(what) + " called " + std::string(name);
  for (std::size_t i = 0; i < near.size() && i < 5; ++i)
    sentence += (i == 0 ? "; the nearest are " : ", ") + std::string(near[i].second);
  throw gradwire::error(gradwire::errc::config, sentence + "; --list shows all of them");
}

std::string list_of(const row& of) {
  if (of.parameters.empty()) return "it has none";
  std::string text = "it has ";
  for (const parameter& p : of.parameters) text += (&p == of.parameters.data() ? "" : ", ") + std::string(p.name);
  return text;
}

}  // namespace

void set_parameters(void* preset, const row& of, std::span<const double> values) {
  for (std::size_t i = 0; i < of.parameters.size(); ++i) {
    char* const at = static_cast<char*>(preset) + of.parameters[i].place;
    switch (of.parameters[i].what) {
      case kind::flag: {
        const bool flag = values[i] != 0;
        std::memcpy(at, &flag, sizeof flag);
        break;
      }
      case kind::integer: {
        const int whole = static_cast<int>(values[i]);
        std::memcpy(at, &whole, sizeof whole);
        break;
      }
      default:  // an offset and a bound hold a double and nothing else
        std::memcpy(at, &values[i], sizeof(double));
    }
  }
}
static_assert(sizeof(gradwire::offset) == sizeof(double) && sizeof(gradwire::bound) == sizeof(double));

std::vector<double> values_with(const row& of, std::span<const setting> settings) {
  const auto refuse = [&](const std::string& sentence) {
    throw gradwire::error(gradwire::errc::config, std::string(of.name) + sentence);
  };
  std::vector<double> values;
  std::vector<bool> is_set(of.parameters.size(), false);
  for (const parameter& p : of.parameters) values.push_back(p.standard);
  for (const setting& s : settings) {
    std::size_t i = 0;
    while (i < of.parameters.size() && of.parameters[i].name != s.name) ++i;
    if (i == of.parameters.size()) refuse(" has no parameter " + s.name + "; " + list_of(of));
    const std::string given = s.name + " = " + gradwire::detail::exact(s.value);
    const kind what = of.parameters[i].what;
    if (what == kind::flag && s.value != 0 && s.value != 1) refuse(": " + given + ", but it is true or false");
    if (what == kind::integer && s.value != static_cast<int>(s.value))
      refuse(": " + given + ", but it is a whole number");
    if (what == kind::offset && !(s.value >= 0))
      refuse(": " + given + ", but it is an offset, the distance of the threshold from 1, and not negative");
    if (what == kind::bound && !(s.value >= 0))
      refuse(": " + given + ", but it is a bound, the threshold of the ratio itself, and not negative");
    values[i] = s.value;
    is_set[i] = true;
  }
  for (std::size_t i = 0; i < values.size(); ++i)
    for (std::size_t j = 0; j < i && !is_set[i]; ++j)
      if (!of.parameters[i].follows.empty() && of.parameters[j].name == of.parameters[i].follows) values[i] = values[j];
  return values;
}

gradwire::evaluation<double> preset_row::evaluate_with_metrics(std::span<const double> values,
                                                               const full_batch& batch) const {
  auto found = evaluate(values, batch);
  const gradwire::formula::interpreter run(reflect(values), gradwire::formula::table_of(batch));
  const auto& metrics = run.formula().metrics;
  for (std::size_t i = 0; i < metrics.size(); ++i)
    if (run.has_metric(i)) found.metrics.push_back({metrics[i].name, run.metric(i)});
  return found;
}

const preset_row& preset(std::string_view name) { return named(presets(), name, "loss"); }
const estimator_row& estimator(std::string_view name) { return named(estimators(), name, "advantage estimator"); }

}  // namespace catalogue
