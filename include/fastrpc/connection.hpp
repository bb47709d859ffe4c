// A server's connections: messages pushed to clients, and their end.
#pragma once

#include <google/protobuf/message.h>
#include <unistd.h>

#include <fastrpc/detail/address.hpp>
#include <fastrpc/detail/message.hpp>
#include <fastrpc/error.hpp>
#include <fastrpc/runtime.hpp>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <mutex>
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

  // Closes the connection, once what was answered and pushed on it before has been sent. Calls that
  // are still in flight are cancelled, and what answers them later is dropped; but a request of
  // HTTP is answered first. The handler of closed connections runs when the client has closed its
  // side too, or a second later. Fails with FASTRPC_ECLOSED when the connection is gone.
  void close() const { close(std::nothrow).value(); }
  Result<void> close(std::nothrow_t) const {
    detail::ErrorSlot error;
    return error.check(fastrpc_connection_close(handle_.get(), error.out()));
  }

 private:
  friend class Controller;

  explicit Connection(fastrpc_connection* handle)
      : handle_(handle, [](fastrpc_connection* c) { fastrpc_connection_free(c); }) {}

  std::shared_ptr<fastrpc_connection> handle_;
};

// What CASyncSvr::SendBack() does with the connection.
enum : unsigned { SEND_NORMAL = 0, SEND_AND_CLOSE = 2 };

// The original's name for a server, as its handlers see it. Lives as long as the RpcServer.
class CASyncSvr {
 public:
  // For a server that was asked to listen on `address`.
  CASyncSvr(fastrpc_server* server, const std::string& address) : server_(server) {
    set_address(address);
  }
  CASyncSvr(const CASyncSvr&) = delete;
  CASyncSvr& operator=(const CASyncSvr&) = delete;

  // Sends bytes as they are: whole frames of what the client speaks, which must not be HTTP. With
  // SEND_AND_CLOSE, and if there are none, closes the connection after what was sent on it, as
  // Connection::close(). Nothing happens if the connection is gone; other failures are logged.
  // Any thread; does not wait.
  void SendBack(unsigned cli_flow, const char* data, unsigned len,
                unsigned op = SEND_NORMAL) const {
    bool is_empty = data == nullptr || len == 0;
    if (!is_empty) {
      std::string_view bytes(data, len);
      detail::ErrorSlot error;
      log_failure(error.check(fastrpc_server_push_raw(server_, cli_flow, detail::bytes_of(bytes),
                                                      bytes.size(), error.out())));
    }
    if (!is_empty && op != SEND_AND_CLOSE) return;
    detail::ErrorSlot error;
    log_failure(error.check(fastrpc_server_close_connection(server_, cli_flow, error.out())));
  }

  // The number of the process.
  const unsigned _svr_id = static_cast<unsigned>(getpid());
  // The address that the server listens on; as it was asked for, and of a socket that was handed
  // over none, until it listens. Of a Unix socket "unix:/path", and port 0.
  std::string _svr_ip;
  int _svr_port = 0;

  // The same with the address that it listens on, for a handler that it is about to run.
  CASyncSvr* listening() {
    if (!listens_.load(std::memory_order_acquire)) look_at_address();
    return this;
  }

 private:
  friend class RpcServer;

  static void log_failure(const Result<void>& sent) {
    if (!sent && !sent.error().is_closed())
      fastrpc::log(FASTRPC_LOG_WARN, "SendBack() failed: " + sent.error().text());
  }

  void look_at_address() {
    std::lock_guard<std::mutex> guard(lock_);
    if (listens_.load(std::memory_order_relaxed)) return;
    std::string address = detail::copied_text([this](char* buffer, std::size_t size) {
      return fastrpc_server_address(server_, buffer, size);
    });
    if (address.empty()) return;
    set_address(address);
    listens_.store(true, std::memory_order_release);
  }

  void set_address(const std::string& address) {
    auto colon = address.rfind(':');
    if (colon == std::string::npos || address.rfind("unix:", 0) == 0) {
      _svr_ip = address;
      return;
    }
    bool v6 = colon >= 2 && address.front() == '[';
    _svr_ip = v6 ? address.substr(1, colon - 2) : address.substr(0, colon);
    _svr_port = static_cast<int>(std::strtol(address.c_str() + colon + 1, nullptr, 10));
  }

  fastrpc_server* server_;
  std::mutex lock_;
  std::atomic<bool> listens_{false};
};

}  // namespace fastrpc
