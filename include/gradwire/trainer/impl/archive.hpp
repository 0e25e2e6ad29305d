// SPDX-License-Identifier: Apache-2.0
// Fetches a checkpoint's archive from where the server sends for it: the one place where a redirect is followed.
#pragma once

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <gradwire/trainer/impl/service_call.hpp>
#include <gradwire/trainer/records.hpp>
#include <gradwire/transport/url.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct archive_address {
  url where{};           // without the path
  std::string target{};  // path and query
};

// Throws error{protocol} for what is no http(s) address, and for a way in the clear out of one that is not.
inline archive_address read_archive_address(const std::string& location, const url& from) {
  if (location.starts_with("/") && !location.starts_with("//")) {
    archive_address same{from, location};
    same.where.prefix.clear();
    return same;
  }
  if (!location.starts_with("http://") && !location.starts_with("https://")) {
    throw error(errc::protocol, "the trainer sends to " + printable(location, 200) +
                                    " for the archive, which is neither http nor https; nothing was fetched");
  }
  const auto path = location.find('/', location.find("//") + 2);
  const auto end = location.find_first_of("/?#", location.find("//") + 2);
  archive_address found{parse_url(location.substr(0, end)), "/"};
  if (path != location.npos && path == end) found.target = location.substr(path, location.find('#') - path);
  if (end != location.npos && location[end] == '?') found.target = "/" + location.substr(end);
  if (from.tls && !found.where.tls && !found.where.is_loopback())
    throw error(errc::protocol,
                "the trainer sends from https to http for the archive, where anybody on the way could read or change "
                "it; nothing was fetched");
  for (const char c : found.target) {
    if (c <= 0x20 || c > 0x7e)
      throw error(errc::protocol, "the trainer sends to an address for the archive that is none; nothing was fetched");
  }
  return found;
}

// The key goes along only to the very server that it is for.
inline std::shared_ptr<const http_peer> archive_peer(const http_peer& trainer, const url& where) {
  http_peer peer = trainer;
  const bool same =
      where.host == trainer.address.host && where.port == trainer.address.port && where.tls == trainer.address.tls;
  peer.address = where;
  if (!same) {
    peer.key = {};
    peer.headers.clear();
    peer.open_headers.clear();
  }
  return std::make_shared<const http_peer>(std::move(peer));
}

inline void write_archive(const std::string& file, const std::string& bytes) {
  const std::string part = file + ".part";
  {
    std::ofstream out(part, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (!out) throw error(errc::config, "the archive cannot be written to " + part);
  }
  std::error_code problem;
  std::filesystem::rename(part, file, problem);
  if (problem) throw error(errc::config, "the archive cannot be written to " + file + ": " + problem.message());
}

struct archive_fetch : std::enable_shared_from_this<archive_fetch> {
  std::shared_ptr<service_call<downloaded_archive>> call;
  std::string file;
  std::size_t most_bytes = 0;
  int redirects = 0;

  void from(const std::string& location, const url& sender) {
    const auto address = read_archive_address(location, sender);
    const auto peer = archive_peer(call->of->peer(), address.where);
    auto record = call->record("download_checkpoint_archive", "", "", effect::reads);
    record.method = "GET";
    record.target = address.target;
    record.accept = "*/*";
    record.idempotency_key.clear();
    record.has_future = false;
    record.any_reply = true;
    record.result_limit = most_bytes;
    call->of->run(
        std::move(record), traffic::submit, nullptr,
        [self = shared_from_this(), where = address.where](const operation_outcome& outcome) {
          try {
            if (outcome.failure) std::rethrow_exception(outcome.failure);
            self->arrived(*outcome.result, where);
          } catch (...) {
            self->call->fail(std::current_exception());
          }
        },
        peer);
  }

  void arrived(operation_result& result, const url& where) {
    if (result.status >= 300) {
      if (result.location.empty() || ++redirects > 5)
        throw error(errc::protocol, "the address of the archive sends elsewhere without end, or without an address");
      return from(result.location, where);
    }
    // Gigabytes take a disk a while, and the I/O thread has heartbeats to send.
    call->of->net().compute([self = shared_from_this(), bytes = std::move(result.body), type = result.content_type] {
      const downloaded_archive done{self->file, bytes.size(), type};
      std::exception_ptr failure;
      try {
        write_archive(self->file, bytes);
      } catch (...) {
        failure = std::current_exception();
      }
      self->call->of->net().post([self, done, failure] {
        if (failure) return self->call->fail(failure);
        self->call->finish([&](const session_owner&) { return done; });
      });
    });
  }
};

}  // namespace detail
}  // namespace gradwire::inline v0
