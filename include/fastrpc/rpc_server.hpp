// The server with protobuf: a Server whose methods are functions of messages, or the methods of
// generated services.
//
//   fastrpc::RpcServer server("0.0.0.0", 8997);
//   server.add_method(&demo::EchoService::Echo, [](const demo::Text& request) { return request; });
//   server.run_until_signal();
//
// A generated service (`cc_generic_services`) is added as a whole by add_service(). It answers by
// done->Run(), exactly once, from any thread or coroutine, before its method returns or later:
// - Run again, `done` writes an error to the log and does nothing: as long as the method runs, and
//   then until 1,024 more calls have ended. After that it is a use after free.
// - Never run, the call stays open and in flight: the client waits for its timeout, and what the
//   call holds is never freed.
// - Run after the connection or the server has gone, it frees what the call holds.
// - An exception that leaves the method becomes an error answer with its what(), code 2001, unless
//   the call was answered before; `done` must not be run any more then. A guard that runs `done`
//   while the exception passes does no harm: the exception is the answer.
#pragma once

#include <google/protobuf/service.h>

#include <fastrpc/controller.hpp>
#include <fastrpc/detail/original_server.hpp>
#include <fastrpc/detail/server_call.hpp>
#include <fastrpc/detail/stub.hpp>
#include <fastrpc/detail/typed_method.hpp>
#include <fastrpc/server.hpp>

#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

namespace fastrpc {

// A Server with protobuf methods and services. The names of 2016, such as RegiService() and
// start(), are in detail/original_server.hpp.
class RpcServer : public Server, public detail::OriginalServer<RpcServer> {
 public:
  // As those of Server.
  RpcServer(const std::string& host, int port, const ServerOptions& options = {})
      : RpcServer(Server(host, port, options)) {}
  static Result<RpcServer> make(const std::string& host, int port, const ServerOptions& options,
                                std::nothrow_t) {
    return from(Server::make(host, port, options, std::nothrow));
  }
  static RpcServer from_socket(int fd, const ServerOptions& options = {}) {
    return RpcServer(Server::from_socket(fd, options));
  }
  static Result<RpcServer> from_socket(int fd, const ServerOptions& options, std::nothrow_t) {
    return from(Server::from_socket(fd, options, std::nothrow));
  }

  // Adds a method of a generated service, such as &demo::EchoService::Echo: `handler(request)`
  // returns the response, or a Result of it. It may take a `fastrpc::Call&` as a second parameter,
  // for what the call says beside its request, or a `fastrpc::Connection`. Fails if there is such a
  // method.
  template <typename Method, typename F>
  std::enable_if_t<std::is_member_function_pointer_v<Method>> add_method(Method method, F handler) {
    add_method(method, std::move(handler), std::nothrow).value();
  }
  template <typename Method, typename F>
  std::enable_if_t<std::is_member_function_pointer_v<Method>, Result<void>> add_method(
      Method method, F handler, std::nothrow_t) {
    using Types = detail::StubMethod<Method>;
    static_assert(Types::value,
                  "add_method(&demo::EchoService::Echo, handler): the first argument is a method "
                  "of a generated service");
    if constexpr (Types::value) {
      using Request = typename Types::Request;
      using Response = typename Types::Response;
      using Handler = detail::TypedHandler<F, Request, Response>;
      static_assert(Handler::kTakesRequest && Handler::kReturnsResponse,
                    "the handler of a method is Response(const Request&) or Result<Response>(const "
                    "Request&), with the types of the method; it may take a fastrpc::Call& or a "
                    "fastrpc::Connection as a second parameter");
      if constexpr (Handler::kTakesRequest && Handler::kReturnsResponse) {
        using Typed = detail::TypedMethod<F, Request, Response>;
        const auto* descriptor = detail::descriptor_of(method);
        return Server::add_method(detail::name_of(descriptor->service()->full_name()),
                                  detail::name_of(descriptor->name()), Typed::serve,
                                  std::unique_ptr<Typed>(new Typed{std::move(handler), running()}));
      }
    }
    return {};
  }
  using Server::add_method;

  // Adds a service, which must outlive the server. Fails if it is there already.
  void add_service(google::protobuf::Service& service) {
    add_service(service, std::nothrow).value();
  }
  Result<void> add_service(google::protobuf::Service& service, std::nothrow_t) {
    return add_service({std::shared_ptr<void>(), &service}, std::nothrow);
  }
  // Adds a service and keeps it, until its last call has ended.
  void add_service(std::shared_ptr<google::protobuf::Service> service) {
    add_service(std::move(service), std::nothrow).value();
  }
  Result<void> add_service(std::shared_ptr<google::protobuf::Service> service, std::nothrow_t) {
    if (service == nullptr) return Error(FASTRPC_EINVAL);
    const auto* descriptor = service->GetDescriptor();
    for (int i = 0; i < descriptor->method_count(); ++i) {
      auto added = Server::add_method(detail::name_of(descriptor->full_name()),
                                      detail::name_of(descriptor->method(i)->name()),
                                      detail::ServerCall::serve,
                                      std::make_unique<detail::ServiceMethod>(
                                          service, descriptor->method(i), running(), svr()));
      if (!added) return added;
    }
    return {};
  }

 private:
  friend class detail::OriginalServer<RpcServer>;

  explicit RpcServer(Server server) : Server(std::move(server)) {
    observe(watch(*this, has_given_socket() ? std::string() : requested_address()));
  }
  static Result<RpcServer> from(Result<Server> made) {
    if (!made) return made.error();
    return RpcServer(std::move(made).value());
  }
};

}  // namespace fastrpc
