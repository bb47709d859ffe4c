// A client without a library: D calls in flight on each of C connections, each answer starts the
// next call, and all calls that one read sets free leave in one write.
#pragma once

#include <fcntl.h>

#include <memory>
#include <utility>
#include <vector>

#include "measure.hpp"
#include "setup.hpp"
#include "socket.hpp"

namespace bench {

struct Answer {
  std::size_t size;    // bytes taken; 0: the frame is not complete yet
  std::uint32_t slot;  // which of the connection's calls
  bool right;          // it is the echo of the request
};

// Codec: `void AppendRequest(Buffer& out, uint32_t slot)` and
// `Answer ParseAnswer(const char* bytes, size_t size)`.
template <typename Codec>
class ClosedLoop {
 public:
  ClosedLoop(const ClientOptions& options, Codec codec)
      : options_(options),
        codec_(std::move(codec)),
        epoll_(Check(epoll_create1(0), "epoll_create1")) {
    for (std::size_t i = 0; i < options.connections; ++i) Connect();
  }

  ~ClosedLoop() {
    for (auto& lane : lanes_) close(lane->connection.fd);
    close(epoll_);
  }

  ClosedLoop(const ClosedLoop&) = delete;
  ClosedLoop& operator=(const ClosedLoop&) = delete;

  // 0, or the exit status of a client whose server went away.
  int Run() {
    Measurement measurement(options_);
    for (auto& lane : lanes_) {
      for (std::uint32_t slot = 0; slot < options_.in_flight; ++slot) Start(*lane, slot, Now());
      if (!Flush(*lane)) return Lost();
    }
    std::vector<epoll_event> events(256);
    for (;;) {
      int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      if (count < 0 && errno != EINTR) Check(count, "epoll_wait");
      for (int i = 0; i < count; ++i) {
        Lane& lane = *reinterpret_cast<Lane*>(events[static_cast<std::size_t>(i)].data.ptr);
        if (!Serve(lane, measurement)) return Lost();
      }
      if (measurement.Done(Now())) break;
    }
    measurement.Print();
    return 0;
  }

 private:
  struct Lane {
    Connection connection;  // first: epoll gives its address back
    std::vector<Nanos> started;
  };

  void Connect() {
    auto lane = std::make_unique<Lane>();
    sockaddr_in address = Address(options_.host, options_.port);
    int fd = Check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    Check(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), "connect");
    NoDelay(fd);
    int flags = Check(fcntl(fd, F_GETFL), "fcntl");
    Check(fcntl(fd, F_SETFL, flags | O_NONBLOCK), "fcntl");
    lane->connection.fd = fd;
    lane->started.resize(options_.in_flight);
    Watch(epoll_, EPOLL_CTL_ADD, lane->connection, EPOLLIN);
    lanes_.push_back(std::move(lane));
  }

  void Start(Lane& lane, std::uint32_t slot, Nanos now) {
    lane.started[slot] = now;
    codec_.AppendRequest(lane.connection.out, slot);
  }

  bool Serve(Lane& lane, Measurement& measurement) {
    Buffer& in = lane.connection.in;
    if (in.ReadFrom(lane.connection.fd) == Buffer::Outcome::kClosed) return false;
    // One look at the clock per read: the answers it brought ended together.
    Nanos now = Now();
    while (!in.empty()) {
      Answer answer = codec_.ParseAnswer(in.data(), in.size());
      if (answer.size == 0) break;
      if (answer.slot >= lane.started.size()) return false;
      answer.right ? measurement.Answered(lane.started[answer.slot], now) : measurement.Failed();
      in.Consume(answer.size);
      Start(lane, answer.slot, now);
    }
    return Flush(lane);
  }

  bool Flush(Lane& lane) {
    Connection& connection = lane.connection;
    if (!connection.out.empty() &&
        connection.out.WriteTo(connection.fd) == Buffer::Outcome::kClosed) {
      return false;
    }
    bool writing = !connection.out.empty();
    if (writing != connection.writing) {
      connection.writing = writing;
      Watch(epoll_, EPOLL_CTL_MOD, connection, writing ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
    return true;
  }

  static int Lost() {
    std::fprintf(stderr, "the server closed a connection or sent what is not an answer\n");
    return 1;
  }

  ClientOptions options_;
  Codec codec_;
  int epoll_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace bench
