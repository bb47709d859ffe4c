// google::protobuf::Closure with any number of arguments.
#pragma once

#include <google/protobuf/service.h>

#include <fastrpc/closure.hpp>

namespace fastrpc {

// The original's name for it.
using PbClosure = google::protobuf::Closure;

namespace pbext {

namespace detail {

// Runs one of our closures, which it owns, as one of protobuf's.
template <typename R>
class PbCallback final : public google::protobuf::Closure {
 public:
  explicit PbCallback(fastrpc::Closure<R>* closure) : closure_(closure) {}

  void Run() override {
    if (!closure_->IsSelfDelete()) return static_cast<void>(closure_->Run());
    std::unique_ptr<PbCallback> self(this);
    closure_.release()->Run();
  }

 private:
  std::unique_ptr<fastrpc::Closure<R>> closure_;
};

template <typename R>
google::protobuf::Closure* wrap(fastrpc::Closure<R>* closure) {
  return new PbCallback<R>(closure);
}

}  // namespace detail

// A callback for a call: a function, or an object and its method, and all arguments, kept and freed
// as NewClosure() does.
template <typename... Given>
[[nodiscard]] google::protobuf::Closure* NewCallback(Given&&... given) {
  return detail::wrap(NewClosure(std::forward<Given>(given)...));
}

// One that can run any number of times, and is to be deleted.
template <typename... Given>
[[nodiscard]] google::protobuf::Closure* NewPermanentCallback(Given&&... given) {
  return detail::wrap(NewPermanentClosure(std::forward<Given>(given)...));
}

}  // namespace pbext
}  // namespace fastrpc
