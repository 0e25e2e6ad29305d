// SPDX-License-Identifier: Apache-2.0
// One scripted session again and again, in which the k-th socket operation, or the k-th allocation, fails (R8, F08):
// no crash, no leak, no hang, no step executed twice, and every call ends in its result or in an exception.
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <new>

#include <dlfcn.h>
#include <sys/socket.h>

#include "scene.hpp"

// ---- what fails: calls of the client's threads only; the trainer lives in the same process ----

namespace {

std::atomic<long> operations_left{-1};   // socket operations until one fails; -1: none does
std::atomic<long> allocations_left{-1};  // …
std::atomic<long> operations_seen{0};
std::atomic<long> allocations_seen{0};
thread_local bool is_users_thread = false;  // of the scripted session

bool is_client_io() { return gradwire::detail::role_of_this_thread == gradwire::detail::thread_role::io; }

bool fails_now(std::atomic<long>& left, std::atomic<long>& seen) {
  ++seen;
  long now = left.load();
  while (now > 0 && !left.compare_exchange_weak(now, now - 1)) continue;
  return now == 1;
}

bool socket_fails(int with) {
  if (!is_client_io() || !fails_now(operations_left, operations_seen)) return false;
  errno = with;
  return true;
}

void* allocate(std::size_t size) {
  if (is_users_thread || gradwire::detail::role_of_this_thread != gradwire::detail::thread_role::user) {
    if (fails_now(allocations_left, allocations_seen)) throw std::bad_alloc();
  }
  void* const made = std::malloc(size ? size : 1);
  if (!made) throw std::bad_alloc();
  return made;
}

template <class F>
F real(const char* name) {
  return reinterpret_cast<F>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size ? size : 1); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size ? size : 1); }
void operator delete(void* made) noexcept { std::free(made); }
void operator delete[](void* made) noexcept { std::free(made); }
void operator delete(void* made, std::size_t) noexcept { std::free(made); }
void operator delete[](void* made, std::size_t) noexcept { std::free(made); }

extern "C" {

int socket(int domain, int type, int protocol) noexcept {
  static const auto next = real<int (*)(int, int, int)>("socket");
  return socket_fails(EMFILE) ? -1 : next(domain, type, protocol);
}
int connect(int fd, const sockaddr* to, socklen_t size) {
  static const auto next = real<int (*)(int, const sockaddr*, socklen_t)>("connect");
  return socket_fails(ECONNREFUSED) ? -1 : next(fd, to, size);
}
ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  static const auto next = real<ssize_t (*)(int, const void*, size_t, int)>("send");
  return socket_fails(EPIPE) ? -1 : next(fd, bytes, size, flags);
}
ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  static const auto next = real<ssize_t (*)(int, const msghdr*, int)>("sendmsg");
  return socket_fails(ECONNRESET) ? -1 : next(fd, message, flags);
}
ssize_t recv(int fd, void* bytes, size_t size, int flags) {
  static const auto next = real<ssize_t (*)(int, void*, size_t, int)>("recv");
  return socket_fails(ECONNRESET) ? -1 : next(fd, bytes, size, flags);
}
ssize_t recvmsg(int fd, msghdr* message, int flags) {
  static const auto next = real<ssize_t (*)(int, msghdr*, int)>("recvmsg");
  return socket_fails(ECONNRESET) ? -1 : next(fd, message, flags);
}

}  // extern "C"

using namespace faults;

namespace {

struct played {
  int calls = 0;       // that gave a future
  int results = 0;     // …
  int exceptions = 0;  // …
  bool hung = false;
  double slowest = 0;
  std::string unexpected;
};

template <class F>
void end_of(played& p, F& call) {
  ++p.calls;
  const auto begun = std::chrono::steady_clock::now();
  try {
    call.result(5s);
    ++p.results;
  } catch (const error& e) {
    ++p.exceptions;
    p.hung |=
        e.kind() == errc::timeout && std::string_view(e.what()).find("within the time given") != std::string::npos;
  } catch (const std::bad_alloc&) {
    ++p.exceptions;
  }
  p.slowest = std::max(p.slowest, std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
}

// create, two custom losses, two steps, save, load.
played session_of(loopback::server& server, const std::string& name) {
  static const auto data = small_batch();
  auto how = impatient();
  how.operation_timeout_seconds = 4;
  played p;
  is_users_thread = true;
  try {
    auto service = service_client::connect(server.endpoint(), how);
    auto creating = service.create_training_client({.base_model = server.model(), .lora_rank = 1, .seed = 1});
    auto trainer = std::move(creating).result(5s);
    auto first = trainer.forward_backward_custom(data, sft_nll{});
    auto first_step = trainer.optim_step();
    auto second = trainer.forward_backward_custom(data, sft_nll{});
    auto second_step = trainer.optim_step();
    auto saved = trainer.save_state(name);
    end_of(p, saved);
    end_of(p, first);
    end_of(p, second_step);
    end_of(p, second);
    end_of(p, first_step);
    auto loaded = trainer.load_state("tinker://" + trainer.model_id() + "/weights/" + name);
    end_of(p, loaded);
  } catch (const error& e) {
    p.hung |=
        e.kind() == errc::timeout && std::string_view(e.what()).find("within the time given") != std::string::npos;
  } catch (const std::bad_alloc&) {
  } catch (const std::exception& e) {
    p.unexpected = e.what();
  }
  is_users_thread = false;
  return p;
}

struct quiet {  // of lost errors: memory that ran out in a dropped future is told there
  lost_error_handler before = on_lost_error([](std::exception_ptr) {});
  ~quiet() { on_lost_error(before); }
};

long torture(std::atomic<long>& left, std::atomic<long>& seen, long stride, const char* what) {
  auto server = loopback::start({.no_op = true});
  const quiet no_noise;
  // Another client's call stands behind what a session has left: when it is done, so is that.
  auto other = service_client::connect(server.endpoint(), impatient());
  auto behind = other.create_training_client({.base_model = server.model(), .lora_rank = 1}).result();
  left = -1;
  session_of(server, "warm");
  seen = 0;
  session_of(server, "count");
  const long total = seen;
  long runs = 0, with_exceptions = 0;
  for (long k = 1; k <= total + total / 10; k += stride) {
    const auto before = server.executed();
    left = k;
    const played p = session_of(server, std::string("k") + std::to_string(k));
    left = -1;
    behind.forward(small_batch()).result();
    ++runs;
    with_exceptions += p.exceptions > 0 || p.calls < 6;
    BOOST_TEST(!p.hung, what << " " << k << " failed and a call never ended");
    BOOST_REQUIRE_MESSAGE(p.unexpected.empty(), what << " " << k << ": " << p.unexpected);
    BOOST_TEST(p.slowest < 4.5, what << " " << k << ": " << p.slowest << " s");
    const auto after = server.executed();
    BOOST_REQUIRE_MESSAGE(after.optim_step - before.optim_step <= 2, what << " " << k << ": a step was executed twice");
    BOOST_REQUIRE_MESSAGE(after.forward_backward - before.forward_backward <= 2,
                          what << " " << k << ": a pass was executed twice");
    BOOST_REQUIRE_MESSAGE(after.create_model - before.create_model <= 1, what << " " << k << ": two models");
  }
  std::cout << what << ": each of " << total << " (every " << stride << ".) made to fail, " << runs << " sessions, "
            << with_exceptions << " with an exception\n";
  return total;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(torture_)

BOOST_AUTO_TEST_CASE(every_socket_operation_fails_once) {
  BOOST_TEST(torture(operations_left, operations_seen, 1, "socket operations") > 30);
}

FAULT_CASE(F08_every_allocation_fails_once) {
  BOOST_TEST(torture(allocations_left, allocations_seen, is_long_run() ? 1 : 41, "allocations") > 500);
}

BOOST_AUTO_TEST_SUITE_END()
