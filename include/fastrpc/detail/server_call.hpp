// Machinery of RpcServer: a call, from the request's bytes to the answer's.
#pragma once

#include <google/protobuf/service.h>
#include <pthread.h>

#include <fastrpc/controller.hpp>
#include <fastrpc/detail/message.hpp>
#include <fastrpc/detail/outcome.hpp>
#include <fastrpc/runtime.hpp>
#include <fastrpc/sync.hpp>

#include <array>
#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace fastrpc::detail {

// Counts the handlers that run, so that the end of a server can wait for them.
class Running {
 public:
  void enter() { count_.fetch_add(1, std::memory_order_relaxed); }
  void leave() {
    if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) idle_.done();
  }
  // For the owner, once: gives its own share up and waits. Whether all handlers have ended.
  template <typename Rep, typename Period>
  bool wait_for_others(std::chrono::duration<Rep, Period> time) {
    leave();
    return idle_.wait_for(time, std::nothrow).ok();
  }

 private:
  std::atomic<int> count_{1};
  wait_group idle_{1};
};

// A handler's time with what it uses.
class Visit {
 public:
  explicit Visit(Running& running) : running_(running) { running_.enter(); }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit() { running_.leave(); }

 private:
  Running& running_;
};

// A handler of closed connections: the user data of its function.
template <typename F>
struct OnClose {
  static void run(void* user, std::uint64_t connection) {
    auto& self = *static_cast<OnClose*>(user);
    Visit visit(*self.running);
    self.handler(connection);
  }

  F handler;
  std::shared_ptr<Running> running;
};

// The messages of a call. To make them and what they hold costs more than to serve a small call, so
// that a method keeps those of its last call for the next: if they are small, and for a number of
// calls only, since a message never gives back what it once held.
struct Messages {
  std::unique_ptr<google::protobuf::Message> request;
  std::unique_ptr<google::protobuf::Message> response;
  // Bytes of both.
  std::size_t size = 0;
  int uses = 0;

  static constexpr std::size_t kLargestKept = 16 << 10;
  static constexpr int kMostUses = 32;
};

// A method that was added: the user data of its handler.
class Method {
 public:
  Method(std::shared_ptr<google::protobuf::Service> s, const google::protobuf::MethodDescriptor* d,
         std::shared_ptr<Running> r, CASyncSvr* svr)
      : service(std::move(s)), descriptor(d), running(std::move(r)), server(svr) {}
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;
  ~Method() { delete spare_.load(std::memory_order_acquire); }

  std::unique_ptr<Messages> take_messages() {
    std::unique_ptr<Messages> messages(spare_.exchange(nullptr, std::memory_order_acq_rel));
    if (messages) return messages;
    messages = std::make_unique<Messages>();
    messages->request.reset(service->GetRequestPrototype(descriptor).New());
    messages->response.reset(service->GetResponsePrototype(descriptor).New());
    return messages;
  }

  void keep(std::unique_ptr<Messages> messages) {
    if (messages->size > Messages::kLargestKept || ++messages->uses > Messages::kMostUses) return;
    messages->response->Clear();
    delete spare_.exchange(messages.release(), std::memory_order_acq_rel);
  }

  const std::shared_ptr<google::protobuf::Service> service;
  const google::protobuf::MethodDescriptor* const descriptor;
  const std::shared_ptr<Running> running;
  CASyncSvr* const server;

 private:
  std::atomic<Messages*> spare_{nullptr};
};

// Frees an object once 1,024 more of its type have been buried: until then it knows that it is
// dead.
template <typename T>
void bury(T* object) {
  constexpr std::size_t kRemembered = 1024;
  static std::array<std::atomic<T*>, kRemembered> recent{};
  static std::atomic<std::size_t> next{0};
  auto& place = recent[next.fetch_add(1, std::memory_order_relaxed) % kRemembered];
  delete place.exchange(object, std::memory_order_acq_rel);
}

// A call of a protobuf service, and the `done` that the service gets. rpc_server.hpp says what
// holds for `done`. The object of a call that is over is kept for a while without its content, so
// that a `done` that is run once too often is recognised.
class ServerCall final : public google::protobuf::Closure {
 public:
  // The handler of all methods.
  static void serve(void* user, fastrpc_call* call) {
    auto& method = *static_cast<Method*>(user);
    Stay stay(method, new ServerCall(method, call));
    stay.call().start(method);
  }

  void Run() override {
    if (is_unwinding()) {
      deferred_ = true;
    } else if (claim()) {
      end();
    } else {
      log(FASTRPC_LOG_ERROR, "done->Run() of a call that is over: ignored");
    }
  }

 private:
  // The handler's time in the service's method.
  class Stay {
   public:
    Stay(Method& method, ServerCall* call) : method_(method), call_(call) {
      method_.running->enter();
    }
    Stay(const Stay&) = delete;
    Stay& operator=(const Stay&) = delete;
    ~Stay() {
      call_->release(&method_);
      method_.running->leave();
    }
    ServerCall& call() { return *call_; }

   private:
    Method& method_;
    ServerCall* call_;
  };

  // What a call holds on to until it is over.
  struct Content {
    Content(Method& method, fastrpc_call* call)
        : controller(call, method.server->listening()), messages(method.take_messages()) {}

    Controller controller;
    std::unique_ptr<Messages> messages;
  };

  ServerCall(Method& method, fastrpc_call* call) : content_(std::in_place, method, call) {}

  void start(const Method& method) {
    std::size_t size = 0;
    const std::uint8_t* bytes = fastrpc_call_request(controller().call_, &size);
    messages().size = size;
    if (!parse(*messages().request, bytes, size)) {
      auto type = name_of(method.descriptor->input_type()->full_name());
      controller().SetFailed(kBadRequest, "the body is no " + std::string(type));
      return Run();
    }
    in_method_ = true;
    run(method);
    in_method_ = false;
    if (deferred_ && claim()) end();
  }

#if FASTRPC_HAS_EXCEPTIONS
  void run(const Method& method) {
    try {
      call_method(method);
#ifdef __GLIBCXX__
    } catch (const abi::__forced_unwind&) {
      throw;
#endif
    } catch (...) {
      thrown(method, describe(std::current_exception()));
    }
  }

  void thrown(const Method& method, const std::string& text) {
    auto name = name_of(method.descriptor->full_name());
    log(FASTRPC_LOG_ERROR, "an exception left " + std::string(name) + ": " + text);
    if (!claim()) return;
    controller().SetFailed(kInternal, text);
    end();
  }
#else
  void run(const Method& method) {
    call_method(method);
  }
#endif

  void call_method(const Method& method) {
    method.service->CallMethod(method.descriptor, &controller(), messages().request.get(),
                               messages().response.get(), this);
  }

  // Whether a destructor runs `done` because an exception is about to leave the method. Then the
  // exception is the answer; should the method catch it after all, the answer follows at its end.
  // (Another coroutine of this worker may be meant: its answer, too, can wait for that end.)
  bool is_unwinding() const {
    return std::uncaught_exceptions() > uncaught_ && pthread_equal(pthread_self(), home_) != 0 &&
           in_method_;
  }

  // Whether the caller is the one to answer.
  bool claim() {
    return open_.exchange(false, std::memory_order_acq_rel);
  }

  void end() {
    auto* on_end = std::exchange(controller().on_end_, nullptr);
    answer();
    notify_canceled(on_end);
    release(nullptr);
  }

  void answer() {
    if (controller().Failed()) return fail(controller().ErrorCode(), controller().ErrorText());
    const auto& response = *messages().response;
    if (!response.IsInitialized())
      return fail(kInternal, "the response lacks " + response.InitializationErrorString());
    // Its size first: SerializeWithCachedSizes relies on it.
    std::size_t size = response.ByteSizeLong();
    if (size > kMaxMessage) return fail(kInternal, "the response is too large");
    reply(size);
  }

  void reply(std::size_t size) {
    messages().size += size;
    fastrpc_reply_options options;
    fastrpc_reply_options_init(&options, sizeof options);
    options.fill = fill_message;
    options.fill_user = messages().response.get();
    const std::string& attachment = controller().response_attachment();
    options.attachment = reinterpret_cast<const std::uint8_t*>(attachment.data());
    options.attachment_size = attachment.size();
    options.compress = controller().compress_;
    fastrpc_call_reply_with(take_call(), nullptr, size, &options, nullptr);
  }

  void fail(std::int32_t code, const std::string& text) {
    // Nobody knows how large the response has become.
    messages().size = Messages::kLargestKept + 1;
    fastrpc_call_fail(take_call(), code, text.data(), text.size());
  }

  fastrpc_call* take_call() {
    return std::exchange(controller().call_, nullptr);
  }

  Controller& controller() {
    return content_->controller;
  }
  Messages& messages() {
    return *content_->messages;
  }

  // By the handler at its end, for which the method lives, and by the one that answered: the second
  // buries the call.
  void release(Method* method) {
    // The second one is alone and need not count.
    bool alone = holders_.load(std::memory_order_acquire) == 1;
    if (!alone && holders_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (method != nullptr) method->keep(std::move(content_->messages));
    content_.reset();
    bury(this);
  }

  std::optional<Content> content_;
  std::atomic<bool> open_{true};
  std::atomic<int> holders_{2};
  // Both are touched on the handler's thread alone.
  bool in_method_ = false;
  bool deferred_ = false;
  const int uncaught_ = std::uncaught_exceptions();
  const pthread_t home_ = pthread_self();
};

}  // namespace fastrpc::detail
