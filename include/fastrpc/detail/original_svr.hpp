// A server as the handlers of 2016 see it.
#pragma once

#include <unistd.h>

#include <fastrpc/detail/address.hpp>
#include <fastrpc/detail/bytes.hpp>
#include <fastrpc/error.hpp>
#include <fastrpc/runtime.hpp>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <string>
#include <string_view>

namespace fastrpc {

namespace detail {

// A connection's number in the 32 bits that the original has for it. 0 names nobody: no number is
// given twice, so that a server whose 4,294,967,295 numbers are used up has no more of them. The
// 64 bits of Connection last.
inline unsigned flow_of(std::uint64_t connection) {
  return connection <= std::numeric_limits<unsigned>::max() ? static_cast<unsigned>(connection) : 0;
}

}  // namespace detail

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
  // The C object.
  [[nodiscard]] fastrpc_server* capi() const { return server_; }

 private:
  static void log_failure(const Result<void>& sent) {
    if (!sent && !sent.error().is_closed())
      fastrpc::log(LogLevel::warn, "SendBack() failed: " + sent.error().text());
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
