// A call as a method on bytes gets it: what it asks, and how it is answered.
//
//   server.add_method("demo.Echo", "Echo", [](fastrpc::Call& call) { call.reply(call.body()); });
#pragma once

#include <fastrpc/compression.hpp>
#include <fastrpc/connection.hpp>
#include <fastrpc/detail/address.hpp>
#include <fastrpc/detail/bytes.hpp>
#include <fastrpc/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <string_view>

namespace fastrpc {

namespace detail {

class MessageReply;

}  // namespace detail

// A call of a client, on the server. It is answered once, by reply() or fail(); one that is not is
// answered with error 2001 when it is destroyed. To answer later, and by any thread, move it out of
// the handler. Used by one thread at a time; its texts live until it is answered. Without a
// connection or a server any more, answers are dropped.
class Call {
 public:
  // Takes over a C object.
  explicit Call(fastrpc_call* handle) : handle_(handle) {}

  // Returns the bytes of the request.
  [[nodiscard]] std::string_view body() const { return part(fastrpc_call_request); }
  // Returns the bytes sent beside the request.
  [[nodiscard]] std::string_view attachment() const { return part(fastrpc_call_attachment); }
  [[nodiscard]] std::string_view service() const { return part(fastrpc_call_service); }
  [[nodiscard]] std::string_view method() const { return part(fastrpc_call_method); }
  // Returns the name that the client gave the request, empty if none.
  [[nodiscard]] std::string_view request_id() const { return part(fastrpc_call_request_id); }
  // Returns the number that the client gave the call for logs, 0 if none.
  [[nodiscard]] std::int64_t log_id() const { return fastrpc_call_log_id(capi()); }
  // Returns how the request was compressed on its way.
  [[nodiscard]] Compression compression() const {
    return static_cast<Compression>(fastrpc_call_compress(capi()));
  }
  // Returns where the call came from, such as "10.0.0.7:4711".
  [[nodiscard]] std::string peer() const {
    return detail::copied_text(
        [this](char* buffer, std::size_t size) { return fastrpc_call_peer(capi(), buffer, size); });
  }
  // Returns the connection that it came on, to push messages to.
  [[nodiscard]] Connection connection() const {
    return Connection(fastrpc_call_connection(capi()));
  }
  // Returns how long the client will still wait; nothing if it did not say.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> time_left() const {
    std::int64_t left = fastrpc_call_time_left(capi());
    if (left < 0) return std::nullopt;
    return std::chrono::nanoseconds(left);
  }
  // Returns whether nobody waits for the answer any more: the client or the connection has gone, or
  // the server's stop ran out of time.
  [[nodiscard]] bool is_canceled() const { return fastrpc_call_is_canceled(capi()); }

  // Bytes to send beside the response.
  [[nodiscard]] std::string& response_attachment() { return attachment_; }
  // Sets how the response is compressed; by default it is not.
  void set_response_compression(Compression compression) { compression_ = compression; }

  // Answers with a response. Fails with FASTRPC_ESTATE if it was answered before.
  void reply(std::string_view body) { reply(body, std::nothrow).value(); }
  Result<void> reply(std::string_view body, std::nothrow_t) {
    if (!handle_) return Error(Status::bad_state);
    detail::ErrorSlot error;
    return error.check(send(detail::bytes_of(body), body.size(), nullptr, nullptr, error.out()));
  }
  // Answers with an error: `code`: a number of the service's own.
  void fail(std::int32_t code, std::string_view text) { fail(code, text, std::nothrow).value(); }
  Result<void> fail(std::int32_t code, std::string_view text, std::nothrow_t) {
    if (!handle_) return Error(Status::bad_state);
    return detail::check(fastrpc_call_fail(handle_.release(), code, text.data(), text.size()));
  }

  // Returns the C object, which stays the call's; NULL once it was answered.
  [[nodiscard]] fastrpc_call* capi() const { return handle_.get(); }

 private:
  friend class detail::MessageReply;

  template <typename T>
  std::string_view part(T* (*get)(const fastrpc_call*, std::size_t*)) const {
    std::size_t size = 0;
    const void* bytes = get(capi(), &size);
    return detail::view(bytes, size);
  }

  fastrpc_status send(const std::uint8_t* body, std::size_t size, fastrpc_fill_function fill,
                      void* user, fastrpc_error** error) {
    fastrpc_reply_options options;
    fastrpc_reply_options_init(&options, sizeof options);
    options.fill = fill;
    options.fill_user = user;
    options.attachment = detail::bytes_of(attachment_);
    options.attachment_size = attachment_.size();
    options.compress = static_cast<std::int32_t>(compression_);
    return fastrpc_call_reply_with(handle_.release(), body, size, &options, error);
  }

  detail::Handle<fastrpc_call, fastrpc_call_free> handle_;
  std::string attachment_;
  Compression compression_ = Compression::none;
};

}  // namespace fastrpc
