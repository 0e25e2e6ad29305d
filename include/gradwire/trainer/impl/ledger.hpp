// SPDX-License-Identifier: Apache-2.0
// How ledger.hpp works.
#pragma once

#include <cstdio>
#include <mutex>
#include <set>
#include <utility>

#include <gradwire/trainer/ledger.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct ledger_books {
  mutable std::mutex mutex;
  std::map<std::string, ledger_row> rows;
  std::set<std::uint64_t> running;

  void take(const client_event& event) {
    using type = client_event::type;
    if (event.operation == 0) return;
    std::lock_guard lock(mutex);
    ledger_row& row = rows[event.name];
    if (event.what == type::sent) {
      ++row.requests;
      row.bytes_sent += event.bytes;
      if (running.insert(event.operation).second) ++row.calls;
    } else if (event.what == type::finished || event.what == type::failed) {
      if (running.erase(event.operation) == 0) ++row.calls;  // it ended before it was ever sent
      row.seconds += event.seconds;
      if (event.what == type::failed) {
        ++row.failed;
      } else {
        row.tokens += event.tokens;
        row.bytes_received += event.bytes;
      }
    }
  }
};

}  // namespace detail

GRADWIRE_DECL ledger::ledger() : books_(std::make_shared<detail::ledger_books>()) {}

GRADWIRE_DECL client_event_handler ledger::handler() const {
  return [books = books_](const client_event& event) { books->take(event); };
}

GRADWIRE_DECL std::map<std::string, ledger_row> ledger::rows() const {
  std::lock_guard lock(books_->mutex);
  return books_->rows;
}

GRADWIRE_DECL ledger_row ledger::total() const {
  ledger_row sum;
  for (const auto& [name, row] : rows()) {
    sum.calls += row.calls;
    sum.requests += row.requests;
    sum.failed += row.failed;
    sum.tokens += row.tokens;
    sum.bytes_sent += row.bytes_sent;
    sum.bytes_received += row.bytes_received;
    sum.seconds += row.seconds;
  }
  return sum;
}

GRADWIRE_DECL std::string ledger::table() const {
  char line[160];
  std::string text;
  const auto add = [&](const char* name, const ledger_row& row) {
    std::snprintf(line, sizeof line, "%-24s %8zu %9zu %7zu %12zu %10.2f %10.2f %10.2f\n", name, row.calls, row.requests,
                  row.failed, row.tokens, static_cast<double>(row.bytes_sent) * 1e-6,
                  static_cast<double>(row.bytes_received) * 1e-6, row.seconds);
    text += line;
  };
  std::snprintf(line, sizeof line, "%-24s %8s %9s %7s %12s %10s %10s %10s\n", "operation", "calls", "requests",
                "failed", "tokens", "MB sent", "MB got", "seconds");
  text += line;
  for (const auto& [name, row] : rows()) add(name.c_str(), row);
  add("total", total());
  return text;
}

}  // namespace gradwire::inline v0
