// A server's connections: messages pushed to clients.
#pragma once

#include <google/protobuf/message.h>
#include <unistd.h>

#include <fastrpc/detail/message.hpp>
#include <fastrpc/error.hpp>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

namespace fastrpc {

class CASyncSvr;
class Controller;
class RpcServer;

namespace detail {

// The name and the bytes of a message to push.
struct Pushed {
  explicit Pushed(const google::protobuf::Message& message)
      : name(name_of(message.GetDescriptor()->full_name())),
        whole(message.SerializeToString(&body)) {}

  [[nodiscard]] Error error() const {
    return {FASTRPC_EINVAL, FASTRPC_EINVAL, "the message is not whole: " + std::string(name)};
  }

  std::string_view name;
  std::string body;
  bool whole;
};

inline const std::uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

// A connection's number in the 32 bits that the original has for it. 0 names nobody: no number is
// given twice, so that a server whose 4,294,967,295 numbers are used up has no more of them. The
// 64 bits of Connection last.
inline unsigned flow_of(std::uint64_t connection) {
  return connection <= std::numeric_limits<unsigned>::max() ? static_cast<unsigned>(connection) : 0;
}

}  // namespace detail

// A connection of a server, to push messages to its client. May be copied, kept after the
// connection has ended, and used by any thread and any coroutine.
//
// A push does not wait: success means that the message is on its way. What one coroutine or thread
// pushes arrives in that order. It fails with FASTRPC_ECLOSED when the connection is gone, with
// FASTRPC_ELIMIT when the client has left ServerOptions::max_unsent bytes untaken, and with
// FASTRPC_EINVAL when the client does not take pushes.
class Connection {
 public:
  // None: its pushes fail.
  Connection() = default;

  // Its number: counted up from 1 by each server, never used again; 0 for none.
  [[nodiscard]] std::uint64_t id() const { return fastrpc_connection_id(handle_.get()); }
  // Whether messages can still be sent, as far as is known.
  [[nodiscard]] bool is_open() const { return fastrpc_connection_is_open(handle_.get()); }

  // Sends a message, by the name of its type.
  void push(const google::protobuf::Message& message) const { push(message, std::nothrow).value(); }
  Result<void> push(const google::protobuf::Message& message, std::nothrow_t) const {
    detail::Pushed pushed(message);
    if (!pushed.whole) return pushed.error();
    return push(pushed.name, pushed.body, std::nothrow);
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

 private:
  friend class Controller;

  explicit Connection(fastrpc_connection* handle)
      : handle_(handle, [](fastrpc_connection* c) { fastrpc_connection_free(c); }) {}

  std::shared_ptr<fastrpc_connection> handle_;
};

// The original's name for a server, as its handlers see it. Lives as long as the RpcServer.
class CASyncSvr {
 public:
  explicit CASyncSvr(fastrpc_server* server) : server_(server) {}
  CASyncSvr(const CASyncSvr&) = delete;
  CASyncSvr& operator=(const CASyncSvr&) = delete;

  // The number of the process.
  const unsigned _svr_id = static_cast<unsigned>(getpid());

 private:
  friend class RpcServer;

  fastrpc_server* server_;
};

}  // namespace fastrpc
