// Machinery of RpcServer: the `done` of a call or of an HTTP request, which answers it once.
#pragma once

#include <google/protobuf/service.h>
#include <pthread.h>

#include <fastrpc/detail/exceptions.hpp>
#include <fastrpc/runtime.hpp>

#include <array>
#include <atomic>
#include <exception>
#include <string>
#include <utility>

namespace fastrpc::detail {

// Frees an object once 1,024 more of its type have been retired: until then it knows that it is
// over.
template <typename T>
void retire(T* object) {
  constexpr std::size_t kRemembered = 1024;
  static std::array<std::atomic<T*>, kRemembered> recent{};
  static std::atomic<std::size_t> next{0};
  auto& place = recent[next.fetch_add(1, std::memory_order_relaxed) % kRemembered];
  delete place.exchange(object, std::memory_order_acq_rel);
}

// A `done` that the handler, or whoever it was given to, runs when the answer is ready: by any
// thread, before the handler returns or later. rpc_server.hpp says what holds for it. `Derived` has
//   static constexpr const char* kWhat: what is answered, for the log;
//   void answer(): sends the answer that was set;
//   void answer_exception(const std::string& text): answers after an exception;
//   void clear(): frees what the answer needed.
// Two hold on to the object: the handler until it has ended, and who answers until that is done.
// The second one clears and retires it.
template <typename Derived>
class OneShotDone : public google::protobuf::Closure {
 public:
  void Run() final {
    if (is_unwinding()) {
      deferred_ = true;
    } else if (claim()) {
      finish();
    } else {
      log(LogLevel::error,
          std::string("done->Run() of a ") + Derived::kWhat + " that is over: ignored");
    }
  }

 protected:
  // Runs the handler. An exception that leaves it is logged, and is the answer unless there was one
  // before. `name`: of the handler.
  template <typename Handler, typename Name>
  void run_handler(Handler&& handler, Name&& name) {
    in_handler_ = true;
    run_catching(handler, [&](const std::exception_ptr& exception) {
      std::string text = describe(exception);
      log(LogLevel::error, "an exception left " + std::string(name()) + ": " + text);
      if (!claim()) return;
      derived().answer_exception(text);
      release();
    });
    in_handler_ = false;
    if (deferred_ && claim()) finish();
  }

  // Answers without the handler, and without asking whether that was done.
  void finish() {
    derived().answer();
    release();
  }

  // Whether the caller is the one to answer.
  bool claim() { return open_.exchange(false, std::memory_order_acq_rel); }

  // Gives up a share; of the last one, `before_clear` runs first.
  template <typename F>
  void release(F&& before_clear) {
    // The second one is alone and need not count.
    bool alone = holders_.load(std::memory_order_acquire) == 1;
    if (!alone && holders_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    before_clear();
    derived().clear();
    retire(&derived());
  }
  void release() {
    release([] {});
  }

 private:
  Derived& derived() { return static_cast<Derived&>(*this); }

  // Whether a destructor runs `done` because an exception is about to leave the handler. Then the
  // exception is the answer; should the handler catch it after all, the answer follows at its end.
  // (Another coroutine of this worker may be meant: its answer, too, can wait for that end.)
  bool is_unwinding() const {
    return std::uncaught_exceptions() > uncaught_ && pthread_equal(pthread_self(), home_) != 0 &&
           in_handler_;
  }

  std::atomic<bool> open_{true};
  std::atomic<int> holders_{2};
  // Both are touched on the handler's thread alone.
  bool in_handler_ = false;
  bool deferred_ = false;
  const int uncaught_ = std::uncaught_exceptions();
  const pthread_t home_ = pthread_self();
};

// The handler's share of a OneShotDone, given up at the end of a scope by `Done::handler_ended()`.
template <typename Done>
class HandlerShare {
 public:
  explicit HandlerShare(Done* done) : done_(done) {}
  HandlerShare(const HandlerShare&) = delete;
  HandlerShare& operator=(const HandlerShare&) = delete;
  ~HandlerShare() { done_->handler_ended(); }

 private:
  Done* done_;
};

}  // namespace fastrpc::detail
