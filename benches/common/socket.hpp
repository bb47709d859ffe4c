// Non-blocking sockets for the programs that use no library: the floor and the raw client.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace bench {

// The result of a system call, or the end of the program with its name.
inline int Check(int result, const char* call) {
  if (result < 0) {
    std::perror(call);
    std::exit(1);
  }
  return result;
}

inline sockaddr_in Address(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    std::fprintf(stderr, "not an IPv4 address: %s\n", host.c_str());
    std::exit(2);
  }
  return address;
}

inline void NoDelay(int fd) {
  int on = 1;
  Check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
}

// Bytes that arrived but are not parsed, or are written but not sent.
class Buffer {
 public:
  char* data() { return bytes_.data() + begin_; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }

  void Append(const void* bytes, std::size_t size) { std::memcpy(Extend(size), bytes, size); }

  // `size` bytes at the end, for the caller to fill.
  char* Extend(std::size_t size) {
    Reserve(size);
    char* tail = bytes_.data() + end_;
    end_ += size;
    return tail;
  }

  void Consume(std::size_t size) {
    begin_ += size;
    if (begin_ == end_) begin_ = end_ = 0;
  }

  enum class Outcome { kOpen, kClosed };

  // One read, of all that is there up to kRead bytes.
  Outcome ReadFrom(int fd) {
    Reserve(kRead);
    ssize_t got = read(fd, bytes_.data() + end_, kRead);
    if (got > 0) {
      end_ += static_cast<std::size_t>(got);
      return Outcome::kOpen;
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? Outcome::kOpen : Outcome::kClosed;
  }

  // One write of everything; what the socket does not take stays.
  Outcome WriteTo(int fd) {
    ssize_t put = send(fd, data(), size(), MSG_NOSIGNAL);
    if (put >= 0) {
      Consume(static_cast<std::size_t>(put));
      return Outcome::kOpen;
    }
    return errno == EAGAIN || errno == EINTR ? Outcome::kOpen : Outcome::kClosed;
  }

 private:
  static constexpr std::size_t kRead = 256 << 10;

  void Reserve(std::size_t size) {
    if (bytes_.size() - end_ >= size) return;
    std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
    if (bytes_.size() - end_ < size) bytes_.resize(end_ + size);
  }

  std::vector<char> bytes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

struct Connection {
  int fd = -1;
  bool writing = false;  // waits for room in the socket
  Buffer in;
  Buffer out;
};

inline void Watch(int epoll, int operation, Connection& connection, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &connection;
  Check(epoll_ctl(epoll, operation, connection.fd, &event), "epoll_ctl");
}

}  // namespace bench
