// What belongs to the thread is the same right after each hooked call, also where the optimiser
// keeps it across the call: errno and its place, pthread_self(), thread_local data, the kernel's
// thread id.
#include <fastrpc/fastrpc.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <vector>

#include "check.hpp"
#include "workers.hpp"

namespace {

constexpr int kCoroutines = 32;
constexpr int kWaits = 200;

thread_local long slot = 0;

// The optimiser must not take these for the same as an earlier call.
pthread_t (*volatile fresh_self)() = pthread_self;
int* (*volatile fresh_errno)() = __errno_location;
long* slot_address() {
  return &slot;
}
long* (*volatile fresh_slot)() = slot_address;

struct Thread {
  pthread_t self = pthread_self();
  int* errno_place = &errno;
  long* slot_place = &slot;
  long id = syscall(SYS_gettid);

  bool is_here() const {
    return pthread_equal(self, fresh_self()) && errno_place == fresh_errno() &&
           slot_place == fresh_slot() && pthread_equal(self, pthread_self()) &&
           errno_place == &errno && slot_place == &slot && slot == id && id == syscall(SYS_gettid);
  }
};

// One coroutine's fds: a socket that gets nothing, and a port that refuses.
class Waits {
 public:
  Waits() {
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair_) == 0);
    CHECK(pipe(pipe_) == 0);
    timeval limit{0, 1000};
    CHECK(setsockopt(pair_[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    epoll_ = epoll_create1(0);
    epoll_event event{EPOLLIN, {}};
    CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, pair_[0], &event) == 0);
    // Bound and not listening.
    refusing_ = socket(AF_INET, SOCK_STREAM, 0);
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    CHECK(bind(refusing_, reinterpret_cast<sockaddr*>(&address_), size) == 0);
    CHECK(getsockname(refusing_, reinterpret_cast<sockaddr*>(&address_), &size) == 0);
  }
  ~Waits() {
    for (int fd : {pair_[0], pair_[1], pipe_[0], pipe_[1], epoll_, refusing_}) close(fd);
  }

  // The kind of wait that `number` is, and what it has to leave in errno. 0 if that was so.
  int wait(int number) {
    char byte;
    pollfd entry{pair_[0], POLLIN, 0};
    epoll_event event;
    switch (number % 8) {
      case 0:
        return recv(pair_[0], &byte, 1, 0) == -1 && errno == EAGAIN ? 0 : 1;
      case 1:
        return usleep(500) == 0 && errno == number ? 0 : 1;
      case 2:
        return poll(&entry, 1, 1) == 0 && errno == number ? 0 : 1;
      case 3:
        return epoll_wait(epoll_, &event, 1, 1) == 0 && errno == number ? 0 : 1;
      case 4:
        return select_nothing() == 0 && errno == number ? 0 : 1;
      case 5:
        return connect_refused() == -1 && errno == ECONNREFUSED ? 0 : 1;
      case 6:
        return read(pair_[0], &byte, 1) == -1 && errno == EAGAIN ? 0 : 1;
      default:
        return pipe_later() == 1 && errno == number ? 0 : 1;
    }
  }

 private:
  int select_nothing() {
    timeval limit{0, 1000};
    return select(0, nullptr, nullptr, nullptr, &limit);
  }
  int connect_refused() {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int result = connect(fd, reinterpret_cast<sockaddr*>(&address_), sizeof address_);
    int error = errno;
    close(fd);
    errno = error;
    return result;
  }
  // Reads what another coroutine of this worker writes meanwhile.
  int pipe_later() {
    int error = errno;
    auto writer = fastrpc::spawn([fd = pipe_[1]] { CHECK(write(fd, "x", 1) == 1); });
    errno = error;
    char byte;
    int result = static_cast<int>(read(pipe_[0], &byte, 1));
    error = errno;
    writer.join();
    errno = error;
    return result;
  }

  int pair_[2];
  int pipe_[2];
  int epoll_;
  int refusing_;
  sockaddr_in address_{};
};

void a_wait_changes_nothing_of_the_thread() {
  std::atomic<int> wrong_results{0}, wrong_threads{0}, done{0};
  std::vector<fastrpc::Coroutine<void>> coroutines;
  for (int i = 0; i < kCoroutines; ++i) {
    coroutines.push_back(fastrpc::spawn([&] {
      fastrpc::hook::Guard hooked;
      slot = syscall(SYS_gettid);
      Waits waits;
      Thread thread;
      for (int number = 1; number <= kWaits; ++number) {
        errno = number;
        wrong_results += waits.wait(number);
        wrong_threads += thread.is_here() ? 0 : 1;
        ++done;
      }
    }));
  }
  for (auto& coroutine : coroutines) coroutine.join();
  std::printf("%d waits, %d wrong results, %d on the wrong thread\n", done.load(),
              wrong_results.load(), wrong_threads.load());
  CHECK(done == kCoroutines * kWaits);
  CHECK(wrong_results == 0 && wrong_threads == 0);
}

}  // namespace

int main() {
  configure_workers();
  RUN(a_wait_changes_nothing_of_the_thread);
}
