// Runs the main() of an unmodified program in a hooked coroutine, beside a ticker on the same
// worker:
//
//   LD_PRELOAD=libfastrpc.so:libmain_in_coroutine.so PROGRAM
//
// libfastrpc.so must be named as well: as a mere dependency it would come after libc.
//
//   MAIN_IN_COROUTINE_REPORT=FILE  at exit appends a line with the ticker's statistics
//   MAIN_IN_COROUTINE_HOOKS=0      runs main() with hooks off
//
// Child processes run without it: LD_PRELOAD is unset before main() begins.
#include <fastrpc/fastrpc.hpp>

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

using Main = int (*)(int, char**, char**);
using StartMain = int (*)(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);

constexpr std::chrono::milliseconds kPeriod(5);
// The size of a main thread's.
constexpr std::size_t kStackSize = 8 << 20;

Main real_main = nullptr;
pid_t own_process = 0;
std::atomic<bool> hooks_on{false};

// The ticker. Main may exit in any thread.
std::atomic<long> ticks{0};
std::atomic<Clock::duration> longest_slip{Clock::duration::zero()};
std::atomic<Clock::time_point> due{Clock::time_point()};
Clock::time_point started;

Clock::duration slip_until(Clock::time_point now) {
  return std::max(longest_slip.load(), now - due.load());
}

void tick() {
  for (;;) {
    due = Clock::now() + kPeriod;
    fastrpc::sleep_for(kPeriod);
    longest_slip = slip_until(Clock::now());
    ++ticks;
  }
}

void report() {
  const char* path = std::getenv("MAIN_IN_COROUTINE_REPORT");
  // A forked child has no ticker.
  if (path == nullptr || getpid() != own_process) return;
  fastrpc::hook::Guard off(false);
  auto now = Clock::now();
  char line[256];
  int size = std::snprintf(
      line, sizeof line, "hooks=%d ticks=%ld period_ms=%d ran_ms=%.1f longest_slip_ms=%.1f\n",
      hooks_on ? 1 : 0, ticks.load(), static_cast<int>(kPeriod.count()),
      Milliseconds(now - started).count(), Milliseconds(slip_until(now)).count());
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd == -1 || write(fd, line, size) != size) std::perror(path);
  if (fd != -1) close(fd);
}

bool hooks_are_wanted() {
  const char* wanted = std::getenv("MAIN_IN_COROUTINE_HOOKS");
  return wanted == nullptr || std::strcmp(wanted, "0") != 0;
}

int start(int argc, char** argv, char** envp) {
  unsetenv("LD_PRELOAD");
  own_process = getpid();
  // Registered before the program's own handlers, so it runs last.
  std::atexit(report);

  fastrpc::SpawnOptions options;
  options.name = "ticker";
  fastrpc::spawn(options, tick).detach();
  // From here on the thread that runs main() takes the signals; this one only waits.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  options.name = "main";
  options.stack_size = kStackSize;
  auto running = fastrpc::spawn(options, [=]() noexcept {
    if (hooks_are_wanted()) fastrpc::hook::enable();
    hooks_on = fastrpc::hook::is_enabled();
    started = Clock::now();
    due = started + kPeriod;
    std::exit(real_main(argc, argv, envp));
  });
  running.join();
  return EXIT_FAILURE;
}

}  // namespace

extern "C" int __libc_start_main(Main main, int argc, char** argv, void (*init)(), void (*fini)(),
                                 void (*rtld_fini)(), void* stack_end) {
  real_main = main;
  auto real = reinterpret_cast<StartMain>(dlsym(RTLD_NEXT, "__libc_start_main"));
  return real(start, argc, argv, init, fini, rtld_fini, stack_end);
}
