// A server's connections: messages pushed to clients, and their end.
//
//   fastrpc::Connection connection = call.connection();
//   connection.push(news);  // any protobuf message, also after the call
#pragma once

#include <fastrpc/detail/bytes.hpp>
#include <fastrpc/error.hpp>

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>

namespace fastrpc {

namespace detail {

// Pushes a protobuf message by `push(name, body)`.
template <typename Message, typename Push>
Result<void> push_message(const Message& message, Push push) {
  std::string name(message.GetTypeName()), body;
  if (!message.SerializeToString(&body))
    return Error(FASTRPC_EINVAL, FASTRPC_EINVAL, "the message is not whole: " + name);
  return push(name, body);
}

}  // namespace detail

// A connection of a server, to push messages to its client or to close it. May be copied, kept
// after the connection has ended, and used by any thread and any coroutine.
//
// A push does not wait: success means that the message is on its way. What one coroutine or thread
// pushes arrives in that order. It fails with FASTRPC_ECLOSED when the connection is gone, with
// FASTRPC_ELIMIT when the client has left ServerOptions::max_unsent bytes untaken, and with
// FASTRPC_EINVAL when the client does not take pushes.
class Connection {
 public:
  // None: its pushes fail.
  Connection() = default;
  // Takes over a C object.
  explicit Connection(fastrpc_connection* handle)
      : handle_(handle, [](fastrpc_connection* c) { fastrpc_connection_free(c); }) {}

  // Returns its number: counted up from 1 by each server, never used again; 0 for none.
  [[nodiscard]] std::uint64_t id() const { return fastrpc_connection_id(handle_.get()); }
  // Returns whether messages can still be sent, as far as is known.
  [[nodiscard]] bool is_open() const { return fastrpc_connection_is_open(handle_.get()); }

  // Sends a protobuf message, by the name of its type.
  template <typename Message, detail::EnableIfMessage<Message> = 0>
  void push(const Message& message) const {
    push(message, std::nothrow).value();
  }
  template <typename Message, detail::EnableIfMessage<Message> = 0>
  Result<void> push(const Message& message, std::nothrow_t) const {
    return detail::push_message(message, [this](std::string_view name, std::string_view body) {
      return push(name, body, std::nothrow);
    });
  }
  // Sends bytes under a name.
  void push(std::string_view name, std::string_view body) const {
    push(name, body, std::nothrow).value();
  }
  Result<void> push(std::string_view name, std::string_view body, std::nothrow_t) const {
    detail::ErrorSlot error;
    return error.check(fastrpc_connection_push(handle_.get(), name.data(), name.size(),
                                               detail::bytes_of(body), body.size(), error.out()));
  }
  // Sends bytes as they are: whole frames of what the client speaks, which must not be HTTP.
  void push_raw(std::string_view bytes) const { push_raw(bytes, std::nothrow).value(); }
  Result<void> push_raw(std::string_view bytes, std::nothrow_t) const {
    detail::ErrorSlot error;
    return error.check(fastrpc_connection_push_raw(handle_.get(), detail::bytes_of(bytes),
                                                   bytes.size(), error.out()));
  }

  // Closes the connection, once what was answered and pushed on it before has been sent. Calls that
  // are still in flight are canceled, and what answers them later is dropped; but an HTTP request
  // is answered first. The handler of closed connections runs when the client has closed its side
  // too, or a second later. Fails with FASTRPC_ECLOSED when the connection is gone.
  void close() const { close(std::nothrow).value(); }
  Result<void> close(std::nothrow_t) const {
    detail::ErrorSlot error;
    return error.check(fastrpc_connection_close(handle_.get(), error.out()));
  }

 private:
  std::shared_ptr<fastrpc_connection> handle_;
};

}  // namespace fastrpc
