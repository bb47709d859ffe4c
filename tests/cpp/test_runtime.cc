// Coroutines, locks and timers from C++, and what a switch must not disturb.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cfenv>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "workers.hpp"

using namespace std::chrono_literals;

namespace {

void results_and_exceptions_reach_the_joiner() {
  CHECK_EQ(fastrpc::spawn([] { return 7; }).join(), 7);
  auto moved = fastrpc::spawn([] { return std::make_unique<int>(8); }).join();
  CHECK_EQ(*moved, 8);
  std::string what;
  try {
    fastrpc::spawn([] { throw std::runtime_error("told"); }).join();
  } catch (const std::runtime_error& error) {
    what = error.what();
  }
  CHECK_EQ(what, "told");
  auto failed = fastrpc::spawn([]() -> int { throw std::runtime_error("told"); });
  auto result = failed.join(std::nothrow);
  CHECK(!result.ok() && result.error().text() == "told");
}

// Each coroutine yields inside a catch block: `throw;` must rethrow its own exception.
void exceptions_in_flight_belong_to_the_coroutine() {
  std::vector<fastrpc::Coroutine<bool>> coroutines;
  for (int id = 0; id < 4; ++id) {
    coroutines.push_back(fastrpc::spawn([id] {
      std::string own = "E" + std::to_string(id);
      try {
        throw std::runtime_error(own);
      } catch (const std::exception&) {
        for (int i = 0; i < 3 + id; ++i) fastrpc::yield();
        auto current = std::current_exception();
        fastrpc::sleep_for(1ms);
        if (current != std::current_exception() || std::uncaught_exceptions() != 0) return false;
        try {
          throw;
        } catch (const std::exception& again) {
          return again.what() == own;
        }
      }
      return false;
    }));
  }
  int right = 0;
  for (auto& coroutine : coroutines) right += coroutine.join();
  CHECK_EQ(right, 4);
}

// What 1/3 is says how it was rounded; x87 has a control word of its own, which fegetround() reads.
float third() {
  volatile float one = 1, three = 3;
  return one / three;
}

// In a plain thread. Under valgrind all modes give the same.
float third_rounded(int mode) {
  CHECK_EQ(fesetround(mode), 0);
  float rounded = third();
  CHECK_EQ(fesetround(FE_TONEAREST), 0);
  return rounded;
}

void rounding_belongs_to_the_coroutine() {
  float nearest = third();
  auto rounds = [&](int mode) {
    return fastrpc::spawn([mode, nearest, rounded = third_rounded(mode)] {
      // Not that of a coroutine before, which may have had this stack.
      CHECK(fegetround() == FE_TONEAREST && third() == nearest);
      CHECK_EQ(fesetround(mode), 0);
      for (int i = 0; i < 3; ++i) {
        CHECK(fegetround() == mode && third() == rounded);
        i == 1 ? fastrpc::sleep_for(1ms) : fastrpc::yield();
      }
    });
  };
  auto up = rounds(FE_UPWARD), down = rounds(FE_DOWNWARD), same = rounds(FE_TONEAREST);
  down.join();
  up.join();
  same.join();
  for (int i = 0; i < 4; ++i) rounds(FE_TONEAREST).join();
}

thread_local int thread_slot = 0;

void errno_thread_locals_and_mutexes_survive_a_wait() {
  fastrpc::spawn([] {
    thread_slot = 7;
    pthread_t self = pthread_self();
    pthread_mutexattr_t attributes;
    pthread_mutex_t mutex;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&mutex, &attributes);
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    auto other = fastrpc::spawn([] { errno = EIO; });
    errno = EAGAIN;
    fastrpc::sleep_for(5ms);
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(thread_slot, 7);
    CHECK(pthread_equal(self, pthread_self()));
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
    other.join();
    pthread_mutex_destroy(&mutex);
    pthread_mutexattr_destroy(&attributes);
  }).join();
}

void locks_work_between_threads_and_coroutines() {
  fastrpc::mutex mutex;
  int count = 0;
  auto work = [&] {
    for (int i = 0; i < 1000; ++i) {
      std::lock_guard<fastrpc::mutex> guard(mutex);
      int seen = count;
      if (i % 100 == 0) fastrpc::yield();
      count = seen + 1;
    }
  };
  std::vector<fastrpc::Coroutine<void>> coroutines;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) coroutines.push_back(fastrpc::spawn(work));
  for (int i = 0; i < 2; ++i) threads.emplace_back(work);
  for (auto& coroutine : coroutines) coroutine.join();
  for (auto& thread : threads) thread.join();
  CHECK_EQ(count, 6000);
}

void a_queue_hands_over_between_a_thread_and_a_coroutine() {
  fastrpc::queue<std::unique_ptr<int>> queue(4);
  auto sum = fastrpc::spawn([&queue] {
    int total = 0;
    try {
      for (;;) total += *queue.pop();
    } catch (const fastrpc::Error& error) {
      CHECK(error.is_closed());
    }
    return total;
  });
  for (int i = 1; i <= 100; ++i) queue.push(std::make_unique<int>(i));
  queue.close();
  CHECK_EQ(sum.join(), 5050);
}

void locals_are_destroyed_with_their_coroutine() {
  static std::atomic<int> alive{0};
  struct Counted {
    Counted() { ++alive; }
    ~Counted() { --alive; }
    int value = 0;
  };
  static fastrpc::coroutine_local<Counted> slot;
  for (int i = 0; i < 3; ++i) {
    fastrpc::spawn([i] {
      CHECK(slot.get() == nullptr);
      slot->value = i;
      fastrpc::yield();
      CHECK(slot->value == i && alive == 1);
    }).join();
  }
  CHECK_EQ(alive, 0);
}

void canceling_ends_waits_with_an_error() {
  auto sleeper = fastrpc::spawn([] {
    try {
      fastrpc::sleep_for(100s);
    } catch (const fastrpc::Error& error) {
      return error.is_canceled();
    }
    return false;
  });
  sleeper.cancel();
  CHECK(sleeper.join());
}

void the_original_spelling_runs_inline_in_a_coroutine() {
  fastrpc::WaitGroup group;
  group.add(1);
  CHECK(fastrpc::ProcessWithNewCro([&group] {
    int ran = 0;
    CHECK(!fastrpc::ProcessWithNewCro([&ran] { ++ran; }));
    CHECK_EQ(ran, 1);
    group.done();
  }));
  group.wait();
}

void locks_and_queues_keep_their_time() {
  fastrpc::mutex mutex;
  std::unique_lock<fastrpc::mutex> lock(mutex);
  std::thread([&mutex] {
    CHECK(!mutex.try_lock());
    CHECK(!mutex.try_lock_for(10ms));
    CHECK(!mutex.try_lock_until(std::chrono::system_clock::now() + 10ms));
  }).join();
  fastrpc::condition_variable changed;
  auto start = std::chrono::steady_clock::now();
  CHECK_EQ(changed.wait_for(lock, 10ms), std::cv_status::timeout);
  CHECK(!changed.wait_for(lock, 10ms, [] { return false; }));
  CHECK(std::chrono::steady_clock::now() - start >= 20ms);
  CHECK(lock.owns_lock());

  fastrpc::semaphore permits(2);
  CHECK(permits.try_acquire(2) && !permits.try_acquire() && !permits.try_acquire_for(5ms));
  permits.release(2);
  CHECK_EQ(permits.available(), 2);

  fastrpc::WaitGroup group(1);
  CHECK(!group.wait_for(5ms));
  group.done();
  CHECK(group.wait_for(5ms));

  fastrpc::queue<std::string> queue(1);
  std::string first = "a rather long text that needs memory of its own", second = first;
  CHECK(queue.try_push(first) && !queue.try_push(second) && !queue.push_for(second, 5ms));
  CHECK(second.size() == 47 && queue.size() == 1);
  CHECK_EQ(queue.try_pop(), second);
  CHECK(!queue.try_pop() && !queue.pop_for(5ms));
  queue.push(second);  // Left inside: destroyed with the queue.
}

void a_condition_is_told_between_a_thread_and_a_coroutine() {
  fastrpc::mutex mutex;
  fastrpc::condition_variable changed;
  int turn = 0;
  auto play = [&](int self) {
    for (int i = 0; i < 100; ++i) {
      std::unique_lock<fastrpc::mutex> lock(mutex);
      changed.wait(lock, [&] { return turn % 2 == self; });
      ++turn;
      changed.notify_all();
    }
  };
  auto coroutine = fastrpc::spawn([&] { play(1); });
  std::thread thread(play, 0);
  coroutine.join();
  thread.join();
  CHECK_EQ(turn, 200);
}

void timers_run_once_or_are_canceled() {
  fastrpc::WaitGroup ran(1);
  auto start = std::chrono::steady_clock::now();
  auto timer = fastrpc::after(10ms, [&ran] {
    CHECK(fastrpc::this_coroutine::exists());
    ran.done();
  });
  ran.wait();
  CHECK(std::chrono::steady_clock::now() - start >= 10ms);
  CHECK(!timer.cancel());
  auto held = std::make_shared<int>(1);
  auto later = fastrpc::after(100s, [held] {});
  CHECK(later.cancel() && !later.cancel());
  CHECK_EQ(held.use_count(), 1);
}

void fds_wake_those_who_wait() {
  int fds[2];
  CHECK_EQ(pipe(fds), 0);
  CHECK(!fastrpc::wait_readable(fds[0], 5ms));
  auto reader = fastrpc::spawn([&fds] {
    fastrpc::wait_readable(fds[0]);
    char byte = 0;
    return read(fds[0], &byte, 1) == 1 && byte == 'x';
  });
  CHECK(fastrpc::wait_writable(fds[1], 5s));
  CHECK_EQ(write(fds[1], "x", 1), 1);
  CHECK(reader.join());
  pollfd both[] = {{fds[0], POLLIN, 0}, {fds[1], POLLOUT, 0}};
  CHECK(fastrpc::poll(both, 2) == 1 && both[1].revents == POLLOUT);
  CHECK_EQ(fastrpc::poll(both, 1, 5ms), 0);

  std::atomic<bool> waits{false};
  auto left_alone = fastrpc::spawn({"", 0, 0}, [&] {
    waits = true;
    auto ready = fastrpc::wait_fd(fds[0], fastrpc::Interest::readable, std::nothrow);
    return !ready && ready.error().is_closed();
  });
  // From another coroutine of the same worker: by then the first one waits.
  fastrpc::spawn({"", 0, 0}, [&] {
    while (!waits) fastrpc::yield();
    fastrpc::notify_close(fds[0]);
  }).join();
  CHECK(left_alone.join());
  close(fds[0]);
  close(fds[1]);
}

void coroutines_have_names_numbers_and_stacks() {
  CHECK(!fastrpc::this_coroutine::exists() && fastrpc::this_coroutine::id() == 0);
  CHECK(fastrpc::this_coroutine::worker() == -1 && fastrpc::this_coroutine::name().empty());
  auto named = fastrpc::spawn({"worker bee", 1 << 20, 0}, [] {
    volatile char deep[600 * 1024];
    deep[0] = 1;
    CHECK(deep[0] == 1 && fastrpc::this_coroutine::worker() == 0);
    return fastrpc::this_coroutine::name();
  });
  CHECK(named.id() != 0);
  CHECK(named.wait_for(10s));
  CHECK(named.is_finished() && named.join() == "worker bee");
  // Joined before; and what cannot be made.
  CHECK_EQ(named.join(std::nothrow).error().status(), FASTRPC_ESTATE);
  auto none = fastrpc::spawn(
      {"", 0, 99}, [] { return 1; }, std::nothrow);
  CHECK(!none && none.error().status() == FASTRPC_EINVAL);
}

struct Odd {};

void the_log_goes_where_it_is_sent() {
  // Kept until the library has let go of the sink.
  auto text = std::make_shared<std::string>();
  fastrpc::set_log(fastrpc::LogLevel::warn, [text](fastrpc::LogLevel level, std::string_view,
                                                   std::string_view line) {
    *text += std::to_string(static_cast<int>(level)) + ' ' + std::string(line) + ';';
  });
  fastrpc::log(fastrpc::LogLevel::info, "not wanted");
  fastrpc::log(fastrpc::LogLevel::warn, "wanted");
  // Through the C ABI: there the library itself catches what a callback throws.
  fastrpc_spawn_options options;
  fastrpc_spawn_options_init(&options, sizeof options);
  options.name = "odd one";
  options.name_size = 7;
  fastrpc_coroutine* coroutine = nullptr;
  auto odd = [](void*) { throw Odd{}; };
  CHECK_EQ(fastrpc_spawn(&options, odd, nullptr, nullptr, &coroutine, nullptr), FASTRPC_OK);
  fastrpc_error* error = nullptr;
  CHECK_EQ(fastrpc_coroutine_join(coroutine, -1, &error), FASTRPC_EEXCEPTION);
  CHECK(std::string(fastrpc_error_text(error)).find("Odd") != std::string::npos);
  fastrpc_error_free(error);
  fastrpc_coroutine_free(coroutine);
  CHECK(text->rfind("2 wanted;1 an exception left coroutine 'odd one' (", 0) == 0);
  CHECK(text->find("): exception of type ") != std::string::npos);
  CHECK_EQ(fastrpc_set_log(FASTRPC_LOG_WARN, nullptr, nullptr, nullptr, nullptr), FASTRPC_OK);
  CHECK_EQ(text.use_count(), 1);
}

// pthread_exit() in a coroutine would take the worker from all others.
[[maybe_unused]] void a_coroutine_that_ends_its_thread_ends_the_process() {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(60);
    CHECK(std::freopen("/dev/null", "w", stderr) != nullptr);
    fastrpc::spawn([] { pthread_exit(nullptr); }).join();
    _exit(0);
  }
  int status = 0;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

}  // namespace

int main() {
  configure_workers();
  // Forks, so before the runtime starts. What glibc unwinds by is no object, so that the sanitizer
  // of undefined behaviour objects to every handler for it.
#ifndef __SANITIZE_ADDRESS__
  RUN(a_coroutine_that_ends_its_thread_ends_the_process);
#endif
  RUN(results_and_exceptions_reach_the_joiner);
  RUN(exceptions_in_flight_belong_to_the_coroutine);
  RUN(rounding_belongs_to_the_coroutine);
  RUN(errno_thread_locals_and_mutexes_survive_a_wait);
  RUN(locks_work_between_threads_and_coroutines);
  RUN(a_queue_hands_over_between_a_thread_and_a_coroutine);
  RUN(locals_are_destroyed_with_their_coroutine);
  RUN(canceling_ends_waits_with_an_error);
  RUN(the_original_spelling_runs_inline_in_a_coroutine);
  RUN(locks_and_queues_keep_their_time);
  RUN(a_condition_is_told_between_a_thread_and_a_coroutine);
  RUN(timers_run_once_or_are_canceled);
  RUN(fds_wake_those_who_wait);
  RUN(coroutines_have_names_numbers_and_stacks);
  RUN(the_log_goes_where_it_is_sent);
}
