// Machinery of RpcServer: a call of a protobuf service, from the request's bytes to the answer's.
#pragma once

#include <google/protobuf/service.h>

#include <fastrpc/controller.hpp>
#include <fastrpc/detail/handler_scope.hpp>
#include <fastrpc/detail/message.hpp>
#include <fastrpc/detail/one_shot_done.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace fastrpc::detail {

// The messages of a call. To make them and what they hold costs more than to serve a small call, so
// that a method keeps those of its last call for the next: if they are small, and for a number of
// calls only, since a message never gives back what it once held.
struct Messages {
  std::unique_ptr<google::protobuf::Message> request;
  std::unique_ptr<google::protobuf::Message> response;
  // Bytes of both.
  std::size_t size = 0;
  int uses = 0;

  static constexpr std::size_t kMaxKept = 16 << 10;
  static constexpr int kMaxUses = 32;
};

// A method of a service: the user data of its function.
class ServiceMethod {
 public:
  ServiceMethod(std::shared_ptr<google::protobuf::Service> s,
                const google::protobuf::MethodDescriptor* d, std::shared_ptr<RunningHandlers> r,
                CASyncSvr* svr)
      : service(std::move(s)), descriptor(d), running(std::move(r)), server(svr) {}
  ServiceMethod(const ServiceMethod&) = delete;
  ServiceMethod& operator=(const ServiceMethod&) = delete;
  ~ServiceMethod() { delete spare_.load(std::memory_order_acquire); }

  std::unique_ptr<Messages> take_messages() {
    std::unique_ptr<Messages> messages(spare_.exchange(nullptr, std::memory_order_acq_rel));
    if (messages) return messages;
    messages = std::make_unique<Messages>();
    messages->request.reset(service->GetRequestPrototype(descriptor).New());
    messages->response.reset(service->GetResponsePrototype(descriptor).New());
    return messages;
  }

  void keep(std::unique_ptr<Messages> messages) {
    if (messages->size > Messages::kMaxKept || ++messages->uses > Messages::kMaxUses) return;
    messages->response->Clear();
    delete spare_.exchange(messages.release(), std::memory_order_acq_rel);
  }

  const std::shared_ptr<google::protobuf::Service> service;
  const google::protobuf::MethodDescriptor* const descriptor;
  const std::shared_ptr<RunningHandlers> running;
  CASyncSvr* const server;

 private:
  std::atomic<Messages*> spare_{nullptr};
};

// A call, and the `done` that the service gets.
class ServerCall final : public OneShotDone<ServerCall> {
 public:
  // The function of all methods.
  static void serve(void* user, fastrpc_call* handle) {
    auto& method = *static_cast<ServiceMethod*>(user);
    HandlerScope scope(*method.running);
    auto* call = new ServerCall(method, handle);
    HandlerShare<ServerCall> share(call);
    call->start(method);
  }

 private:
  friend class OneShotDone<ServerCall>;
  friend class HandlerShare<ServerCall>;

  static constexpr const char* kWhat = "call";

  // What a call needs until it is over.
  struct Content {
    Content(ServiceMethod& method, fastrpc_call* handle)
        : controller(handle, method.server->listening()), messages(method.take_messages()) {}

    Controller controller;
    std::unique_ptr<Messages> messages;
  };

  ServerCall(ServiceMethod& method, fastrpc_call* handle)
      : content_(std::in_place, method, handle), method_(&method) {}

  void start(const ServiceMethod& method) {
    std::string_view body = controller().call_.body();
    messages().size = body.size();
    if (!parse(*messages().request, body)) {
      controller().SetFailed(FASTRPC_CODE_EREQUEST, not_a(*messages().request, "request"));
      return Run();
    }
    auto call_method = [&] {
      method.service->CallMethod(method.descriptor, &controller(), messages().request.get(),
                                 messages().response.get(), this);
    };
    run_handler(call_method, [&method] { return name_of(method.descriptor->full_name()); });
  }

  void answer() {
    auto* on_end = std::exchange(controller().on_end_, nullptr);
    send();
    notify_canceled(on_end);
  }

  void answer_exception(const std::string& text) {
    controller().SetFailed(FASTRPC_CODE_EINTERNAL, text);
    answer();
  }

  void send() {
    Call& call = controller().call_;
    std::size_t before = messages().size;
    // Nobody knows how large the response of a call that failed has become.
    messages().size = Messages::kMaxKept + 1;
    if (controller().Failed()) {
      (void)call.fail(controller().ErrorCode(), controller().ErrorText(), std::nothrow);
    } else if (auto size = MessageReply::send(call, *messages().response)) {
      messages().size = before + *size;
    }
  }

  void handler_ended() {
    // The method lives for as long as its handler runs.
    release([this] { method_->keep(std::move(content_->messages)); });
  }

  void clear() { content_.reset(); }

  Controller& controller() { return content_->controller; }
  Messages& messages() { return *content_->messages; }

  std::optional<Content> content_;
  ServiceMethod* const method_;
};

}  // namespace fastrpc::detail
