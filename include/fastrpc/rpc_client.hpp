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
#include <fastrpc/detail/message.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace fastrpc {

namespace detail {

// A protobuf call on its way: turns what the C ABI gives into messages and controllers.
class ClientCall {
 public:
  ClientCall(const google::protobuf::MethodDescriptor* method,
             google::protobuf::RpcController* controller, google::protobuf::Message* response)
      : method_(method),
        base_(controller),
        controller_(dynamic_cast<CliController*>(controller)),
        response_(response) {}

  // The call's options, which point into the controller and the request.
  fastrpc_call_options options(const google::protobuf::Message& request) const {
    fastrpc_call_options c;
    fastrpc_call_options_init(&c, sizeof c);
    c.fill = fill_message;
    c.fill_user = const_cast<google::protobuf::Message*>(&request);
    if (controller_ == nullptr) return c;
    c.timeout = controller_->timeout_;
    c.log_id = controller_->log_id_;
    c.compress = controller_->compress_;
    c.request_id = controller_->request_id_.data();
    c.request_id_size = controller_->request_id_.size();
    const std::string& attachment = controller_->request_attachment_;
    c.attachment = reinterpret_cast<const std::uint8_t*>(attachment.data());
    c.attachment_size = attachment.size();
    return c;
  }

  // Whether there is a call to make: the request is whole, and nobody has cancelled.
  bool begin(const google::protobuf::Message& request) {
    if (controller_ != nullptr) {
      controller_->clear_error();
      controller_->status_ = FASTRPC_OK;
      if (controller_->canceled_) return fail(Error(FASTRPC_ECANCELED)), false;
    }
    if (request.IsInitialized()) return true;
    fail({FASTRPC_EINVAL, kBadRequest, "the request lacks " + request.InitializationErrorString()});
    return false;
  }

  void succeed(const fastrpc_response* answer) {
    std::size_t size = 0;
    const std::uint8_t* body = fastrpc_response_body(answer, &size);
    if (!response_->ParseFromArray(body, static_cast<int>(size)))
      return fail(
          {FASTRPC_EIO, kBadResponse, "the answer is no " + method_->output_type()->full_name()});
    if (controller_ == nullptr) return;
    const void* attachment = fastrpc_response_attachment(answer, &size);
    controller_->response_attachment_.assign(view(attachment, size));
    controller_->remote_side_ = copied_text([answer](char* buffer, std::size_t length) {
      return fastrpc_response_peer(answer, buffer, length);
    });
  }

  void fail(const Error& error) {
    if (controller_ != nullptr) {
      controller_->status_ = error.status();
      controller_->SetFailed(error.code(), error.text());
    } else if (base_ != nullptr) {
      base_->SetFailed(error.text());
    }
  }

  // The last act of a call.
  void end() {
    if (controller_ == nullptr) return;
    if (auto* callback = std::exchange(controller_->on_end_, nullptr)) callback->Run();
  }

  // Without a controller a synchronous call has no other way to tell.
  [[nodiscard]] bool has_controller() const { return base_ != nullptr; }

 private:
  const google::protobuf::MethodDescriptor* method_;
  google::protobuf::RpcController* base_;
  CliController* controller_;
  google::protobuf::Message* response_;
};

}  // namespace detail

struct ClientOptions {
  // How long a call may take that does not say.
  std::chrono::nanoseconds timeout = std::chrono::seconds(10);
  // How long one attempt to connect may take.
  std::chrono::nanoseconds connect_timeout = std::chrono::seconds(3);
};

// One connection to a server, with any number of calls in flight. It connects at the first call
// and again whenever the connection broke; the calls in flight then fail at once. Any thread and
// any coroutine may call; destroying it ends the calls in flight, and must not race with a call.
class RpcClient : public google::protobuf::RpcChannel {
 public:
  // `host`: an address or a name, or "unix:/path". `time_out`: milliseconds a call may take.
  RpcClient(const std::string& host, int port, int time_out = 10000)
      : RpcClient(host, port, ClientOptions{std::chrono::milliseconds(time_out)}) {}
  RpcClient(const std::string& host, int port, const ClientOptions& options) {
    fastrpc_client_options c;
    fastrpc_client_options_init(&c, sizeof c);
    c.timeout = detail::nanoseconds(options.timeout);
    c.connect_timeout = detail::nanoseconds(options.connect_timeout);
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
  // runs in a coroutine, exactly once; controller and response must live until then.
  void CallMethod(const google::protobuf::MethodDescriptor* method,
                  google::protobuf::RpcController* controller,
                  const google::protobuf::Message* request, google::protobuf::Message* response,
                  google::protobuf::Closure* done) override {
    detail::ClientCall call(method, controller, response);
    if (done != nullptr) return call_async(call, *method, *request, done);
    Result<void> result;
    if (call.begin(*request)) result = call_sync(call, *method, *request);
    call.end();
    if (!call.has_controller()) result.value();
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
  struct Async {
    detail::ClientCall call;
    google::protobuf::Closure* done;

    static void run(void* user, fastrpc_response* response, fastrpc_error* error) {
      auto* self = static_cast<Async*>(user);
      detail::Handle<fastrpc_response, fastrpc_response_free> answer(response);
      if (error != nullptr) {
        self->call.fail(detail::ErrorSlot::take(fastrpc_error_status(error), error));
      } else {
        self->call.succeed(response);
      }
      answer.reset();
      self->call.end();
      self->done->Run();
    }
  };

  Result<void> call_sync(detail::ClientCall& call, const google::protobuf::MethodDescriptor& method,
                         const google::protobuf::Message& request) {
    const std::string& service = method.service()->full_name();
    fastrpc_call_options options = call.options(request);
    fastrpc_response* response = nullptr;
    detail::ErrorSlot error;
    auto called = error.check(fastrpc_client_call(
        handle_.get(), service.data(), service.size(), method.name().data(), method.name().size(),
        nullptr, request.ByteSizeLong(), &options, &response, error.out()));
    detail::Handle<fastrpc_response, fastrpc_response_free> answer(response);
    called ? call.succeed(response) : call.fail(called.error());
    return called;
  }

  void call_async(detail::ClientCall& call, const google::protobuf::MethodDescriptor& method,
                  const google::protobuf::Message& request, google::protobuf::Closure* done) {
    if (!call.begin(request)) return call.end(), done->Run();
    const std::string& service = method.service()->full_name();
    fastrpc_call_options options = call.options(request);
    detail::ErrorSlot error;
    auto called = error.check(fastrpc_client_call_async(
        handle_.get(), service.data(), service.size(), method.name().data(), method.name().size(),
        nullptr, request.ByteSizeLong(), &options, Async::run, new Async{call, done},
        detail::delete_user<Async>, nullptr, error.out()));
    if (called) return;
    call.fail(called.error());
    call.end();
    done->Run();
  }

  detail::Handle<fastrpc_client, fastrpc_client_free> handle_;
};

}  // namespace fastrpc
