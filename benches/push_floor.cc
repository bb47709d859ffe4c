// The floor of the push fan-out: one thread with epoll, and one send(2) for each client.
#include <memory>
#include <string>
#include <vector>

#include "common/baidu.hpp"
#include "common/push.hpp"
#include "common/socket.hpp"

namespace {

using bench::Buffer;
using bench::Check;
using bench::Connection;

// As much as comes before the message in a push of fastrpc.
constexpr std::size_t kMeta = 44;

class PushFloor {
 public:
  explicit PushFloor(std::uint16_t port) : epoll_(Check(epoll_create1(0), "epoll_create1")) {
    sockaddr_in address = bench::Address("127.0.0.1", port);
    socklen_t size = sizeof address;
    listener_.fd = Check(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    Check(bind(listener_.fd, reinterpret_cast<sockaddr*>(&address), size), "bind");
    Check(listen(listener_.fd, 1024), "listen");
    Check(getsockname(listener_.fd, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    bench::Watch(epoll_, EPOLL_CTL_ADD, listener_, EPOLLIN);
    bench::AnnouncePort(ntohs(address.sin_port));
  }

  // Until a client leaves.
  void Run() {
    for (;;) {
      epoll_event events[256];
      int count = epoll_wait(epoll_, events, 256, -1);
      if (count < 0 && errno != EINTR) Check(count, "epoll_wait");
      for (int i = 0; i < count; ++i) {
        auto& connection = *static_cast<Connection*>(events[i].data.ptr);
        if (&connection == &listener_) {
          Accept();
        } else if (connection.in.ReadFrom(connection.fd) == Buffer::Outcome::kClosed) {
          return;
        } else {
          Answer(connection);
        }
      }
    }
  }

 private:
  void Accept() {
    int fd = accept4(listener_.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    bench::NoDelay(fd);
    members_.push_back(std::make_unique<Connection>());
    members_.back()->fd = fd;
    bench::Watch(epoll_, EPOLL_CTL_ADD, *members_.back(), EPOLLIN);
  }

  void Answer(Connection& connection) {
    static const std::string kAnswer = bench::Frame("", "");
    Buffer& in = connection.in;
    while (in.size() >= bench::kHead) {
      std::size_t whole = bench::kHead + bench::ReadBig32(in.data() + 4);
      if (in.size() < whole) break;
      if (std::string(in.data(), whole).find(bench::kGo, whole - 2) != std::string::npos) Push();
      in.Consume(whole);
      Send(connection, kAnswer);
    }
  }

  void Push() {
    std::string frame = bench::Frame(std::string(kMeta, 'm'), bench::Stamp());
    for (auto& member : members_) Send(*member, frame);
  }

  // The clients read at once: there is always room for so little.
  static void Send(Connection& connection, const std::string& frame) {
    ssize_t sent = send(connection.fd, frame.data(), frame.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(frame.size())) std::abort();
  }

  int epoll_;
  Connection listener_;
  std::vector<std::unique_ptr<Connection>> members_;
};

}  // namespace

int main(int argc, char** argv) {
  auto options =
      bench::ParseServer(argc, argv, "The floor of the push fan-out: a send per client.");
  PushFloor(options.port).Run();
}
