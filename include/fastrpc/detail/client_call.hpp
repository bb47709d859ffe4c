// Machinery of RpcClient: a call with protobuf messages.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/service.h>

#include <fastrpc/client.hpp>
#include <fastrpc/controller.hpp>
#include <fastrpc/coroutine.hpp>
#include <fastrpc/detail/message.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace fastrpc::detail {

inline CliController* to_cli(google::protobuf::RpcController* controller) {
#if defined(__GXX_RTTI) || defined(__cpp_rtti)
  return dynamic_cast<CliController*>(controller);
#else
  return static_cast<CliController*>(controller);  // Without RTTI no other kind can be told.
#endif
}

// The names and the request of a call, as the C ABI takes them.
class OutgoingCall {
 public:
  OutgoingCall(const google::protobuf::MethodDescriptor* method,
               const google::protobuf::Message* request)
      : method_(method), request_(request) {}

  // Finds out whether there is a call to make: the request is whole.
  Result<void> begin() {
    if (!request_->IsInitialized())
      return Error(FASTRPC_EINVAL, FASTRPC_CODE_EREQUEST,
                   "the request lacks " + request_->InitializationErrorString());
    // Asked for just before the message is written, which relies on it.
    size_ = request_->ByteSizeLong();
    if (size_ > kMaxMessage)
      return Error(FASTRPC_EINVAL, FASTRPC_CODE_EREQUEST, "the request is too large");
    return {};
  }

  // Sends it and waits for the answer.
  Result<Response> wait(fastrpc_client* client, fastrpc_call_options options) const {
    set_fill(options);
    auto service = service_name(), name = method_name();
    fastrpc_response* response = nullptr;
    ErrorSlot error;
    auto called = error.check(fastrpc_client_call(client, service.data(), service.size(),
                                                  name.data(), name.size(), nullptr, size_,
                                                  &options, &response, error.out()));
    if (!called) return called.error();
    return Response(response);
  }

  // Sends it; `done` runs if and only if this succeeds.
  Result<void> start(fastrpc_client* client, fastrpc_call_options options,
                     fastrpc_done_function done, void* user) const {
    set_fill(options);
    auto service = service_name(), name = method_name();
    ErrorSlot error;
    return error.check(fastrpc_client_call_async(client, service.data(), service.size(),
                                                 name.data(), name.size(), nullptr, size_, &options,
                                                 done, user, nullptr, nullptr, error.out()));
  }

 private:
  void set_fill(fastrpc_call_options& options) const {
    options.fill = fill_message;
    options.fill_user = const_cast<google::protobuf::Message*>(request_);
  }
  [[nodiscard]] std::string_view service_name() const {
    return name_of(method_->service()->full_name());
  }
  [[nodiscard]] std::string_view method_name() const { return name_of(method_->name()); }

  const google::protobuf::MethodDescriptor* method_;
  const google::protobuf::Message* request_;
  std::size_t size_ = 0;
};

// Reads the message of a response.
inline Result<void> read_message(const Response& response, google::protobuf::Message& message) {
  if (parse(message, response.body())) return {};
  return Error(FASTRPC_EIO, FASTRPC_CODE_ERESPONSE, not_a(message, "response"));
}

// A call of a stub on its way: turns what the C ABI returns into messages and controllers.
class ClientCall {
 public:
  ClientCall(const google::protobuf::MethodDescriptor* method,
             google::protobuf::RpcController* controller, const google::protobuf::Message* request,
             google::protobuf::Message* response, google::protobuf::Closure* done)
      : call_(method, request),
        base_(controller),
        controller_(to_cli(controller)),
        response_(response),
        done_(done) {}

  // Waits for the answer. What went wrong is in the controller, and in the result.
  Result<void> run(fastrpc_client* client) {
    auto called = begin();
    if (called) {
      auto response = call_.wait(client, options());
      called = response ? take(response.value()) : Result<void>(response.error());
    }
    if (!called) fail(called.error());
    if (controller_ != nullptr) controller_->cancellation_.end();
    return called;
  }

  // Returns at once; `done` runs in a coroutine.
  static void start(fastrpc_client* client, std::unique_ptr<ClientCall> call) {
    auto begun = call->begin();
    if (!begun) return fail_later(std::move(call), begun.error());
    // Owned by `ended`, once that is sure to run.
    auto* user = call.release();
    auto called = user->call_.start(client, user->options(), ended, user);
    if (!called) fail_later(std::unique_ptr<ClientCall>(user), called.error());
  }

 private:
  // The last act of an asynchronous call. The response and the error are its own.
  static void ended(void* user, fastrpc_response* handle, fastrpc_error* error) {
    std::unique_ptr<ClientCall> call(static_cast<ClientCall*>(user));
    Response response(handle);
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

  Result<void> begin() {
    if (controller_ != nullptr) {
      controller_->clear_error();
      controller_->status_ = Status::ok;
      controller_->service_error_ = false;
    }
    return call_.begin();
  }

  // The call's options, which point into the controller.
  [[nodiscard]] fastrpc_call_options options() const {
    fastrpc_call_options c;
    fastrpc_call_options_init(&c, sizeof c);
    if (controller_ == nullptr) return c;
    c.timeout = controller_->timeout_;
    c.log_id = controller_->log_id_;
    c.compress = static_cast<std::int32_t>(controller_->compression_);
    c.request_id = controller_->request_id_.data();
    c.request_id_size = controller_->request_id_.size();
    const std::string& attachment = controller_->request_attachment_;
    c.attachment = bytes_of(attachment);
    c.attachment_size = attachment.size();
    c.cancellation = controller_->cancellation_.get();
    return c;
  }

  Result<void> take(const Response& response) {
    auto read = read_message(response, *response_);
    if (!read || controller_ == nullptr) return read;
    controller_->response_attachment_.assign(response.attachment());
    controller_->remote_side_ = response.peer();
    return read;
  }

  void fail(const Error& error) {
    response_->Clear();
    if (controller_ != nullptr) {
      controller_->status_ = error.status();
      controller_->service_error_ = error.is_service_error();
      controller_->SetFailed(error.code(), error.text());
    } else if (base_ != nullptr) {
      base_->SetFailed(error.text());
    } else if (done_ != nullptr) {
      log(LogLevel::warn, "a call without a controller failed: " + error.text());
    }
  }

  // The controller may be gone once `done` has run.
  void end() {
    if (controller_ != nullptr) controller_->cancellation_.end();
    done_->Run();
  }

  OutgoingCall call_;
  google::protobuf::RpcController* base_;
  CliController* controller_;
  google::protobuf::Message* response_;
  google::protobuf::Closure* done_;
};

// Makes one typed call: the channel that its stub calls.
class TypedChannel final : public google::protobuf::RpcChannel {
 public:
  TypedChannel(fastrpc_client* client, const CallOptions& options)
      : client_(client), options_(options) {}

  void CallMethod(const google::protobuf::MethodDescriptor* method,
                  google::protobuf::RpcController* /*controller*/,
                  const google::protobuf::Message* request, google::protobuf::Message* response,
                  google::protobuf::Closure* /*done*/) override {
    OutgoingCall call(method, request);
    result_ = call.begin();
    if (!result_) return;
    auto answer = call.wait(client_, to_c(options_));
    result_ = answer ? read_message(answer.value(), *response) : Result<void>(answer.error());
  }

  [[nodiscard]] const Result<void>& result() const { return result_; }

 private:
  fastrpc_client* client_;
  const CallOptions& options_;
  Result<void> result_;
};

}  // namespace fastrpc::detail
