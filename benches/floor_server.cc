// The floor: what one thread with epoll can do when it does nothing but echo frames. It parses all
// frames that one read brought and answers them with one write.
#include <memory>
#include <unordered_map>

#include "common/frame.hpp"
#include "common/setup.hpp"
#include "common/socket.hpp"

namespace {

using bench::Buffer;
using bench::Check;
using bench::Connection;

// Frames beyond this end the connection.
constexpr std::size_t kMaxPayload = 64 << 20;

class FloorServer {
 public:
  explicit FloorServer(std::uint16_t port) : epoll_(Check(epoll_create1(0), "epoll_create1")) {
    sockaddr_in address = bench::Address("127.0.0.1", port);
    socklen_t size = sizeof address;
    listener_.fd = Check(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    Check(bind(listener_.fd, reinterpret_cast<sockaddr*>(&address), size), "bind");
    Check(listen(listener_.fd, 1024), "listen");
    Check(getsockname(listener_.fd, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    bench::Watch(epoll_, EPOLL_CTL_ADD, listener_, EPOLLIN);
    bench::AnnouncePort(ntohs(address.sin_port));
  }

  [[noreturn]] void Run() {
    std::vector<epoll_event> events(256);
    for (;;) {
      int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      if (count < 0 && errno != EINTR) Check(count, "epoll_wait");
      for (int i = 0; i < count; ++i) {
        auto& connection = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
        if (&connection == &listener_) {
          Accept();
        } else if (!Serve(connection)) {
          close(connection.fd);
          connections_.erase(&connection);
        }
      }
    }
  }

 private:
  void Accept() {
    int fd = accept4(listener_.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    bench::NoDelay(fd);
    auto connection = std::make_unique<Connection>();
    connection->fd = fd;
    bench::Watch(epoll_, EPOLL_CTL_ADD, *connection, EPOLLIN);
    Connection* key = connection.get();
    connections_.emplace(key, std::move(connection));
  }

  bool Serve(Connection& connection) {
    // A peer that does not take its answers is not read from either.
    if (!connection.writing) {
      if (connection.in.ReadFrom(connection.fd) == Buffer::Outcome::kClosed) return false;
      if (!Answer(connection)) return false;
    }
    if (!connection.out.empty() &&
        connection.out.WriteTo(connection.fd) == Buffer::Outcome::kClosed) {
      return false;
    }
    bool writing = !connection.out.empty();
    if (writing != connection.writing) {
      connection.writing = writing;
      bench::Watch(epoll_, EPOLL_CTL_MOD, connection, writing ? EPOLLOUT : EPOLLIN);
    }
    return true;
  }

  static bool Answer(Connection& connection) {
    Buffer& in = connection.in;
    while (in.size() >= sizeof(bench::FrameHead)) {
      bench::FrameHead head = bench::ReadHead(in.data());
      if (head.size > kMaxPayload) return false;
      std::size_t size = sizeof head + head.size;
      if (in.size() < size) break;
      connection.out.Append(in.data(), size);
      in.Consume(size);
    }
    return true;
  }

  int epoll_;
  Connection listener_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
};

}  // namespace

int main(int argc, char** argv) {
  auto options = bench::ParseServer(argc, argv, "The floor's server: a bare epoll echo of frames.");
  FloorServer(options.port).Run();
}
