// Machinery of RpcServer: a method of a protobuf service whose handler is a function of its own.
#pragma once

#include <fastrpc/call.hpp>
#include <fastrpc/detail/handler_scope.hpp>
#include <fastrpc/detail/message.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace fastrpc::detail {

// How a handler is called: with what beside the request, and what it returns.
template <typename F, typename Request, typename Response>
struct TypedHandler {
  static constexpr bool kPlain = std::is_invocable_v<F&, const Request&>;
  static constexpr bool kWithCall = std::is_invocable_v<F&, const Request&, Call&>;
  static constexpr bool kWithConnection = std::is_invocable_v<F&, const Request&, Connection>;

  static decltype(auto) run(F& handler, const Request& request, Call& call) {
    if constexpr (kWithCall) {
      return handler(request, call);
    } else if constexpr (kWithConnection) {
      return handler(request, call.connection());
    } else if constexpr (kPlain) {
      return handler(request);
    } else {
      return;
    }
  }

  using Returned =
      decltype(run(std::declval<F&>(), std::declval<const Request&>(), std::declval<Call&>()));
  static constexpr bool kTakesRequest = kPlain || kWithCall || kWithConnection;
  static constexpr bool kReturnsResponse = std::is_same_v<std::decay_t<Returned>, Response> ||
                                           std::is_same_v<std::decay_t<Returned>, Result<Response>>;
};

// A method: the user data of its function.
template <typename F, typename Request, typename Response>
struct TypedMethod {
  static void serve(void* user, fastrpc_call* handle) {
    auto& self = *static_cast<TypedMethod*>(user);
    HandlerScope scope(*self.running);
    Call call(handle);
    Request request;
    if (!parse(request, call.body())) {
      (void)call.fail(FASTRPC_CODE_EREQUEST, not_a(request, "request"), std::nothrow);
      return;
    }
    send(call, TypedHandler<F, Request, Response>::run(self.handler, request, call));
  }

  F handler;
  std::shared_ptr<RunningHandlers> running;

 private:
  static void send(Call& call, const Response& response) {
    // A handler that moved the call away answers by it.
    if (call.capi() != nullptr) (void)MessageReply::send(call, response);
  }
  static void send(Call& call, const Result<Response>& result) {
    if (result.ok()) return send(call, *result);
    const Error& error = result.error();
    // What went wrong with a call that the handler made says nothing about this one, unless a
    // service chose it.
    auto code = error.is_service_error() ? error.code() : FASTRPC_CODE_EINTERNAL;
    (void)call.fail(code, error.text(), std::nothrow);
  }
};

}  // namespace fastrpc::detail
