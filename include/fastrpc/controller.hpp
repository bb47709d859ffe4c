// What a call of a protobuf service says beside its messages: errors, timeouts, attachments,
// cancellation.
#pragma once

#include <google/protobuf/service.h>

#include <fastrpc/call.hpp>
#include <fastrpc/detail/cancellation.hpp>
#include <fastrpc/detail/original_controller.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace fastrpc {

namespace detail {

class ClientCall;
class ServerCall;

// What both sides' controllers have: whether the call failed, and attachments.
class ControllerBase : public google::protobuf::RpcController {
 public:
  [[nodiscard]] bool Failed() const override { return code_ != 0; }
  [[nodiscard]] std::string ErrorText() const override { return text_; }
  // Returns the code of the error, 0 if there is none.
  [[nodiscard]] std::int32_t ErrorCode() const { return code_; }

  // Makes the call fail with code 2001, or with a code of your own.
  void SetFailed(const std::string& reason) override { SetFailed(FASTRPC_CODE_EINTERNAL, reason); }
  void SetFailed(std::int32_t code, std::string reason) {
    code_ = code != 0 ? code : FASTRPC_CODE_EINTERNAL;
    text_ = std::move(reason);
  }

 protected:
  void clear_error() {
    code_ = 0;
    text_.clear();
  }

 private:
  std::int32_t code_ = 0;
  std::string text_;
};

}  // namespace detail

// The server's side of a call: what a service method gets. Lives until `done` has run.
class Controller : public detail::ControllerBase, public detail::OriginalController {
 public:
  // Returns where the call came from, such as "10.0.0.7:4711".
  [[nodiscard]] std::string remote_side() const { return call_.peer(); }
  // Returns the number that the client gave the call for logs, 0 if none.
  [[nodiscard]] std::int64_t log_id() const { return call_.log_id(); }
  // Returns the name that the client gave the request, empty if none.
  [[nodiscard]] std::string_view request_id() const { return call_.request_id(); }
  [[nodiscard]] std::string_view request_attachment() const { return call_.attachment(); }
  // Bytes to send beside the response.
  [[nodiscard]] std::string& response_attachment() { return call_.response_attachment(); }
  // Returns the connection that it came on, to push messages to.
  [[nodiscard]] Connection connection() const { return call_.connection(); }
  // Returns how long the client will still wait; nothing if it did not say.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> time_left() const {
    return call_.time_left();
  }
  // Sets how the response is compressed; by default it is not.
  void set_response_compression(Compression compression) {
    call_.set_response_compression(compression);
  }

  // Returns whether nobody waits for the answer any more: the client or the connection has gone, or
  // the server's stop ran out of time.
  [[nodiscard]] bool IsCanceled() const override { return call_.is_canceled(); }
  // Runs `callback` exactly once: at once if the call is canceled already, or else when it has
  // been answered, where that is done. At most once per call. An exception that leaves it is
  // logged.
  void NotifyOnCancel(google::protobuf::Closure* callback) override {
    if (IsCanceled()) return detail::notify_canceled(callback);
    on_end_ = callback;
  }

  // Of the client's side; they do nothing here.
  void Reset() override {}
  void StartCancel() override {}

 private:
  friend class detail::ServerCall;

  Controller(fastrpc_call* handle, CASyncSvr* server)
      : OriginalController(server, fastrpc_call_connection_id(handle)), call_(handle) {}

  Call call_;
  google::protobuf::Closure* on_end_ = nullptr;
};

// The original's name.
using RpcController = Controller;

// The client's side of a call. One call at a time; Reset() makes it fit for the next. It must live
// until the call has ended: until CallMethod() returns, or, with a `done`, until that runs, which
// may destroy it. Meanwhile it belongs to the call: other threads may use only what says so.
class CliController : public detail::ControllerBase {
 public:
  // Sets how long the call may take; without it, as long as the client's options say.
  template <typename Rep, typename Period>
  void set_timeout(std::chrono::duration<Rep, Period> time) {
    // 0 means "not set" to the C ABI.
    timeout_ = std::max<std::int64_t>(detail::nanoseconds(time), 1);
  }
  // Sets a number for the server's logs.
  void set_log_id(std::int64_t log_id) { log_id_ = log_id; }
  // Sets a name for the request.
  void set_request_id(std::string request_id) { request_id_ = std::move(request_id); }
  // Bytes to send beside the request.
  [[nodiscard]] std::string& request_attachment() { return request_attachment_; }
  // Sets how the request is compressed; by default it is not.
  void set_request_compression(Compression compression) { compression_ = compression; }

  // Bytes that came beside the response.
  [[nodiscard]] std::string& response_attachment() { return response_attachment_; }
  // Returns who answered; empty if nobody did.
  [[nodiscard]] const std::string& remote_side() const { return remote_side_; }
  // Returns whether the call failed because its time ran out.
  [[nodiscard]] bool IsTimeOut() const { return status_ == Status::timed_out; }
  // Returns what kind of failure it was; Status::remote if the server answered with it.
  [[nodiscard]] Status status() const { return status_; }
  // Returns whether the service chose the error, with a code of its own.
  [[nodiscard]] bool is_service_error() const { return service_error_; }

  // Ends the call in flight, synchronous or not, with FASTRPC_ECANCELED, unless its end is on the
  // way; a call that begins later fails with it at once, until Reset(). The server is not told.
  //
  // Any thread, also while the call begins or ends, and several times. The controller must live
  // until this returns; but the end of the call that this brings about may destroy it before.
  void StartCancel() override { cancellation_.cancel(); }
  // Any thread.
  [[nodiscard]] bool IsCanceled() const override { return cancellation_.is_canceled(); }
  // Runs `callback` exactly once: at StartCancel(), where that is called and before the call ends;
  // at once if that came before; or else when the call has ended, before `done`, or the controller
  // is destroyed. At most once per call. An exception that leaves it is logged. Any thread.
  void NotifyOnCancel(google::protobuf::Closure* callback) override {
    cancellation_.notify(callback);
  }

  // Makes it as it was when it was new; not during a call.
  void Reset() override {
    clear_error();
    timeout_ = log_id_ = 0;
    compression_ = Compression::none;
    status_ = Status::ok;
    service_error_ = false;
    for (std::string* text :
         {&request_id_, &request_attachment_, &response_attachment_, &remote_side_})
      text->clear();
    cancellation_.reset();
  }
  // Takes over the error of another one.
  void CopyFrom(const CliController& other) {
    status_ = other.status_;
    service_error_ = other.service_error_;
    if (other.Failed()) SetFailed(other.ErrorCode(), other.ErrorText());
    if (!other.Failed()) clear_error();
  }

 private:
  friend class detail::ClientCall;

  std::int64_t timeout_ = 0;
  std::int64_t log_id_ = 0;
  Compression compression_ = Compression::none;
  Status status_ = Status::ok;
  bool service_error_ = false;
  std::string request_id_;
  std::string request_attachment_;
  std::string response_attachment_;
  std::string remote_side_;
  detail::Cancellation cancellation_;
};

}  // namespace fastrpc
