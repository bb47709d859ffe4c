// Holds many connections to a server that pushes, and asks it again and again to push to all of
// them: each time when the last has got its message. No library.
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

std::string Request(const bench::ClientOptions& options, const char* message) {
  std::string request;
  bench::AppendField(request, 1, options.service);
  bench::AppendField(request, 2, options.method);
  std::string takes_pushes;
  bench::AppendField(takes_pushes, 1, "fastrpc_push");
  bench::AppendField(takes_pushes, 2, "1");
  std::string meta, body;
  bench::AppendField(meta, 1, request);
  meta.push_back(4 << 3);
  meta.push_back(1);  // the correlation id
  bench::AppendField(meta, 9, takes_pushes);
  bench::AppendField(body, 1, message);
  return bench::Frame(meta, body);
}

class PushClient {
 public:
  explicit PushClient(const bench::ClientOptions& options)
      : options_(options), epoll_(Check(epoll_create1(0), "epoll_create1")) {
    std::string join = Request(options, bench::kJoin);
    for (std::size_t i = 0; i < options.connections; ++i) Connect(join);
  }

  // 0, or the exit status of a client whose server went away.
  int Run() {
    while (answers_ < connections_.size()) {
      if (!Wait()) return Lost();
    }
    std::string go = Request(options_, bench::kGo);
    bench::Measurement measurement(options_);
    do {
      answers_ = pushes_ = 0;
      Connection& first = *connections_.front();
      first.out.Append(go.data(), go.size());
      if (first.out.WriteTo(first.fd) == Buffer::Outcome::kClosed) return Lost();
      while (pushes_ < connections_.size() || answers_ < 1) {
        if (!Wait()) return Lost();
      }
      measurement.Answered(started_, last_, static_cast<std::uint32_t>(pushes_));
    } while (!measurement.Done(bench::Now()));
    measurement.Print();
    return 0;
  }

 private:
  void Connect(const std::string& join) {
    sockaddr_in address = bench::Address(options_.host, options_.port);
    int fd = Check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    Check(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), "connect");
    bench::NoDelay(fd);
    auto connection = std::make_unique<Connection>();
    connection->fd = fd;
    connection->out.Append(join.data(), join.size());
    if (connection->out.WriteTo(fd) == Buffer::Outcome::kClosed) std::exit(Lost());
    bench::Watch(epoll_, EPOLL_CTL_ADD, *connection, EPOLLIN);
    connections_.push_back(std::move(connection));
  }

  bool Wait() {
    epoll_event events[256];
    int count = epoll_wait(epoll_, events, 256, -1);
    if (count < 0 && errno != EINTR) Check(count, "epoll_wait");
    for (int i = 0; i < count; ++i) {
      Buffer& in = static_cast<Connection*>(events[i].data.ptr)->in;
      int fd = static_cast<Connection*>(events[i].data.ptr)->fd;
      if (in.ReadFrom(fd) == Buffer::Outcome::kClosed) return false;
      while (in.size() >= bench::kHead) {
        std::size_t whole = bench::kHead + bench::ReadBig32(in.data() + 4);
        if (in.size() < whole) break;
        Take(std::string(in.data(), whole));
        in.Consume(whole);
      }
    }
    return true;
  }

  void Take(const std::string& frame) {
    if (frame.size() < bench::kHead + bench::kPushed) {
      ++answers_;
      return;
    }
    ++pushes_;
    last_ = bench::Now();
    started_ = std::strtoull(frame.substr(frame.size() - bench::kPushed, bench::kDigits).c_str(),
                             nullptr, 10);
  }

  static int Lost() {
    std::fprintf(stderr, "the server closed a connection\n");
    return 1;
  }

  bench::ClientOptions options_;
  int epoll_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::size_t answers_ = 0;
  std::size_t pushes_ = 0;
  bench::Nanos started_ = 0;
  bench::Nanos last_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  auto options = bench::ParseClient(
      argc, argv,
      "Takes what a server pushes to many connections; p50 and p99 are until the last.");
  return PushClient(options).Run();
}
