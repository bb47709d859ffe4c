// Every fallible function in both forms: f(x) throws an Error, f(x, std::nothrow) returns a Result,
// the tag last. The table is compiled, not run.
#include <fastrpc/fastrpc.hpp>

#include <poll.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace {

using fastrpc::Result;
using namespace std::chrono_literals;

// The second form gives a Result of what the first returns.
#define BOTH(throwing, quiet)                                                               \
  static_assert(                                                                            \
      std::is_same_v<Result<std::remove_reference_t<decltype(throwing)>>, decltype(quiet)>, \
      #throwing)
// A wait with a time: what the first form tells by false, or by nothing, is an error in the second.
#define TIMED(throwing, told, quiet, value)                                                       \
  static_assert(                                                                                  \
      std::is_same_v<decltype(throwing), told> && std::is_same_v<decltype(quiet), Result<value>>, \
      #throwing)
// A constructor, whose second form is make().
#define MAKES(type, quiet) static_assert(std::is_same_v<decltype(quiet), Result<type>>, #type)

const auto quiet = std::nothrow;
const auto job = [] { return 1; };
using Lock = std::unique_lock<fastrpc::mutex>;
using Queue = fastrpc::queue<int>;
using Pool = fastrpc::ResourcePool<int>;

template <typename T>
T& of() noexcept;

void locks_and_queues() {
  auto now = std::chrono::steady_clock::now();
  auto done = [] { return true; };
  int item = 0;
  (void)now, (void)done, (void)item;

  MAKES(fastrpc::mutex, fastrpc::mutex::make(quiet));
  BOTH(of<fastrpc::mutex>().lock(), of<fastrpc::mutex>().lock(quiet));
  BOTH(of<fastrpc::mutex>().unlock(), of<fastrpc::mutex>().unlock(quiet));
  TIMED(of<fastrpc::mutex>().try_lock_for(1s), bool, of<fastrpc::mutex>().try_lock_for(1s, quiet),
        void);
  TIMED(of<fastrpc::mutex>().try_lock_until(now), bool,
        of<fastrpc::mutex>().try_lock_until(now, quiet), void);

  using Condition = fastrpc::condition_variable;
  MAKES(Condition, Condition::make(quiet));
  BOTH(of<Condition>().wait(of<Lock>()), of<Condition>().wait(of<Lock>(), quiet));
  BOTH(of<Condition>().wait(of<Lock>(), done), of<Condition>().wait(of<Lock>(), done, quiet));
  TIMED(of<Condition>().wait_for(of<Lock>(), 1s), std::cv_status,
        of<Condition>().wait_for(of<Lock>(), 1s, quiet), void);
  TIMED(of<Condition>().wait_for(of<Lock>(), 1s, done), bool,
        of<Condition>().wait_for(of<Lock>(), 1s, done, quiet), void);
  TIMED(of<Condition>().wait_until(of<Lock>(), now), std::cv_status,
        of<Condition>().wait_until(of<Lock>(), now, quiet), void);
  TIMED(of<Condition>().wait_until(of<Lock>(), now, done), bool,
        of<Condition>().wait_until(of<Lock>(), now, done, quiet), void);

  using Semaphore = fastrpc::semaphore;
  MAKES(Semaphore, Semaphore::make(1, quiet));
  BOTH(of<Semaphore>().acquire(), of<Semaphore>().acquire(quiet));
  BOTH(of<Semaphore>().acquire(2), of<Semaphore>().acquire(2, quiet));
  BOTH(of<Semaphore>().release(), of<Semaphore>().release(quiet));
  BOTH(of<Semaphore>().release(2), of<Semaphore>().release(2, quiet));
  TIMED(of<Semaphore>().try_acquire_for(1s), bool, of<Semaphore>().try_acquire_for(1s, quiet),
        void);
  TIMED(of<Semaphore>().try_acquire_for(1s, 2), bool, of<Semaphore>().try_acquire_for(1s, 2, quiet),
        void);

  using Group = fastrpc::WaitGroup;
  MAKES(Group, Group::make(1, quiet));
  BOTH(of<Group>().add(), of<Group>().add(quiet));
  BOTH(of<Group>().add(2), of<Group>().add(2, quiet));
  BOTH(of<Group>().done(), of<Group>().done(quiet));
  BOTH(of<Group>().wait(), of<Group>().wait(quiet));
  TIMED(of<Group>().wait_for(1s), bool, of<Group>().wait_for(1s, quiet), void);

  MAKES(Queue, Queue::make(1, quiet));
  BOTH(of<Queue>().push(1), of<Queue>().push(1, quiet));
  BOTH(of<Queue>().pop(), of<Queue>().pop(quiet));
  BOTH(of<Queue>().close(), of<Queue>().close(quiet));
  TIMED(of<Queue>().try_push(item), bool, of<Queue>().try_push(item, quiet), void);
  TIMED(of<Queue>().push_for(item, 1s), bool, of<Queue>().push_for(item, 1s, quiet), void);
  TIMED(of<Queue>().try_pop(), std::optional<int>, of<Queue>().try_pop(quiet), int);
  TIMED(of<Queue>().pop_for(1s), std::optional<int>, of<Queue>().pop_for(1s, quiet), int);

  BOTH(of<Pool>().lease(), of<Pool>().lease(quiet));
  TIMED(of<Pool>().lease(1s), Pool::Lease, of<Pool>().lease(1s, quiet), Pool::Lease);
}

void coroutines_and_timers() {
  auto sink = [](fastrpc::LogLevel, std::string_view, std::string_view) {};
  auto now = std::chrono::steady_clock::now();
  (void)sink, (void)now;
  BOTH(fastrpc::configure({}), fastrpc::configure({}, quiet));
  BOTH(fastrpc::set_log(fastrpc::LogLevel::warn, sink),
       fastrpc::set_log(fastrpc::LogLevel::warn, sink, quiet));
  BOTH(fastrpc::hook::enable(), fastrpc::hook::enable(quiet));
  BOTH(fastrpc::hook::disable(), fastrpc::hook::disable(quiet));

  using Coroutine = fastrpc::Coroutine<int>;
  BOTH(fastrpc::spawn(job), fastrpc::spawn(job, quiet));
  BOTH(fastrpc::spawn({}, job), fastrpc::spawn({}, job, quiet));
  BOTH(fastrpc::spawn_detached(job), fastrpc::spawn_detached(job, quiet));
  BOTH(fastrpc::spawn_detached({}, job), fastrpc::spawn_detached({}, job, quiet));
  BOTH(of<Coroutine>().join(), of<Coroutine>().join(quiet));
  BOTH(of<Coroutine>().cancel(), of<Coroutine>().cancel(quiet));
  TIMED(of<Coroutine>().wait_for(1s), bool, of<Coroutine>().wait_for(1s, quiet), void);
  BOTH(fastrpc::yield(), fastrpc::yield(quiet));
  BOTH(fastrpc::sleep_for(1s), fastrpc::sleep_for(1s, quiet));
  BOTH(fastrpc::sleep_until(now), fastrpc::sleep_until(now, quiet));

  BOTH(fastrpc::after(1s, job), fastrpc::after(1s, job, quiet));
  BOTH(fastrpc::every(1s, job), fastrpc::every(1s, job, quiet));

  constexpr auto kReadable = fastrpc::Interest::readable;
  BOTH(fastrpc::wait_fd(0, kReadable), fastrpc::wait_fd(0, kReadable, quiet));
  BOTH(fastrpc::wait_fd(0, kReadable, 1s), fastrpc::wait_fd(0, kReadable, 1s, quiet));
  BOTH(fastrpc::wait_readable(0), fastrpc::wait_readable(0, quiet));
  BOTH(fastrpc::wait_writable(0), fastrpc::wait_writable(0, quiet));
  TIMED(fastrpc::wait_readable(0, 1s), bool, fastrpc::wait_readable(0, 1s, quiet), void);
  TIMED(fastrpc::wait_writable(0, 1s), bool, fastrpc::wait_writable(0, 1s, quiet), void);
  BOTH(fastrpc::poll(nullptr, 0), fastrpc::poll(nullptr, 0, quiet));
  BOTH(fastrpc::poll(nullptr, 0, 1s), fastrpc::poll(nullptr, 0, 1s, quiet));
}

void pools_and_processes() {
  using Threads = fastrpc::ThreadPool;
  using Handle = fastrpc::JobHandle<int>;
  MAKES(Threads, Threads::make({}, quiet));
  BOTH(of<Threads>().run(job), of<Threads>().run(job, quiet));
  BOTH(of<Threads>().run_for(1s, job), of<Threads>().run_for(1s, job, quiet));
  BOTH(of<Threads>().submit(job), of<Threads>().submit(job, quiet));
  BOTH(of<Threads>().post(job), of<Threads>().post(job, quiet));
  BOTH(of<Threads>().shutdown(), of<Threads>().shutdown(quiet));
  TIMED(of<Threads>().shutdown_for(1s), bool, of<Threads>().shutdown_for(1s, quiet), void);
  BOTH(of<Handle>().get(), of<Handle>().get(quiet));
  TIMED(of<Handle>().wait_for(1s), bool, of<Handle>().wait_for(1s, quiet), void);
  BOTH(fastrpc::blocking(job), fastrpc::blocking(job, quiet));

  auto process = [](int, int) {};
  (void)process;
  using Prefork = fastrpc::Prefork;
  MAKES(Prefork, Prefork::make("", 0, {}, quiet));
  BOTH(of<Prefork>().run(process), of<Prefork>().run(process, quiet));
}

}  // namespace

int main() {
  locks_and_queues();
  coroutines_and_timers();
  pools_and_processes();
}
