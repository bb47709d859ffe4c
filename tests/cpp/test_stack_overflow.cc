// Stack overflows by large local variables: the process dies by SIGSEGV and the message names the
// coroutine, whatever the sizes. Needs the compiler's -fstack-clash-protection, which the targets
// of the package ask for: without it a large frame steps over the guard, into what lies below.
#include <fastrpc/fastrpc.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "check.hpp"
#include "workers.hpp"

namespace {

constexpr std::size_t kKiB = 1024;

// Touches only the lowest byte of its frame, which is the farthest below the stack's used part.
template <std::size_t Size>
__attribute__((noinline)) void use_a_frame_of(void*) {
  volatile char array[Size];
  array[0] = 1;
  // Read again after the write, so that the array is not optimized away.
  if (array[0] != 1) std::abort();
}

struct Case {
  std::size_t frame;
  fastrpc_function function;
};

constexpr Case kCases[] = {
    {100 * kKiB, use_a_frame_of<100 * kKiB>},   {400 * kKiB, use_a_frame_of<400 * kKiB>},
    {1024 * kKiB, use_a_frame_of<1024 * kKiB>}, {2048 * kKiB, use_a_frame_of<2048 * kKiB>},
    {8192 * kKiB, use_a_frame_of<8192 * kKiB>},
};

constexpr std::size_t kNeighbors = 200;

fastrpc_coroutine* spawn(const std::string& name, std::size_t stack_size, fastrpc_function function,
                         void* user) {
  fastrpc_spawn_options options;
  fastrpc_spawn_options_init(&options, sizeof options);
  options.name = name.data();
  options.name_size = name.size();
  options.stack_size = stack_size;
  fastrpc_coroutine* coroutine = nullptr;
  CHECK(fastrpc_spawn(&options, function, user, nullptr, &coroutine, nullptr) == FASTRPC_OK);
  return coroutine;
}

// Stacks of the same size lie beside each other: the one that overflows has others below.
[[noreturn]] void overflow(const Case& which, std::size_t stack_size) {
  configure_workers();
  auto wait = [](void*) { fastrpc_sleep(-1); };
  for (std::size_t i = 0; i < kNeighbors; ++i) {
    fastrpc_coroutine_free(spawn("neighbor", stack_size, wait, nullptr));
    if (i != kNeighbors / 2) continue;
    auto* deep = spawn("deep one", stack_size, which.function, nullptr);
    // Runs beside or after those that are still to come.
    fastrpc_coroutine_free(deep);
  }
  auto* last = spawn("last one", stack_size, which.function, nullptr);
  fastrpc_coroutine_join(last, -1, nullptr);
  _exit(0);
}

// What the child wrote to standard error; `status` as of waitpid(2).
std::string run(const Case& which, std::size_t stack_size, int& status) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    alarm(60);
    overflow(which, stack_size);
  }
  close(ends[1]);
  std::string text;
  char buffer[512];
  for (ssize_t count; (count = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(count));
  close(ends[0]);
  CHECK(waitpid(child, &status, 0) == child);
  return text;
}

void a_large_frame_meets_the_guard() {
  for (std::size_t stack_size : {64 * kKiB, 256 * kKiB, 1024 * kKiB}) {
    for (const Case& which : kCases) {
      int status = 0;
      std::string text = run(which, stack_size, status);
      bool fits = which.frame < stack_size;
      bool named = text.find("stack overflow in coroutine 'deep one'") != std::string::npos ||
                   text.find("stack overflow in coroutine 'last one'") != std::string::npos;
      bool right = fits ? status == 0 && text.empty()
                        : WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV && named;
      if (!right)
        std::fprintf(stderr, "a frame of %zu KiB on a stack of %zu KiB: status %#x, \"%s\"\n",
                     which.frame / kKiB, stack_size / kKiB, static_cast<unsigned>(status),
                     text.c_str());
      CHECK(right);
    }
  }
}

}  // namespace

int main() {
  RUN(a_large_frame_meets_the_guard);
}
