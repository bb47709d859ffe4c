// The client with protobuf: typed calls, and a google::protobuf::RpcChannel for generated stubs.
//
//   fastrpc::RpcClient client("127.0.0.1", 8997);
//   demo::Text answer = fastrpc::call(client, &demo::EchoService::Stub::Echo, request);
//
// Or by a stub, with a controller, and with a `done` that makes the call asynchronous:
//
//   demo::EchoService::Stub echo(&client);
//   fastrpc::CliController controller;
//   echo.Echo(&controller, &request, &answer, nullptr);
#pragma once

#include <google/protobuf/service.h>

#include <fastrpc/client.hpp>
#include <fastrpc/controller.hpp>
#include <fastrpc/detail/client_call.hpp>
#include <fastrpc/detail/original_client.hpp>
#include <fastrpc/detail/stub.hpp>

#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

namespace fastrpc {

// A Client that generated stubs can call. The names of 2016, such as RegiExtProcesser(), are in
// detail/original_client.hpp.
class RpcClient : public Client,
                  public google::protobuf::RpcChannel,
                  public detail::OriginalClient<RpcClient> {
 public:
  // As those of Client.
  RpcClient(const std::string& host, int port, const ClientOptions& options = {})
      : Client(host, port, options) {}
  explicit RpcClient(Client client) : Client(std::move(client)) {}

  // With `done` NULL, waits for the answer: suspends the coroutine or blocks the thread; what went
  // wrong is in the controller, or thrown if there is none. Otherwise returns at once, and `done`
  // runs in a coroutine, exactly once; controller and response must live until then. A response
  // whose call failed is empty. A controller that is no CliController gets SetFailed() alone.
  void CallMethod(const google::protobuf::MethodDescriptor* method,
                  google::protobuf::RpcController* controller,
                  const google::protobuf::Message* request, google::protobuf::Message* response,
                  google::protobuf::Closure* done) override {
    using Call = detail::ClientCall;
    if (done != nullptr) {
      auto call = std::make_unique<Call>(method, controller, request, response, done);
      return Call::start(capi(), std::move(call));
    }
    auto called = Call(method, controller, request, response, nullptr).run(capi());
    if (controller == nullptr) called.value();
  }
};

namespace detail {

// What a typed call returns, found without an error of its own where the call is wrong.
template <typename Method>
struct TypedResponse {
  using Type = std::nullptr_t;
};
template <typename S, typename Q, typename R>
struct TypedResponse<void (S::*)(google::protobuf::RpcController*, const Q*, R*,
                                 google::protobuf::Closure*)> {
  using Type = R;
};

}  // namespace detail

// Calls a method of a generated service, such as &demo::EchoService::Stub::Echo, and waits for the
// answer: suspends the coroutine or blocks the thread. Fails as Client::call() does, and with
// FASTRPC_EINVAL for a request that is not whole.
template <typename Method, typename Request,
          typename Returned = typename detail::TypedResponse<Method>::Type>
Result<Returned> call(const Client& client, Method method, const Request& request,
                      const CallOptions& options, std::nothrow_t) {
  using Types = detail::StubMethod<Method>;
  static_assert(Types::value,
                "fastrpc::call(client, &demo::EchoService::Stub::Echo, request): the second "
                "argument is a method of a generated stub");
  if constexpr (Types::value) {
    constexpr bool kFits = std::is_base_of_v<typename Types::Request, Request>;
    static_assert(kFits,
                  "fastrpc::call(client, &demo::EchoService::Stub::Echo, request): the request is "
                  "of the type that the method takes");
    if constexpr (kFits) {
      detail::TypedChannel channel(client.capi(), options);
      typename Types::Stub stub(&channel);
      Returned response;
      (stub.*method)(nullptr, &request, &response, nullptr);
      if (!channel.result()) return channel.result().error();
      return response;
    }
  }
  return Error(FASTRPC_EINVAL);
}
template <typename Method, typename Request,
          typename Returned = typename detail::TypedResponse<Method>::Type>
Result<Returned> call(const Client& client, Method method, const Request& request, std::nothrow_t) {
  return call(client, method, request, {}, std::nothrow);
}
template <typename Method, typename Request,
          typename Returned = typename detail::TypedResponse<Method>::Type>
Returned call(const Client& client, Method method, const Request& request,
              const CallOptions& options = {}) {
  return call(client, method, request, options, std::nothrow).value();
}

}  // namespace fastrpc
