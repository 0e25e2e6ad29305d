// SPDX-License-Identifier: Apache-2.0
// How fault_proxy.hpp works: one thread a connection, blocking sockets, one connection to the server for each delivery.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>

#include <openssl/sha.h>
#include <sys/socket.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <gradwire/wire/protobuf.hpp>

#include "fault_proxy.hpp"

namespace faults {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

struct cut {};  // end the connection with a reset

std::string digest(std::string_view text) {
  std::string bytes(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(bytes.data()));
  return bytes;
}

std::uint64_t number_of(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

// Ids that a server or client draws are long and hexadecimal; what is left is the same in every run.
std::string without_random_ids(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (end < text.size() && is_hex(text[end])) ++end;
    if (end - i >= 8) {
      out += '*';
      i = end;
    } else {
      out += text[i++];
    }
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

struct message {
  std::string head;  // first line and headers, with the empty line
  std::string body;

  std::string_view first_line() const { return std::string_view(head).substr(0, head.find("\r\n")); }
  std::optional<std::string> header(std::string_view name) const {
    const std::string all = lower(head), wanted = "\r\n" + lower(name) + ":";
    const auto at = all.find(wanted);
    if (at == std::string::npos) return std::nullopt;
    auto begin = at + wanted.size();
    while (begin < head.size() && head[begin] == ' ') ++begin;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
  std::size_t length() const {
    const auto text = header("Content-Length");
    return text ? std::stoul(*text) : 0;
  }
};

std::int64_t seq_id_of(const message& request) {
  const auto type = request.header("Content-Type");
  if (type && type->find("protobuf") != std::string::npos) {
    try {
      return gradwire::wire::from_protobuf<gradwire::wire::forward_backward_request>(request.body).seq_id.value_or(-1);
    } catch (const std::exception&) {
      return -1;
    }
  }
  const auto at = request.body.find("\"seq_id\":");
  return at == std::string::npos ? -1 : std::atoll(request.body.c_str() + at + 9);
}

// The answer with our own framing.
std::string reframed(const message& reply, std::string_view framing) {
  std::string head;
  std::size_t begin = 0;
  while (begin < reply.head.size()) {
    const auto end = reply.head.find("\r\n", begin);
    const std::string line = reply.head.substr(begin, end - begin), name = lower(line.substr(0, line.find(':')));
    if (line.empty()) break;
    if (name != "content-length" && name != "transfer-encoding" && name != "connection") head += line + "\r\n";
    begin = end + 2;
  }
  return head + std::string(framing) + "\r\n";
}

std::string reason_of(int status) { return status < 400 ? "Ok" : "Injected"; }

}  // namespace

std::string sha256(std::string_view text) {
  std::string hex;
  for (const char c : digest(text)) {
    hex += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    hex += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

struct fault_proxy::state {
  struct armed {
    rule given;
    int seen = 0;
    int fired = 0;
  };

  state(std::uint16_t to, std::vector<rule> given, std::uint64_t with) : upstream(to), seed(with) {
    for (auto& each : given) rules.push_back({std::move(each), 0, 0});
    open({asio::ip::address_v4::loopback(), 0});
    port = acceptor->local_endpoint().port();
  }

  void open(const tcp::endpoint& where) {
    acceptor.emplace(io);
    acceptor->open(where.protocol());
    acceptor->set_option(tcp::acceptor::reuse_address(true));
    acceptor->bind(where);
    acceptor->listen();
  }

  // ---- which rule ----

  double draw(const std::string& what) const {
    return static_cast<double>(number_of(digest(std::to_string(seed) + '\0' + what)) >> 11) * 0x1p-53;
  }

  std::optional<rule> pick(bool on_connect, bool before_body, std::string_view method, std::string_view path,
                           std::string_view body, int attempt) {
    std::lock_guard lock(mutex);
    for (auto& each : rules) {
      const rule& r = each.given;
      const bool acts_before =
          r.what == fault::reset_mid_request || (r.what == fault::stall && r.where == place::not_reading);
      if (r.on_connect != on_connect || (!on_connect && acts_before != before_body)) continue;
      if (!r.method.empty() && r.method != method) continue;
      if (!r.path.empty() && !path.ends_with(r.path)) continue;
      if (!r.holding.empty() && body.find(r.holding) == body.npos) continue;
      const int n = ++each.seen;
      if (!r.nth.empty() && std::find(r.nth.begin(), r.nth.end(), n) == r.nth.end()) continue;
      if ((r.every > 0 && n % r.every != 0) || n < r.from || n > r.to || each.fired >= r.most) continue;
      if (!r.attempt.empty() && std::find(r.attempt.begin(), r.attempt.end(), attempt) == r.attempt.end()) continue;
      if (r.probability < 1 && draw(r.id + '\0' + std::string(method) + '\0' + std::string(path) + '\0' +
                                    without_random_ids(body) + '\0' + std::to_string(attempt)) >= r.probability)
        continue;
      ++each.fired;
      return r;
    }
    return std::nullopt;
  }

  // ---- sockets ----

  void hold(int ms) {  // 0: until the end
    std::unique_lock lock(mutex);
    const auto over = [this] { return stopping; };
    ms > 0 ? void(wake.wait_for(lock, std::chrono::milliseconds(ms), over)) : wake.wait(lock, over);
    if (stopping) throw cut{};
  }

  struct reader {
    tcp::socket& socket;
    std::string left{};

    bool more() {
      char block[65536];
      error_code failed;
      const std::size_t n = socket.read_some(asio::buffer(block), failed);
      left.append(block, n);
      return !failed && n > 0;
    }
    bool head(message& into) {
      std::size_t end;
      while ((end = left.find("\r\n\r\n")) == std::string::npos)
        if (!more()) return false;
      into.head = left.substr(0, end + 4);
      left.erase(0, end + 4);
      return true;
    }
    bool body(message& into) {
      const std::size_t length = into.length();
      while (left.size() < length)
        if (!more()) return false;
      into.body = left.substr(0, length);
      left.erase(0, length);
      return true;
    }
  };

  message deliver(const message& request) {
    tcp::socket server(io);
    server.connect({asio::ip::address_v4::loopback(), upstream});
    server.set_option(tcp::no_delay(true));
    remember(server, true);
    std::string bytes =
        reframed(request, "Connection: close\r\nContent-Length: " + std::to_string(request.body.size()) + "\r\n") +
        request.body;
    error_code failed;
    asio::write(server, asio::buffer(bytes), failed);
    message reply;
    reader in{server};
    const bool whole = in.head(reply) && in.body(reply);
    remember(server, false);
    if (!whole) throw std::runtime_error("the server did not answer");
    return reply;
  }

  void remember(tcp::socket& socket, bool in_use) {
    std::lock_guard lock(mutex);
    if (stopping) throw cut{};
    in_use ? void(open_sockets.insert(socket.native_handle())) : void(open_sockets.erase(socket.native_handle()));
  }

  // ---- one connection ----

  void serve(tcp::socket socket, int number) {
    try {
      remember(socket, true);
      socket.set_option(tcp::no_delay(true));
      if (const auto r = pick(true, false, "", "", "", 0)) {
        if (r->what == fault::refuse) close_port(r->ms);
        if (r->what == fault::refuse || r->what == fault::reset) throw cut{};
        hold(r->ms);
      }
      reader in{socket};
      while (one(socket, in, number)) continue;
    } catch (const cut&) {
      error_code ignored;
      socket.set_option(asio::socket_base::linger(true, 0), ignored);
    } catch (const std::exception&) {
    }
    std::lock_guard lock(mutex);
    open_sockets.erase(socket.native_handle());
    error_code ignored;
    socket.close(ignored);
  }

  void close_port(int ms) {
    std::lock_guard lock(mutex);
    closed_for = ms > 0 ? ms : 300;
    ::shutdown(acceptor->native_handle(), SHUT_RDWR);  // wakes the thread that accepts
  }

  bool one(tcp::socket& socket, reader& in, int connection) {
    message request;
    if (!in.head(request)) return false;
    log_entry entry;
    entry.connection = connection;
    const std::string line(request.first_line());
    entry.method = line.substr(0, line.find(' '));
    entry.path = line.substr(entry.method.size() + 1, line.rfind(' ') - entry.method.size() - 1);
    for (const char* name : {"X-API-Key", "Authorization", "Cookie"}) entry.auth |= request.header(name).has_value();
    entry.key = request.header("X-Idempotency-Key").value_or("");
    entry.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    if (const auto r = pick(false, true, entry.method, entry.path, "", 0)) {
      entry.rule = r->id;
      add(entry);
      if (r->what == fault::stall) hold(r->ms);
      in.more();  // some of the body is on its way
      throw cut{};
    }
    if (!in.body(request)) return false;
    entry.body = request.body;
    entry.sha = sha256(request.body);
    entry.seq_id = seq_id_of(request);
    {
      std::lock_guard lock(mutex);
      entry.attempt = ++attempts[entry.method + " " + entry.path + " " + entry.sha];
    }
    const auto r = pick(false, false, entry.method, entry.path, request.body, entry.attempt).value_or(rule{});
    entry.rule = r.id;
    add(entry);
    auto reply = outcome(entry, r, request);
    if (!reply.head.empty()) entry.status = std::stoi(reply.head.substr(9, 3));
    if (r.what == fault::respond || r.what == fault::respond_long) entry.status = r.raw.empty() ? r.status : 0;
    update(entry);
    return answer(socket, entry, r, std::move(reply));
  }

  void add(log_entry& entry) {
    std::lock_guard lock(mutex);
    entry.number = static_cast<int>(entries.size()) + 1;
    entries.push_back(entry);
  }
  void update(const log_entry& entry) {
    std::lock_guard lock(mutex);
    entries[static_cast<std::size_t>(entry.number) - 1] = entry;
  }

  // What happens on the way to the server.
  message outcome(log_entry& entry, const rule& r, const message& request) {
    const auto up = [&] {
      ++entry.delivered;
      update(entry);
      return deliver(request);
    };
    switch (r.what) {
      case fault::refuse:
        close_port(r.ms);
        throw cut{};
      case fault::reset:
        if (r.deliver) up();
        throw cut{};
      case fault::respond:
      case fault::respond_long:
        if (r.deliver) up();
        return {};
      case fault::duplicate: {
        std::vector<message> replies(static_cast<std::size_t>(r.copies));
        entry.delivered = r.copies;
        update(entry);
        std::vector<std::thread> senders;
        for (auto& reply : replies) {
          const auto send = [&] {
            try {
              reply = deliver(request);
            } catch (...) {  // the others may still have an answer
            }
          };
          r.at_once ? void(senders.emplace_back(send)) : send();
        }
        for (auto& each : senders) each.join();
        return replies.front();
      }
      case fault::delay:
        if (!r.late) hold(r.ms);
        break;
      case fault::stall:
        if (r.where != place::before_reply) break;
        if (r.deliver) up();
        hold(r.ms);
        throw cut{};
      default:
        break;
    }
    return up();
  }

  // What happens on the way back. False: the connection ends.
  bool answer(tcp::socket& socket, const log_entry& entry, const rule& r, message reply) {
    const auto send = [&](std::string_view bytes) { asio::write(socket, asio::buffer(bytes.data(), bytes.size())); };
    std::mt19937_64 random(number_of(digest(std::to_string(seed) + r.id + entry.path + std::to_string(entry.seq_id) +
                                            std::to_string(entry.attempt))));
    if (r.what == fault::delay && r.late) hold(r.ms);
    if (r.what == fault::respond || r.what == fault::respond_long) return respond(r, send);
    if (r.what == fault::garbage) {
      std::string junk(r.bytes, '\0');
      for (char& c : junk) c = static_cast<char>(random());
      if (r.raw_status) {
        send(junk + "\r\n\r\n");
        return false;
      }
      send("HTTP/1.1 200 Ok\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(junk.size()) +
           "\r\n\r\n" + junk);
      return true;
    }
    if (r.what == fault::corrupt) {
      for (std::size_t i = 0; i < r.bytes && !reply.body.empty(); ++i)
        reply.body[random() % reply.body.size()] = static_cast<char>(random());
    }
    const std::string length = "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
    const std::string head = reframed(reply, entry.status == 204 ? "" : length);
    const std::string part = reply.body.substr(0, static_cast<std::size_t>(r.at * double(reply.body.size())));
    switch (r.what) {
      case fault::reset_mid_body:
        send(head + part);
        hold(20);  // the bytes go before the reset
        throw cut{};
      case fault::truncate:
        if (r.chunked) {
          char size[32];
          std::snprintf(size, sizeof size, "%zx\r\n", reply.body.size());
          send(reframed(reply, "Transfer-Encoding: chunked\r\n") + size + part);
        } else {
          send(head + part);
        }
        return false;
      case fault::stall:
        send(r.where == place::in_head ? head.substr(0, head.size() / 2) : head + part);
        hold(r.ms);
        throw cut{};
      case fault::drip: {
        const std::string all = head + reply.body;
        for (std::size_t i = 0; i < all.size(); i += r.bytes) {
          send(std::string_view(all).substr(i, r.bytes));
          if (r.ms > 0) hold(r.ms);
        }
        return true;
      }
      default:
        send(head + reply.body);
        return true;
    }
  }

  template <class Send>
  static bool respond(const rule& r, Send send) {
    if (!r.raw.empty()) {
      send(r.raw);
      return false;
    }
    std::string head = "HTTP/1.1 " + std::to_string(r.status) + " " + reason_of(r.status) + "\r\n";
    bool typed = false;
    for (const auto& [name, value] : r.headers) {
      head += name + ": " + value + "\r\n";
      typed |= lower(name) == "content-type";
    }
    if (!typed) head += "Content-Type: application/json\r\n";
    const std::size_t times = r.what == fault::respond_long ? r.bytes : 1;
    if (r.status != 204) head += "Content-Length: " + std::to_string(times * r.body.size()) + "\r\n";
    send(head + "\r\n");
    for (std::size_t i = 0; i < times; ++i) send(r.body);
    return true;
  }

  // ---- the port ----

  void accept_all() {
    for (;;) {
      error_code failed;
      tcp::socket socket(io);
      acceptor->accept(socket, failed);
      std::unique_lock lock(mutex);
      if (stopping) return;
      if (closed_for > 0) {
        const auto where = acceptor->local_endpoint();
        error_code ignored;
        acceptor->close(ignored);
        socket.close(ignored);
        is_closed = true;
        wake.notify_all();
        wake.wait_for(lock, std::chrono::milliseconds(std::exchange(closed_for, 0)), [this] { return stopping; });
        if (stopping) return;
        open({asio::ip::address_v4::loopback(), where.port() ? where.port() : port});
        continue;
      }
      if (failed) continue;
      threads.emplace_back([this, connection = ++accepted, s = std::make_shared<tcp::socket>(std::move(socket))] {
        serve(std::move(*s), connection);
      });
    }
  }

  void stop() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
      for (const int each : open_sockets) ::shutdown(each, SHUT_RDWR);
      if (acceptor->is_open()) ::shutdown(acceptor->native_handle(), SHUT_RDWR);
    }
    wake.notify_all();
    accepting.join();
    for (auto& thread : threads) thread.join();
  }

  asio::io_context io;
  std::optional<tcp::acceptor> acceptor;
  std::uint16_t port = 0;
  const std::uint16_t upstream;
  const std::uint64_t seed;
  const std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::vector<armed> rules;
  std::map<std::string, int> attempts;
  std::vector<log_entry> entries;
  std::set<int> open_sockets;
  std::list<std::thread> threads;
  std::thread accepting;
  int accepted = 0;
  int closed_for = 0;
  bool is_closed = false;
  bool stopping = false;
};

fault_proxy::fault_proxy(std::uint16_t upstream, std::vector<rule> rules, std::uint64_t seed)
    : state_(std::make_shared<state>(upstream, std::move(rules), seed)) {
  state_->accepting = std::thread([it = state_.get()] { it->accept_all(); });
}

fault_proxy::~fault_proxy() { state_->stop(); }

std::uint16_t fault_proxy::port() const noexcept { return state_->port; }

std::vector<log_entry> fault_proxy::log() const {
  std::lock_guard lock(state_->mutex);
  return state_->entries;
}

int fault_proxy::connections() const {
  std::lock_guard lock(state_->mutex);
  return state_->accepted;
}

void fault_proxy::refuse_for(int ms) {
  {
    std::lock_guard lock(state_->mutex);
    for (const int each : state_->open_sockets) ::shutdown(each, SHUT_RDWR);
    if (ms > 0) state_->is_closed = false;
  }
  state_->close_port(ms);
  std::unique_lock lock(state_->mutex);
  state_->wake.wait(lock, [this] { return state_->is_closed || state_->stopping; });
}

void fault_proxy::set(std::vector<rule> rules) {
  std::lock_guard lock(state_->mutex);
  state_->rules.clear();
  for (auto& each : rules) state_->rules.push_back({std::move(each), 0, 0});
}

std::vector<rule> mixed(double rate) {
  std::vector<rule> all{
      {.id = "mixed-reset-acted", .what = fault::reset},
      {.id = "mixed-reset", .what = fault::reset, .deliver = false},
      {.id = "mixed-reset-body", .what = fault::reset_mid_body},
      {.id = "mixed-truncate", .what = fault::truncate},
      {.id = "mixed-garbage", .what = fault::garbage, .attempt = {1, 2}},  // a third one ends the operation (B05)
      {.id = "mixed-429",
       .what = fault::respond,
       .deliver = false,
       .status = 429,
       .headers = {{"Retry-After", "0.01"}}},
      {.id = "mixed-503", .what = fault::respond, .deliver = false, .status = 503, .body = "{\"detail\":\"busy\"}"},
      {.id = "mixed-503-acted", .what = fault::respond, .deliver = true, .status = 503},
      {.id = "mixed-twice", .what = fault::duplicate},
      {.id = "mixed-delay", .what = fault::delay, .ms = 5},
  };
  const double each = rate / static_cast<double>(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i].probability = each / (1 - static_cast<double>(i) * each);
  return all;
}

}  // namespace faults
