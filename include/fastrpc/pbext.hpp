// google::protobuf::Closure with any number of arguments.
#pragma once

#include <google/protobuf/service.h>

#include <fastrpc/closure.hpp>

namespace fastrpc {

// The original's name.
using PbClosure = google::protobuf::Closure;

namespace pbext {

namespace detail {

// Adapts a fastrpc closure, which it owns, to protobuf's interface.
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

// Returns a callback for a call: a function, or an object and its method, with all arguments bound,
// which NewClosure() describes.
template <typename... Given>
[[nodiscard]] google::protobuf::Closure* NewCallback(Given&&... given) {
  return detail::wrap(NewClosure(std::forward<Given>(given)...));
}

// Returns a callback that can run any number of times; the caller deletes it.
template <typename... Given>
[[nodiscard]] google::protobuf::Closure* NewPermanentCallback(Given&&... given) {
  return detail::wrap(NewPermanentClosure(std::forward<Given>(given)...));
}

}  // namespace pbext
}  // namespace fastrpc
