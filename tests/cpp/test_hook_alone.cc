// A program that is linked without any shared library: its own calls suspend, and those that ask
// for no wait are answered by the system calls themselves.
#include <fastrpc/fastrpc.hpp>

#include <netdb.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "check.hpp"
#include "suspends.hpp"

using namespace std::chrono_literals;

namespace {

// The same for a call that says whether it found what it waited for.
template <typename Wait>
void finds(Wait wait) {
  suspends([wait](int fd) { return wait(fd) ? 'x' : 0; });
}

void waits_suspend() {
  finds([](int fd) {
    char byte = 0;
    return read(fd, &byte, 1) == 1 && byte == 'x';
  });
  finds([](int fd) {
    char byte = 0;
    return recv(fd, &byte, 1, 0) == 1 && byte == 'x';
  });
  finds([](int fd) {
    pollfd entry{fd, POLLIN, 0};
    return poll(&entry, 1, 10000) == 1 && entry.revents == POLLIN;
  });
  finds([](int fd) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    timeval limit{10, 0};
    return select(fd + 1, &set, nullptr, nullptr, &limit) == 1 && FD_ISSET(fd, &set);
  });
  finds([](int fd) {
    int epoll = epoll_create1(0);
    epoll_event event{};
    event.events = EPOLLIN;
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    bool found = epoll_wait(epoll, &event, 1, 10000) == 1;
    CHECK(close(epoll) == 0);
    return found;
  });
  finds([](int fd) {
    // Far longer than the writer sleeps.
    char byte;
    return usleep(50000) == 0 && recv(fd, &byte, 1, MSG_DONTWAIT) == 1;
  });
}

// In a plain thread each is a system call.
void plain_calls_answer() {
  int fds[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
  CHECK(send(fds[0], "abc", 3, 0) == 3);
  char bytes[3];
  CHECK(read(fds[1], bytes, 1) == 1 && bytes[0] == 'a');
  CHECK(recv(fds[1], bytes, 2, 0) == 2 && bytes[1] == 'c');
  CHECK(recv(fds[1], bytes, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);

  pollfd entry{fds[0], POLLIN | POLLOUT, 0};
  CHECK(poll(&entry, 1, 0) == 1 && entry.revents == POLLOUT);
  entry.events = POLLIN;
  CHECK(poll(&entry, 1, 10) == 0);
  timespec time{0, 10'000'000};
  CHECK(ppoll(&entry, 1, &time, nullptr) == 0 && time.tv_nsec == 10'000'000);
  timeval limit{0, 10'000};
  CHECK(select(0, nullptr, nullptr, nullptr, &limit) == 0 && limit.tv_usec == 0);

  CHECK(dup2(fds[0], fds[0]) == fds[0]);
  CHECK(dup2(fds[0], fds[1]) == fds[1]);
  CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);
  CHECK(dup2(fds[0], fds[0]) == -1 && errno == EBADF);

  CHECK(usleep(1000) == 0 && sleep(0) == 0 && nanosleep(&time, nullptr) == 0);
  errno = 0;
  time.tv_nsec = -1;
  CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr) == EINVAL && errno == 0);
}

void numbers_are_addresses() {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  CHECK(getaddrinfo("127.0.0.1", "80", &hints, &found) == 0);
  freeaddrinfo(found);
}

void semaphores_wake_coroutines_and_threads() {
  sem_t go, gone;
  CHECK(sem_init(&go, 0, 0) == 0 && sem_init(&gone, 0, 0) == 0);
  auto other = fastrpc::spawn([&] {
    fastrpc::hook::Guard hooked;
    for (int i = 0; i < 100; ++i) CHECK(sem_wait(&go) == 0 && sem_post(&gone) == 0);
  });
  for (int i = 0; i < 100; ++i) CHECK(sem_post(&go) == 0 && sem_wait(&gone) == 0);
  other.join();
  timespec past{1, 0};
  CHECK(sem_timedwait(&go, &past) == -1 && errno == ETIMEDOUT);
}

void locks_are_libcs() {
  std::mutex mutex;
  std::recursive_mutex recursive;
  std::timed_mutex timed;
  std::condition_variable changed;
  int turn = 0;
  auto take_turns = [&](int mine) {
    for (int i = 0; i < 100; ++i) {
      std::unique_lock<std::mutex> lock(mutex);
      changed.wait(lock, [&] { return turn % 2 == mine; });
      std::lock_guard<std::recursive_mutex> outer(recursive);
      std::lock_guard<std::recursive_mutex> inner(recursive);
      ++turn;
      changed.notify_all();
    }
  };
  std::thread thread(take_turns, 0);
  take_turns(1);
  thread.join();
  CHECK(turn == 200);
  timed.lock();
  std::thread([&] { CHECK(!timed.try_lock_for(5ms) && !timed.try_lock()); }).join();
  timed.unlock();
  std::unique_lock<std::mutex> lock(mutex);
  CHECK(changed.wait_for(lock, 5ms) == std::cv_status::timeout);
  lock.unlock();

  // And coroutines of a worker do not block each other with them.
  fastrpc::spawn([&] {
    std::lock_guard<std::mutex> held(mutex);
    auto other = fastrpc::spawn([&] { std::lock_guard<std::mutex> wanted(mutex); });
    fastrpc::sleep_for(5ms);
  }).join();
  CHECK(fastrpc::hook::deadlocks_averted() == 1);
}

void locks_for_readers_and_writers_are_ours() {
  std::shared_timed_mutex mutex;
  int count = 0;
  auto work = [&] {
    for (int i = 0; i < 200; ++i) {
      int seen = 0;
      {
        std::shared_lock<std::shared_timed_mutex> lock(mutex);
        seen = count;
      }
      std::lock_guard<std::shared_timed_mutex> lock(mutex);
      CHECK(count >= seen);
      ++count;
    }
  };
  std::thread thread(work);
  work();
  thread.join();
  CHECK(count == 400);
  mutex.lock_shared();
  std::thread([&] {
    CHECK(mutex.try_lock_shared() && !mutex.try_lock() && !mutex.try_lock_for(5ms));
    mutex.unlock_shared();
  }).join();
  mutex.unlock_shared();

  // And coroutines of a worker do not block each other with them.
  auto before = fastrpc::hook::deadlocks_averted();
  fastrpc::spawn([&] {
    std::shared_lock<std::shared_timed_mutex> held(mutex);
    auto other = fastrpc::spawn([&] { std::lock_guard<std::shared_timed_mutex> wanted(mutex); });
    fastrpc::sleep_for(5ms);
  }).join();
  CHECK(fastrpc::hook::deadlocks_averted() == before + 1);
}

void the_report_tells_what_kind_of_program_it_is() {
  CHECK(fastrpc::hook::report().find("statically linked program") == 0);
}

}  // namespace

int main() {
  RUN(waits_suspend);
  RUN(plain_calls_answer);
  RUN(numbers_are_addresses);
  RUN(semaphores_wake_coroutines_and_threads);
  RUN(locks_are_libcs);
  RUN(locks_for_readers_and_writers_are_ours);
  RUN(the_report_tells_what_kind_of_program_it_is);
}
