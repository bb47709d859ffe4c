// The RPC client: a google::protobuf::RpcChannel.
//
//   fastrpc::RpcClient client("127.0.0.1", 8997);
//   EchoService::Stub echo(&client);
//   fastrpc::CliController controller;
//   echo.Echo(&controller, &request, &response, nullptr);
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/service.h>

#include <fastrpc/controller.hpp>
#include <fastrpc/coroutine.hpp>
#include <fastrpc/detail/message.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace fastrpc {

namespace detail {

inline CliController* to_cli(google::protobuf::RpcController* controller) {
#if defined(__GXX_RTTI) || defined(__cpp_rtti)
  return dynamic_cast<CliController*>(controller);
#else
  return static_cast<CliController*>(controller);  // Without RTTI no other kind can be told.
#endif
}

// A protobuf call on its way: turns what the C ABI gives into messages and controllers.
class ClientCall {
 public:
  ClientCall(const google::protobuf::MethodDescriptor* method,
             google::protobuf::RpcController* controller, const google::protobuf::Message* request,
             google::protobuf::Message* response, google::protobuf::Closure* done)
      : method_(method),
        base_(controller),
        controller_(to_cli(controller)),
        request_(request),
        response_(response),
        done_(done) {}

  // Waits for the answer. What went wrong is in the controller, and in the result.
  Result<void> run(fastrpc_client* client) {
    auto called = begin();
    if (called) called = wait(client);
    if (!called) fail(called.error());
    if (controller_ != nullptr) controller_->cancellation_.end();
    return called;
  }

  // Returns at once; `done` runs in a coroutine.
  static void start(fastrpc_client* client, std::unique_ptr<ClientCall> call) {
    auto begun = call->begin();
    if (!begun) return fail_later(std::move(call), begun.error());
    auto options = call->options();
    auto names = call->names();
    ErrorSlot error;
    // Owned by `ended`, which runs if and only if this succeeds.
    auto* user = call.release();
    auto called = error.check(
        fastrpc_client_call_async(client, names.service.data(), names.service.size(),
                                  names.method.data(), names.method.size(), nullptr, user->size_,
                                  &options, ended, user, nullptr, nullptr, error.out()));
    if (!called) fail_later(std::unique_ptr<ClientCall>(user), called.error());
  }

 private:
  struct Names {
    std::string_view service;
    std::string_view method;
  };

  // The last act of an asynchronous call. The response and the error are its own.
  static void ended(void* user, fastrpc_response* response, fastrpc_error* error) {
    std::unique_ptr<ClientCall> call(static_cast<ClientCall*>(user));
    if (error != nullptr) {
      call->fail(ErrorSlot::take(fastrpc_error_status(error), error));
    } else if (auto taken = call->take(response); !taken) {
      call->fail(taken.error());
    }
    call->end();
  }

  // For a call that was not sent: ends it in a coroutine, as others end.
  static void fail_later(std::shared_ptr<ClientCall> call, const Error& error) {
    auto end = [call, error] {
      call->fail(error);
      call->end();
    };
    if (!spawn_detached({}, end, std::nothrow)) end();
  }

  // Whether there is a call to make: the request is whole.
  Result<void> begin() {
    if (controller_ != nullptr) {
      controller_->clear_error();
      controller_->status_ = FASTRPC_OK;
    }
    if (!request_->IsInitialized())
      return Error(FASTRPC_EINVAL, kBadRequest,
                   "the request lacks " + request_->InitializationErrorString());
    // Asked for just before the message is written, which relies on it.
    size_ = request_->ByteSizeLong();
    if (size_ > kMaxMessage) return Error(FASTRPC_EINVAL, kBadRequest, "the request is too large");
    return {};
  }

  Result<void> wait(fastrpc_client* client) {
    auto options = this->options();
    auto names = this->names();
    fastrpc_response* response = nullptr;
    ErrorSlot error;
    auto called = error.check(
        fastrpc_client_call(client, names.service.data(), names.service.size(), names.method.data(),
                            names.method.size(), nullptr, size_, &options, &response, error.out()));
    return called ? take(response) : called;
  }

  // The call's options, which point into the controller and the request.
  [[nodiscard]] fastrpc_call_options options() const {
    fastrpc_call_options c;
    fastrpc_call_options_init(&c, sizeof c);
    c.fill = fill_message;
    c.fill_user = const_cast<google::protobuf::Message*>(request_);
    if (controller_ == nullptr) return c;
    c.timeout = controller_->timeout_;
    c.log_id = controller_->log_id_;
    c.compress = controller_->compress_;
    c.request_id = controller_->request_id_.data();
    c.request_id_size = controller_->request_id_.size();
    const std::string& attachment = controller_->request_attachment_;
    c.attachment = reinterpret_cast<const std::uint8_t*>(attachment.data());
    c.attachment_size = attachment.size();
    c.cancellation = controller_->cancellation_.get();
    return c;
  }

  [[nodiscard]] Names names() const {
    return {name_of(method_->service()->full_name()), name_of(method_->name())};
  }

  Result<void> take(fastrpc_response* answer) {
    Handle<fastrpc_response, fastrpc_response_free> owner(answer);
    std::size_t size = 0;
    const std::uint8_t* body = fastrpc_response_body(answer, &size);
    if (!parse(*response_, body, size)) {
      auto type = name_of(method_->output_type()->full_name());
      return Error(FASTRPC_EIO, kBadResponse, "the answer is no " + std::string(type));
    }
    if (controller_ == nullptr) return {};
    const void* attachment = fastrpc_response_attachment(answer, &size);
    controller_->response_attachment_.assign(view(attachment, size));
    controller_->remote_side_ = copied_text([answer](char* buffer, std::size_t length) {
      return fastrpc_response_peer(answer, buffer, length);
    });
    return {};
  }

  void fail(const Error& error) {
    response_->Clear();
    if (controller_ != nullptr) {
      controller_->status_ = static_cast<fastrpc_status>(error.status());
      controller_->SetFailed(error.code(), error.text());
    } else if (base_ != nullptr) {
      base_->SetFailed(error.text());
    } else if (done_ != nullptr) {
      log(FASTRPC_LOG_WARN, "a call without a controller failed: " + error.text());
    }
  }

  // The controller may be gone once `done` has run.
  void end() {
    if (controller_ != nullptr) controller_->cancellation_.end();
    done_->Run();
  }

  const google::protobuf::MethodDescriptor* method_;
  google::protobuf::RpcController* base_;
  CliController* controller_;
  const google::protobuf::Message* request_;
  google::protobuf::Message* response_;
  google::protobuf::Closure* done_;
  std::size_t size_ = 0;
};

}  // namespace detail

// What a client speaks. Servers speak all of them, on each port.
enum class Protocol {
  // The protocol of brpc.
  baidu_std = FASTRPC_PROTOCOL_BAIDU_STD,
  // The HTTP-like frames of the original fastrpc. They carry no attachments, log ids or
  // compression, and an old server answers no call that fails: it runs out of time.
  original = FASTRPC_PROTOCOL_ORIGINAL,
};

struct ClientOptions {
  // How long a call may take that does not say.
  std::chrono::nanoseconds timeout = std::chrono::seconds(10);
  // How long one attempt to connect may take.
  std::chrono::nanoseconds connect_timeout = std::chrono::seconds(3);
  Protocol protocol = Protocol::baidu_std;
  // Pushed messages, and bytes of them, that may wait for their handler; what comes beyond is
  // dropped.
  std::size_t max_pushes = 10000;
  std::size_t max_push_bytes = std::size_t{64} << 20;
};

// One connection to a server, with any number of calls in flight. It connects at the first call
// and again whenever the connection broke; the calls in flight then fail at once. Any thread and
// any coroutine may call; destroying it ends the calls in flight, and must not race with a call.
class RpcClient : public google::protobuf::RpcChannel {
 public:
  // `host`: an address or a name, or "unix:/path". `time_out`: milliseconds a call may take.
  RpcClient(const std::string& host, int port, int time_out = 10000)
      : RpcClient(host, port, with_timeout(std::chrono::milliseconds(time_out))) {}
  RpcClient(const std::string& host, int port, const ClientOptions& options) {
    fastrpc_client_options c;
    fastrpc_client_options_init(&c, sizeof c);
    c.timeout = detail::nanoseconds(options.timeout);
    c.connect_timeout = detail::nanoseconds(options.connect_timeout);
    c.protocol = static_cast<std::int32_t>(options.protocol);
    c.max_pushes = options.max_pushes;
    c.max_push_bytes = options.max_push_bytes;
    std::string address = detail::address_of(host, port);
    fastrpc_client* client = nullptr;
    detail::ErrorSlot error;
    auto made =
        error.check(fastrpc_client_new(address.data(), address.size(), &c, &client, error.out()));
    handle_.reset(client);
    made.value();
  }

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
      return Call::start(handle_.get(), std::move(call));
    }
    auto called = Call(method, controller, request, response, nullptr).run(handle_.get());
    if (controller == nullptr) called.value();
  }

  // Runs `handler(name, body)` with the type and the bytes of each message that the server pushes,
  // two string views, in the order in which they came, one after the other, in a coroutine. A
  // server that speaks baidu_std learns by the next call that pushes are taken. Replaces the
  // handler before. An exception that leaves it is logged. One that runs when the client is
  // destroyed goes on to its end: what it uses must live on.
  template <typename F>
  void on_push(F handler) {
    auto run = [](void* user, const char* name, std::size_t name_size, const std::uint8_t* body,
                  std::size_t body_size) {
      (*static_cast<F*>(user))(std::string_view(name, name_size), detail::view(body, body_size));
    };
    detail::ErrorSlot error;
    auto set = error.check(fastrpc_client_on_push(handle_.get(), run, new F(std::move(handler)),
                                                  detail::delete_user<F>, error.out()));
    set.value();
  }

  // Runs `handler(error)` each time that a connection, once made, is lost, in a coroutine: after
  // the calls in flight have failed, and in turn with the handler of pushes. Closing or destroying
  // the client is no loss. Replaces the handler before. An exception that leaves it is logged.
  template <typename F>
  void on_close(F handler) {
    auto run = [](void* user, fastrpc_error* error) {
      const Error why = detail::ErrorSlot::take(fastrpc_error_status(error), error);
      (*static_cast<F*>(user))(why);
    };
    detail::ErrorSlot error;
    auto set = error.check(fastrpc_client_on_close(handle_.get(), run, new F(std::move(handler)),
                                                   detail::delete_user<F>, error.out()));
    set.value();
  }

  // The original's spellings; false if the function is NULL.
  using ext_process = void(std::string mes_name, std::string data, void* param);
  bool RegiExtProcesser(ext_process* process, void* param) {
    if (process == nullptr) return false;
    on_push([process, param](std::string_view name, std::string_view body) {
      process(std::string(name), std::string(body), param);
    });
    return true;
  }
  using event_handler = void(void* param);
  bool RegiCloseHandler(event_handler* handler, void* param) {
    if (handler == nullptr) return false;
    on_close([handler, param](const Error&) { handler(param); });
    return true;
  }

  // Connects now, if it is not connected.
  template <typename Rep, typename Period>
  Result<void> connect(std::chrono::duration<Rep, Period> time, std::nothrow_t) {
    detail::ErrorSlot error;
    return error.check(
        fastrpc_client_connect(handle_.get(), detail::nanoseconds(time), error.out()));
  }

  // Whether there is a connection at this moment.
  [[nodiscard]] bool IsConnected() const { return fastrpc_client_is_connected(handle_.get()); }

  // Ends it for good: calls in flight fail.
  void close() { fastrpc_client_close(handle_.get()); }

 private:
  static ClientOptions with_timeout(std::chrono::nanoseconds timeout) {
    ClientOptions options;
    options.timeout = timeout;
    return options;
  }

  detail::Handle<fastrpc_client, fastrpc_client_free> handle_;
};

}  // namespace fastrpc
