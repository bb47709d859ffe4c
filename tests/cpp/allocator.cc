// An allocator that locks a mutex of pthreads in each call, as some do: hooks run inside of it,
// before main and in every thread.
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstddef>

extern "C" {
void* __libc_malloc(size_t size);
void __libc_free(void* place);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* place, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
}

extern "C" unsigned long locking_allocator_calls();

namespace {

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
std::atomic<unsigned long> calls{0};

class Locked {
 public:
  Locked() {
    pthread_mutex_lock(&lock);
    ++calls;
  }
  ~Locked() { pthread_mutex_unlock(&lock); }
};

// As allocators must: a child has no thread that could unlock what another one held at the fork.
void acquire() {
  pthread_mutex_lock(&lock);
}
void release() {
  pthread_mutex_unlock(&lock);
}
[[gnu::constructor]] void keep_over_forks() {
  pthread_atfork(acquire, release, release);
}

}  // namespace

unsigned long locking_allocator_calls() {
  return calls;
}

extern "C" void* malloc(size_t size) {
  Locked locked;
  return __libc_malloc(size);
}

extern "C" void free(void* place) {
  int before = errno;
  {
    Locked locked;
    __libc_free(place);
  }
  errno = before;
}

extern "C" void* calloc(size_t count, size_t size) {
  Locked locked;
  return __libc_calloc(count, size);
}

extern "C" void* realloc(void* place, size_t size) {
  Locked locked;
  return __libc_realloc(place, size);
}

extern "C" void* memalign(size_t alignment, size_t size) {
  Locked locked;
  return __libc_memalign(alignment, size);
}

extern "C" void* aligned_alloc(size_t alignment, size_t size) {
  Locked locked;
  return __libc_memalign(alignment, size);
}

extern "C" int posix_memalign(void** place, size_t alignment, size_t size) {
  Locked locked;
  *place = __libc_memalign(alignment, size);
  return *place != nullptr ? 0 : ENOMEM;
}
