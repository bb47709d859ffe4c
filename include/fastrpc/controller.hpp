// What a call says beside its messages: errors, timeouts, attachments, cancellation.
#pragma once

#include <google/protobuf/service.h>

#include <fastrpc/connection.hpp>
#include <fastrpc/detail/address.hpp>
#include <fastrpc/detail/cancellation.hpp>
#include <fastrpc/error.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace fastrpc {

namespace detail {

class ClientCall;
class ServerCall;

// The numbers of the protocol that this layer uses itself.
constexpr std::int32_t kBadRequest = 1003;
constexpr std::int32_t kInternal = 2001;
constexpr std::int32_t kBadResponse = 2002;

inline std::string_view view(const void* bytes, std::size_t size) {
  return {static_cast<const char*>(bytes), size};
}

// What both sides' controllers have: whether the call failed, and attachments.
class ControllerBase : public google::protobuf::RpcController {
 public:
  [[nodiscard]] bool Failed() const override { return code_ != 0; }
  [[nodiscard]] std::string ErrorText() const override { return text_; }
  // The number of the error, 0 if there is none.
  [[nodiscard]] std::int32_t ErrorCode() const { return code_; }

  // Makes the call fail with number 2001, or with a number of your own.
  void SetFailed(const std::string& reason) override { SetFailed(kInternal, reason); }
  void SetFailed(std::int32_t code, std::string reason) {
    code_ = code != 0 ? code : kInternal;
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
class Controller : public detail::ControllerBase {
 public:
  // Where the call came from, such as "10.0.0.7:4711".
  [[nodiscard]] std::string remote_side() const {
    return detail::copied_text(
        [this](char* buffer, std::size_t size) { return fastrpc_call_peer(call_, buffer, size); });
  }
  // The number the client gave the call for logs, 0 if none.
  [[nodiscard]] std::int64_t log_id() const { return fastrpc_call_log_id(call_); }
  // The name the client gave the request, empty if none.
  [[nodiscard]] std::string_view request_id() const { return part(fastrpc_call_request_id); }
  [[nodiscard]] std::string_view request_attachment() const {
    return part(fastrpc_call_attachment);
  }
  // Bytes to send beside the response.
  [[nodiscard]] std::string& response_attachment() { return response_attachment_; }
  // The connection it came on, to push messages to.
  [[nodiscard]] Connection connection() const { return Connection(fastrpc_call_connection(call_)); }
  // How long the client will still wait; nothing if it did not say.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> time_left() const {
    std::int64_t left = fastrpc_call_time_left(call_);
    if (left < 0) return std::nullopt;
    return std::chrono::nanoseconds(left);
  }
  // How the response is compressed: a FASTRPC_COMPRESS_ number.
  void set_response_compress(std::int32_t compress) { compress_ = compress; }

  // Whether nobody waits for the answer any more: the client or the connection has gone, or the
  // server's stop ran out of time.
  [[nodiscard]] bool IsCanceled() const override { return fastrpc_call_is_canceled(call_); }
  // Runs `callback` exactly once: at once if the call is cancelled already, or else when it has
  // been answered, where that is done. At most once per call. An exception that leaves it is
  // logged.
  void NotifyOnCancel(google::protobuf::Closure* callback) override {
    if (IsCanceled()) return detail::notify_canceled(callback);
    on_end_ = callback;
  }

  // Of the client's side; they do nothing here.
  void Reset() override {}
  void StartCancel() override {}

  // The original's way to a connection: for RpcServer::PushToClient(), also after the call.
  CASyncSvr* _svr;
  unsigned _cli_flow;

 private:
  friend class detail::ServerCall;

  Controller(fastrpc_call* call, CASyncSvr* server)
      : _svr(server), _cli_flow(detail::flow_of(fastrpc_call_connection_id(call))), call_(call) {}

  template <typename T>
  std::string_view part(T* (*get)(const fastrpc_call*, std::size_t*)) const {
    std::size_t size = 0;
    const void* bytes = get(call_, &size);
    return detail::view(bytes, size);
  }

  fastrpc_call* call_;
  google::protobuf::Closure* on_end_ = nullptr;
  std::string response_attachment_;
  std::int32_t compress_ = FASTRPC_COMPRESS_NONE;
};

// The original's name.
using RpcController = Controller;

// The client's side of a call. One call at a time; Reset() makes it fit for the next. It must live
// until the call has ended: until CallMethod() returns, or, with a `done`, until that runs, which
// may destroy it. Meanwhile it belongs to the call: other threads may use only what says so.
class CliController : public detail::ControllerBase {
 public:
  // How long the call may take; without it, as long as the client's options say.
  template <typename Rep, typename Period>
  void set_timeout(std::chrono::duration<Rep, Period> time) {
    // 0 means "not set" to the C ABI.
    timeout_ = std::max<std::int64_t>(detail::nanoseconds(time), 1);
  }
  // A number for the server's logs.
  void set_log_id(std::int64_t log_id) { log_id_ = log_id; }
  // A name for the request.
  void set_request_id(std::string request_id) { request_id_ = std::move(request_id); }
  // Bytes to send beside the request.
  [[nodiscard]] std::string& request_attachment() { return request_attachment_; }
  // How the request is compressed: a FASTRPC_COMPRESS_ number.
  void set_request_compress(std::int32_t compress) { compress_ = compress; }

  // The bytes that came beside the response.
  [[nodiscard]] std::string& response_attachment() { return response_attachment_; }
  // Who answered; empty if nobody did.
  [[nodiscard]] const std::string& remote_side() const { return remote_side_; }
  // Whether the call failed because its time ran out.
  [[nodiscard]] bool IsTimeOut() const { return status_ == FASTRPC_ETIMEDOUT; }
  // The FASTRPC_E number of what went wrong; FASTRPC_EREMOTE if the server said so.
  [[nodiscard]] fastrpc_status status() const { return status_; }

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

  // Back to new; not during a call.
  void Reset() override {
    clear_error();
    timeout_ = log_id_ = 0;
    compress_ = FASTRPC_COMPRESS_NONE;
    status_ = FASTRPC_OK;
    for (std::string* text :
         {&request_id_, &request_attachment_, &response_attachment_, &remote_side_})
      text->clear();
    cancellation_.reset();
  }
  // Takes the error of another one over.
  void CopyFrom(const CliController& other) {
    status_ = other.status_;
    if (other.Failed()) SetFailed(other.ErrorCode(), other.ErrorText());
    if (!other.Failed()) clear_error();
  }

 private:
  friend class detail::ClientCall;

  std::int64_t timeout_ = 0;
  std::int64_t log_id_ = 0;
  std::int32_t compress_ = FASTRPC_COMPRESS_NONE;
  fastrpc_status status_ = FASTRPC_OK;
  std::string request_id_;
  std::string request_attachment_;
  std::string response_attachment_;
  std::string remote_side_;
  detail::Cancellation cancellation_;
};

}  // namespace fastrpc
