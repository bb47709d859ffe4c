// The original's TCP socket. What waits suspends the coroutine, or blocks the thread.
#pragma once

#include <fastrpc/detail/http_text.hpp>
#include <fastrpc/io.hpp>

#include <netinet/tcp.h>
#include <sys/uio.h>

#include <chrono>
#include <utility>

#include "xcore_mutex.h"
#include "xcore_noncopyable.h"
#include "xcore_sock_addr.h"
#include "xcore_thread.h"

namespace xcore {

// A socket, non-blocking. The destructor does not close it. Times are milliseconds, -1 for ever.
// One thread at a time, but that one may send and another receive.
class XSocket : XNoncopyable {
 public:
  explicit XSocket(SOCKET sock = XCORE_INVALID_SOCKET) : m_sock(sock) {}

  SOCKET get_handle() const { return m_sock; }
  bool is_open() const { return m_sock != XCORE_INVALID_SOCKET; }
  // Takes a descriptor over, which becomes non-blocking; the one before stays open.
  void attach(SOCKET sock) {
    m_sock = sock;
    ahead_.clear();
    if (is_open()) set_nonblock(true);
  }
  SOCKET detach() { return std::exchange(m_sock, XCORE_INVALID_SOCKET); }

  bool open(int type = SOCK_STREAM) {
    if (is_open()) close();
    ahead_.clear();
    m_sock = ::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return is_open();
  }
  bool bind(const XSockAddr& addr) {
    return ::bind(m_sock, address(addr), sizeof(sockaddr_in)) == 0;
  }
  // Binds and listens; other sockets may have used the address just before.
  bool listen(const XSockAddr& addr, int backlog = -1) {
    set_reuse_addr();
    return bind(addr) && ::listen(m_sock, backlog < 0 ? SOMAXCONN : backlog) == 0;
  }
  // Waits for 20 seconds at most.
  bool connect(const XSockAddr& addr) { return connect(addr, 20000) == 1; }
  // 1 if it is connected, -1 for an error, -2 when the time has passed, 0 if there is no socket.
  int connect(const XSockAddr& addr, int timeout_ms) {
    if (!is_open()) return 0;
    ahead_.clear();
    if (::connect(m_sock, address(addr), sizeof(sockaddr_in)) == 0) return 1;
    if (errno != EINPROGRESS && errno != EINTR) return errno == EISCONN ? 1 : -1;
    int ready = wait(fastrpc::Interest::writable, deadline(timeout_ms));
    if (ready <= 0) return ready == 0 ? -2 : -1;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(m_sock, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return -1;
    errno = error;
    return error == 0 ? 1 : -1;
  }
  // Takes a connection that is there; see can_recv(). False if there is none.
  bool accept(XSocket& sock, XSockAddr* remote_addr = nullptr) {
    sockaddr_in from = {};
    socklen_t size = sizeof from;
    int fd =
        ::accept4(m_sock, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return false;
    sock.attach(fd);
    if (remote_addr != nullptr) *remote_addr = from;
    return true;
  }
  // Ends the sending half.
  bool shutdown() { return ::shutdown(m_sock, SHUT_WR) == 0; }
  // Closes; waits of others on it end. `delay`: seconds that unsent bytes may take, 0 to drop them,
  // -1 for the system's way.
  bool close(int delay = -1) {
    if (!is_open()) return false;
    if (delay >= 0) set_linger(static_cast<uint16>(std::min(delay, 65535)));
    int fd = detach();
    ahead_.clear();
    fastrpc::notify_close(fd);
    return ::close(fd) == 0;
  }
  // Closes by a reset.
  bool abort() { return close(0); }
  bool reconnect(const XSockAddr& addr) {
    close();
    return open() && connect(addr);
  }

  XSockAddr local_addr() const { return name(::getsockname); }
  XSockAddr remote_addr() const { return name(::getpeername); }

  bool set_reuse_addr(bool on = true) { return set_int(SOL_SOCKET, SO_REUSEADDR, on); }
  bool set_keep_alive(bool on = true) { return set_int(SOL_SOCKET, SO_KEEPALIVE, on); }
  bool set_tcp_nodelay(bool on = true) { return set_int(IPPROTO_TCP, TCP_NODELAY, on); }
  bool set_send_bufsize(uint32 size = 8192) { return set_int(SOL_SOCKET, SO_SNDBUF, number(size)); }
  bool set_recv_bufsize(uint32 size = 8192) { return set_int(SOL_SOCKET, SO_RCVBUF, number(size)); }
  bool get_send_bufsize(uint32& size) const { return get_uint(SO_SNDBUF, size); }
  bool get_recv_bufsize(uint32& size) const { return get_uint(SO_RCVBUF, size); }
  bool set_linger(uint16 delay_sec, bool on = true) {
    linger value = {on ? 1 : 0, delay_sec};
    return setsockopt(m_sock, SOL_SOCKET, SO_LINGER, &value, sizeof value) == 0;
  }
  // A blocking one is good for your own system calls; what waits here is the same for both.
  bool set_nonblock(bool on = true) {
    int flags = fcntl(m_sock, F_GETFL);
    if (flags < 0) return false;
    return fcntl(m_sock, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) == 0;
  }

  // Waits until there is something to receive or accept, or the end.
  bool can_recv(int timeout_ms = -1) {
    return !ahead_.empty() || wait(fastrpc::Interest::readable, deadline(timeout_ms)) > 0;
  }
  bool can_send(int timeout_ms = -1) {
    return wait(fastrpc::Interest::writable, deadline(timeout_ms)) > 0;
  }

  // These do not wait. The bytes that were sent or received; 0 if there would be a wait, -1 for an
  // error or, receiving, the end of the connection.
  int send(const void* buf, int len) {
    if (len <= 0) return len;
    return result(::send(m_sock, buf, static_cast<size_t>(len), MSG_NOSIGNAL | MSG_DONTWAIT));
  }
  int recv(void* buf, int len) {
    if (len <= 0) return len;
    auto size = static_cast<size_t>(len);
    if (!ahead_.empty()) return take_ahead(static_cast<char*>(buf), size);
    ssize_t got = ::recv(m_sock, buf, size, MSG_DONTWAIT);
    return got == 0 ? -1 : result(got);
  }
  int sendto(const void* buf, int len, const XSockAddr& addr) {
    if (len < 0) return -1;
    return result(::sendto(m_sock, buf, static_cast<size_t>(len), MSG_NOSIGNAL | MSG_DONTWAIT,
                           address(addr), sizeof(sockaddr_in)));
  }
  int recvfrom(void* buf, int len, XSockAddr& addr) {
    if (len < 0) return -1;
    sockaddr_in from = {};
    socklen_t size = sizeof from;
    ssize_t got = ::recvfrom(m_sock, buf, static_cast<size_t>(len), MSG_DONTWAIT,
                             reinterpret_cast<sockaddr*>(&from), &size);
    if (got >= 0) addr = from;
    return result(got);
  }

  // Wait until all `len` bytes are through. The bytes that are when the time has passed; -1 for an
  // error or the end of the connection.
  int send_n(const void* buf, int len, int timeout_ms = -1) {
    auto* bytes = static_cast<const char*>(buf);
    return all_of(len, timeout_ms, fastrpc::Interest::writable,
                  [&](int done) { return send(bytes + done, len - done); });
  }
  int recv_n(void* buf, int len, int timeout_ms = -1) {
    auto* bytes = static_cast<char*>(buf);
    return all_of(len, timeout_ms, fastrpc::Interest::readable,
                  [&](int done) { return recv(bytes + done, len - done); });
  }
  bool send_v(const iovec* iov, int cnt) {
    for (int i = 0; i < cnt; ++i) {
      int size = static_cast<int>(iov[i].iov_len);
      if (send_n(iov[i].iov_base, size) != size) return false;
    }
    return true;
  }

  // Receives one message of HTTP, also in chunks; what comes after it is kept for the next call.
  // Its bytes; 0 when the time has passed, -1 for an error, the end of the connection before the
  // end of the message, or what is no HTTP.
  int recv_one_http(std::string& one_http, int timeout_ms) {
    auto end = deadline(timeout_ms);
    std::string buffer = std::exchange(ahead_, {});
    char piece[16384];
    for (;;) {
      auto frame = fastrpc::detail::find_http_frame(buffer);
      if (frame.state == frame.kMalformed || buffer.size() > kMaxHttp) return -1;
      bool whole = frame.state == frame.kWhole && !frame.until_close;
      if (whole) return give(frame.head_size + frame.body_size, std::move(buffer), one_http);
      ssize_t got = ::recv(m_sock, piece, sizeof piece, MSG_DONTWAIT);
      if (got > 0) {
        buffer.append(piece, static_cast<size_t>(got));
        continue;
      }
      if (got == 0) {
        if (frame.state != frame.kWhole) return -1;
        return give(buffer.size(), std::move(buffer), one_http);
      }
      if (result(got) < 0) return -1;
      int ready = wait(fastrpc::Interest::readable, end);
      if (ready > 0) continue;
      ahead_ = std::move(buffer);
      return ready;
    }
  }

  SOCKET m_sock;

 private:
  using Clock = std::chrono::steady_clock;

  // A message that is larger is an error.
  static constexpr size_t kMaxHttp = size_t{1} << 30;

  static const sockaddr* address(const XSockAddr& addr) {
    return reinterpret_cast<const sockaddr*>(&addr.get());
  }
  static int number(uint32 size) { return static_cast<int>(std::min<uint32>(size, INT_MAX)); }
  static Clock::time_point deadline(int timeout_ms) {
    if (timeout_ms < 0) return Clock::time_point::max();
    return Clock::now() + std::chrono::milliseconds(timeout_ms);
  }

  // 1 if it is ready, 0 when the time has passed, -1 if it cannot be waited for.
  int wait(fastrpc::Interest interest, Clock::time_point end) {
    bool never = end == Clock::time_point::max();
    auto ready = never ? fastrpc::wait_fd(m_sock, interest, std::nothrow)
                       : fastrpc::wait_fd(m_sock, interest, end - Clock::now(), std::nothrow);
    if (ready) return 1;
    return ready.error().is_timeout() || ready.error().is_would_block() ? 0 : -1;
  }

  static int result(ssize_t done) {
    if (done >= 0) return static_cast<int>(done);
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
  }

  template <typename Step>
  int all_of(int len, int timeout_ms, fastrpc::Interest interest, Step step) {
    auto end = deadline(timeout_ms);
    int done = 0;
    while (done < len) {
      int now = step(done);
      if (now < 0) return -1;
      done += now;
      if (now > 0) continue;
      int ready = wait(interest, end);
      if (ready < 0) return -1;
      if (ready == 0) break;
    }
    return done;
  }

  int take_ahead(char* buf, size_t size) {
    size = std::min(size, ahead_.size());
    memcpy(buf, ahead_.data(), size);
    ahead_.erase(0, size);
    return static_cast<int>(size);
  }

  int give(size_t size, std::string&& buffer, std::string& one_http) {
    ahead_ = buffer.substr(size);
    buffer.resize(size);
    one_http = std::move(buffer);
    return static_cast<int>(size);
  }

  bool set_int(int level, int option, int value) {
    return setsockopt(m_sock, level, option, &value, sizeof value) == 0;
  }
  bool get_uint(int option, uint32& value) const {
    int got = 0;
    socklen_t size = sizeof got;
    if (getsockopt(m_sock, SOL_SOCKET, option, &got, &size) != 0) return false;
    value = static_cast<uint32>(got);
    return true;
  }
  XSockAddr name(int (*of)(int, sockaddr*, socklen_t*)) const {
    sockaddr_in address = {};
    socklen_t size = sizeof address;
    if (of(m_sock, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
    return address;
  }

  // Received beyond the last message of HTTP.
  std::string ahead_;
};

}  // namespace xcore

using xcore::XSocket;
