// SPDX-License-Identifier: Apache-2.0
// Awaits a gradwire::future with any Asio completion token:
//
//   auto step = co_await trainer.forward_backward(data, cross_entropy{}).async_wait(asio::use_awaitable);
//   std::move(f).async_wait([](std::exception_ptr failed, step s) { … });
#pragma once

#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <gradwire/transport/future.hpp>

namespace gradwire::inline v0 {

template <class T>
template <class CompletionToken>
auto future<T>::async_wait(CompletionToken&& token) && {
  static_assert(std::is_default_constructible_v<T>, "gradwire: a value that is awaited needs a default constructor");
  return boost::asio::async_initiate<CompletionToken, void(std::exception_ptr, T)>(
      [](auto handler, future<T> from) {
        // The handler is movable only; a continuation must be copyable, so it is shared.
        using handler_type = decltype(handler);
        auto executor = boost::asio::get_associated_executor(handler);
        using work_type = decltype(boost::asio::make_work_guard(executor));
        struct waiting_handler {
          handler_type handler;
          work_type work;
        };
        auto waiting = std::make_shared<waiting_handler>(
            waiting_handler{std::move(handler), boost::asio::make_work_guard(executor)});
        detail::future_access<T>::then(std::move(from), [waiting](std::exception_ptr failed, T* value) {
          auto where = waiting->work.get_executor();
          boost::asio::post(where, [waiting, failed, v = value ? std::move(*value) : T()]() mutable {
            auto last = std::move(waiting->handler);
            waiting->work.reset();
            std::move(last)(failed, std::move(v));
          });
        });
      },
      token, std::move(*this));
}

}  // namespace gradwire::inline v0
