// SPDX-License-Identifier: Apache-2.0
#include "batch_table.hpp"

#include <algorithm>
#include <gradwire/datum.hpp>

namespace catalogue {
namespace {

namespace gw = gradwire;

struct alias {
  std::string_view key, field;
};
constexpr alias keys[] = {{"logp", "logprobs"},
                          {"old", "old_logprobs"},
                          {"rollout", "sampler_logprobs"},
                          {"ref", "ref_logprobs"},
                          {"teacher", "teacher_logprobs"},
                          {"mask", "weights"},
                          {"adv", "advantage"},
                          {"adv", "token_advantage"},
                          {"rewards", "reward"},
                          {"candidates", "candidate_logprobs"}};

[[noreturn]] void refuse(const std::string& sentence, std::string column = {}) {
  gw::error_details details;
  details.column = std::move(column);
  throw gw::error(gw::errc::data, sentence, std::move(details));
}

template <class F>
auto values_of(const batch_table& table, std::size_t r, std::size_t width) {
  const std::string name(F::name.view());
  if constexpr (F::level == gw::extent::sequence) {
    const auto found = table.sequence.find(name);
    return F{} = found == table.sequence.end() ? 0.0 : found->second[r];
  } else if constexpr (F::level == gw::extent::candidate) {
    const auto found = table.candidate.find(name);
    return F{} = found == table.candidate.end() ? rows_of<double>(table.lengths[r], std::vector<double>(width, 0.0))
                                                : found->second[r];
  } else {
    const auto found = table.token.find(name);
    return F{} = found == table.token.end() ? std::vector<double>(table.lengths[r], 0.0) : found->second[r];
  }
}

template <class... Fs>
auto datum_of_row(gw::field_list<Fs...>, const batch_table& table, std::size_t r, std::size_t width) {
  const std::size_t n = table.lengths[r];
  std::vector<int> ids(n + 1, 0);
  for (std::size_t t = 0; t < n; ++t) ids[t + 1] = table.tokens.empty() ? static_cast<int>(t) : table.tokens[r][t];
  rows_of<int> candidates(n, std::vector<int>(width));
  for (auto& row : candidates)
    for (std::size_t k = 0; k < width; ++k) row[k] = static_cast<int>(k);
  const auto weights = table.token.find("weights");
  return gw::datum{
      gw::prompt(ids), gw::fields::candidates = candidates,
      gw::fields::weights = weights == table.token.end() ? std::vector<double>(n, 1.0) : weights->second[r],
      values_of<Fs>(table, r, width)...};
}

template <class List>
struct infos;
template <class... Fs>
struct infos<gw::field_list<Fs...>> {
  static std::vector<const gw::field_info*> all() { return {&gw::detail::weights_field::info, &Fs::info...}; }
};

// The rows of each group in the order of the batch; in a pair the chosen row comes first.
rows_of<std::size_t> arrange(const batch_table& table, bool pairs) {
  const std::size_t n = table.rows();
  rows_of<std::size_t> groups;
  const std::vector<long>& label = pairs ? table.pair : !table.group.empty() ? table.group : table.pair;
  if (label.empty() && pairs) {
    if (n % 2)
      refuse("the loss compares pairs and the batch has an odd number of rows, " + std::to_string(n) +
                 "; give \"pair\": a label a row, two rows of each",
             "pair");
    for (std::size_t r = 0; r < n; r += 2) groups.push_back({r, r + 1});
  } else if (label.empty()) {
    for (std::size_t r = 0; r < n; ++r) groups.push_back({r});
  } else {
    std::map<long, std::size_t> at;
    for (std::size_t r = 0; r < n; ++r) {
      const auto [place, added] = at.try_emplace(label[r], groups.size());
      if (added) groups.emplace_back();
      groups[place->second].push_back(r);
    }
  }
  if (!pairs) return groups;
  for (auto& each : groups) {
    if (each.size() != 2)
      refuse("a pair has two rows, and row " + std::to_string(each[0]) + "'s has " + std::to_string(each.size()),
             "pair");
    if (table.chosen.empty()) continue;
    const bool first = table.chosen[each[0]] != 0, second = table.chosen[each[1]] != 0;
    if (first == second)
      refuse("rows " + std::to_string(each[0]) + " and " + std::to_string(each[1]) + " are a pair, and " +
                 (first ? "both are" : "none is") + " chosen",
             "chosen");
    if (second) std::swap(each[0], each[1]);
  }
  return groups;
}

}  // namespace

std::size_t batch_table::candidates() const {
  for (const auto& [name, rows] : candidate)
    for (const auto& row : rows)
      for (const auto& at : row) return at.size();
  return 0;
}

bool batch_table::has(std::string_view field) const {
  const std::string name(field);
  if (name == "advantage" && token.count("token_advantage")) return true;  // see token_advantage.hpp
  if (name == "prompt_id" && !group.empty()) return true;
  if (name == "reward" && token.count("token_reward")) return true;  // all of it is given, token by token
  if (name == "token_reward" && sequence.count("reward")) return true;
  return token.count(name) || sequence.count(name) || candidate.count(name);
}

std::vector<gw::datum_group<all_fields>> make_groups(const batch_table& given, bool pairs,
                                                     std::vector<std::size_t>& order) {
  batch_table table = given;
  if (!table.group.empty() && !table.sequence.count("prompt_id"))
    table.sequence["prompt_id"] = std::vector<double>(table.group.begin(), table.group.end());
  if (table.rows() == 0) refuse("the batch has no rows");
  const std::size_t width = std::max<std::size_t>(1, table.candidates());
  const auto make = [&](std::size_t r) { return datum_of_row(all_fields{}, table, r, width); };
  std::vector<gw::datum_group<all_fields>> groups;
  for (const auto& rows : arrange(table, pairs)) {
    order.insert(order.end(), rows.begin(), rows.end());
    if (pairs) {
      groups.push_back(gw::group(gw::chosen(make(rows[0])), gw::rejected(make(rows[1]))));
    } else {
      std::vector<gw::datum<all_fields>> members;
      for (std::size_t r : rows) members.push_back(make(r));
      groups.push_back(gw::group(members));
    }
  }
  return groups;
}

made_batch make_batch(const batch_table& table, bool pairs) {
  std::vector<std::size_t> order;
  return {gw::batch_of<double>(make_groups(table, pairs, order)), std::move(order)};
}

std::string_view key_of(std::string_view field) {
  for (const alias& each : keys)
    if (each.field == field) return each.key;
  return field;
}

std::vector<const gw::field_info*> known_fields() { return infos<all_fields>::all(); }

namespace {
bool has_all(const row& of, const batch_table& table) {
  return std::all_of(of.fields.begin(), of.fields.end(), [&](const auto* field) { return table.has(field->name); });
}
}  // namespace

void require_columns(const row& of, const batch_table& table) {
  std::string missing, first;
  for (const gw::field_info* field : of.fields) {
    if (table.has(field->name)) continue;
    if (first.empty()) first = field->name;
    const std::string_view key = key_of(field->name);
    missing += (missing.empty() ? "" : ", ") + std::string(field->name);
    if (key != field->name) missing += " (key \"" + std::string(key) + "\")";
  }
  if (missing.empty()) return;
  std::string without;  // the same loss for batches that lack it
  for (const preset_row& each : presets())
    if (each.name.starts_with(std::string(of.name) + "_without_") && has_all(each, table))
      without += (without.empty() ? "; " : ", ") + std::string(each.name);
  refuse(std::string(of.name) + " reads " + missing + ", which the batch does not have" + without +
             (without.empty() ? "" : " does without"),
         first);
}

}  // namespace catalogue
