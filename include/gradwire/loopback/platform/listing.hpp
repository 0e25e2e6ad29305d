// SPDX-License-Identifier: Apache-2.0
// Lists as the control plane gives them: filtered (a part of AIP-160: comparisons joined by AND), ordered, in pages. It
// works on the JSON of the items, so that every member can be filtered by, in camelCase or snake_case.
#pragma once

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/loopback/platform/answers.hpp>
#include <gradwire/wire/json_document.hpp>
#include <gradwire/wire/platform_path.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

struct comparison {
  std::string path{};      // snapshot.base_model
  std::string relation{};  // = != < <= > >= :
  std::string value{};
};

inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

inline std::vector<comparison> read_filter(std::string_view text) {
  std::vector<comparison> all;
  while (!trimmed(text).empty()) {
    bool quoted = false;
    std::size_t end = 0;
    while (end < text.size() && (quoted || text.substr(end, 5) != " AND ")) quoted ^= text[end++] == '"';
    const std::string_view part = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(text.size(), end + 5));
    const auto at = part.find_first_of("=!<>:");
    if (at == part.npos || at == 0 || quoted)
      throw invalid("the filter '" + std::string(part) + "' is not understood; comparisons are joined by AND");
    const std::size_t length = at + 1 < part.size() && part[at] != ':' && part[at + 1] == '=' ? 2 : 1;
    std::string_view value = trimmed(part.substr(at + length));
    if (value.size() > 1 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    all.push_back({std::string(trimmed(part.substr(0, at))), std::string(part.substr(at, length)), std::string(value)});
  }
  return all;
}

// The member at a path of either spelling as text; "" when it is not there.
inline std::string text_at(const wire::json_document& json, std::string_view path) {
  const wire::json_node* node = &json.root();
  for (const auto& part : [&] {
         std::vector<std::string> parts;
         for (std::size_t from = 0; from <= path.size();) {
           const auto dot = std::min(path.find('.', from), path.size());
           parts.emplace_back(path.substr(from, dot - from));
           from = dot + 1;
         }
         return parts;
       }()) {
    const wire::json_node* found = nullptr;
    for (const auto* child = json.first(*node); child != nullptr; child = json.next(*child))
      if (child->key == part || wire::platform::snake_case(child->key) == part) found = child;
    if (found == nullptr) return {};
    node = found;
  }
  if (node->kind == wire::json_kind::boolean) return node->flag ? "true" : "false";
  return std::string(node->text);
}

inline bool holds(const wire::json_document& json, const comparison& asked) {
  std::string found = text_at(json, asked.path);
  if (found.empty() && (asked.value == "true" || asked.value == "false")) found = "false";
  double a = 0, b = 0;
  const auto number = [](const std::string& text, double& into) {
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), into);
    return !text.empty() && parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  };
  const bool numbers = number(found.empty() ? "0" : found, a) && number(asked.value, b);
  const int order = numbers ? (a < b ? -1 : a > b) : found.compare(asked.value);
  if (asked.relation == "=") return order == 0;
  if (asked.relation == "!=") return order != 0;
  if (asked.relation == "<") return order < 0;
  if (asked.relation == "<=") return order <= 0;
  if (asked.relation == ">") return order > 0;
  if (asked.relation == ">=") return order >= 0;
  return found.find(asked.value) != found.npos;
}

struct listed_page {
  std::vector<std::string> items{};  // JSON texts
  std::string next_page_token{};
  std::size_t total = 0;
};

// Of the query: filter, orderBy, pageSize (50; at most 200), pageToken.
inline listed_page list_page(std::vector<std::string> items, const wire::platform::path_and_query& query,
                             std::size_t largest = 200) {
  const auto filter = read_filter(query.value("filter"));
  std::erase_if(items, [&](const std::string& item) {
    const wire::json_document json(item);
    return !std::all_of(filter.begin(), filter.end(), [&](const comparison& each) { return holds(json, each); });
  });
  if (std::string order = query.value("orderBy"); !order.empty()) {
    const bool descending = order.ends_with(" desc");
    order = order.substr(0, order.find(' '));
    std::stable_sort(items.begin(), items.end(), [&](const std::string& a, const std::string& b) {
      const std::string left = text_at(wire::json_document(a), order), right = text_at(wire::json_document(b), order);
      return descending ? right < left : left < right;
    });
  }
  const auto whole = [&](const char* name, std::size_t fallback) {
    const std::string text = query.value(name);
    if (text.empty()) return fallback;
    std::size_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size())
      throw invalid(std::string(name) + " is '" + text + "', which is not what it can be");
    return value;
  };
  const std::size_t size = std::clamp<std::size_t>(whole("pageSize", 50), 1, largest);
  const std::size_t from = std::min(whole("pageToken", 0), items.size());
  const std::size_t to = std::min(from + size, items.size());
  listed_page page{.next_page_token = to < items.size() ? std::to_string(to) : "", .total = items.size()};
  page.items.assign(std::make_move_iterator(items.begin() + static_cast<std::ptrdiff_t>(from)),
                    std::make_move_iterator(items.begin() + static_cast<std::ptrdiff_t>(to)));
  return page;
}

inline http_response list_reply(const char* key, const listed_page& page) {
  wire::json_writer out;
  out.begin_object();
  out.key(key).begin_array();
  for (const auto& item : page.items) out.raw(item);
  out.end_array();
  if (!page.next_page_token.empty()) out.key("nextPageToken").string(page.next_page_token);
  out.key("totalSize").integer(static_cast<std::int64_t>(page.total));
  out.end_object();
  return detail::json_reply(std::move(out).take());
}

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
