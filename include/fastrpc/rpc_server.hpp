// The RPC server: protobuf services, and handlers for plain bytes.
//
//   fastrpc::RpcServer server("0.0.0.0", 8997);
//   EchoService echo;
//   server.RegiService(&echo);
//   server.start();
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/service.h>

#include <fastrpc/controller.hpp>
#include <fastrpc/detail/message.hpp>
#include <fastrpc/detail/outcome.hpp>
#include <fastrpc/runtime.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace fastrpc {

namespace detail {

// A call of a protobuf service: the messages, the controller, and the `done` that answers.
class ServerCall final : public google::protobuf::Closure {
 public:
  // Runs the method. Takes `call` over. What the method throws becomes the answer.
  static void serve(google::protobuf::Service* service,
                    const google::protobuf::MethodDescriptor* method, fastrpc_call* call) {
    auto* self = new ServerCall(service, method, call);
    std::size_t size = 0;
    const std::uint8_t* bytes = fastrpc_call_request(call, &size);
    if (!self->request_->ParseFromArray(bytes, static_cast<int>(size))) {
      self->controller_.SetFailed(kBadRequest,
                                  "the body is no " + method->input_type()->full_name());
      return self->Run();
    }
    self->run(service, method);
  }

  // Answers and frees itself: `done->Run()`. From any thread, now or later, exactly once; without
  // it the client waits for its timeout.
  void Run() override {
    std::unique_ptr<ServerCall> self(this);
    answer();
    if (auto* callback = std::exchange(controller_.on_end_, nullptr)) callback->Run();
  }

 private:
  ServerCall(google::protobuf::Service* service, const google::protobuf::MethodDescriptor* method,
             fastrpc_call* call)
      : controller_(call),
        request_(service->GetRequestPrototype(method).New()),
        response_(service->GetResponsePrototype(method).New()) {}

  void run(google::protobuf::Service* service, const google::protobuf::MethodDescriptor* method) {
#if FASTRPC_HAS_EXCEPTIONS
    try {
      service->CallMethod(method, &controller_, request_.get(), response_.get(), this);
#ifdef __GLIBCXX__
    } catch (const abi::__forced_unwind&) {
      throw;
#endif
    } catch (...) {
      // The method has thrown, so that nobody else will run `done`.
      controller_.SetFailed(kInternal, describe(std::current_exception()));
      fastrpc::log(FASTRPC_LOG_ERROR,
                   "an exception left " + method->full_name() + ": " + controller_.ErrorText());
      Run();
    }
#else
    service->CallMethod(method, &controller_, request_.get(), response_.get(), this);
#endif
  }

  void answer() {
    fastrpc_call* call = controller_.call_;
    if (controller_.Failed()) {
      std::string text = controller_.ErrorText();
      fastrpc_call_fail(call, controller_.ErrorCode(), text.data(), text.size());
      return;
    }
    if (!response_->IsInitialized()) {
      std::string text = "the response lacks " + response_->InitializationErrorString();
      fastrpc_call_fail(call, kInternal, text.data(), text.size());
      return;
    }
    fastrpc_reply reply;
    fastrpc_reply_init(&reply, sizeof reply);
    // Its size first: SerializeWithCachedSizes relies on it.
    reply.body_size = response_->ByteSizeLong();
    reply.fill = fill_message;
    reply.fill_user = response_.get();
    const std::string& attachment = controller_.response_attachment();
    reply.attachment = reinterpret_cast<const std::uint8_t*>(attachment.data());
    reply.attachment_size = attachment.size();
    reply.compress = controller_.compress_;
    fastrpc_call_reply_with(call, &reply, nullptr);
  }

  Controller controller_;
  std::unique_ptr<google::protobuf::Message> request_;
  std::unique_ptr<google::protobuf::Message> response_;
};

}  // namespace detail

// The bounds of a server; 0 keeps the library's default.
struct ServerOptions {
  // Bytes of the largest request.
  std::size_t max_frame = 0;
  // Connections open at once.
  std::size_t max_connections = 0;
  // Unanswered calls of a connection, beyond which it is not read for a while.
  std::size_t max_in_flight = 0;
  // Bytes of answers that a connection may leave untaken.
  std::size_t max_unsent = 0;
};

// A server. Each call runs in a coroutine of its own. Destroying it stops it at once. Its functions
// may be called by any thread; services are to be added before it listens.
class RpcServer {
 public:
  // `host`: an address or a name, "" for every address of this machine, or "unix:/path"; `port`: 0
  // takes a free one, see port(). Nothing is bound before listen() or start().
  RpcServer(const std::string& host, int port, const ServerOptions& options = {})
      : address_(detail::address_of(host, port)) {
    fastrpc_server_options c;
    fastrpc_server_options_init(&c, sizeof c);
    if (options.max_frame != 0) c.max_frame = options.max_frame;
    if (options.max_connections != 0) c.max_connections = options.max_connections;
    if (options.max_in_flight != 0) c.max_in_flight = options.max_in_flight;
    if (options.max_unsent != 0) c.max_unsent = options.max_unsent;
    fastrpc_server* server = nullptr;
    detail::ErrorSlot error;
    auto made = error.check(fastrpc_server_new(&c, &server, error.out()));
    handle_.reset(server);
    made.value();
  }

  // Adds a service, which must outlive the server. Throws if it is there already.
  void add_service(google::protobuf::Service& service) {
    const auto* descriptor = service.GetDescriptor();
    for (int i = 0; i < descriptor->method_count(); ++i)
      add_method(&service, descriptor->method(i)).value();
  }
  // Adds a service and keeps it.
  void add_service(std::shared_ptr<google::protobuf::Service> service) {
    add_service(*service);
    kept_.push_back(std::move(service));
  }
  // The original's spelling; false if it is NULL or there already.
  bool RegiService(google::protobuf::Service* service) {
    if (service == nullptr) return false;
    const auto* descriptor = service->GetDescriptor();
    bool added = true;
    for (int i = 0; i < descriptor->method_count(); ++i)
      added &= add_method(service, descriptor->method(i)).ok();
    return added;
  }

  // Binds and serves in the background.
  Result<void> listen(std::nothrow_t) {
    detail::ErrorSlot error;
    return error.check(
        fastrpc_server_listen(handle_.get(), address_.data(), address_.size(), error.out()));
  }
  void listen() { listen(std::nothrow).value(); }

  // The original's spelling: binds and serves until stop(). False, with a record in the log, if it
  // cannot listen.
  bool start() {
    if (auto bound = listen(std::nothrow); !bound) {
      fastrpc::log(FASTRPC_LOG_ERROR, "cannot listen on " + address_ + ": " + bound.error().text());
      return false;
    }
    wait();
    return true;
  }

  // Waits until the server has been stopped.
  void wait() { detail::check(fastrpc_server_wait(handle_.get())).value(); }

  // Binds unless it listens already, and serves until SIGINT or SIGTERM; then lets the calls in
  // flight end, for at most `grace`. Gives the signal, 0 if the server was stopped otherwise.
  template <typename Rep, typename Period>
  int run_until_signal(std::chrono::duration<Rep, Period> grace) {
    if (fastrpc_server_address(handle_.get(), nullptr, 0) == 0) listen();
    std::int32_t signal = 0;
    detail::ErrorSlot error;
    error
        .check(fastrpc_server_run_until_signal(handle_.get(), detail::nanoseconds(grace), &signal,
                                               error.out()))
        .value();
    return signal;
  }
  int run_until_signal() { return run_until_signal(std::chrono::seconds(10)); }

  // Stops for good; calls in flight have `grace` to end, and fail with number 2003 after it.
  template <typename Rep, typename Period>
  void stop(std::chrono::duration<Rep, Period> grace) {
    detail::check(fastrpc_server_stop(handle_.get(), detail::nanoseconds(grace))).value();
  }
  void stop() { stop(std::chrono::seconds(10)); }

  // The port it listens on; 0 before listen() and for a Unix socket.
  [[nodiscard]] int port() const { return fastrpc_server_port(handle_.get()); }
  // The address it listens on.
  [[nodiscard]] std::string address() const {
    return detail::copied_text([this](char* buffer, std::size_t size) {
      return fastrpc_server_address(handle_.get(), buffer, size);
    });
  }
  // What it has done, and is doing.
  [[nodiscard]] fastrpc_server_stats stats() const {
    fastrpc_server_stats stats;
    stats.size = sizeof stats;
    detail::check(fastrpc_server_stats_get(handle_.get(), &stats)).value();
    return stats;
  }

 private:
  struct Method {
    google::protobuf::Service* service;
    const google::protobuf::MethodDescriptor* method;
  };

  Result<void> add_method(google::protobuf::Service* service,
                          const google::protobuf::MethodDescriptor* method) {
    auto serve = [](void* user, fastrpc_call* call) {
      auto* m = static_cast<Method*>(user);
      detail::ServerCall::serve(m->service, m->method, call);
    };
    const std::string& owner = method->service()->full_name();
    const std::string& name = method->name();
    detail::ErrorSlot error;
    return error.check(fastrpc_server_add_method(
        handle_.get(), owner.data(), owner.size(), name.data(), name.size(), serve,
        new Method{service, method}, detail::delete_user<Method>, error.out()));
  }

  std::string address_;
  // Before the handle: the services outlive the server.
  std::vector<std::shared_ptr<google::protobuf::Service>> kept_;
  detail::Handle<fastrpc_server, fastrpc_server_free> handle_;
};

}  // namespace fastrpc
