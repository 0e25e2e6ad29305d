// SPDX-License-Identifier: Apache-2.0
// What a run has asked for and got, by operation: calls, requests, retries, failures, tokens, bytes, seconds. What a
// bill can be compared with.
//
//   ledger books;
//   auto service = service_client::connect({.on_event = books.handler()});
//   std::cout << books.table();
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include <gradwire/trainer/client_event.hpp>
#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {

struct ledger_row {
  std::size_t calls = 0;           // operations begun
  std::size_t requests = 0;        // requests sent for them, retries included, polls not
  std::size_t failed = 0;          // operations without a result
  std::size_t tokens = 0;          // targets in those with a result, each call counted once
  std::size_t bytes_sent = 0;      // of bodies, retries included
  std::size_t bytes_received = 0;  // of results
  double seconds = 0;              // from the first request to the result, summed
};

namespace detail {
struct ledger_books;
}

class ledger {
 public:
  GRADWIRE_DECL ledger();
  GRADWIRE_DECL client_event_handler handler() const;            // for connect_options::on_event; one a client
  GRADWIRE_DECL std::map<std::string, ledger_row> rows() const;  // by the name of the operation
  GRADWIRE_DECL ledger_row total() const;
  GRADWIRE_DECL std::string table() const;  // aligned text with a line of totals

 private:
  std::shared_ptr<detail::ledger_books> books_;
};

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/ledger.hpp>
#endif
