// Machinery of Server: the handlers of calls, requests and closed connections, as the C ABI calls
// them.
#pragma once

#include <fastrpc/call.hpp>
#include <fastrpc/detail/handler_scope.hpp>
#include <fastrpc/http.hpp>

#include <cstdint>
#include <memory>
#include <type_traits>

namespace fastrpc::detail {

// A method on bytes: the user data of its function.
template <typename F>
struct BytesMethod {
  static_assert(std::is_invocable_v<F&, Call&>,
                "a method on bytes is void(fastrpc::Call& call): it answers by call.reply()");

  static void serve(void* user, fastrpc_call* handle) {
    auto& self = *static_cast<BytesMethod*>(user);
    HandlerScope scope(*self.running);
    Call call(handle);
    if constexpr (std::is_invocable_v<F&, Call&>) {
      static_assert(std::is_void_v<std::invoke_result_t<F&, Call&>>,
                    "a method on bytes returns nothing: it answers by call.reply(bytes)");
      self.handler(call);
    }
  }

  F handler;
  std::shared_ptr<RunningHandlers> running;
};

// An HTTP route: the user data of its function.
template <typename F>
struct HttpRoute {
  static_assert(std::is_invocable_v<F&, http::Request&, http::Response&>,
                "an HTTP handler is void(http::Request& request, http::Response& response)");

  static void serve(void* user, fastrpc_http_exchange* exchange) {
    auto& self = *static_cast<HttpRoute*>(user);
    HandlerScope scope(*self.running);
    http::Request request(exchange);
    http::Response response(exchange);
    if constexpr (std::is_invocable_v<F&, http::Request&, http::Response&>) {
      using Returned = std::invoke_result_t<F&, http::Request&, http::Response&>;
      static_assert(std::is_void_v<Returned>,
                    "an HTTP handler returns nothing: set a status by response.status(404)");
      self.handler(request, response);
    }
  }

  F handler;
  std::shared_ptr<RunningHandlers> running;
};

// A handler of closed connections: the user data of its function.
template <typename F>
struct OnClose {
  static_assert(std::is_invocable_v<F&, std::uint64_t>,
                "a handler of closed connections is void(std::uint64_t connection)");

  static void run(void* user, std::uint64_t connection) {
    auto& self = *static_cast<OnClose*>(user);
    HandlerScope scope(*self.running);
    if constexpr (std::is_invocable_v<F&, std::uint64_t>) self.handler(connection);
  }

  F handler;
  std::shared_ptr<RunningHandlers> running;
};

}  // namespace fastrpc::detail
